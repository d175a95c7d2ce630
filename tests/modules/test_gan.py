"""Adversaries against the papers' formulas, and as a module among others: killed, resumed, judged, refused."""

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor

import lightning_recipes as lr
from lightning_recipes import ConditionalGAN, ImageDataModule, Stage, Stages, UserError
from lightning_recipes.__main__ import main
from lightning_recipes.modules.gan.discriminator import Discriminator, held
from lightning_recipes.modules.gan.frechet import FrechetDistance
from lightning_recipes.modules.gan.losses import discriminator_loss, generator_loss, shifted
from lightning_recipes.randomness import generator_for
from tests.processes import start
from tests.small import digits, fit

RECIPE = """
seed_everything: 3
data:
  {root: "sklearn:digits", val_fraction: 0.05, images_per_class: 6, image_size: 8, channels: 1, batch_size: 12,
   num_workers: 0, augment: none}
model: {class_path: ConditionalGAN, init_args: {latent_size: 4, width: 4, shift: 0.2}}
last_checkpoint: {every_n_train_steps: 1}
trainer:
  accelerator: cpu
  devices: 1
  max_epochs: 3
  logger: false
  enable_progress_bar: false
  callbacks:
    - {class_path: EMA, init_args: {decay: 0.9, every_n_steps: 1}}
"""


def gan(**options: Any) -> ConditionalGAN:
    torch.manual_seed(1)
    defaults: dict[str, Any] = {"image_size": 8, "in_chans": 1, "latent_size": 4, "width": 4}
    return ConditionalGAN(10, **{**defaults, **options})


def data(**options: Any) -> ImageDataModule:
    defaults: dict[str, Any] = {"image_size": 8, "channels": 1, "augment": "none", "images_per_class": 6}
    return digits(**{**defaults, **options})


def train(folder: Path, *callbacks: pl.Callback, **options: Any) -> tuple[ConditionalGAN, pl.Trainer, str]:
    module = gan()
    options = {"enable_checkpointing": True, "max_epochs": 2, "default_root_dir": folder, **options}
    trainer, sha = fit(module, data(), *callbacks, **options)
    return module, trainer, sha


# The mathematics.


def test_the_losses_are_equations_16_and_17() -> None:
    of_real, of_made = torch.tensor([3.0, 1.0, 0.0, -1.0]), torch.tensor([-2.0, -1.0, 0.5])
    # min(0, -1 + D(x)): 0, 0, -1, -2; min(0, -1 - D(G(z))): 0, 0, -1.5; V is the sum of the means, to be raised.
    assert float(discriminator_loss(of_real, of_made)) == pytest.approx(3 / 4 + 1.5 / 3)
    assert float(generator_loss(of_made)) == pytest.approx(2.5 / 3)


def test_every_weight_of_the_discriminator_has_spectral_norm_1() -> None:
    torch.manual_seed(0)
    network = Discriminator(10, image_size=32, channels=3, width=8)
    for parameter in network.parameters():  # as after many steps: far from where the norms were first found
        parameter.data.mul_(7).add_(0.1)
    images, labels = torch.randn(4, 3, 32, 32), torch.arange(4)
    for _ in range(200):  # one step of the power iteration a call
        network(images, labels)
    network.eval()
    weights: list[Any] = [module.weight for module in network.modules() if hasattr(module, "parametrizations")]
    assert len(weights) == 6
    for weight in weights:
        largest = torch.linalg.svdvals(weight.detach().flatten(1))[0]
        assert float(largest) == pytest.approx(1, abs=2e-3)


def test_a_call_in_eval_mode_or_held_leaves_the_power_iteration_where_it_is() -> None:
    network = Discriminator(3, image_size=8, channels=1, width=2)
    images, labels = torch.randn(2, 1, 8, 8, requires_grad=True), torch.arange(2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with held(network):
        network(images, labels).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert images.grad is not None
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert network.training


def test_the_score_is_the_projection_of_equation_3() -> None:
    network = Discriminator(3, image_size=8, channels=1, width=2).eval()
    images, labels = torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 2, 2, 0])
    h = network.features(images).sum(dim=(2, 3)).detach()
    network.requires_grad_(False)
    of_class: Any = network.embedding.weight
    by_hand = [float(network.score(h[i]) + of_class[labels[i]] @ h[i]) for i in range(5)]
    assert network(images, labels).tolist() == pytest.approx(by_hand, abs=1e-5)


def test_each_loss_moves_its_own_network_alone() -> None:
    batch = next(iter(_setup(data()).train_dataloader()))
    gradients = []
    for part in ("generator", "discriminator"):
        module = gan()
        module.training_loss(batch, ("step", 0))[part].backward()  # type: ignore[no-untyped-call]
        other = module.discriminator if part == "generator" else module.generator
        assert all(p.grad is None for p in other.parameters())
        gradients.append({name: p.grad for name, p in getattr(module, part).named_parameters()})
        assert all(gradient is not None for gradient in gradients[-1].values())
    module = gan()
    module.training_loss(batch, ("step", 0))["loss"].backward()  # type: ignore[no-untyped-call]
    for part, found in zip(("generator", "discriminator"), gradients, strict=True):
        for name, parameter in getattr(module, part).named_parameters():
            torch.testing.assert_close(parameter.grad, found[name])


