"""Pictures into the run's folder, and from there to every logger that takes pictures."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save_figure"]


def save_figure(figure: "Figure", path: Path, *, key: str = "", loggers: Iterable[Any] = ()) -> None:
    """Write a figure as PNG, 120 dots an inch.

    Args:
        figure: Of matplotlib.
        path: Its folder is made.
        key: What loggers call it.
        loggers: Those with a ``log_image``, such as Lightning's of W&B, get the picture too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    for logger in loggers:
        if hasattr(logger, "log_image"):
            logger.log_image(key=key, images=[str(path)])
