"""What ended a run before its plan was over, in words, and how it goes on."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_recipes.run.reader import RunContents, newest_recipe

__all__ = ["command_to_go_on", "ending"]

WORDS = {
    "signal": "Interrupted",
    "exception": "Ended by an error",
    "max_time": "Ended by trainer.max_time",
    "max_steps": "Ended by trainer.max_steps",
    "max_epochs": "Ended by trainer.max_epochs",
    "callback": "Ended by a callback",
}
NO_LIMIT = {"max_time": "null", "max_steps": "-1", "max_epochs": "null"}


def ending(summary: Mapping[str, Any]) -> str:
    """Return what ended a run and how much of its plan was trained; empty for a run whose plan is over.

    Args:
        summary: ``summary.json``.

    Example:
        >>> ending({"finished": False, "stopped_by": "max_time", "epochs": 7, "stages": [{"planned_epochs": 30}]})
        'Ended by trainer.max_time after 7 of 30 epochs'
    """
    if summary.get("finished", True):
        return ""
    said = WORDS.get(summary.get("stopped_by") or "", "Stopped before its end")
    planned = [stage.get("planned_epochs") for stage in summary.get("stages", [])]
    # A plan may be without end, and a limit may end a run inside its last epoch.
    known = all(epochs is not None for epochs in planned) and sum(planned) >= summary["epochs"]
    of = f" of {sum(planned):,}" if planned and known else ""
    return f"{said} after {summary['epochs']:,}{of} epochs"


def command_to_go_on(folder: Path, summary: Mapping[str, Any]) -> str:
    """Return the command with which a run goes on; empty where its plan is over or it has no checkpoint.

    It is the one that began the run, ``fit`` or ``pretrain``. A limit that ended the run is lifted, because the time
    and steps that are spent count on. Of a run that has no recipe, as from Python, it is the call.

    Args:
        folder: The run's.
        summary: ``summary.json``.
    """
    last, recipe = folder / "checkpoints" / "last.ckpt", newest_recipe(folder)
    if summary.get("finished", True) or not last.exists():
        return ""
    if recipe is None:
        return f"trainer.fit(model, datamodule=data, ckpt_path={str(last)!r})"
    words = ["--config", str(recipe), "--run_dir", str(folder), "--ckpt_path", "last"]
    limit = summary.get("stopped_by")
    if limit in NO_LIMIT:
        words += [f"--trainer.{limit}", NO_LIMIT[limit]]
    began = "pretrain" if "pretrain" in RunContents(folder).environment.get("command", [])[:2] else "fit"
    return f"lightning-recipes {began} {shlex.join(words)}"
