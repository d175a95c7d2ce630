"""Pictures of more than 8 bits a channel, brought to 8 by the range that their values are of."""

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["BITS", "bits_in", "deep_colour", "is_deep", "is_deep_grey", "scale_to_8_bit", "values_to_8_bit"]

BITS = (8, 10, 12, 14, 16)
"""What cameras and scanners store in 16 bits; a picture is of the first that holds its largest value."""

DEEP_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
DEEP_COLOUR = ("RGB", "RGBA")
WHITE = 255
BITS_PER_SAMPLE = 258  # a TIFF's tag


def is_deep_grey(image: Image.Image) -> bool:
    """Tell whether a picture is grey of more than 8 bits, or of floats."""
    return image.mode in DEEP_GREY


def is_deep(image: Image.Image) -> bool:
    """Tell whether a picture has more than 8 bits a channel, from its header; colour shows only until it is decoded."""
    return image.mode in DEEP_GREY or (
        image.mode in DEEP_COLOUR and any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))
    )


def _bits_of(values: NDArray[np.uint16]) -> int:
    most = int(values.max(initial=0))
    return next(bits for bits in BITS if most < 2**bits)


def scale_to_8_bit(image: Image.Image) -> Image.Image:
    """Scale deep grey: integers by their bits; float from the usual range that holds it; what fits none from its own.

    A negative value, or one of more than 16 bits, is of no range that can be told: the darkest becomes black and the
    brightest white.
    """
    values, transparent = np.asarray(image), image.info.get("transparency")
    clear = values == transparent if isinstance(transparent, int) else None  # one grey level of a 16-bit PNG
    seen = values if clear is None else values[~clear]
    scaled = _scaled(values, _range_of(seen, _stated_bits(image)))
    if clear is not None:
        scaled[clear] = WHITE
    return Image.fromarray(scaled)


def values_to_8_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return numbers of any kind as uint8: those of more bits, and floats, scaled as :func:`scale_to_8_bit` does."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * 255
    return _scaled(values, _range_of(values, 0))


def _range_of(values: NDArray[Any], stated: int) -> tuple[float, float]:
    """Return what is black and white: ``stated`` is of how many bits they are at least."""
    fractions = values.dtype.kind == "f"
    finite = values[np.isfinite(values)] if fractions else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    usual = [*([1.0] if fractions else []), *(2.0**bits - 1 for bits in BITS if bits >= stated)]
    if low < 0 or high > usual[-1]:
        return low, high
    return 0.0, next(top for top in usual if high <= top)


def _stated_bits(image: Image.Image) -> int:
    """A TIFF may pack 12 bits; in whole bytes it says 16 for whatever is in them, and a PNG has no other to say."""
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (0,))[0]
    return int(bits) if 8 < bits < 16 else 0


def _scaled(values: NDArray[np.generic], of: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = of

    def scale(numbers: NDArray[np.float64]) -> NDArray[np.uint8]:
        shares = (np.nan_to_num(numbers, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-12)
        return np.round(shares.clip(0, 1) * 255).astype(np.uint8)

    if values.dtype == np.uint16:  # by a table: a picture of 400 megapixels would be 3 GB of float
        return scale(np.arange(2**16, dtype=np.float64))[values]  # type: ignore[no-any-return]
    return scale(values.astype(np.float64))


def deep_colour(image: Image.Image, file: BinaryIO, *, as_bands: bool = False) -> Image.Image:
    """Return a colour picture of 16 bits a channel, which Pillow decodes to the higher 8, scaled by its bits.

    Args:
        image: As Pillow opened it, of a mode that :func:`is_deep` tells before it is decoded.
        file: The same picture.
        as_bands: Scale the fourth channel as the others, by one range; else it is alpha, with a range of its own.
    """
    high = np.asarray(image)
    values = _low_values(high, file, high.shape[2] if as_bands else 3)
    if values is None:
        return image
    alike, alpha = (values, values[..., 4:]) if as_bands else (values[..., :3], values[..., 3:])
    scaled = _scaled(alike, (0.0, 2.0 ** _bits_of(alike) - 1))
    if alpha.size and high.shape[2] == 4:
        scaled = np.dstack([scaled, _scaled(alpha, (0.0, 2.0 ** _bits_of(alpha) - 1))])
    made = Image.fromarray(scaled)
    made.info = {name: value for name, value in image.info.items() if name != "transparency"}  # such as the rotation
    if isinstance(clear := image.info.get("transparency"), tuple):  # one colour of a 16-bit PNG
        made.paste((WHITE,) * 3, mask=Image.fromarray((alike == clear).all(axis=2)))
    return made


def _low_values(high: NDArray[np.uint8], file: BinaryIO, channels: int = 3) -> NDArray[np.uint16] | None:
    """Return a colour picture's values, (H, W, 3 or 4), where the higher bytes alone say too little.

    None where they show values of all 16 bits, or where OpenCV, which reads the lower bytes too, does not read this
    kind of file as Pillow does.
    """
    if high[..., :channels].max(initial=0) >= 2**6:  # 15 or 16 bits
        return None
    import cv2

    file.seek(0)
    found = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.ndim != 3 or found.shape[2] not in (3, 4) or found.dtype != np.uint16:
        return None
    values = found[..., [2, 1, 0, 3][: found.shape[2]]]  # OpenCV has blue first
    return values if np.array_equal(values[..., :3] >> 8, high[..., :3]) else None


def bits_in(image: Image.Image, file: BinaryIO) -> int | None:
    """Return of how many bits a deep picture is taken to be; None where it is of a range of its own.

    Args:
        image: As Pillow opened it.
        file: The same picture.
    """
    if image.mode not in DEEP_GREY:
        values = _low_values(np.asarray(image), file)
        return 16 if values is None else _bits_of(values[..., :3])
    low, high = _range_of(np.asarray(image), _stated_bits(image))
    if low == 0 and high == 1:  # float, as usual
        return 16
    return next((bits for bits in BITS if low == 0 and high == 2**bits - 1), None)
