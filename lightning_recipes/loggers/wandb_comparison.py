"""A comparison of runs as a run of W&B: tables that can be filtered, and the figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_recipes.loggers.wandb import BackgroundWandbLogger, Mode

__all__ = ["log_comparison"]

PROJECT = "lightning-recipes"
OF_PAIRS = ("a", "b", "difference", "low", "high", "p_value", "p_adjusted", "verdict", "images_needed", "runs_needed")
OF_IMAGES = ("path", "true", "better", "difference", "a_says", "b_says")


def log_comparison(folder: Path, pairs: Sequence[Mapping[str, Any]], *, mode: Mode) -> None:
    """Log ``differences``, ``recipe`` and ``changed_images`` as tables, and the figures.

    Args:
        folder: Of the comparison; W&B's files go to ``wandb/`` in it.
        pairs: What ``compare.json`` holds.
        mode: ``offline``, ``online`` or ``disabled``.
    """
    logger = BackgroundWandbLogger(
        str(folder.resolve()), project=PROJECT, name=f"comparison {folder.name}", mode=mode, job_type="compare"
    )
    tables = {
        "differences": (OF_PAIRS, [[_cell(pair, name) for name in OF_PAIRS] for pair in pairs]),
        "recipe": (("a", "b", "key", "value_a", "value_b"), _keys(pairs)),
        "changed_images": (
            ("a", "b", *OF_IMAGES),
            [[p["a"], p["b"], *(one[n] for n in OF_IMAGES)] for p in pairs for one in p["changed"]],
        ),
    }

    def log(run: Any) -> None:
        import wandb

        row: dict[str, Any] = {
            name: wandb.Table(columns=list(columns), data=rows, allow_mixed_types=True)
            for name, (columns, rows) in tables.items()
        }
        figures = sorted((folder / "figures").glob("*.png"))
        run.log({**row, **{path.stem: wandb.Image(str(path)) for path in figures}})

    logger.submit(log)
    logger.close()


def _cell(pair: Mapping[str, Any], name: str) -> Any:
    return pair["ci95"][name == "high"] if name in ("low", "high") else pair[name]


def _keys(pairs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [[p["a"], p["b"], one["key"], str(one["a"]), str(one["b"])] for p in pairs for one in p["recipe"]]
