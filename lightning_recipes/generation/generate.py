"""``generate``: images that a checkpoint makes, in class folders, as data to train on."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_recipes.atomic_io import refuse_taken_folder, whole_folder, write_json
from lightning_recipes.data.sources.progress import Progress, tell_nobody
from lightning_recipes.errors import UserError, did_you_mean, refuse_bad_values
from lightning_recipes.models.fingerprint import weights_sha256
from lightning_recipes.modules.gan.conditional_gan import ConditionalGAN
from lightning_recipes.modules.load import load_gan
from lightning_recipes.randomness import seed_for

__all__ = ["generate"]

MOST = 1_000_000
"""Images of a class, which are in memory together."""


def generate(
    ckpt_path: str,
    out: str,
    images_per_class: int = 100,
    seed: int = 0,
    classes: str | None = None,
    progress: Progress = tell_nobody,
) -> dict[str, Any]:
    """Write images that a ``ConditionalGAN`` makes as PNG files, in a folder for each class.

    Beside them ``generated.json`` names the checkpoint, the SHA-256 of its weights, the seed and the number of images
    of each class. The same weights, seed and number give the same files to the byte on one machine, whichever other
    classes are made. The folder is there whole or not at all.

    Args:
        ckpt_path: A checkpoint (``best.ckpt``), or the run's folder.
        out: A new folder, or an empty one.
        images_per_class: Images of each class, from 1 to 1,000,000.
        seed: Of the draws, >= 0.
        classes: Names of the classes to make, with commas between them (default: all).
        progress: Told what is done, how many classes of it, and of how many.

    Returns:
        What ``generated.json`` holds.

    Raises:
        UserError: The checkpoint cannot be loaded or makes no images, a class is none of its, a value is out of range,
            or there is something in the folder.
    """
    refuse_bad_values(
        "generate",
        ("images_per_class", images_per_class, 1 <= images_per_class <= MOST, f"a number from 1 to {MOST:,}"),
        ("seed", seed, seed >= 0, "a number >= 0"),
    )
    folder = Path(out).expanduser()
    refuse_taken_folder("out", folder)
    model = load_gan(Path(ckpt_path).expanduser())
    chosen = _chosen(model, classes)
    said = {
        "checkpoint": str(ckpt_path),
        "weights_sha256": weights_sha256(model),
        "seed": seed,
        "images": dict.fromkeys(chosen, images_per_class),
    }
    with whole_folder(folder) as whole:
        for number, (name, label) in enumerate(chosen.items()):
            progress("images made, by class", number, len(chosen))
            labels = torch.full((images_per_class,), label)
            _write(model.generate(labels, seed_for("class", label, seed=seed)), whole / name)
        write_json(whole / "generated.json", said)
    return said


def _chosen(model: ConditionalGAN, classes: str | None) -> dict[str, int]:
    """Labels of the classes to make, by their names, in the order of the labels."""
    known = model.class_names or [str(label) for label in range(model.num_classes)]
    wanted = known if classes is None else [name.strip() for name in classes.split(",")]
    for name in wanted:
        if name not in known:
            raise UserError(f"classes: '{name}' is none of {', '.join(known)}{did_you_mean(name, known)}")
        _refuse_no_folder(name)
    return {name: label for label, name in enumerate(known) if name in wanted}


def _refuse_no_folder(name: str) -> None:
    if name in (".", "..", "generated.json") or any(sign in name for sign in "/\\\0"):
        raise UserError(f"classes: '{name}' cannot be the name of a folder; choose others by --classes")


def _write(images: Tensor, folder: Path) -> None:
    from PIL import Image

    folder.mkdir()
    width = len(str(len(images) - 1))
    for number, pixels in enumerate(_rows_of(images)):
        Image.fromarray(pixels).save(folder / f"{number:0{width}d}.png")


def _rows_of(images: Tensor) -> NDArray[np.uint8]:
    """Images as Pillow takes them: (H, W) of one channel, (H, W, 3) of three."""
    last: NDArray[np.uint8] = images.permute(0, 2, 3, 1).contiguous().numpy()
    return last[..., 0] if last.shape[-1] == 1 else last
