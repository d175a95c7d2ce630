"""A model as timm's own: its names, its transform, and a folder that it reads; compared like any other file."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lightning_recipes.atomic_io import refuse_taken_folder, whole_folder, write_json
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.data.transforms.image_transforms import decoded_size
from lightning_recipes.engine.predictions import names_of
from lightning_recipes.errors import UserError
from lightning_recipes.export.export import Exported, Limits, predicted, refuse_unproven
from lightning_recipes.export.proof import entries_of, prove
from lightning_recipes.models.timm_folder import as_timm, read_timm, write_timm
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.modules.evaluator import Evaluator

__all__ = ["export_for_timm"]


def export_for_timm(
    model: Evaluator,
    folder: Path,
    *,
    source: ImageSource | None,
    limits: Limits,
    origin: Mapping[str, Any],
    card: str = "",
    progress: Callable[[str, int, int], None] = lambda does, done, of: None,
) -> Exported:
    """Write a folder that ``timm.create_model("local-dir:FOLDER", pretrained=True)`` reads, if timm says the same.

    timm's own transform makes inputs of pictures there, by Pillow, whose pixels are up to 3 levels from PyTorch's.

    Args:
        model: An :class:`ImageClassifier` with one linear layer for a head.
        folder: To make: ``model.safetensors``, ``config.json`` and ``export.json``.
        source: Pictures to compare on; None: nothing is compared.
        limits: How far timm may be from the framework.
        origin: Where the model came from.
        card: What ``README.md`` says; empty: there is none.
        progress: Told what is done, how much of it, and of how much.

    Raises:
        UserError: The folder is taken, or timm has no such network.
        NotProven: timm says something else; nothing is written.
    """
    refuse_taken_folder("out", folder)
    if not isinstance(model, ImageClassifier):
        raise UserError(f"to: timm has no {type(model).__name__}; give onnx or torch")
    given, task = model.input_judged, model.task
    names = names_of(model)
    with tempfile.TemporaryDirectory() as name:
        made, proof = Path(name) / "timm", None
        write_timm(as_timm(model.backbone, model.head, model.num_classes), made, given, names)
        if source is not None:
            of, (network, transform) = len(source), read_timm(made)

            def by(judge: Callable[[Tensor], Tensor]) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
                def run(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
                    shown = Image.fromarray(picture if picture.shape[2] == 3 else picture[..., 0])
                    with torch.inference_mode():
                        return task.probabilities(judge(transform(shown)[None]))[0].numpy()

                return run

            proof = prove(
                by(network), by(model), lambda pictures: predicted(model, pictures), source,
                task=task, least=decoded_size(given), progress=lambda done: progress("Comparing", done, of),
            )  # fmt: skip
            refuse_unproven(proof, limits)
        entries = {
            **entries_of(proof),
            "file_bytes": (made / "model.safetensors").stat().st_size,
            "classes": names,
            "task": task.name,
            "input": [asdict(given)],
            "reject_below": model.reject_below,
            **origin,
        }
        with whole_folder(folder) as aside:
            for file in made.iterdir():
                shutil.copyfile(file, aside / file.name)
            write_json(aside / "export.json", entries)
            if card:
                (aside / "README.md").write_text(card, encoding="utf-8")
    return Exported(folder / "model.safetensors", proof, None, [], entries)
