"""What lies in a run's folder, read back: for pages and trackers that show it again."""

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

__all__ = ["RunContents"]


@dataclass(frozen=True)
class RunContents:
    """The files of a run's folder; what is not there is empty.

    Attributes:
        folder: The run's folder.
    """

    folder: Path

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """``config.yaml``: the recipe as it was run."""
        path = self.folder / "config.yaml"
        return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}

    @cached_property
    def summary(self) -> dict[str, Any]:
        """``summary.json``: what was reached."""
        return self._json("summary.json")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """``environment.json``: what it ran on."""
        return self._json("environment.json")

    @cached_property
    def errors(self) -> dict[str, Any]:
        """``errors.json``: what it gets wrong."""
        return self._json("errors.json")

    @cached_property
    def range_tests(self) -> dict[str, Any]:
        """``lr_finder.json``: the range test of each stage that had one."""
        return self._json("lr_finder.json")

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

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return found

    def _rows(self, name: str) -> list[dict[str, str]]:
        path = self.folder / name
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
