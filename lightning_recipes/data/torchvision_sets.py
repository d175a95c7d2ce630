"""Data sets that torchvision downloads, by name."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.source import Splits
from lightning_recipes.data.splits import stratified_split
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["TorchvisionSource", "open_torchvision"]

CACHE = Path.home() / ".cache" / "lightning-recipes"


class TorchvisionSource:
    """One split of a torchvision data set; a source.

    Args:
        dataset: Gives (PIL image, label).
        name: What the images are called after.
    """

    def __init__(self, dataset: Any, name: str) -> None:
        self.dataset, self.name = dataset, name
        labels = next(
            (getattr(dataset, key) for key in ("targets", "labels", "_labels") if hasattr(dataset, key)), None
        )
        if labels is None:
            labels = [label for _, label in dataset]
        self.labels: NDArray[np.int64] = np.asarray(labels, dtype=np.int64)
        known = getattr(dataset, "classes", None) or sorted(set(self.labels.tolist()))
        self.classes = tuple(str(c) for c in known)
        self.paths = [f"{name}/{number:06d}" for number in range(len(dataset))]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.dataset)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        """Return an image as RGB."""
        return np.asarray(self.dataset[index][0].convert("RGB"))


def open_torchvision(name: str, *, download_dir: str | None, val_fraction: float, split_seed: int) -> Splits:
    """Open a data set by torchvision's class name, downloading it at the first use.

    Args:
        name: Such as ``CIFAR10``.
        download_dir: Where it is kept (default: ``~/.cache/lightning-recipes``).
        val_fraction: Where it has a training split alone.
        split_seed: Likewise.

    Raises:
        UserError: torchvision has no such set, or it cannot be downloaded.
    """
    from torchvision import datasets

    known = [n for n in datasets.__all__ if inspect.isclass(getattr(datasets, n))]
    if name not in known:
        raise UserError(f"data.root: torchvision has no data set '{name}'{did_you_mean(name, known)}")
    cls, root = getattr(datasets, name), str(download_dir or CACHE)
    parameters = inspect.signature(cls).parameters

    def part(split: str) -> TorchvisionSource:
        options: dict[str, Any] = {"download": True} if "download" in parameters else {}
        if "train" in parameters:
            options["train"] = split == "train"
        elif "split" in parameters:
            options["split"] = split
        else:
            raise UserError(f"data.root: torchvision's {name} is no data set for classification with a training split")
        try:
            return TorchvisionSource(cls(root, **options), f"{name}/{split}")
        except (RuntimeError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UserError(
                f"data.root: torchvision's {name} cannot be had ({reason}); "
                f"put its files into '{root}' (data.download_dir), or give a folder"
            ) from error

    train = part("train")
    try:
        test = part("test")
    except UserError:
        kept, drawn = stratified_split(train, val_fraction, split_seed)
        return Splits(kept, drawn)
    return Splits(train, test, test)
