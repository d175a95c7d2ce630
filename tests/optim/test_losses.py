"""Losses against torch's and timm's where they have the same, and against values worked by hand."""

import math

import pytest
import timm.loss
import torch
from torch.nn import functional as F  # noqa: N812

from lightning_recipes.errors import UserError
from lightning_recipes.optim.losses import LOSSES, create_loss

torch.manual_seed(0)
LOGITS = 3 * torch.randn(16, 4, dtype=torch.float64)
LABELS = torch.arange(16) % 4
UNEVEN = torch.tensor([0] * 12 + [1, 1, 2, 3])
HALF = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)  # probabilities 3/4 and 1/4


def loss(name: str, logits: torch.Tensor, labels: torch.Tensor, **arguments: object) -> torch.Tensor:
    classes = logits.shape[1]
    module = create_loss({"name": name, **arguments}, num_classes=classes, class_counts=[12, 2, 1, 1][:classes])
    value: torch.Tensor = module.double()(logits, labels)
    return value


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs(smoothing: float) -> None:
    ours = loss("cross_entropy", LOGITS, LABELS, label_smoothing=smoothing, class_weights=[1.0, 2.0, 3.0, 4.0])
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    torch.testing.assert_close(ours, F.cross_entropy(LOGITS, LABELS, weight=weight, label_smoothing=smoothing))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_binary_cross_entropy_is_timms(smoothing: float) -> None:
    theirs = timm.loss.BinaryCrossEntropy(smoothing=smoothing)(LOGITS, LABELS)
    torch.testing.assert_close(loss("binary_cross_entropy", LOGITS, LABELS, label_smoothing=smoothing), theirs)


def test_focal_loss_by_hand_and_without_gamma_cross_entropy() -> None:
    assert loss("focal", HALF, torch.tensor([0]), gamma=2.0).item() == pytest.approx(-((1 / 4) ** 2) * math.log(3 / 4))
    torch.testing.assert_close(loss("focal", LOGITS, LABELS, gamma=0.0), F.cross_entropy(LOGITS, LABELS))


def test_squared_error_by_hand_is_the_brier_score() -> None:
    from sklearn.metrics import brier_score_loss

    assert loss("mean_squared_error", HALF, torch.tensor([1])).item() == pytest.approx((3 / 4) ** 2 * 2)
    p = LOGITS.softmax(dim=1).numpy()
    ours = loss("mean_squared_error", LOGITS, LABELS).item()
    assert ours == pytest.approx(brier_score_loss(LABELS.numpy(), p, scale_by_half=False))


def test_soft_f1_of_sure_probabilities_is_the_macro_f1_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    predicted = LABELS.clone()
    predicted[:5] = 3
    sure = 1000.0 * F.one_hot(predicted, 4).double()
    expected = 1 - f1_score(LABELS.numpy(), predicted.numpy(), average="macro")
    assert loss("soft_f1", sure, LABELS).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "focal", "mean_squared_error"])
def test_balanced_weights_give_every_class_the_same_say(name: str) -> None:
    each = [loss(name, LOGITS[c == UNEVEN], UNEVEN[c == UNEVEN]) for c in range(4)]
    torch.testing.assert_close(loss(name, LOGITS, UNEVEN, class_weights="balanced"), torch.stack(each).mean())


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_the_gradient_that_differences_have(name: str) -> None:
    logits = LOGITS.clone().requires_grad_()
    module = create_loss(name, num_classes=4).double()
    assert torch.autograd.gradcheck(lambda z: module(z, LABELS), (logits,))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_falls_when_the_right_logit_rises(name: str) -> None:
    better = LOGITS + F.one_hot(LABELS, 4)
    module = create_loss(name, num_classes=4).double()
    assert module(better, LABELS) < module(LOGITS, LABELS)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("cross_entropi", "not a loss.*did you mean cross_entropy"),
        ({"name": "focal", "gama": 1}, r"model\.loss\.gama.*did you mean gamma"),
        ({"name": "focal", "gamma": -1.0}, r"model\.loss\.gamma: -1\.0"),
        ({"name": "cross_entropy", "label_smoothing": 1.5}, r"model\.loss\.label_smoothing: 1\.5"),
        ({"name": "cross_entropy", "class_weights": "balanced"}, "class_counts"),
        ({"name": "cross_entropy", "class_weights": [1.0]}, "4 weights"),
        ("torch.optim.SGD", "not a subclass of torch.nn.Module"),
    ],
)
def test_a_wrong_loss_is_named_in_one_line(spec: object, text: str) -> None:
    with pytest.raises(UserError, match=text):
        create_loss(spec, num_classes=4)  # type: ignore[arg-type]
