"""The pictures that a model is least sure of, to look at."""

import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.evaluation.percent import percent
from lightning_recipes.evaluation.prediction import Prediction
from lightning_recipes.figures.contact_sheet import Cell, contact_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["least_sure", "least_sure_sheet"]

SIDE = 224  # pixels of a picture on the sheet, at most


def least_sure(rows: Iterable[tuple[int, Prediction]], most: int) -> list[tuple[int, Prediction]]:
    """Return the images of the lowest probability, the lowest first; of equals those that come first.

    Args:
        rows: Positions and predictions.
        most: How many.
    """
    return heapq.nsmallest(most, rows, key=lambda row: row[1].probability)


def least_sure_sheet(source: ImageSource, found: Iterable[tuple[int, Prediction]], images: int) -> "Figure":
    """Draw images with what each is taken for.

    Args:
        source: The images.
        found: Positions and predictions, at least one.
        images: Of how many they are.
    """
    cells = [Cell(_small(source, i), str(source.paths[i]), _said(one)) for i, one in found]
    return contact_sheet(cells, title=f"The {len(cells)} least sure of {images:,} images")


def _said(found: Prediction) -> str:
    return f"{found.label or 'none'} {percent(found.probability)}"


def _small(source: ImageSource, index: int) -> "np.typing.NDArray[np.uint8]":
    picture = Image.fromarray(source.read(index, SIDE)[..., :3].squeeze())
    picture.thumbnail((SIDE, SIDE))
    return np.asarray(picture.convert("RGB"))
