"""What a file says of pictures, against what the framework says of the same: picture by picture, before it is kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.modules.tasks import Task

__all__ = ["Expects", "Offender", "Proof", "Runs", "entries_of", "prove"]

Runs = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From one picture (H, W, 3) to its probabilities (C,)."""
Expects = Callable[[Sequence[NDArray[np.uint8]]], Tensor]
"""From pictures to their probabilities (N, C), by the framework."""

AT_ONCE = 32  # pictures
NAMED = 5  # with the largest gaps
FULL = 64  # pictures that are also read at their full size


class Offender(NamedTuple):
    """A picture of which the file says something else.

    Attributes:
        path: Of the picture.
        gap: Largest difference of a probability.
        same_label: Whether the label is the same all the same.
        resize: The difference that the file's way of making inputs makes alone.
        network: That which remains: the same operations, computed by others.
    """

    path: str
    gap: float
    same_label: bool
    resize: float
    network: float


@dataclass(frozen=True)
class Proof:
    """What a comparison said.

    Attributes:
        images: That were compared.
        other_label: Of them, those whose label differs.
        largest_gap: Largest difference of a probability over all images and classes.
        offenders: Those with another label, then those with the largest gaps.
        full_size_gap: The largest difference that it makes to read a picture at its full size, where large ones are
            read at a half or less; of some pictures, and of the framework alone. None where no picture is so large.
    """

    images: int
    other_label: int
    largest_gap: float
    offenders: tuple[Offender, ...]
    full_size_gap: float | None

    def holds(self, max_gap: float, max_other_labels: float) -> bool:
        """Tell whether the file may be kept.

        Args:
            max_gap: Of probabilities.
            max_other_labels: As a share of the images.
        """
        return self.largest_gap <= max_gap and self.other_label <= max_other_labels * self.images

    def refusal(self, max_gap: float, max_other_labels: float) -> str:
        """Say in a few lines why the file was not kept; arguments as of :meth:`holds`."""
        worst = self.offenders[0]
        part = "the resizing" if worst.resize > worst.network else "the network"
        lines = [
            f"export: nothing was written: the file gives {self.other_label} of {self.images} pictures another label "
            f"({max_other_labels:.1%} may have one), and probabilities that differ by {self.largest_gap:.2g} "
            f"({max_gap} is allowed)",
            f"the difference comes from {part} (resizing {worst.resize:.2g}, network {worst.network:.2g}):",
            *(f"{one.path}: {one.gap:.2g}" + ("" if one.same_label else ", another label") for one in self.offenders),
        ]
        return "\n  ".join(lines)


def entries_of(proof: Proof | None) -> dict[str, Any]:
    """Return what ``export.json`` says of a comparison; of none, that it was on no images."""
    if proof is None:
        return {"images": 0}
    return {
        "images": proof.images,
        "same_label": 1 - proof.other_label / proof.images if proof.images else None,
        "largest_probability_gap": proof.largest_gap,
        "full_size_gap": proof.full_size_gap,
        "offenders": [one._asdict() for one in proof.offenders],
    }


def prove(
    runs: Runs,
    between: Runs,
    expects: Expects,
    source: ImageSource,
    *,
    task: Task,
    least: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Proof:
    """Compare a file with the framework on every picture of a source.

    Args:
        runs: The file.
        between: The file's way of making inputs, and the framework's network: tells both apart.
        expects: The framework.
        source: Of the pictures; they need no labels.
        task: Says what a label is.
        least: Shorter side, in pixels, down to which pictures may be read.
        progress: Called with how many pictures are done.
    """
    gaps, same = [], []
    for indices in _batches(len(source)):
        pictures = [source.read(index, least) for index in indices]
        for picture, wanted in zip(pictures, expects(pictures), strict=True):
            said = torch.from_numpy(np.asarray(runs(picture)))
            gaps.append(_gap(said, wanted))
            same.append(torch.equal(task.predicted(said[None]), task.predicted(wanted[None])))
        progress(len(gaps))

    def explained(index: int) -> Offender:
        picture = source.read(index, least)
        middle = torch.from_numpy(np.asarray(between(picture)))
        resize = _gap(middle, expects([picture])[0])
        network = _gap(torch.from_numpy(np.asarray(runs(picture))), middle)
        return Offender(str(source.paths[index]), gaps[index], same[index], resize, network)

    worst = sorted(range(len(gaps)), key=lambda index: (same[index], -gaps[index]))[:NAMED]
    return Proof(
        images=len(gaps),
        other_label=same.count(False),
        largest_gap=max(gaps, default=0.0),
        offenders=tuple(explained(index) for index in worst),
        full_size_gap=_full_size_gap(expects, source, least),
    )


def _batches(images: int) -> Iterator[range]:
    return (range(first, min(images, first + AT_ONCE)) for first in range(0, images, AT_ONCE))


def _gap(one: Tensor, other: Tensor) -> float:
    """Largest difference; of what is no number, as large as there can be."""
    return float((one - other).abs().nan_to_num(1.0).max())


def _full_size_gap(expects: Expects, source: ImageSource, least: int) -> float | None:
    """What reading at full size makes, of up to so many pictures over the whole set."""
    gaps = []
    for index in range(0, len(source), max(1, len(source) // FULL)):
        read, full = source.read(index, least), source.read(index)
        if read.shape != full.shape:
            gaps.append(_gap(*expects([read, full])))
    return max(gaps, default=None)
