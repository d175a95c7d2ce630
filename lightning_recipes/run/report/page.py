"""A run's folder as one HTML page, with its pictures inside and every name escaped."""

import base64
from importlib.resources import files
from pathlib import Path

from lightning_recipes._version import __version__
from lightning_recipes.atomic_io import whole_file
from lightning_recipes.run.reader import RunContents
from lightning_recipes.run.report.sections import lead_of, sections_of, tiles_of

__all__ = ["report_html", "write_report"]


def report_html(folder: Path) -> str:
    """Return the page of a run: what was trained on what, the plan, curves, errors, GradCAM, what to try next.

    Needs no network and no other file; has no scripts. Whatever comes from outside (names of classes, paths, the
    recipe) is escaped.

    Args:
        folder: The run's folder.
    """
    from jinja2 import Environment

    run = RunContents(folder)
    page = Environment(autoescape=True).from_string(
        (files("lightning_recipes") / "assets" / "report.html.j2").read_text(encoding="utf-8")
    )
    return page.render(
        title=f"{run.summary.get('recipe') or 'run'} / {folder.resolve().name}",
        lead=lead_of(run),
        tiles=tiles_of(run),
        sections=sections_of(run),
        figures={name: _data_uri(path) for name, path in run.figures.items() if name != "gradcam"},  # each alone
        footer=f"Written by lightning-recipes {__version__} from the files of this run's folder, which hold all of it.",
    )


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run's folder and return its path."""
    path = folder / "report.html"
    with whole_file(path) as part:
        part.write_text(report_html(folder), encoding="utf-8")
    return path


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
