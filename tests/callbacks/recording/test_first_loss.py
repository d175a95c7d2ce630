"""What a fit says of outputs and loss as it begins, and that it trains as without it."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
from torch import Tensor, nn

from lightning_recipes import ImageClassifier
from lightning_recipes.callbacks.recording.first_loss import FirstLoss
from tests.small import QUIET, classifier, digits, fit, two_stages


class Squashed(ImageClassifier):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).softmax(dim=1)


class Wide(ImageClassifier):
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        nn.init.normal_(head.weight, std=3.0)  # type: ignore[arg-type]
        return head


@pytest.mark.parametrize(("kind", "said"), [(Squashed, "logits: probabilities"), (Wide, "first_loss: .*ln 10")])
def test_a_fit_warns_of_what_cannot_be_right(kind: type[ImageClassifier], said: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {**QUIET, "default_root_dir": tmp_path, "max_epochs": 1, "limit_train_batches": 1}
    model = kind("test_resnet", num_classes=10, pretrained=False)
    with pytest.warns(UserWarning, match=said):
        pl.Trainer(**options, callbacks=[FirstLoss()]).fit(model, datamodule=digits())


def test_the_training_is_the_same_to_the_bit_and_nothing_is_said_of_a_sound_one() -> None:
    weights = [fit(classifier(), digits(), two_stages(), *looks, max_epochs=3)[1] for looks in ([], [FirstLoss()])]
    assert weights[0] == weights[1]
