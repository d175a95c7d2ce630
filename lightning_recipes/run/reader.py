"""What lies in a run's folder, read back: for pages and trackers that show it again."""

import csv
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

__all__ = ["Measured", "RunContents", "is_recipe_of_run", "newest_recipe"]

TITLES = {
    "val_accuracy": "Validation accuracy",
    "val_map": "Mean average precision",
    "val_f1": "F1, mean of the classes",
}
ENSEMBLE = "ensemble_"
Found = TypeVar("Found", dict[str, Any], list[dict[str, Any]])


class Measured(NamedTuple):
    """A number of a summary with its interval.

    Attributes:
        name: As the summary has it.
        title: In words.
        value: In [0, 1]; None where it was not reached.
        ci95: Its 95 % interval, likewise.
    """

    name: str
    title: str
    value: float | None
    ci95: list[float] | None


def is_recipe_of_run(name: str) -> re.Match[str] | None:
    """Match ``config.yaml``, and ``config-1.yaml`` and on where a run went on with another recipe."""
    return re.fullmatch(r"config(?:-(\d+))?\.yaml", name)


def newest_recipe(folder: Path) -> Path | None:
    """Return the recipe that a run was last trained with: ``config.yaml`` or the highest ``config-N.yaml``."""
    found = [(int(m[1] or 0), path) for path in folder.glob("config*.yaml") if (m := is_recipe_of_run(path.name))]
    return max(found)[1] if found else None


@dataclass(frozen=True)
class RunContents:
    """The files of a run's folder; what is not there is empty.

    Attributes:
        folder: The run's folder.
    """

    folder: Path

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """``config.yaml``, or the newest that took its place: the recipe as it was run."""
        path = newest_recipe(self.folder)
        return {} if path is None else yaml.safe_load(path.read_text(encoding="utf-8")) or {}

    def arguments(self, part: str) -> dict[str, Any]:
        """Return the arguments of a part of the recipe, such as ``data``, whether or not it names a class."""
        found = self.recipe.get(part) or {}
        arguments: dict[str, Any] = found.get("init_args", found) or {}
        return arguments

    @cached_property
    def summary(self) -> dict[str, Any]:
        """``summary.json``: what was reached."""
        return self._json("summary.json", {})

    @property
    def measured(self) -> list[Measured]:
        """The numbers of the summary that have an interval: those of the best epoch, then those of an ensemble."""
        names = [name for name in self.summary if f"{name}_ci95" in self.summary]
        ranked = sorted(names, key=lambda name: name.startswith(ENSEMBLE))
        return [Measured(n, _title(n), self.summary[n], self.summary[f"{n}_ci95"]) for n in ranked]

    @cached_property
    def environment(self) -> dict[str, Any]:
        """``environment.json``: what it ran on."""
        return self._json("environment.json", {})

    @cached_property
    def errors(self) -> dict[str, Any]:
        """``errors.json``: what it gets wrong."""
        return self._json("errors.json", {})

    @cached_property
    def symptoms(self) -> list[dict[str, Any]]:
        """``symptoms.json``: what went wrong while it trained, in the order in which it was seen."""
        return self._json("symptoms.json", [])

    @cached_property
    def range_tests(self) -> dict[str, Any]:
        """``lr_finder.json``: the range test of each stage that had one."""
        return self._json("lr_finder.json", {})

    @cached_property
    def metrics(self) -> list[dict[str, str]]:
        """Rows of ``metrics.csv``."""
        return self._rows("metrics.csv")

    @cached_property
    def predictions(self) -> list[dict[str, str]]:
        """Rows of ``val_predictions.csv``: path, true, predicted, probability."""
        return self._rows("val_predictions.csv")

    @cached_property
    def label_issues(self) -> list[dict[str, str]]:
        """Rows of ``label_issues.csv``: split, path, given, suggested, margin, confident."""
        return self._rows("label_issues.csv")

    @cached_property
    def mistakes(self) -> list[dict[str, str]]:
        """Rows of ``figures/gradcam/mistakes.csv``: file, path, true, predicted, p_true, p_predicted."""
        return self._rows("figures/gradcam/mistakes.csv")

    @cached_property
    def figures(self) -> dict[str, Path]:
        """Pictures in ``figures/`` and the folders in it, by name, such as ``curves`` or ``gradcam/00``."""
        folder = self.folder / "figures"
        return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.png"))}

    def _json(self, name: str, empty: Found) -> Found:
        path = self.folder / name
        found: Found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else empty
        return found

    def _rows(self, name: str) -> list[dict[str, str]]:
        path = self.folder / name
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def _title(name: str) -> str:
    return "Ensemble of snapshots" if name.startswith(ENSEMBLE) else TITLES.get(name, name)
