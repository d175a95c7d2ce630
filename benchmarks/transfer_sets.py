"""Sets of images to fine-tune on: photographs, drawings, many and few, even and uneven, right and wrong labels.

Each is a folder with train/ and val/, written once and the same every time.
"""

import argparse
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["SETS", "Sources", "TransferSet", "prepared"]

CLASSES = 10  # of CIFAR-10
VAL_A_CLASS = 100  # of its test images


@dataclass(frozen=True)
class Sources:
    """Archives that sets are made of, and the weights to begin with; None where there is none.

    Attributes:
        cifar10: A zip with ``train/`` and ``test/`` and class folders below.
        ants_bees: One with ``train/`` and ``val/``.
        clothing: One with ``train/`` and ``validation/``.
        weights: Of timm's ``mobilenetv2_100``, normalised by 0.5.
    """

    cifar10: str | None = None
    ants_bees: str | None = None
    clothing: str | None = None
    weights: str | None = None

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Let a benchmark take them, and the folder where sets are kept."""
        for one in fields(cls):
            parser.add_argument(f"--{one.name}")
        parser.add_argument("--folder", type=Path, default=Path("transfer_sets"), help="where sets are kept")

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Sources":
        """Return those that were given."""
        return cls(**{one.name: getattr(options, one.name) for one in fields(cls)})


@dataclass(frozen=True)
class TransferSet:
    """A set, and what its images are looked at with.

    Attributes:
        make: Writes ``train/`` and ``val/`` into a folder, from the archive that ``source`` names; None: ``data`` has
            a root of its own.
        data: Arguments of the data module.
        source: Name of an archive; None: drawn here.
        small: Begin with ``test_resnet`` and the letters that come with the package, not with MobileNetV2.
    """

    make: Callable[[Path, Path], None] | None
    data: dict[str, Any]
    source: str | None = None
    small: bool = False


def prepared(name: str, sources: Sources, folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the arguments of data module and classifier for a set; None where an archive or the weights are missing.

    Args:
        name: One of :data:`SETS`.
        sources: What there is.
        folder: Where sets are kept.
    """
    chosen = SETS[name]
    archive = None if chosen.source is None else getattr(sources, chosen.source)
    if (chosen.source and not archive) or not (chosen.small or sources.weights):
        return None
    data = {"batch_size": 32, "eval_batch_size": 100, "num_workers": 0, **chosen.data}
    if chosen.make is not None:
        whole = folder / name
        if not whole.exists():
            part = folder / f".{name}"
            shutil.rmtree(part, ignore_errors=True)
            chosen.make(Path(archive or ""), part)
            part.rename(whole)
        data["root"] = str(whole)
    if chosen.small:
        return data, {"backbone": "test_resnet", "pretrained": "embedded:letters"}
    model = {"backbone": "mobilenetv2_100", "pretrained": sources.weights, "backbone_kwargs": {"pad_type": "same"}}
    return {**data, "mean": [0.5] * 3, "std": [0.5] * 3}, model


def _members(archive: Path) -> dict[tuple[str, str], list[str]]:
    """Names in a zip by split and class."""
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(n for n in opened.namelist() if not n.endswith("/")):
            if Path(name).suffix.lower() in (".jpg", ".jpeg", ".png"):
                split, label = Path(name).parts[-3:-1]
                names[split, label].append(name)
    return names


def _write(archive: Path, chosen: dict[tuple[str, str], list[str]]) -> None:
    with zipfile.ZipFile(archive) as opened:
        for (split, label), names in chosen.items():
            folder = Path(split, label)
            folder.mkdir(parents=True, exist_ok=True)
            for name in names:
                (folder / Path(name).name).write_bytes(opened.read(name))


