"""Networks of different kinds, trained for some steps, over pictures of many sizes: the file says what PyTorch says.

``PICTURES=500 FITS="crop pad squish" pytest -m slow tests/export/test_architectures.py`` is all of it, half an hour.
"""

import os
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import lightning_recipes as lr
from lightning_recipes.data.pictures import images_of
from lightning_recipes.export.export import Limits, export
from lightning_recipes.input_config import Fit, InputConfig
from tests.export.test_picture_input import smooth

PICTURES = int(os.environ.get("PICTURES", "60"))
FITS: list[Fit] = os.environ.get("FITS", "").split()  # type: ignore[assignment]
NETWORKS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "cnn": ("test_resnet", 64, {}),
    "same_padding": ("mobilenetv2_050", 64, {"pad_type": "same"}),
    "convnext": ("test_convnext2", 64, {}),
    "vit": ("test_vit3", 160, {}),
    "swin": ("swin_tiny_patch4_window7_224", 224, {"depths": (1, 1, 1, 1), "embed_dim": 24}),
    "maxvit": ("test_maxvit", 160, {}),
    "efficientnet": ("test_efficientnet", 64, {}),
    "mixer": ("mixer_s32_224", 224, {}),
}


class Blots:
    """Pictures of many sizes, of which one channel is dark, made when they are read; a source like any other."""

    classes = ("ants", "bees", "wasps")

    def __init__(self, count: int) -> None:
        self.labels = np.arange(count) % 3
        self.paths = [f"{number}.png" for number in range(count)]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        height, width = (int(side) for side in np.random.default_rng(index).integers(20, 400, 2))
        picture = smooth(height, width, index).astype(np.float32)
        picture[..., int(self.labels[index])] *= 0.7
        return picture.astype(np.uint8)


def trained(name: str, size: int, options: dict[str, Any], given: InputConfig) -> lr.ImageClassifier:
    """Six steps on 24 pictures."""
    torch.manual_seed(0)
    model = lr.ImageClassifier(name, 3, pretrained=False, image_size=size, backbone_kwargs=options)
    some, optimizer = Blots(24), torch.optim.AdamW(model.parameters(), lr=1e-3)
    pictures = images_of([some.read(index) for index in range(24)], given)
    for _ in range(6):
        loss = torch.nn.functional.cross_entropy(model.train()(pictures), torch.from_numpy(some.labels))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    model.judged_input = given
    return model.eval()


# Each kind with one way to fit, in turns, or with all.
CASES = [(kind, fit) for kind in NETWORKS for fit in FITS] or list(
    zip(NETWORKS, cycle(("crop", "pad", "squish")), strict=False)
)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "fit"), CASES)
def test_the_label_is_the_same_for_every_picture(tmp_path: Path, kind: str, fit: Fit) -> None:
    name, size, options = NETWORKS[kind]
    given = InputConfig(size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bicubic", 0.9, fit)
    model = trained(name, size, options, given)
    done = export(model, tmp_path / "out", source=Blots(PICTURES), limits=Limits(max_gap=1.0, max_other_labels=1.0))
    assert done.proof is not None
    print(f"{kind}, {fit}: {done.proof.other_label} other labels, gap {done.proof.largest_gap:.2e}")
    assert done.proof.other_label == 0
    assert done.proof.largest_gap < 1e-3
