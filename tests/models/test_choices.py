"""Initialisation, activation, image sizes, memory format, compilation and precision: each one key of the classifier."""

import math
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes import ImageClassifier, Stage, Stages, UserError
from lightning_recipes.models.initialization import initialize_
from tests.small import digits, fit


def classifier(backbone: str = "test_resnet", **options: Any) -> ImageClassifier:
    torch.manual_seed(1)
    return ImageClassifier(backbone, 10, **{"pretrained": False, "lr": 0.01, **options})


def test_xavier_and_kaiming_have_their_variances_and_orthogonal_its_rows() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 64, 3)
    initialize_(layer, "xavier")
    assert float(layer.weight.detach().var()) == pytest.approx(2 / (32 * 9 + 64 * 9), rel=0.05)
    initialize_(layer, "kaiming")
    assert float(layer.weight.detach().var()) == pytest.approx(2 / (64 * 9), rel=0.05)
    initialize_(layer, "orthogonal")
    rows = layer.weight.detach().flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(64), atol=1e-5, rtol=0)
    assert torch.equal(layer.bias, torch.zeros(64))  # type: ignore[arg-type]


@pytest.mark.parametrize("init", ["xavier", "kaiming", "orthogonal"])
def test_a_chosen_initialisation_is_in_the_backbone_and_the_first_loss_stays_ln_classes(init: str) -> None:
    model, own = classifier(init=init), classifier()
    assert not torch.equal(next(model.parameters()), next(own.parameters()))
    with torch.inference_mode():
        loss = model.compute_loss(model.eval()(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 3]))
    assert float(loss) == pytest.approx(math.log(10))


@pytest.mark.parametrize(
    ("activation", "cls"), [("relu", nn.ReLU), ("gelu", nn.GELU), ("silu", nn.SiLU), ("mish", nn.Mish)]
)
@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"])
def test_a_chosen_activation_is_the_one_that_is_there(backbone: str, activation: str, cls: type[nn.Module]) -> None:
    model = classifier(backbone, activation=activation, image_size=32)
    names = {"ReLU", "GELU", "GELUTanh", "SiLU", "Mish", "QuickGELU"}
    found = {type(m).__name__ for m in model.backbone.modules()} & names
    assert found == {cls.__name__}


def test_what_cannot_be_chosen_is_one_line() -> None:
    with pytest.raises(UserError, match=r"model\.init: pretrained weights would be lost"):
        classifier(pretrained="embedded:letters", init="xavier")
    with pytest.raises(UserError, match=r"model\.init: 'xaver' is not one of .*did you mean xavier"):
        classifier(init="xaver")
    with pytest.raises(UserError, match=r"model\.activation: 'tanh' is not one of relu"):
        classifier(activation="tanh")
    for backbone in ("ghostnet_050", "hrnet_w18_small", "gmixer_12_224"):  # timm refuses in three ways
        with pytest.raises(UserError, match=rf"model\.activation: '{backbone}' takes no such argument"):
            classifier(backbone, activation="mish")


GROWING = [Stage("small", epochs=1, image_size=32), Stage("large", epochs=1, image_size=64, batch_size=20)]


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "swin_tiny_patch4_window7_224"])
def test_images_and_batches_grow_from_stage_to_stage_for_networks_and_transformers_alike(backbone: str) -> None:
    seen = []

    class Shapes(pl.Callback):
        @override
        def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, *_: Any) -> None:
            seen.append((trainer.current_epoch, tuple(batch[0].shape)))

    options: dict[str, Any] = {"window_size": 2, "depths": (1, 1, 1, 1), "embed_dim": 24} if "swin" in backbone else {}
    model = classifier(backbone, image_size=32, backbone_kwargs=options)
    before = {name: p.shape for name, p in model.named_parameters()}
    fit(model, digits(), Stages(GROWING), Shapes(), max_epochs=-1)
    assert seen == [(0, (10, 3, 32, 32))] * 4 + [(1, (20, 3, 64, 64))] * 2
    assert {name: p.shape for name, p in model.named_parameters()} == before


def test_position_embeddings_of_another_size_are_timms_resampling() -> None:
    from timm.layers import resample_abs_pos_embed

    small, large = classifier("test_vit", image_size=32), classifier("test_vit", image_size=64)
    state = dict(small.backbone.state_dict())
    tokens = small.backbone.num_prefix_tokens
    state["pos_embed"] = resample_abs_pos_embed(
        state["pos_embed"],
        new_size=[4, 4],
        old_size=[2, 2],
        num_prefix_tokens=tokens,
    )
    large.backbone.load_state_dict(state)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(small.eval().features(images), large.eval().features(images))


class Gradients(pl.Callback):
    """The gradient of the first step, as the optimizer sees it."""

    found: Tensor | None = None

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        if self.found is None:
            self.found = torch.cat([p.grad.flatten() for p in pl_module.parameters() if p.grad is not None])


def first_gradient(**options: Any) -> Tensor:
    model = classifier(**options.pop("model", {}))
    nn.init.normal_(model.head.weight)  # type: ignore[arg-type]  # or nothing reaches the backbone in the first step
    gradients = Gradients()
    fit(model, digits(), gradients, max_epochs=1, limit_train_batches=1, limit_val_batches=0, **options)
    assert gradients.found is not None
    return gradients.found


@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({"precision": "bf16-mixed"}, 0.98),
        ({"plugins": "fp16"}, 0.999),
        ({"model": {"channels_last": True}}, 0.999999),
        pytest.param({"model": {"compile": {"backend": "aot_eager"}}}, 0.999999, marks=pytest.mark.slow),
    ],
)
def test_gradients_are_those_of_float32_up_to_the_precision(options: dict[str, Any], least: float) -> None:
    if options.get("plugins") == "fp16":
        options = {"plugins": [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))]}
    exact, ours = first_gradient(), first_gradient(**options)
    assert float(torch.cosine_similarity(exact, ours, dim=0)) > least
    assert float(ours.norm() / exact.norm()) == pytest.approx(1.0, abs=0.05)


def test_channels_last_is_how_images_and_weights_lie_in_memory_and_not_what_they_are() -> None:
    model, plain = classifier(channels_last=True), classifier()
    weights = [p for p in model.backbone.parameters() if p.ndim == 4 and p.shape[2] > 1]
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)
    images = torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(model.eval()(images), plain.eval()(images))


@pytest.mark.slow
def test_a_compiled_run_is_frozen_and_unfrozen_and_its_checkpoint_is_a_plain_one() -> None:
    model = classifier(compile={"backend": "aot_eager"})
    stages = [Stage("head", epochs=1, train="head"), Stage("all", epochs=1)]
    fit(model, digits(), Stages(stages), max_epochs=-1)
    plain = classifier()
    plain.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(model.eval()(images), plain.eval()(images))
