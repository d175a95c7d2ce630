"""A run's folder as one HTML page, with its pictures inside and every name escaped."""

import base64
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from lightning_recipes._version import __version__
from lightning_recipes.atomic_io import whole_file
from lightning_recipes.run.reader import RunContents
from lightning_recipes.run.report.parts import Section, Tile
from lightning_recipes.run.report.sections import lead_of, sections_of, tiles_of

__all__ = ["page_html", "report_html", "write_report"]


def report_html(folder: Path) -> str:
    """Return the page of a run: what was trained on what, the plan, curves, errors, GradCAM, what to try next.

    Needs no network and no other file; has no scripts. Whatever comes from outside (names of classes, paths, the
    recipe) is escaped.

    Args:
        folder: The run's folder.
    """
    run = RunContents(folder)
    return page_html(
        title=f"{run.summary.get('recipe') or 'run'} / {folder.resolve().name}",
        lead=lead_of(run),
        tiles=tiles_of(run),
        sections=sections_of(run),
        figures={name: path for name, path in run.figures.items() if name != "gradcam"},  # each alone
        footer=f"Written by lightning-recipes {__version__} from the files of this run's folder, which hold all of it.",
    )


def page_html(
    *,
    title: str,
    lead: str,
    tiles: Sequence[Tile],
    sections: Sequence[Section],
    figures: Mapping[str, Path],
    footer: str,
) -> str:
    """Return a page in the style of a run's, which needs no other file.

    Args:
        title: Of the page.
        lead: A sentence below it.
        tiles: Numbers in large type.
        sections: In their order, with an entry of the menu each.
        figures: PNG files by the names that the sections call them.
        footer: The last line.
    """
    from jinja2 import Environment

    page = Environment(autoescape=True).from_string(
        (files("lightning_recipes") / "assets" / "report.html.j2").read_text(encoding="utf-8")
    )
    pictures = {name: _data_uri(path) for name, path in figures.items()}
    return page.render(title=title, lead=lead, tiles=tiles, sections=sections, figures=pictures, footer=footer)


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run's folder and return its path."""
    path = folder / "report.html"
    with whole_file(path) as part:
        part.write_text(report_html(folder), encoding="utf-8")
    return path


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
