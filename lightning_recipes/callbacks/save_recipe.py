"""``config.yaml``: the recipe as it was run, kept with the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from lightning.pytorch.utilities import rank_zero_warn
from typing_extensions import override

from lightning_recipes.environment import environment
from lightning_recipes.whole_files import write_json

__all__ = ["SaveRecipe", "changed_keys"]


class SaveRecipe(pl.Callback):
    """Write the recipe into the run's folder when training is about to begin.

    Not sooner, so that a run that is refused leaves nothing behind. A run that goes on with another recipe keeps the
    first, writes ``config-1.yaml``, ``config-2.yaml`` ... beside it, and says what is different. ``environment.json``
    beside it has the versions, the devices, and the commit of the folder that the command was typed in.

    Args:
        folder: The run's folder.
        text: The recipe, as YAML.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.folder, self.text = folder, text

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file, unless it is there already."""
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        write_json(self.folder / "environment.json", environment(Path.cwd()))
        first = self.folder / "config.yaml"
        number, path = 0, first
        while path.exists():
            if path.read_text(encoding="utf-8") == self.text:
                return
            number += 1
            path = self.folder / f"config-{number}.yaml"
        path.write_text(self.text, encoding="utf-8")
        if number:
            keys = changed_keys(yaml.safe_load(first.read_text(encoding="utf-8")), yaml.safe_load(self.text))
            rank_zero_warn(
                f"this run goes on with another recipe than it began with: {', '.join(keys)} changed; "
                "learning rates of the stage that is under way stay as the checkpoint has them"
            )


def changed_keys(old: Any, new: Any, key: str = "") -> list[str]:
    """Return the keys in which two recipes differ, such as ``model.init_args.lr``.

    Example:
        >>> changed_keys({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4})
        ['a.c', 'd']
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = list(dict.fromkeys([*old, *new]))
        return [
            found
            for name in names
            for found in changed_keys(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
        ]
    return [] if old == new else [key]
