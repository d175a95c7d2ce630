"""``figures/``: what a run looked like, as pictures."""

import csv
from pathlib import Path

import lightning.pytorch as pl
from typing_extensions import override

from lightning_recipes.figures import learning_curves
from lightning_recipes.plan import Plan

__all__ = ["RunFigures"]


class RunFigures(pl.Callback):
    """Draw ``figures/curves.png`` from ``metrics.csv`` at the end of a fit.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw; a run that logged nothing has no figure."""
        metrics = self.folder / "metrics.csv"
        if not trainer.is_global_zero or not metrics.exists():
            return
        with metrics.open(newline="") as file:
            rows = list(csv.DictReader(file))
        plan = getattr(pl_module, "plan", None)
        starts = {s.name: plan.start_of(i) for i, s in enumerate(plan.stages)} if isinstance(plan, Plan) else {}
        (self.folder / "figures").mkdir(exist_ok=True)
        learning_curves(rows, starts).savefig(self.folder / "figures" / "curves.png", dpi=120)
