"""Losses of several labels an image against torch, torchvision and timm, and against values worked by hand."""

import math

import pytest
import torch
from timm.loss import AsymmetricLossMultiLabel
from torch.nn import functional as F  # noqa: N812
from torchvision.ops import sigmoid_focal_loss

from lightning_recipes.errors import UserError
from lightning_recipes.optim.losses import create_loss
from lightning_recipes.optim.multilabel_losses import MULTILABEL_LOSSES

torch.manual_seed(0)
LOGITS, LABELS = 3 * torch.randn(16, 4), (torch.rand(16, 4) < 0.3).float()
ONE_AND_NONE = torch.tensor([[1.0, 0.0]])


def loss(name: str, logits: torch.Tensor = LOGITS, labels: torch.Tensor = LABELS, **arguments: object) -> torch.Tensor:
    spec = {"name": name, **arguments}
    module = create_loss(spec, num_classes=logits.shape[1], class_counts=[3, 1, 2, 2], losses=MULTILABEL_LOSSES)
    value: torch.Tensor = module(logits, labels)
    return value


def test_binary_cross_entropy_is_torchs_and_begins_at_ln_2() -> None:
    torch.testing.assert_close(loss("binary_cross_entropy"), F.binary_cross_entropy_with_logits(LOGITS, LABELS))
    assert float(loss("binary_cross_entropy", torch.zeros(16, 4))) == pytest.approx(math.log(2))


def test_smoothing_and_class_weights_by_hand() -> None:
    # Targets 0.9 and 0.1: at a logit of 2 the yes costs by both ends, at one of 0 a question costs ln 2 whatever it is.
    logits = torch.tensor([[2.0, 0.0]])
    p = 1 / (1 + math.exp(-2))
    yes, no = -0.9 * math.log(p) - 0.1 * math.log(1 - p), math.log(2)
    smoothed = loss("binary_cross_entropy", logits, ONE_AND_NONE, label_smoothing=0.2, class_weights=[3.0, 1.0])
    assert float(smoothed) == pytest.approx((3 * yes + no) / 4, rel=1e-6)


def test_focal_is_torchvisions() -> None:
    theirs = sigmoid_focal_loss(LOGITS, LABELS, alpha=0.25, gamma=2.0, reduction="mean")
    torch.testing.assert_close(loss("focal"), theirs)
    plain = loss("focal", alpha=-1, gamma=0.0)
    torch.testing.assert_close(plain, F.binary_cross_entropy_with_logits(LOGITS, LABELS))


def test_asymmetric_is_timms_as_a_mean() -> None:
    theirs = AsymmetricLossMultiLabel(gamma_neg=3, gamma_pos=1, clip=0.05)(LOGITS, LABELS) / LABELS.numel()
    torch.testing.assert_close(loss("asymmetric", gamma_neg=3.0), theirs)


def test_names_and_values_that_do_not_fit_are_said() -> None:
    with pytest.raises(UserError, match=r"'cross_entropy' is not a loss \(binary_cross_entropy, focal, asymmetric\)"):
        loss("cross_entropy")
    for name, key, value in (
        ("asymmetric", "clip", 1.0),
        ("asymmetric", "gamma_neg", math.nan),
        ("focal", "alpha", 2.0),
        ("binary_cross_entropy", "label_smoothing", -0.1),
    ):
        with pytest.raises(UserError, match=rf"model\.loss\.{key}: "):
            create_loss({"name": name, key: value}, num_classes=4, losses=MULTILABEL_LOSSES)
