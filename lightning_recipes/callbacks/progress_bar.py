"""Lightning's progress bar, on one line in a terminal of any width."""

from typing import Any

import lightning.pytorch as pl
from rich import get_console
from rich.progress import BarColumn, ProgressColumn, Task, TimeRemainingColumn
from rich.table import Column
from rich.text import Text
from typing_extensions import override

from lightning_recipes.compat.lightning import MetricsProgressBar, MetricsTextColumn

__all__ = ["OneLineProgressBar"]

WIDE = 100  # columns from which there is room for a bar, the speed and the time that has passed


class OneLineProgressBar(MetricsProgressBar):
    """Rich's progress bar, which never wraps: what is least needed is left out where the terminal is narrow.

    Below 100 columns it has neither the bar nor the speed, of the times only the one that is left, and what
    validation says comes before the training loss; metrics that the line has no room for end in an ellipsis.
    """

    @override
    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        """Return the columns that the terminal has room for."""
        columns: list[Any] = super().configure_columns(trainer)
        if get_console().width < WIDE:
            text, _, batches, *_ = columns  # description, bar, batches, times, speed
            columns = [text, batches, TimeRemainingColumn(elapsed_when_finished=True)]
        for column in columns:
            if isinstance(column, ProgressColumn) and not isinstance(column, BarColumn):
                column.get_table_column = _unwrapped  # type: ignore[method-assign]  # the bar and the metrics give way
        return columns

    @override
    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return what the line shows; the loss of the step as a tensor, which is read when the line is drawn."""
        shown, loss = super().get_metrics(trainer, pl_module), trainer.callback_metrics.get("train_loss_step")
        return dict(shown) if loss is None else {"train_loss_step": loss, **shown}

    @override
    def metrics_column(self, trainer: pl.Trainer) -> MetricsTextColumn:
        """Return a column that gives way."""
        theme = self.theme
        return _OneLine(trainer, theme.metrics, theme.metrics_text_delimiter, theme.metrics_format)


def _unwrapped() -> Column:
    return Column(no_wrap=True)


class _OneLine(MetricsTextColumn):
    """The metrics, cut to the room that the line has."""

    @override
    def update(self, metrics: dict[Any, Any]) -> None:
        if get_console().width < WIDE:
            metrics = dict(sorted(metrics.items(), key=lambda item: not str(item[0]).startswith("val_")))
        super().update(metrics)

    @override
    def render(self, task: Task) -> Text:
        text = super().render(task)
        text.no_wrap, text.overflow = True, "ellipsis"
        return text
