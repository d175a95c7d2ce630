"""From what a recipe calls its data to the images of each split."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np

from lightning_recipes.components import import_object
from lightning_recipes.data.sources.archive import Zip
from lightning_recipes.data.sources.byte_ranges import is_url
from lightning_recipes.data.sources.checks import drop_bad
from lightning_recipes.data.sources.digits import open_digits
from lightning_recipes.data.sources.dots import open_dots
from lightning_recipes.data.sources.files import FileSource, FileTree, Folder, is_picture
from lightning_recipes.data.sources.folders import read_class_folders
from lightning_recipes.data.sources.groups import warn_of_torn_groups
from lightning_recipes.data.sources.held_out import HeldOut
from lightning_recipes.data.sources.letters import open_letters
from lightning_recipes.data.sources.manifest import read_manifest
from lightning_recipes.data.sources.shard_index import INDEX
from lightning_recipes.data.sources.shards import Shards
from lightning_recipes.data.sources.source import ImageSource, Splits, Subset
from lightning_recipes.data.sources.splits import few_per_class, refuse_draw
from lightning_recipes.data.sources.torchvision_sets import open_torchvision
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["EMBEDDED", "OpenedData", "is_manifest", "open_parts", "open_splits", "open_tree", "read_parts"]

EMBEDDED: dict[str, Callable[[], ImageSource]] = {
    "sklearn:digits": open_digits,
    "fonts:letters": open_letters,
    "made:dots": open_dots,
}
TORCHVISION = "torchvision:"


@dataclass(frozen=True)
class OpenedData:
    """Data, opened and checked.

    Attributes:
        splits: The images of each split.
        skipped: Files that were left out, with what is wrong with them.
    """

    splits: Splits
    skipped: tuple[str, ...] = ()


def open_splits(
    root: str | os.PathLike[str],
    *,
    val_fraction: float = 0.2,
    split_seed: int = 0,
    images_per_class: int | None = None,
    on_bad_image: Literal["error", "skip"] = "error",
    download_dir: str | None = None,
    several_labels: bool = False,
    group: str | None = None,
    folds: int | None = None,
    fold: int = 0,
    channels: int = 3,
) -> OpenedData:
    """Open data; arguments as in :class:`lightning_recipes.data.datamodule.ImageDataModule`.

    Where there is no validation split, the test split serves as it; where there is neither, it is drawn.
    ``several_labels``: an image may have several, which a CSV file alone can say.

    Raises:
        UserError: The data cannot be used; the text names the key or the file and what to do.
    """
    refuse_draw(val_fraction, split_seed, images_per_class, folds, fold)
    skipped: tuple[str, ...] = ()
    held_out = HeldOut(val_fraction, split_seed, group, folds, fold)
    root = os.path.expanduser(root)
    if several_labels and not is_manifest(root) and not _is_import_path(root):
        raise UserError(
            f"model.task: multilabel needs labels that can be several, and '{root}' has one class an image; name "
            "images and labels in a .csv with the columns path and label, set apart by |, or leave multilabel out"
        )
    if root.startswith(TORCHVISION):
        name = root.removeprefix(TORCHVISION)
        if group is not None:
            raise UserError(f"data.group: '{root}' has no names to find groups in; leave it out")
        splits = open_torchvision(name, held_out, download_dir=download_dir)
    elif _is_import_path(root):
        splits = _splits_of_ones_own(root, held_out)
        for part in (splits.train, splits.val, splits.test):
            files = part.source if isinstance(part, Subset) else part
            if isinstance(files, FileSource):
                files.channels = channels
    elif root in EMBEDDED:
        splits = Splits(*held_out.of(EMBEDDED[root]()))
    else:
        _refuse_unknown_scheme(root)
        parts, skipped = open_parts(root, on_bad_image, several_labels=several_labels, group=group, channels=channels)
        splits = _with_validation(root, parts, held_out)
    if images_per_class is not None:
        few = few_per_class(splits.train, images_per_class, split_seed)
        splits = Splits(few, splits.val, splits.test)
    return OpenedData(splits, skipped)


def open_parts(
    root: str,
    on_bad_image: Literal["error", "skip"],
    *,
    several_labels: bool = False,
    group: str | None = None,
    channels: int = 3,
) -> tuple[Mapping[str, FileSource], tuple[str, ...]]:
    """Return the files of each split that a folder, a zip, shards or a CSV file have, and what was left out.

    Raises:
        UserError: As :func:`open_splits`.
    """
    parts = read_parts(root, several_labels=several_labels, group=group)
    for part in parts.values():
        part.channels = channels
    return drop_bad(parts, on_bad_image)


def read_parts(root: str, *, several_labels: bool = False, group: str | None = None) -> Mapping[str, FileSource]:
    """Return the files of each split that a folder, a zip, shards or a CSV file have, whatever is in them.

    Raises:
        UserError: As :func:`open_splits`, but for files that are no pictures: none is opened.
    """
    if is_manifest(root):
        return read_manifest(root, several_labels=several_labels, group=group).parts
    return read_class_folders(open_tree(root, "data.root")).parts


def is_manifest(root: str) -> bool:
    """Tell whether data is named by a CSV file."""
    return root.lower().endswith(".csv") and os.path.isfile(root)


def _is_import_path(root: str) -> bool:
    """Tell whether data is named by what makes it, such as ``my_project.whales.open_whales``, and by no file."""
    parts = root.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts) or os.path.exists(root):
        return False
    return find_spec(parts[0]) is not None  # else a folder or an archive that is not there


def _splits_of_ones_own(root: str, held_out: HeldOut) -> Splits:
    made = import_object("data.root", root)()
    if isinstance(made, Splits):
        _check_splits(root, made)
        return _as_it_is(root, made, held_out)
    if missing := [name for name in ("classes", "labels", "paths", "read") if not hasattr(made, name)]:
        raise UserError(
            f"data.root: '{root}' gives a {type(made).__name__} without {', '.join(missing)}; give an ImageSource or "
            "Splits of lightning_recipes.data.sources.source"
        )
    _check_labels(root, made)
    return Splits(*held_out.of(made))


def _check_splits(root: str, made: Splits) -> None:
    """Refuse parts of other classes, whose labels would stand for something else."""
    for split in (part for part in (made.train, made.val, made.test) if part is not None):
        _check_labels(root, split)
        if tuple(split.classes) != tuple(made.train.classes):
            raise UserError(f"data.root: the splits of '{root}' have other classes; give all the same, in one order")


def _check_labels(root: str, source: ImageSource) -> None:
    labels = np.asarray(source.labels)
    if labels.ndim == 1 and labels.dtype == np.uint8:  # which stands for several labels an image
        raise UserError(f"data.root: the labels of '{root}' are uint8; give int64, one label an image")


def _refuse_unknown_scheme(root: str) -> None:
    scheme = root.split(":")[0] + ":"
    if scheme in ("sklearn:", "fonts:", "made:"):
        raise UserError(f"data.root: there is no '{root}'{did_you_mean(root, EMBEDDED) or _choice()}")


def _choice() -> str:
    return f"; there are {', '.join(EMBEDDED)}"


def open_tree(root: str, key: str) -> FileTree:
    """Open a folder, a zip or shards.

    Args:
        root: The folder or the zip, a folder of shards or its URL.
        key: Of the recipe, for the error.

    Raises:
        UserError: It is none of them.
    """
    if is_url(root) or os.path.isfile(os.path.join(root, INDEX)) or os.path.basename(root) == INDEX:
        return Shards(root, key)
    if os.path.isdir(root):
        _refuse_shards_without_index(root, key)
        return Folder(root)
    if os.path.isfile(root) and root.lower().endswith(".zip"):
        return Zip(root)
    if os.path.exists(root):
        raise UserError(f"{key}: '{root}' is a file but no .zip or .csv; give a folder, a .zip of one, or a .csv")
    raise UserError(f"{key}: '{root}' does not exist; give a folder of images, a .zip of one, or a .csv")


def _refuse_shards_without_index(root: str, key: str) -> None:
    """Refuse a folder of tar files alone, which holds no picture that could be read."""
    names = [name for name in _listed(root) if not name.startswith(".")]
    if any(name.endswith(".tar") for name in names) and not any(
        is_picture(name) or os.path.isdir(os.path.join(root, name)) for name in names
    ):
        raise UserError(
            f"{key}: '{root}' holds tar files and no {INDEX}; make it in Python: "
            f"lightning_recipes.data.sources.index_shards.index_shards({root!r})"
        )


def _listed(root: str) -> list[str]:
    try:
        return os.listdir(root)
    except OSError:
        return []  # which Folder says


def _with_validation(root: str, parts: Mapping[str, ImageSource], held_out: HeldOut) -> Splits:
    train, test = parts["train"], parts.get("test")
    val = parts.get("val", None if held_out.folds is not None else test)
    if val is None:
        return Splits(*held_out.of(train), test)
    return _as_it_is(root, Splits(train, val, test), held_out)


def _as_it_is(root: str, splits: Splits, held_out: HeldOut) -> Splits:
    """The split that the data bring along, looked at."""
    if held_out.folds is not None:
        raise UserError(
            f"data.folds: '{root}' brings a validation split; leave it out, or give all images in class folders alone"
        )
    if held_out.group is not None:
        warn_of_torn_groups(splits, held_out.group)
    return splits
