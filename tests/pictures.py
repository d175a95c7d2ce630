"""Folders of small pictures, made on the spot."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from lightning_recipes.data.sources.open import read_parts
from lightning_recipes.data.sources.write_shards import Stored


def picture(path: Path, value: int = 0) -> None:
    """Save one picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), (value % 256, 50, 100)).save(path)


def class_folders(root: Path, count: int = 5, classes: tuple[str, ...] = ("bees", "ants")) -> Path:
    """Make a folder of pictures for each class."""
    for name in classes:
        for number in range(count):
            picture(root / name / f"{number}.png", number)
    return root


def stored(root: Path | str) -> Iterator[Stored]:
    """Yield the pictures of data as they are to lie in shards."""
    for part in read_parts(str(root)).values():
        for path, label in zip(part.paths, part.labels.tolist(), strict=True):
            with part.tree.open(path) as file:
                yield Stored(path, label, file.read())
