"""Data sets that torchvision downloads, by name."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.compat.torchvision import labels_of
from lightning_recipes.data.images.decode import reason, to_rgb
from lightning_recipes.data.sources.held_out import HeldOut
from lightning_recipes.data.sources.picked import Names
from lightning_recipes.data.sources.source import ImageSource, Splits
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["TorchvisionSource", "open_torchvision"]

CACHE = "~/.cache/lightning-recipes"
SPLITS = {
    "train": ("train", "trainval", "train-standard"),
    "val": ("val", "valid", "validation"),
    "test": ("test",),
}
"""What torchvision's sets call their splits; the first that a set has is taken."""


class TorchvisionSource:
    """One split of a torchvision data set; a source.

    Args:
        dataset: Gives (PIL image, label).
        name: What the images are called after.

    Raises:
        UserError: The labels are not one class an image.
    """

    def __init__(self, dataset: Any, name: str) -> None:
        self.dataset, self.name = dataset, name
        self.labels = _labels_of(dataset, name)
        known = getattr(dataset, "classes", None) or range(int(self.labels.max(initial=0)) + 1)
        self.classes = tuple(str(c) for c in known)
        self.paths = Names(f"{name}/{number:06d}" for number in range(len(dataset)))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        """Return an image as RGB.

        Raises:
            UserError: It cannot be read; the text names it.
        """
        try:
            return np.asarray(to_rgb(self.dataset[index][0]))
        except (OSError, ValueError, SyntaxError, RuntimeError) as error:
            raise UserError(
                f"{self.paths[index]}: cannot be read ({reason(error)}); remove the files of the set and load it again"
            ) from None


def _labels_of(dataset: Any, name: str) -> NDArray[np.int64]:
    """Return one label an image, from where torchvision's sets keep them; reading all images is the last resort."""
    found = labels_of(dataset)
    try:
        if found is None:
            found = [int(dataset[0][1])] and [label for _, label in dataset]
        labels = np.asarray(found)
        if labels.shape == (len(dataset),) and np.issubdtype(labels.dtype, np.integer) and labels.min(initial=0) >= 0:
            return labels.astype(np.int64)
    except (TypeError, ValueError, IndexError):
        pass
    raise UserError(f"data.root: torchvision's {name} has not one class an image; give a data set for classification")


def open_torchvision(name: str, held_out: HeldOut, *, download_dir: str | None) -> Splits:
    """Open a data set by torchvision's class name, downloading it at the first use.

    Where it has no validation split, its test split serves as it; where it has neither, validation images are drawn.

    Args:
        name: Such as ``CIFAR10``.
        held_out: How validation images are drawn from a set with a training split alone; with folds, from any.
        download_dir: Where it is kept (default: ``~/.cache/lightning-recipes``).

    Raises:
        UserError: torchvision has no such set, it cannot be downloaded, or it is not for classification.
    """
    cls = _class_called(name)
    root = str(Path(download_dir or CACHE).expanduser())
    known = inspect.signature(cls).parameters
    if "train" in known:
        train, test = (_part(cls, root, split, {"train": split == "train"}) for split in ("train", "test"))
        return _split(_needed(train, name), None, _needed(test, name), held_out)
    if "split" not in known:
        return _split(_needed(_part(cls, root, "", {}), name), None, None, held_out)
    parts = {split: _first_part(cls, root, split, theirs) for split, theirs in SPLITS.items()}
    train = _needed(parts["train"], name)
    return _split(train, parts["val"], parts["test"], held_out)


def _split(train: ImageSource, val: ImageSource | None, test: ImageSource | None, held_out: HeldOut) -> Splits:
    """Take the set's own validation images, else its test images, else some that are drawn; with folds drawn ones."""
    val = None if held_out.folds is not None else val or test
    return Splits(*held_out.of(train), test) if val is None else Splits(train, val, test)


def _class_called(name: str) -> Any:
    from torchvision import datasets

    known = {n: getattr(datasets, n) for n in datasets.__all__ if inspect.isclass(getattr(datasets, n))}
    if name not in known:
        nearest = did_you_mean(name, known) or "; its documentation lists them, such as CIFAR10"
        raise UserError(f"data.root: torchvision has no data set '{name}'{nearest}")
    if "root" not in inspect.signature(known[name]).parameters:
        raise UserError(f"data.root: torchvision's {name} is kept in no files; give a data set for classification")
    return known[name]


def _needed(part: TorchvisionSource | None, name: str) -> TorchvisionSource:
    if part is None:
        raise UserError(
            f"data.root: torchvision's {name} has no training split that is opened by its name alone; "
            "give a folder of its images"
        )
    return part


def _first_part(cls: Any, root: str, split: str, theirs: Sequence[str]) -> TorchvisionSource | None:
    parts = (_part(cls, root, split, {"split": their}) for their in theirs)
    return next((part for part in parts if part is not None), None)


def _part(cls: Any, root: str, split: str, options: dict[str, Any]) -> TorchvisionSource | None:
    """Open one part of a data set; None where it has no split of that name."""
    bases = (base for base in cls.__mro__ if base is not object)
    if any("download" in inspect.signature(base).parameters for base in bases):  # QMNIST hands it on to MNIST
        options = {**options, "download": True}
    try:
        dataset = cls(root, **options)
    except (RuntimeError, OSError, ValueError, TypeError, ImportError) as error:
        if isinstance(error, ValueError) and "Valid values are" in str(error):
            return None
        why = " ".join(str(error).split())[:160]
        raise UserError(
            f"data.root: torchvision's {cls.__name__} cannot be had ({why}); "
            f"put its files into '{root}' (data.download_dir), or give a folder"
        ) from error
    return TorchvisionSource(dataset, f"{cls.__name__}/{split}".rstrip("/"))
