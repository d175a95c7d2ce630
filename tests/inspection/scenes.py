"""Pictures with the spectrum of photographs, drawn from a seed, and what people do to them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 96, 72


def scene(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Return a picture whose amplitudes fall with their frequency, as those of photographs do."""
    generator = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.fftfreq(width)[None] * width)
    noise = np.fft.fft2(generator.normal(size=(3, height, width)))
    noise[1:] = 0.8 * noise[:1] + 0.2 * noise[1:]  # colours of one picture have much in common
    waves = np.fft.ifft2(noise / np.maximum(f, 1.0)).real
    waves = (waves - waves.mean()) / waves.std()
    return Image.fromarray((128 + 50 * waves).clip(0, 255).round().astype(np.uint8).transpose(1, 2, 0))


def recompressed(picture: Image.Image, quality: int = 40) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cropped(picture: Image.Image, share: float, seed: int) -> Image.Image:
    """Cut a share of the width and of the height off, somewhere."""
    generator = np.random.default_rng(seed)
    width, height = (round(side * (1 - share)) for side in picture.size)
    left, top = (int(generator.integers(0, had - has + 1)) for had, has in zip(picture.size, (width, height)))
    return picture.crop((left, top, left + width, top + height))


def mirrored(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


CHANGES: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "recompressed": lambda picture, seed: recompressed(picture),
    "resized": lambda picture, seed: picture.resize((60, 45), Image.Resampling.BICUBIC),
    "cropped": lambda picture, seed: recompressed(cropped(picture, 0.12, seed), 85),
    "mirrored": lambda picture, seed: recompressed(mirrored(picture), 85),
    "mirrored and cropped": lambda picture, seed: cropped(mirrored(picture), 0.12, seed),
}


def folders(
    root: Path, count: int, *, splits: tuple[str, ...] = ("train", "val"), classes: tuple[str, ...] = ("ant", "bee")
) -> Path:
    """Save different pictures as ``split/class/number.png``, ``count`` of each."""
    seed = 0
    for split in splits:
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                scene(seed).save(folder / f"{number}.png")
                seed += 1
    return root
