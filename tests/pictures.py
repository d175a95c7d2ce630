"""Folders of small pictures, made on the spot."""

from pathlib import Path

from PIL import Image


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
