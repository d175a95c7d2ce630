"""Pictures as people hand them over (paths, bytes, PIL images, arrays), made the inputs of a network."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from lightning_recipes.data.images.decode import decode_image, to_channels, try_to_decode
from lightning_recipes.data.images.depth import is_deep, is_deep_grey
from lightning_recipes.data.transforms.image_transforms import decoded_size, eval_transform
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig

__all__ = ["Pictures", "as_pictures", "images_of"]

Pictures = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]
"""A path, the bytes of a file, a PIL image, or an array (H, W, 3) of uint8 in RGB; (N, H, W, 3) is N of them."""


def as_pictures(given: Pictures | Sequence[Pictures]) -> list[Pictures]:
    """Return one picture or many as a list of single ones.

    Raises:
        UserError: It is neither.
    """
    if isinstance(given, Tensor):
        raise UserError("predict: takes paths, bytes, PIL images or arrays; normalised images go to model(images)")
    if isinstance(given, (str, os.PathLike, bytes, Image.Image)):
        return [given]
    if isinstance(given, np.ndarray):
        return list(given) if given.ndim == 4 else [given]
    return [one for many in given for one in as_pictures(many)]


def images_of(pictures: Sequence[Pictures], input_config: InputConfig) -> Tensor:
    """Return images (N, 3, H, W), float32, as evaluation sees them: the same tensors that a data module makes of files.

    Args:
        pictures: Single ones.
        input_config: What is done to each.

    Raises:
        UserError: A file or bytes are no picture, or an array no image.
    """
    transform, least = eval_transform(input_config), decoded_size(input_config)
    return torch.stack([transform(_as_array(one, least, len(input_config.mean)), 0) for one in pictures])


def _as_array(picture: Pictures, min_size: int, channels: int) -> NDArray[np.uint8]:
    if isinstance(picture, np.ndarray):
        return _checked(picture, channels)
    if isinstance(picture, Image.Image):
        if is_deep(picture) and not is_deep_grey(picture):  # loaded by Pillow, it would keep the higher 8 bits alone
            return decode_image(_file_of(picture), "predict", min_size, channels=channels)
        try:
            return to_channels(ImageOps.exif_transpose(picture), channels)
        except ValueError as error:
            raise UserError(f"predict: a picture of {error}") from None
    if isinstance(picture, bytes):
        fault, image = try_to_decode(io.BytesIO(picture), min_size, channels=channels)
        if image is None:
            raise UserError(f"predict: the bytes cannot be decoded ({fault}); give all bytes of one picture")
        return image
    try:
        with Path(picture).open("rb") as file:
            return decode_image(file, str(picture), min_size, channels=channels)
    except OSError as error:
        raise UserError(f"{picture}: cannot be read ({error.strerror or error}); give the path of a picture") from None


def _checked(image: NDArray[Any], channels: int) -> NDArray[np.uint8]:
    """Return an array as (H, W, channels)."""
    by_pillow = channels in (1, 3)
    depths = ((), (1,), (3,), (4,)) if by_pillow else ((channels,),)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in depths:
        what = "3), red, green and blue" if by_pillow else f"{channels}), values"
        found = f"an array of {image.dtype} and shape {image.shape}"
        raise UserError(f"predict: {found} is no image; give uint8 (H, W, {what} from 0 to 255")
    if not by_pillow:
        return image
    return to_channels(Image.fromarray(image.squeeze(2) if image.shape[2:] == (1,) else image), channels)


def _file_of(picture: Image.Image) -> BinaryIO:
    """Return the bytes of a picture that is opened and not loaded yet; its own file stays where it is."""
    file = picture.fp  # type: ignore[attr-defined]
    position = file.tell()
    file.seek(0)
    copy = io.BytesIO(file.read())
    file.seek(position)
    return copy
