"""Mixup and CutMix: the images, the loss with both labels, the last epochs, and draws that disturb no others."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from typing_extensions import override

from lightning_recipes import ImageClassifier, Mixing, Stage, Stages, UserError
from lightning_recipes.data.batch import Batch, MixedBatch
from lightning_recipes.data.transforms.mix_batch import mix
from tests.small import classifier, digits, fit

IMAGES = torch.arange(4.0)[:, None, None, None].expand(4, 3, 8, 8).clone()  # image i is all i
BATCH = Batch(IMAGES, torch.arange(4), torch.arange(4))


def test_mixup_is_a_mean_of_two_images_weighted_by_the_share() -> None:
    mixed = mix(BATCH, "mixup", alpha=1.0, seed=3)
    assert mixed.partners.tolist() == [3, 0, 1, 2]
    expected = mixed.share * IMAGES + (1 - mixed.share) * IMAGES[[3, 0, 1, 2]]
    torch.testing.assert_close(mixed.images, expected)
    assert 0 < mixed.share < 1
    assert torch.equal(IMAGES[:, 0, 0, 0], torch.arange(4.0))  # the batch itself is as it was


def test_cutmix_shows_the_other_image_in_a_rectangle_of_the_rest_of_the_area() -> None:
    for seed in range(5):
        mixed = mix(BATCH, "cutmix", alpha=1.0, seed=seed)
        other = mixed.images == IMAGES[[3, 0, 1, 2]]
        assert float(other.float().mean()) == pytest.approx(1 - mixed.share)
        assert torch.equal(torch.where(other, IMAGES, mixed.images), IMAGES)


def test_shares_follow_the_beta_distribution() -> None:
    shares = torch.tensor([mix(BATCH, "mixup", alpha=0.4, seed=seed).share for seed in range(2000)])
    beta = torch.distributions.Beta(0.4, 0.4)
    assert float(shares.mean()) == pytest.approx(0.5, abs=4 * float(beta.stddev) / 2000**0.5)
    assert float(shares.var()) == pytest.approx(float(beta.variance), rel=0.1)


def test_a_draw_is_a_function_of_the_seed_and_uses_up_no_other() -> None:
    before = torch.get_rng_state()
    first, again = mix(BATCH, "cutmix", alpha=1.0, seed=5), mix(BATCH, "cutmix", alpha=1.0, seed=5)
    assert torch.equal(first.images, again.images)
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_that_it_cannot_mix_are_refused_and_not_passed_over() -> None:
    with pytest.raises(UserError, match="Mixing: the batch is a list; let the data module give a Batch"):
        Mixing().mixed([IMAGES, torch.arange(4)], (0,))


LOSSES = ["cross_entropy", "binary_cross_entropy", {"name": "cross_entropy", "label_smoothing": 0.1}]


@pytest.mark.parametrize("spec", LOSSES)
def test_the_loss_of_a_mixed_batch_is_that_of_the_mixed_target(spec: Any) -> None:
    model = ImageClassifier("test_resnet", 4, pretrained=False, loss=spec)
    logits, share, partners = torch.randn(4, 4), 0.3, torch.tensor([3, 0, 1, 2])
    ours = share * model.compute_loss(logits, BATCH.labels) + (1 - share) * model.compute_loss(logits, partners)
    target = share * F.one_hot(BATCH.labels, 4) + (1 - share) * F.one_hot(partners, 4)
    if spec == "binary_cross_entropy":
        expected = F.binary_cross_entropy_with_logits(logits, target)
    else:
        expected = F.cross_entropy(logits, target, label_smoothing=0.1 if isinstance(spec, dict) else 0.0)
    torch.testing.assert_close(ours, expected)


class Hard(nn.Module):
    """Somebody's own loss, which takes labels and nothing else."""

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        assert labels.dtype == torch.int64
        return F.multi_margin_loss(logits, labels)