def _setup(module: ImageDataModule) -> ImageDataModule:
    module.setup("fit")
    return module


def test_shifted_moves_each_image_within_the_limit_and_a_limit_of_0_not_at_all() -> None:
    images = torch.zeros(400, 1, 7, 7)
    images[:, 0, 3, 3] = 1
    places = shifted(images, 2, generator_for("test"))[:, 0].nonzero()[:, 1:] - 3
    assert len(places) == 400
    assert {tuple(place) for place in places.tolist()} == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}
    assert shifted(images, 0, generator_for("test")) is images


def test_the_frechet_distance_is_that_of_equation_6() -> None:
    metric = FrechetDistance()
    images = torch.randint(0, 256, (2, 200, 1, 16, 16), dtype=torch.uint8, generator=generator_for("test"))
    images[1] //= 2
    features = []
    network = metric._network[0]
    for which, real in ((0, True), (1, False)):
        metric.update(images[which], real=real)
        large = torch.nn.functional.interpolate(images[which].float(), (32, 32), mode="bilinear").expand(-1, 3, -1, -1)
        features.append(network((large / 255 - 0.5) / 0.5).double().numpy())
    means, covariances = [f.mean(0) for f in features], [np.cov(f.T) for f in features]
    values, vectors = np.linalg.eigh(covariances[0])  # symmetric, so its root is of its eigenvalues
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    of_both = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(0)).sum()
    wanted = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1]) - 2 * of_both
    assert float(metric.compute()) == pytest.approx(wanted, rel=1e-3)
    assert not list(metric.parameters())
    assert not metric.state_dict()


# Among the others.


def test_in_half_precision_the_distance_is_that_of_whole_numbers(tmp_path: Path) -> None:
    """Lightning makes the metric's sums bf16 with all of the module, in which they cannot be had."""
    found = []
    for precision in ("32-true", "bf16-true"):
        module, trainer, _ = train(tmp_path / precision, max_epochs=1, precision=precision)
        assert module.val_frechet_distance is not None
        assert module.val_frechet_distance.real_features_sum.dtype == torch.float64
        found.append(float(trainer.callback_metrics["val_frechet_distance"]))
    assert found[1] == pytest.approx(found[0], rel=0.1)


def test_labels_may_be_a_list() -> None:
    module = gan()
    assert torch.equal(module.generate([0, 3], seed=1), module.generate(torch.tensor([0, 3]), seed=1))


def test_the_same_seed_makes_the_same_images_whatever_else_is_drawn() -> None:
    module, labels = gan(), torch.tensor([0, 3, 9])
    first = module.generate(labels, seed=5)
    torch.rand(3)
    assert torch.equal(first, module.generate(labels, seed=5))
    assert not torch.equal(first, module.generate(labels, seed=6))
    assert (first.dtype, tuple(first.shape)) == (torch.uint8, (3, 1, 8, 8))
    assert module.training
    assert module.generate(labels[:0], seed=5).shape == (0, 1, 8, 8)
    with pytest.raises(UserError, match="generate: labels are numbers from 0 to 9"):
        module.generate(torch.tensor([10]), seed=0)


@pytest.mark.parametrize("step", [1, 5, 7])
def test_a_run_that_goes_on_ends_at_the_same_weights(tmp_path: Path, step: int) -> None:
    def callbacks() -> list[pl.Callback]:
        clipping = lr.GradientClipping(scope="group", limit=0.1)
        return [lr.EMA(0.9, 1), clipping, lr.GradientNoise(), lr.MicroBatches(start=2, trial=False)]

    whole = train(tmp_path / "whole", *callbacks())[2]
    train(tmp_path / "cut", *callbacks(), lr.LastCheckpoint(), max_steps=step)
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    assert train(tmp_path / "on", *callbacks(), ckpt_path=last)[2] == whole


class Kill(pl.Callback):
    """Ends the process as nobody can prevent, in a recipe."""

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == 7:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_of_the_command_line_is_killed_and_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = RECIPE + "    - {class_path: tests.modules.test_gan.Kill}\n"
    (tmp_path / "small.yaml").write_text(killer)
    assert start(tmp_path).wait(240) == -signal.SIGKILL
    (tmp_path / "small.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIGHTNING_RECIPES_RUN_DIR", raising=False)
    assert main(["fit", "--config", "small.yaml", "--run_dir", "whole"]) == 0
    monkeypatch.delenv("LIGHTNING_RECIPES_RUN_DIR", raising=False)
    with pytest.warns(UserWarning, match="Kill: acts no more"):
        assert main(["fit", "--config", "small.yaml", "--run_dir", "run", "--ckpt_path", "last"]) == 0
    whole, killed = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("whole", "run"))
    assert whole["weights_sha256"] == killed["weights_sha256"]
    assert (whole["monitor"], whole["best_score"]) == ("val_frechet_distance", killed["best_score"])
    assert (tmp_path / "whole" / "figures" / "made_images.png").stat().st_size > 1000
    assert json.loads((tmp_path / "whole" / "symptoms.json").read_text()) == []
    assert "Made images" in (tmp_path / "whole" / "report.html").read_text()
    header = (tmp_path / "whole" / "metrics.csv").read_text().splitlines()[0]
    assert {"val_frechet_distance", "train_generator_loss", "train_discriminator_loss"} <= set(header.split(","))


