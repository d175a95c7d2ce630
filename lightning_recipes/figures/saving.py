"""Pictures into the run's folder, and from there to every logger that takes pictures."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_recipes.atomic_io import whole_file
from lightning_recipes.figures.fonts import families_for, say_once, undrawable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["make_legible", "save_figure"]


def save_figure(figure: "Figure", path: Path, *, key: str = "", loggers: Iterable[Any] = ()) -> None:
    """Write a figure as PNG, 120 dots an inch, with fonts that have its letters.

    Args:
        figure: Of matplotlib.
        path: Its folder is made.
        key: What loggers call it.
        loggers: Those with a ``log_image``, such as Lightning's of W&B, get the picture too.
    """
    make_legible(figure)
    with whole_file(path) as part:
        figure.savefig(part, dpi=120, format="png")
    for logger in loggers:
        if hasattr(logger, "log_image"):
            logger.log_image(key=key, images=[str(path)])


def make_legible(figure: "Figure") -> None:
    """Give a figure the fonts that its texts need, and escape the letters that no font of this system has."""
    from matplotlib import rcParams

    for axes in figure.axes:
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                written = [tick.get_text() for tick in axis.get_majorticklabels()]
                if undrawable("".join(written)):
                    axis.set_ticklabels([_escaped(text) for text in written])
    texts = list(_texts(figure))
    for text in texts:
        if undrawable(text.get_text()):
            text.set_text(_escaped(text.get_text()))
    families = families_for("".join(text.get_text() for text in texts))
    if families:
        families = [*rcParams["font.family"], *families]
        for text in texts:
            text.set_fontfamily(families)
        for axes in figure.axes:
            axes.tick_params(labelfontfamily=families)  # of ticks that are made when it is drawn


def _texts(figure: "Figure") -> Iterator[Any]:
    """All texts of a figure; axes that are not shown are not asked for theirs, who would make ticks first."""
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    for part in figure.get_children():
        hidden = isinstance(part, Axes) and not part.axison
        for piece in part.get_children() if hidden else (part,):
            if not (hidden and isinstance(piece, Axis)):
                yield from piece.findobj(Text)


def _escaped(text: str) -> str:
    lacking = undrawable(text)
    if lacking:
        say_once(text)
    return "".join(c.encode("unicode_escape").decode("ascii") if c in lacking else c for c in text)
