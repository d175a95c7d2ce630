"""``report.html``: the page of a run, made when all its files are there."""

from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn
from typing_extensions import override

from lightning_recipes.run.report import write_report

__all__ = ["RunReport"]


class RunReport(pl.Callback):
    """Write ``report.html`` at the end of a fit, also of one that was interrupted or failed.

    Shows what the run's folder holds by then, so it comes after the callbacks that write there. A page that cannot be
    written is a warning.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the page of a whole run."""
        self._write(trainer)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write the page of a run that was stopped, if it had begun to train."""
        if trainer.state.fn == "fit" and trainer.global_step > 0:
            self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        try:
            write_report(self.folder)
        except Exception as error:  # a page is no reason for a run that is done to fail
            rank_zero_warn(f"report.html: not written ({type(error).__name__}: {error})")
