"""Features of a frozen backbone for some of the images, kept as they are made."""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_recipes.data.images.decode import decode_image
from lightning_recipes.data.sources.files import FileTree
from lightning_recipes.data.sources.progress import Progress
from lightning_recipes.data.transforms.image_transforms import decoded_size, eval_transform
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig
from lightning_recipes.inspection.chunks import Chunks
from lightning_recipes.models.backbone import check_image_size, create_backbone

__all__ = ["Embedder"]

BATCH = 32
AHEAD = 2  # batches that are read while one is looked at


@dataclass
class Embedder:
    """A frozen backbone, and where what it saw is kept.

    Attributes:
        network: Images (N, 3, H, W) to features (N, F).
        input: What is done to a picture.
        width: F.
        key: Changes with the backbone and its weights.
        folder: Of the chunks.
        workers: Threads that read.
    """

    network: nn.Module
    input: InputConfig
    width: int
    key: str
    folder: Path
    workers: int

    @classmethod
    def of(cls, name: str, pretrained: bool | str, image_size: int | None, folder: Path, workers: int) -> "Embedder":
        """Build the backbone; arguments as of :func:`~lightning_recipes.inspection.inspect.inspect`.

        Raises:
            UserError: Unknown name, weights that cannot be had or do not fit, or a size that it cannot take.
        """
        said = logging.getLogger(create_backbone.__module__)
        said.setLevel(logging.WARNING)  # of a classifier that nobody asks for
        try:
            backbone = create_backbone(name, num_classes=2, pretrained=pretrained, image_size=image_size)
            if image_size is not None:
                check_image_size(backbone.features, image_size)
        except UserError as error:
            raise UserError(str(error).replace("model.", "").replace("data.", "")) from None
        finally:
            said.setLevel(logging.NOTSET)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        size = image_size or backbone.input.image_size
        status = os.stat(pretrained) if isinstance(pretrained, str) and os.path.isfile(pretrained) else None
        of = f"{name} {pretrained} {(status.st_size, status.st_mtime_ns) if status else ''}"
        network = backbone.features.eval().requires_grad_(False).to(device)
        return cls(network, replace(backbone.input, image_size=size), backbone.num_features, of, folder, workers)

    def features(
        self,
        tree: FileTree,
        names: Sequence[str],
        progress: Progress,
        *,
        size: int | None = None,
        does: str = "Embedding images",
    ) -> NDArray[np.float32]:
        """Return features (N, F).

        Args:
            tree: Where the pictures are.
            names: N, all of them readable.
            progress: Told now and then.
            size: Of the images in pixels (default: the embedder's).
            does: What it is told.
        """
        looked_at = replace(self.input, image_size=size or self.input.image_size)
        kind = hashlib.blake2b(f"{self.key} {looked_at}".encode(), digest_size=6).hexdigest()
        dtype = np.dtype([("feature", "f4", (self.width,))])
        chunks, files = Chunks(self.folder, f"features-{kind}", dtype), [(name, tree.stamp(name)) for name in names]
        records, known = np.zeros(len(names), dtype), chunks.known(files)
        for place, (record, _) in known.items():
            records[place] = record
        left, done = [place for place in range(len(names)) if place not in known], len(known)
        progress(does, done, len(names))
        for places, images in _read(tree, names, left, looked_at, self.workers):
            records["feature"][places] = self._run(images)
            chunks.add([files[place] for place in places], records[places], [None] * len(places))
            done += len(places)
            progress(does, done, len(names))
        chunks.flush()
        return np.asarray(records["feature"])

    @torch.inference_mode()
    def _run(self, images: Tensor) -> NDArray[np.float32]:
        device = next(self.network.parameters()).device
        return self.network(images.to(device)).float().cpu().numpy()  # type: ignore[no-any-return]


def _read(
    tree: FileTree, names: Sequence[str], left: Sequence[int], looked_at: InputConfig, workers: int
) -> Iterator[tuple[Sequence[int], Tensor]]:
    """Yield places and images (B, 3, H, W), read by threads while others are looked at."""
    transform, least = eval_transform(looked_at), decoded_size(looked_at)

    def image(place: int) -> Tensor:
        with tree.open(names[place]) as file:
            return transform(decode_image(file, names[place], least), 0)

    batches = [left[start : start + BATCH] for start in range(0, len(left), BATCH)]
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[list[Future[Tensor]]] = []
        for number, places in enumerate(batches):
            ahead = batches[number + len(waiting) : number + 1 + AHEAD]
            waiting += [[pool.submit(image, place) for place in batch] for batch in ahead]
            yield places, torch.stack([future.result() for future in waiting.pop(0)])
