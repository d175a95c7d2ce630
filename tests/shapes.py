"""Pictures of shapes in colours, drawn here: several labels each, none of them by chance alone."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

LABELS = ("circle", "square", "triangle", "red", "blue")
COLOURS = {"red": (220, 40, 30), "blue": (40, 70, 220), "grey": (120, 120, 120)}
SIDE = 32


def draw_shapes(folder: Path, images: int = 160, seed: int = 0) -> Path:
    """Draw pictures with up to two shapes, and write ``data.csv`` with their labels, set apart by ``|``."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(images):
        picture = Image.new("RGB", (SIDE, SIDE), tuple(generator.integers(215, 256, 3).tolist()))
        labels: set[str] = set()
        for place in range(int(generator.integers(0, 3))):
            shape, colour = str(generator.choice(LABELS[:3])), str(generator.choice(list(COLOURS)))
            _draw(ImageDraw.Draw(picture), shape, COLOURS[colour], 16 * place, int(generator.integers(2, 17)))
            labels |= {shape, *({colour} & set(LABELS))}
        picture.save(folder / f"{number:03d}.png")
        rows.append([f"{number:03d}.png", "|".join(sorted(labels))])
    with (folder / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label"], *rows])
    return folder / "data.csv"


def _draw(draw: ImageDraw.ImageDraw, shape: str, colour: tuple[int, int, int], left: int, top: int) -> None:
    box = (left + 1, top, left + 14, top + 13)
    if shape == "circle":
        draw.ellipse(box, fill=colour)
    elif shape == "square":
        draw.rectangle(box, fill=colour)
    else:
        draw.polygon([(left + 1, top + 13), (left + 14, top + 13), (left + 7, top)], fill=colour)
