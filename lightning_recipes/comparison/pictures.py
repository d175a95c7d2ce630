"""Pictures of what changed hands: images that one recipe has right and the other has not."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightning_recipes.comparison.groups import Group
from lightning_recipes.comparison.pairs import Difference, Pair
from lightning_recipes.comparison.predictions import Paired
from lightning_recipes.comparison.words import better_on, metric_of
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.errors import UserError
from lightning_recipes.figures.contact_sheet import Cell, contact_sheet
from lightning_recipes.figures.differences import Bar, differences_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["changed_images", "figures_of"]

SIDE = 160  # pixels of the longer side of a picture on a sheet
CELLS = 18
MOST_PAIRS = 6


def changed_images(pair: Pair, *, better: int) -> list[int]:
    """Return positions of images that one side has right more often, the clearest first.

    Args:
        pair: Of groups.
        better: 1: that ``a`` has; -1: that ``b`` has.
    """
    gain = better * pair.gain
    order = np.argsort(-gain, kind="stable")
    return [int(place) for place in order if gain[place] > 0]


def figures_of(
    pairs: Sequence[Pair],
    groups: Sequence[Group],
    found: Paired,
    open_images: Callable[[], ImageSource | None],
) -> "dict[str, Figure]":
    """Return the differences, and sheets of what changed hands in each of the first pairs.

    Args:
        pairs: Of the groups.
        groups: That are compared.
        found: What they say.
        open_images: Gives the images, by the names that the first run has for them; None where they are not there.
    """
    made = {"differences": _differences(pairs, groups, found)}
    if any(pair.gain.any() for pair in pairs[:MOST_PAIRS]) and (source := open_images()) is not None:
        places = {str(path): place for place, path in enumerate(source.paths)}
        for number, pair in enumerate(pairs[:MOST_PAIRS]):
            for side, better in (("a", 1), ("b", -1)):
                sheet = _sheet(pair, better, groups, found, source, places)
                made |= {} if sheet is None else {f"changed_{number}_{side}": sheet}
    return made


def _differences(pairs: Sequence[Pair], groups: Sequence[Group], found: Paired) -> "Figure":
    def bar(pair: Pair, one: Difference, scale: float) -> Bar:
        better = {"a": 1, "b": -1, "not shown": 0}[one.verdict]
        name = f"{groups[pair.a].name} - {groups[pair.b].name}"
        return Bar(name, scale * one.value, scale * one.ci95[0], scale * one.ci95[1], better)

    panels = [(f"{metric_of(found)}, points", [bar(pair, pair.accuracy, 100.0) for pair in pairs])]
    losses = [bar(pair, pair.log_loss, 1.0) for pair in pairs if pair.log_loss is not None]
    return differences_figure([*panels, ("log loss (less is better)", losses)] if losses else panels)


def _sheet(
    pair: Pair, better: int, groups: Sequence[Group], found: Paired, source: ImageSource, places: dict[str, int]
) -> Any:
    changed = changed_images(pair, better=better)
    cells = [
        Cell(
            picture,
            found.paths[image],
            f"{found.true[image]}, not {found.said[pair.b if better > 0 else pair.a][image]}",
        )
        for image, picture in _read(changed, found, source, places)
    ]
    if not cells:
        return None
    right, wrong = (pair.a, pair.b) if better > 0 else (pair.b, pair.a)
    alone = len(found.right[right]) == len(found.right[wrong]) == 1
    title = better_on(groups[right].name, groups[wrong].name, alone=alone)
    return contact_sheet(cells, title=f"{title}: {len(cells)} of {len(changed):,}")


def _read(
    changed: Sequence[int], found: Paired, source: ImageSource, places: dict[str, int]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield some images with their pictures; those that cannot be found or read any more are left out."""
    for image in changed[:CELLS]:
        try:
            picture = Image.fromarray(source.read(places[found.paths[image]], SIDE)[..., :3])
        except (KeyError, UserError):
            continue
        picture.thumbnail((SIDE, SIDE))
        yield image, np.asarray(picture)
