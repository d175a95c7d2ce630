"""A loaded model, between the bytes of a picture and its probabilities."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_recipes.data.images.decode import picture_size, reason
from lightning_recipes.engine.malloc import give_back_freed_memory
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig
from lightning_recipes.modules.evaluator import Evaluator
from lightning_recipes.modules.load import load_classifier
from lightning_recipes.modules.tta import MultiViewClassifier
from lightning_recipes.serving.refusal import Refused

__all__ = ["Network", "device_of"]

LARGE = 10_000_000
"""Pixels of a picture from which on its memory is worth giving back at once."""


def device_of(accelerator: str) -> torch.device:
    """Return the device: ``gpu`` is CUDA's or Apple's first, ``auto`` the GPU where there is one.

    Raises:
        UserError: There is no GPU.
    """
    found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
    if accelerator == "gpu" and found is None:
        raise UserError("accelerator: torch finds no GPU here; give cpu or auto")
    return torch.device("cpu" if accelerator == "cpu" or found is None else found)


def _resized_side(given: InputConfig) -> float:
    """Shorter side that a picture is resized to, where the longer one is cut off only afterwards; else 0."""
    return given.image_size / given.crop_pct if given.fit == "crop" else 0.0


class Network:
    """A finished model, in two halves: pictures are decoded by any thread, and the network runs in one.

    Args:
        ckpt_path: As of :func:`~lightning_recipes.modules.load.load`.
        device: Where the network runs.
        views: As of :class:`~lightning_recipes.modules.tta.MultiViewClassifier`; None: the picture alone.
        reject_below: In the place of the checkpoint's own; None: that.
        max_pixels: Of a picture, by its header, and of what it is resized to: one of 2 x 1,000,000 pixels lies in a
            file of 10 kB, and its shorter side would be blown up, with the longer one.

    Raises:
        UserError: The checkpoint cannot be loaded, or has no such views.
    """

    def __init__(
        self, ckpt_path: str, device: torch.device, views: str | None, reject_below: float | None, max_pixels: int
    ) -> None:
        if views == "augment":  # which are a data module's
            raise UserError("views: augment needs the data of a run; give flip, crops or flip_crops")
        model = load_classifier(ckpt_path, **({} if reject_below is None else {"reject_below": reject_below}))
        self.model: Evaluator = model if views is None else MultiViewClassifier(model, views)
        self.model.to(device)
        self.max_pixels = max_pixels
        self.channels = len(self.model.input_judged.mean)
        self.resized_side = max(_resized_side(m.input_judged) for m in self.model.modules() if isinstance(m, Evaluator))

    def inputs_of(self, picture: bytes) -> list[Tensor]:
        """Decode and resize a picture.

        Raises:
            Refused: It is none, damaged, or too large.
        """
        try:
            width, height = picture_size(io.BytesIO(picture), self.channels)
        except MemoryError:
            raise
        except Exception as error:  # every format's library has errors of its own
            raise Refused(400, f"the picture cannot be read ({reason(error)}); send a JPEG, PNG or WebP file") from None
        if width * height > self.max_pixels:
            most = f"more than {self.max_pixels:,} (max_megapixels)"
            raise Refused(400, f"the picture has {width} x {height} pixels, {most}; send a smaller one")
        if self.resized_side**2 * max(width, height) > self.max_pixels * min(width, height):
            raise Refused(400, f"the picture has {width} x {height} pixels, too long for its width; send a part of it")
        try:
            return self.model.inputs_of([picture])
        except UserError as error:
            raise Refused(400, str(error).removeprefix("predict: ")) from None
        finally:
            if width * height > LARGE:
                give_back_freed_memory()

    def probabilities_of(self, inputs: Sequence[list[Tensor]]) -> list[Tensor]:
        """Return probabilities (C,) for each of several pictures' inputs, computed together."""
        together = [torch.cat(parts) for parts in zip(*inputs, strict=True)]
        return list(self.model.probabilities_of(together))

    def warm_up(self) -> None:
        """Compute once, so that what cannot work fails before anybody asks, and the first who asks does not wait."""
        side = self.model.input_judged.image_size
        self.probabilities_of([self.model.inputs_of([np.zeros((side, side, self.channels), dtype=np.uint8)])])
