"""Files that can be mended without inventing anything."""

import io

import numpy as np
from PIL import Image, ImageOps

from lightning_recipes.compat.pillow import decode_into
from lightning_recipes.data.images.decode import open_image, to_rgb, try_to_decode
from lightning_recipes.data.images.depth import is_deep, is_deep_grey
from lightning_recipes.data.images.formats import family, format_by_name, suffix_of
from lightning_recipes.data.sources.faults import CUT_SHORT
from lightning_recipes.preparation.images import Mending

__all__ = ["ENOUGH", "mend"]

ENOUGH = 0.9
"""Share of a picture's rows that have to be there."""

PAGED = ("GIF", "PNG", "WEBP", "TIFF", "AVIF")  # a camera's MPO is left: what follows its photograph is a preview
IN_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
ORIENTATION = 0x0112  # of EXIF


def mend(data: bytes, name: str, fault: str) -> Mending | None:
    """Return how a file is mended; None where it is right as it is, or cannot be mended.

    - A file that is cut short becomes a PNG, without loss, of the rows that are there, where these are nine tenths of
      the picture or more. No row is filled in. A picture that comes in several passes, each over all of it, has no rows
      that are whole before the last: a progressive JPEG, an interlaced PNG. A TIFF, a GIF and a WebP have none either.
    - Of several frames or pages the first becomes a PNG, where training reads the same pixels off it.
    - A file that is called otherwise than it is, such as a PNG with the name of a JPEG, gets the suffix of what it is.

    Args:
        data: The whole file.
        name: Of the file.
        fault: Why it cannot be read; empty where it can.
    """
    try:
        if fault:
            return _rows_that_are_there(data) if fault == CUT_SHORT else None
        return _first_frame(data) or _by_its_name(data, name)
    except MemoryError:
        raise
    except Exception:  # as in decode_image; a file of which more than its end is wrong
        return None


def _rows_that_are_there(data: bytes) -> Mending | None:
    """Decode twice, onto two grounds: where the two agree, it is the picture. A palette comes along with the pixels."""
    with open_image(io.BytesIO(data)) as image:
        if is_deep(image) and not is_deep_grey(image):  # of which Pillow drops the lower bits
            return None
        grounds = [Image.new(image.mode, image.size, value) for value in (0, 1)]
        clear, turned = image.info.get("transparency"), _orientation(image)
    for ground in grounds:
        with open_image(io.BytesIO(data)) as image:
            decode_into(image, ground)
    one, other = (np.asarray(ground) for ground in grounds)
    whole = np.flatnonzero((one == other).reshape(len(one), -1).all(axis=1))
    if len(whole) < ENOUGH * len(one) or whole[-1] - whole[0] + 1 != len(whole):
        return None
    rows = grounds[0].crop((0, int(whole[0]), grounds[0].width, int(whole[-1]) + 1))
    if rows.mode not in IN_PNG:
        rows = to_rgb(rows)
    rows.getexif()[ORIENTATION] = turned
    what = f"was cut short; {len(whole)} of its {len(one)} rows are there"
    options = {} if clear is None else {"transparency": clear}
    return Mending(what, ".png", _as_png(ImageOps.exif_transpose(rows), **options))


def _orientation(image: Image.Image) -> int:
    """How the camera was held; of a PNG it may come after the pixels, and so be lost."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:
        return 1


def _first_frame(data: bytes) -> Mending | None:
    with open_image(io.BytesIO(data)) as image:
        frames = int(getattr(image, "n_frames", 1)) if image.format in PAGED else 1
        if frames < 2:
            return None
        image.seek(0)
        first, what = ImageOps.exif_transpose(image), "pages" if image.format == "TIFF" else "frames"
        if first.mode not in IN_PNG:
            return None
        content = _as_png(first)
    (_, read), (_, again) = (try_to_decode(io.BytesIO(file)) for file in (data, content))
    if read is None or again is None or not np.array_equal(read, again):
        return None
    return Mending(f"had {frames} {what}; the first is kept", ".png", content)


def _by_its_name(data: bytes, name: str) -> Mending | None:
    with open_image(io.BytesIO(data)) as image:
        kind = image.format or ""
    suffix = suffix_of(kind)
    if suffix is None or format_by_name(name) in (None, family(kind)):
        return None
    return Mending(f"is {family(kind)} by what is in it", suffix)


def _as_png(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()