class Watched(ImageClassifier):
    """Notes which batches of each epoch were mixed, and the first random draw of each step."""

    mixed: list[tuple[int, bool]]
    draws: list[float]

    def logits_of(self, batch: Any) -> torch.Tensor:
        if self.training:
            self.mixed.append((self.current_epoch, isinstance(batch, MixedBatch)))
            self.draws.append(float(torch.rand(1)))
        return super().logits_of(batch)


def watched(*callbacks: Any, **model: Any) -> Watched:
    torch.manual_seed(1)
    made = Watched("test_resnet", num_classes=10, pretrained=False, **model)
    made.mixed, made.draws = [], []
    fit(made, digits(), *callbacks, max_epochs=3)
    return made


def test_the_last_epochs_see_whole_images_and_no_other_draw_changes() -> None:
    model = watched(Mixing(0.4, 1.0, off_last_epochs=1))
    assert model.mixed == [(epoch, epoch < 2) for epoch in range(3) for _ in range(4)]
    assert model.draws == watched().draws


def test_any_loss_on_labels_can_be_mixed() -> None:
    watched(Mixing(), loss="tests.callbacks.test_mixing.Hard")


def test_p_is_the_share_of_batches() -> None:
    model = watched(Mixing(p=0.5))
    assert 0 < sum(mixed for _, mixed in model.mixed) < 12


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"mixup_alpha": -0.1}, r"Mixing\.mixup_alpha: -0\.1"),
        ({"p": 2.0}, r"Mixing\.p: 2\.0"),
        ({"mixup_alpha": 0.0}, "both 0"),
        ({"off_last_epochs": -1}, r"Mixing\.off_last_epochs: -1"),
    ],
)
def test_a_bad_value_is_named(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        Mixing(**arguments)


def test_two_runs_are_the_same_to_the_bit() -> None:
    shas = [fit(classifier(), digits(), Mixing(0.4, 1.0), max_epochs=1)[1] for _ in range(2)]
    assert shas[0] == shas[1]


@pytest.mark.parametrize(
    ("end", "begun"), [({"max_epochs": 3}, 3), ({"max_epochs": -1, "max_steps": 10}, 3), ({"max_epochs": -1}, 4)]
)
def test_the_last_epochs_are_the_last_of_the_run_wherever_it_ends(end: dict[str, Any], begun: int) -> None:
    torch.manual_seed(1)
    model = Watched("test_resnet", num_classes=10, pretrained=False)
    model.mixed, model.draws = [], []
    fit(model, digits(), Stages([Stage("all", epochs=4, lr=1e-3)]), Mixing(off_last_epochs=1), **end)
    assert dict(model.mixed) == {epoch: epoch < begun - 1 for epoch in range(begun)}


class OwnStep(ImageClassifier):
    """A training step from scratch, as in any tutorial."""

    @override
    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.compute_loss(self(batch[0]), batch[1])


def test_a_training_step_of_its_own_that_mixes_nothing_is_refused() -> None:
    model = OwnStep("test_resnet", num_classes=10, pretrained=False)
    with pytest.raises(UserError, match=r"Mixing: the training_step of OwnStep mixes nothing; .*self\.transform_batch"):
        fit(model, digits(), Mixing(), max_epochs=1)


def test_a_mixed_batch_counts_as_the_larger_shares_class() -> None:
    labels, partners = torch.tensor([0, 1]), torch.tensor([2, 3])
    for share, counted in ((0.7, labels), (0.3, partners)):
        batch = MixedBatch(torch.randn(2, 3, 32, 32), labels, torch.arange(2), partners, share)
        assert torch.equal(classifier().training_loss(batch, ("step", 0))["labels"], counted)


@pytest.mark.parametrize(("switch_p", "cut"), [(0.0, False), (1.0, True)])
def test_the_share_of_cut_batches_is_the_one_asked_for(switch_p: float, cut: bool) -> None:
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, 8, 8).clone()
    callback = Mixing(0.4, 1.0, switch_p=switch_p)
    mixed = [callback.mixed(Batch(images, torch.arange(4), torch.arange(4)), ("step", n)).images for n in range(20)]
    # What is cut has pixels of the one or the other image, what is mixed has values between.
    assert all(bool((one == one.round()).all()) for one in mixed) == cut
