"""Each method's loss against its paper's formula, worked by hand or written down anew."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from lightning_recipes.errors import UserError
from lightning_recipes.modules.pretraining.barlow_twins import BarlowTwins
from lightning_recipes.modules.pretraining.denoising import Denoising
from lightning_recipes.modules.pretraining.method import create_method
from lightning_recipes.modules.pretraining.siamese import contrastive_loss
from lightning_recipes.modules.pretraining.simclr import SimCLR
from lightning_recipes.modules.pretraining.simsiam import SimSiam

KEY = ("test", 0)
pytestmark = pytest.mark.usefixtures("_no_gradient_is_asked_for")


@pytest.fixture
def _no_gradient_is_asked_for(request: pytest.FixtureRequest) -> Iterator[None]:
    with torch.set_grad_enabled("gradient" in request.node.name):
        yield


class Flat:
    """A backbone that gives the pixels."""

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def feature_map(self, images: Tensor) -> Tensor:
        return nn.functional.pixel_unshuffle(images, 4)


def views(images: int = 6) -> Tensor:
    return torch.randn(images, 2, 3, 2, 2, generator=torch.Generator().manual_seed(0))


LABELS = torch.full((6,), -1)


def test_simclr_is_the_papers_equation_1_over_both_views() -> None:
    torch.manual_seed(0)
    method = SimCLR(12, temperature=0.3, hidden=8, width=5)
    z = normalize(method.projection(views().flatten(0, 1).flatten(1)), dim=1)  # 2k and 2k+1 are of one image
    losses = []
    for i in range(12):
        j = i ^ 1
        others = [float(z[i] @ z[k]) / 0.3 for k in range(12) if k != i]
        losses.append(-(float(z[i] @ z[j]) / 0.3 - math.log(sum(math.exp(other) for other in others))))
    assert float(method.loss(Flat(), views(), LABELS, KEY)[0]) == pytest.approx(sum(losses) / 12, rel=1e-4)


def test_barlow_twins_is_the_papers_equation_1() -> None:
    torch.manual_seed(0)
    method = BarlowTwins(12, redundancy=0.1, hidden=8, width=4)
    z = method.projection(views().flatten(0, 1).flatten(1)).double().reshape(6, 2, 4)
    columns = [(z[:, v] - z[:, v].mean(0)) / z[:, v].std(0, unbiased=False) for v in (0, 1)]
    c = columns[0].T @ columns[1] / 6
    on, off = (1 - c.diagonal()).square().sum(), (c - torch.diag(c.diagonal())).square().sum()
    # lightly divides by a standard deviation with a little added, so that a column without any is no fault
    assert float(method.loss(Flat(), views(), LABELS, KEY)[0]) == pytest.approx(float(on + 0.1 * off), rel=0.02)


def test_no_gradient_of_simsiam_flows_into_what_is_predicted() -> None:
    torch.manual_seed(0)
    method = SimSiam(12, hidden=8, width=6, bottleneck=3)
    images = views()
    embedded = method.projection(images.flatten(0, 1).flatten(1)).detach()
    predicted = method.prediction(embedded)
    cosines = nn.functional.cosine_similarity(predicted, embedded.reshape(6, 2, 6).flip(1).reshape(12, 6), dim=1)
    assert float(method.loss(Flat(), images, LABELS, KEY)[0].detach()) == pytest.approx(
        -float(cosines.mean().detach()), rel=1e-4
    )
    nn.init.zeros_(method.prediction.layers[-1].weight)
    nn.init.ones_(method.prediction.layers[-1].bias)  # predicts the same whatever it is given
    torch.autograd.backward(method.loss(Flat(), images, LABELS, KEY)[0])
    gradient = method.projection.layers[0].weight.grad
    assert gradient is not None
    assert not gradient.any()


def test_contrastive_pairs_are_worked_by_hand() -> None:
    embeddings = torch.tensor([[0.0, 0.0], [0.6, 0.0], [0.0, 0.8], [3.0, 0.0]])
    images, labels = torch.tensor([0, 0, 1, 2]), torch.tensor([5, 5, 7, -1])
    # alike: the first two, 0.6 apart; of two classes: 0-2 at 0.8, 1-2 at 1.0; the last one's label is not known
    alike, apart = 0.36 / 2, ((1 - 0.8) ** 2 + 0.0) / (2 * 2)
    assert float(contrastive_loss(embeddings, images, labels, margin=1.0)) == pytest.approx(alike + apart, rel=1e-5)


def test_the_gradient_of_a_pair_in_one_place_is_a_number() -> None:
    embeddings = torch.zeros(4, 2, requires_grad=True)
    torch.autograd.backward(contrastive_loss(embeddings, torch.arange(4), torch.tensor([0, 1, 0, 1]), margin=1.0))
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


def test_so_many_patches_are_covered_and_the_loss_is_of_them_alone() -> None:
    method = Denoising(48, stride=4, noise=0.0, mask=0.25)
    pictures = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    shown, covered = method.spoiled(pictures, KEY)
    assert (covered.flatten(1).sum(dim=1) == 4 * 16).all()  # four of sixteen patches of 4 x 4
    assert torch.equal(shown, pictures * (1 - covered))
    assert torch.equal(method.spoiled(pictures, KEY)[0], shown)
    assert not torch.equal(method.spoiled(pictures, ("test", 1))[0], shown)
    told = method.reconstruct(Flat(), shown)
    by_hand = ((told - pictures) ** 2 * covered).sum() / (covered.sum() * 3)
    assert float(method.loss(Flat(), pictures[:, None], LABELS[:3], KEY)[0]) == pytest.approx(float(by_hand), rel=1e-5)


def test_noise_is_left_out_where_patches_are_covered_unless_it_is_asked_for() -> None:
    pictures = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    shown, covered = Denoising(48, stride=4, mask=0.25).spoiled(pictures, KEY)
    assert torch.equal(shown, pictures * (1 - covered))
    noise = Denoising(48, stride=4).spoiled(pictures, KEY)[0] - pictures
    assert float(noise.std()) == pytest.approx(0.5, rel=0.1)


def test_a_patch_as_large_as_the_picture_is_refused() -> None:
    method = Denoising(48, stride=4, mask=0.5, patch=16)
    with pytest.raises(UserError, match=r"model\.method\.patch: 16 pixels cover all of an image of 16; give fewer"):
        method.spoiled(torch.zeros(1, 3, 16, 16), KEY)


def test_a_decoder_that_hands_on_what_it_sees_tells_the_picture() -> None:
    method: Any = Denoising(48, stride=4, noise=0.1, hidden=48)
    method.decoder = nn.Identity()  # a place of Flat's map has the pixels of its own patch
    pictures = torch.randn(2, 3, 16, 16)
    assert torch.equal(method.reconstruct(Flat(), pictures), pictures)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("simclrr", r"model.method: 'simclrr' is not one of .*; did you mean simclr"),
        ({"name": "simclr", "temp": 1}, r"model.method.temp: 'SimCLR' takes no such argument"),
        ({"name": "simclr", "temperature": 0}, r"model.method.temperature: 0 is not a number > 0"),
        ({"name": "simclr", "temperature": "a"}, r"model.method: simclr cannot be made of {'temperature': 'a'} \("),
        ({"name": "simclr", "width": 2.5}, r"model.method: simclr cannot be made of {'width': 2.5} \("),
        ({"name": "simclr", "num_features": 7}, r"model.method.num_features: is read off the backbone and the images"),
        ({"name": "denoising", "noise": 0}, r"model.method: noise 0 and mask 0 leave the picture as it is"),
        ("torch.nn.Linear", r"model.method: 'torch.nn.Linear' is no Method"),
    ],
)
def test_a_method_that_cannot_be_is_refused_in_a_line(spec: object, said: str) -> None:
    shapes = {"num_features": lambda: 8, "map_features": lambda: 8, "stride": lambda: 4, "in_chans": lambda: 3}
    with pytest.raises(UserError, match=said):
        create_method(spec, shapes)  # type: ignore[arg-type]