def _spread(names: list[str], count: int) -> list[str]:
    return names[:: max(1, len(names) // count)][:count]


def _cifar10(counts: Callable[[int], int], flipped: float = 0.0) -> Callable[[Path, Path], None]:
    """So many training images of each class, of which a share has the label of another."""

    def make(archive: Path, folder: Path) -> None:
        generator, members = np.random.default_rng(0), _members(archive)
        labels = sorted({label for _, label in members})
        chosen: dict[tuple[str, str], list[str]] = defaultdict(list)
        for number, label in enumerate(labels):
            chosen[str(folder / "val"), label] = _spread(members["test", label], VAL_A_CLASS)
            for name in _spread(members["train", label], counts(number)):
                wrong = generator.random() < flipped
                other = labels[(number + int(generator.integers(1, CLASSES))) % CLASSES]
                chosen[str(folder / "train"), other if wrong else label].append(name)
        _write(archive, chosen)

    return make


def _photographs(val: str) -> Callable[[Path, Path], None]:
    def make(archive: Path, folder: Path) -> None:
        names = {"train": "train", val: "val"}
        members = {key: found for key, found in _members(archive).items() if key[0] in names}
        _write(archive, {(str(folder / names[split]), label): found for (split, label), found in members.items()})

    return make


def _rotated(archive: Path, folder: Path) -> None:
    """Photographs turned by quarters, which are the classes: what ImageNet's features are trained not to see."""
    members = _members(archive)
    for split, of in (("train", "train"), ("val", "test")):
        names = [name for (part, _), found in sorted(members.items()) if part == of for name in _spread(found, 40)]
        with zipfile.ZipFile(archive) as opened:
            for number, name in enumerate(names):
                with opened.open(name) as file, Image.open(file) as image:
                    turned = image.convert("RGB").rotate(90 * (number % 4))
                target = folder / split / f"turned{90 * (number % 4)}" / f"{number:04d}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                turned.save(target)


def _drawn(_: Path, folder: Path) -> None:
    """Four shapes with one of two textures each, in any colour, size and place."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 40), ("val", 60)):
        for shape in ("disc", "square", "triangle", "ring"):
            for texture in ("stripes", "dots"):
                for number in range(count):
                    target = folder / split / f"{shape}_{texture}" / f"{number:03d}.png"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _shape(generator, shape, texture).save(target)


def _shape(generator: np.random.Generator, shape: str, texture: str, side: int = 96) -> Image.Image:
    ink, paper, ground = (tuple(generator.integers(0, 256, 3).tolist()) for _ in range(3))
    surface, step = Image.new("RGB", (side, side), paper), int(generator.integers(6, 12))
    draw = ImageDraw.Draw(surface)
    for x in range(-side, 2 * side, step):
        if texture == "stripes":
            draw.line((x, 0, x + side, side), fill=ink, width=step // 2)
        else:
            for y in range(0, side, step):
                draw.ellipse((x, y, x + step // 2, y + step // 2), fill=ink)
    surface = surface.rotate(float(generator.integers(0, 360)))
    mask, size = Image.new("L", (side, side)), int(generator.integers(40, 72))
    left, top = (int(value) for value in generator.integers(2, side - size - 2, 2))
    box, pen = (left, top, left + size, top + size), ImageDraw.Draw(mask)
    if shape == "square":
        pen.rectangle(box, fill=255)
    elif shape == "triangle":
        pen.polygon([(left, top + size), (left + size, top + size), (left + size // 2, top)], fill=255)
    else:
        pen.ellipse(box, fill=255)
    if shape == "ring":
        quarter = size // 4
        pen.ellipse((left + quarter, top + quarter, left + size - quarter, top + size - quarter), fill=0)
    noise = generator.normal(0, 12, (side, side, 3)) + np.asarray(ground)
    picture = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    picture.paste(surface, mask=mask)
    return picture


UPSCALED = {"image_size": 64}
NO_FLIP = {"name": "light", "flip": False}  # which would make another sign, or turn, of some
SETS: dict[str, TransferSet] = {
    **{f"cifar10_{n}": TransferSet(_cifar10(lambda _, n=n: n), UPSCALED, "cifar10") for n in (10, 30, 100, 500, 2000)},
    "cifar10_100_from_letters": TransferSet(_cifar10(lambda _: 100), {"image_size": 32}, "cifar10", small=True),
    "ants_bees": TransferSet(_photographs("val"), {"image_size": 128}, "ants_bees"),
    "clothing": TransferSet(_photographs("validation"), {"image_size": 96}, "clothing"),
    "digits": TransferSet(
        None,
        {"root": "sklearn:digits", "images_per_class": 20, "val_fraction": 0.5, "image_size": 32, "augment": NO_FLIP},
        small=True,
    ),
    "letters": TransferSet(
        None,
        {"root": "fonts:letters", "images_per_class": 10, "val_fraction": 0.5, "image_size": 64, "augment": NO_FLIP},
    ),
    "drawn": TransferSet(_drawn, UPSCALED),
    "rotated": TransferSet(_rotated, {**UPSCALED, "augment": NO_FLIP}, "cifar10"),
    "wrong_labels": TransferSet(_cifar10(lambda _: 100, flipped=0.2), UPSCALED, "cifar10"),
    "uneven": TransferSet(_cifar10(lambda number: 400 if number % 2 else 10), UPSCALED, "cifar10"),
}  # fmt: skip
"""By name."""