def test_the_best_file_holds_the_averaged_generator_that_was_judged(tmp_path: Path) -> None:
    best = lr.BestCheckpoint()
    module, _, _ = train(tmp_path, lr.EMA(0.9, 1), best)
    assert best.best is not None
    again = lr.load(tmp_path / "checkpoints" / "best.ckpt")
    assert isinstance(again, ConditionalGAN)
    assert not again.training
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    found = trainer.validate(again, datamodule=data(), verbose=False)[0]["val_frechet_distance"]
    assert found == pytest.approx(best.best.metrics["val_frechet_distance"], rel=1e-6)
    if best.best.epoch == 1:  # the fit leaves the averages of its last epoch
        labels = torch.arange(10)
        assert torch.equal(again.generate(labels, 0), module.generate(labels, 0))


@pytest.mark.parametrize(
    ("callback", "said"),
    [
        (lr.LearningRateFinder(), "LearningRateFinder: needs one loss that all weights lower"),
        (lr.SAM(), "SAM: needs one loss that all weights lower"),
        (lr.GradientClipping(), "GradientClipping.scope: global takes two adversaries"),
        (lr.Mixing(), "leave Mixing"),
        (lr.StochasticDepth(), "StochasticDepth: needs a module with a backbone"),
        (lr.EMA(validate="both"), "EMA.validate: both: needs a module that gives class probabilities"),
        (Stages([Stage("one", epochs=1, train="head")]), "stage 'one', train: adversaries train together"),
        (Stages([Stage("small", epochs=1, image_size=16)]), "stage 'small', image_size: the generator makes one size"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_adversaries_cannot_be_trained_with_says_so(callback: pl.Callback, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        train(tmp_path, callback)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mean": [0.4], "std": [0.5]}, "data.mean and std: the generator makes values from -1 to 1"),
        ({"image_size": 16}, "data.image_size: 16 is not the size that is made, 8"),
    ],
)
def test_data_that_cannot_be_compared_with_what_is_made_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        fit(gan(), data(**options), max_epochs=1)


def test_the_trainers_own_clipping_is_by_value_or_refused() -> None:
    with pytest.raises(UserError, match=r"trainer\.gradient_clip_val: takes two adversaries for one network"):
        fit(gan(), data(), max_epochs=1, gradient_clip_val=1.0)
    fit(gan(), data(), max_epochs=1, gradient_clip_val=1.0, gradient_clip_algorithm="value")


@pytest.mark.parametrize(
    ("key", "value"), [("image_size", 28), ("image_size", None), ("in_chans", 4), ("latent_size", 0), ("width", 0)]
)
def test_a_bad_value_is_named(key: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"model\.{key}: "):
        gan(**{key: value})
    with pytest.raises(UserError, match=r"model\.shift: nan"):
        gan(shift=math.nan)


def test_stages_with_schedules_and_snapshots_work_on_it(tmp_path: Path) -> None:
    cycles = {"name": "warm_restarts", "cycle_epochs": 1, "cycle_mult": 1}
    plan = Stages([Stage("one", epochs=1), Stage("two", epochs=2, lr=1e-3, schedule=cycles)])
    train(tmp_path, plan, lr.SnapshotEnsemble(), lr.Lookahead(), max_epochs=-1)
    snapshots = sorted((tmp_path / "snapshots").glob("*.safetensors"))
    assert snapshots
    assert lr.load(snapshots[0]).generate(torch.tensor([1]), 0).shape == (1, 1, 8, 8)


def nearest_class(made: Tensor, real: Tensor, labels: Tensor, k: int = 3) -> Tensor:
    """Class of each made image by its k nearest real ones, pixel by pixel."""
    near = torch.cdist(made.flatten(1).float(), real.flatten(1).float()).topk(k, largest=False).indices
    return labels[near].mode(dim=1).values


def share_right(epochs: int) -> float:
    """Share of made digits that the nearest validation digits, which it has not seen, give the class asked for."""
    module = gan(latent_size=8, width=16, lr_decay=0.25)
    images = ImageDataModule("sklearn:digits", image_size=8, channels=1, augment="none", batch_size=16, num_workers=0)
    fit(module, images, lr.EMA(0.98, 1), max_epochs=epochs, limit_val_batches=0)
    source = images.opened.splits.val
    real = images.evaluation_images("val", range(len(source)), module.input_config)
    labels = torch.arange(10).repeat(20)
    made = module.generate(labels, seed=0) / 127.5 - 1
    found = nearest_class(made, real, torch.as_tensor(source.labels))
    return float((found == labels).float().mean())


def test_after_a_short_training_the_label_decides_what_is_made() -> None:
    assert share_right(6) > 0.5  # chance is 0.1


@pytest.mark.slow
def test_after_a_longer_one_nearly_always() -> None:
    assert share_right(25) > 0.8
