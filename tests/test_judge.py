"""What a run reports is what its file does: the judge, and the ways in which the two once parted."""

import copy
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from typing_extensions import override

import lightning_recipes as lr
from lightning_recipes import (
    EMA,
    BestCheckpoint,
    EarlyStopping,
    EnsembleClassifier,
    Stage,
    Stages,
)
from lightning_recipes.callbacks.gradcam import MisclassifiedGradCAM
from lightning_recipes.modules.tta import MultiViewClassifier
from tests.agreement import disagreements
from tests.judging import ALL, BAD_RATE, GOOD, HEAD, summary, train
from tests.small import QUIET, classifier, digits, fit


def test_early_stopping_on_another_metric_than_the_best_leaves_the_best_file_alone(tmp_path: Path) -> None:
    class Fall(pl.Callback):
        """A metric that is best in the first epoch, whatever the accuracy does."""

        @override
        def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            pl_module.log("val_other", float(trainer.current_epoch))

    module = train(tmp_path, [Stage("all", epochs=4, lr=3e-3)], Fall(), EarlyStopping("val_other", patience=9))
    assert summary(tmp_path)["best_epoch"] > 0
    assert not disagreements(tmp_path, digits(val_fraction=0.1))
    best = lr.load(tmp_path / "checkpoints" / "best.ckpt").state_dict()
    assert any(not torch.equal(value, best[name]) for name, value in module.state_dict().items())  # it went back


@pytest.mark.parametrize(
    ("sizes", "best_is_first"),
    [
        ((48, 32), True),
        ((48, None), False),
        *(
            pytest.param(sizes, first, marks=pytest.mark.slow)
            for sizes, first in (((32, 48), True), ((48, None), True), ((48, 32), False), ((32, 48), False))
        ),
    ],
)
def test_the_size_that_the_best_epoch_was_judged_at_travels_with_its_weights(
    sizes: tuple[int, int | None], best_is_first: bool, tmp_path: Path
) -> None:
    first, second = sizes
    rates = (0.01, BAD_RATE) if best_is_first else (0.0, 0.01)
    stages = [
        Stage("first", epochs=1, train="head", lr=rates[0], image_size=first),
        Stage("second", epochs=1, train="all" if best_is_first else "head", lr=rates[1], image_size=second),
    ]
    train(tmp_path, stages)
    assert summary(tmp_path)["best_epoch"] == (0 if best_is_first else 1)
    model = lr.load(tmp_path / "checkpoints" / "best.ckpt")
    assert model.judged_input is not None
    assert model.judged_input.image_size == (first if best_is_first else second or 32)
    assert not disagreements(tmp_path, digits(val_fraction=0.1))
    assert not disagreements(tmp_path, digits(val_fraction=0.1, image_size=40))  # the file knows better


@pytest.mark.slow
def test_a_best_epoch_of_all_layers_before_a_stage_of_cached_features_is_judged_on_images(tmp_path: Path) -> None:
    ruin = Stage("ruin", epochs=1, lr=BAD_RATE)
    again = Stage("again", epochs=1, train="head", lr=0.01, cache_features=True)
    train(tmp_path, [Stage("all", epochs=2, lr=3e-3), ruin, again], MisclassifiedGradCAM(images=4))
    assert summary(tmp_path)["best_epoch"] < 2
    assert not disagreements(tmp_path, digits(val_fraction=0.1))


@pytest.mark.parametrize(
    ("validate", "cached"),
    [
        ("average", True),
        ("both", False),
        ("raw", True),
        *(pytest.param(*both, marks=pytest.mark.slow) for both in (("average", False), ("both", True), ("raw", False))),
    ],
)
def test_layers_that_freeze_are_one_averaged_and_trained(validate: Any, cached: bool, tmp_path: Path) -> None:
    again = Stage("again", epochs=2, train="head", lr=0.02, cache_features=cached, augment="none")
    seen: list[bool] = []

    class Look(pl.Callback):
        @override
        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
            assert isinstance(pl_module, lr.ImageClassifier)
            averaged = pl_module.additions.averaged
            if averaged is not None and trainer.current_epoch > 0:
                own = pl_module.state_dict()
                parts = [name for name in averaged.tensors if name.startswith("backbone.")]
                seen.append(all(torch.equal(own[name], averaged.tensors[name]) for name in parts))

    ema = EMA(0.9, 1, validate)
    train(tmp_path, [Stage("all", epochs=1, lr=0.02), again], ema, Look())
    assert all(seen)
    assert bool(seen) == (validate != "raw")
    assert not disagreements(tmp_path, digits(val_fraction=0.1))


def test_features_of_a_backbone_that_froze_with_an_average_are_those_of_its_images(tmp_path: Path) -> None:
    shas = []
    for cached in (True, False):
        again = Stage("again", epochs=1, train="head", lr=0.02, cache_features=cached)
        stages = [Stage("all", epochs=1, lr=0.02, augment="none"), again]
        module = classifier(**GOOD)
        _, sha = fit(module, digits(augment="none"), Stages(stages), EMA(0.9, 1), max_epochs=-1)
        shas.append(sha)
    assert shas[0] == shas[1]


@pytest.mark.slow
def test_checkpoints_of_the_users_own_change_nothing_of_what_is_best(tmp_path: Path) -> None:
    for name, more in (
        ("without", []),
        ("with", [ModelCheckpoint(save_top_k=-1), ModelCheckpoint(monitor="val_loss")]),
    ):
        train(tmp_path / name, [HEAD, Stage("ruin", epochs=1, lr=BAD_RATE)], *more)
        assert not disagreements(tmp_path / name, digits(val_fraction=0.1))
    without, with_them = (summary(tmp_path / name) for name in ("without", "with"))
    assert [without[k] for k in ("best_epoch", "val_loss")] == [with_them[k] for k in ("best_epoch", "val_loss")]
    assert without["best_epoch"] == 0


class OwnForward(lr.ImageClassifier):
    @override
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.flip(-1))


class OwnTransfer(lr.ImageClassifier):
    @override
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch


@pytest.mark.parametrize(("kind", "name"), [(OwnForward, "forward"), (OwnTransfer, "on_after_batch_transfer")])
def test_features_that_would_go_past_a_method_of_ones_own_are_refused(kind: Any, name: str) -> None:
    model = kind("test_resnet", 10, **GOOD)
    cached = Stage("head", epochs=1, train="head", cache_features=True)
    with pytest.raises(lr.UserError, match=rf"stage 'head', cache_features: {kind.__name__} has its own {name}"):
        fit(model, digits(), Stages([cached]), max_epochs=-1)


def test_a_forward_of_ones_own_is_what_the_file_does(tmp_path: Path) -> None:
    train(tmp_path, [HEAD, ALL], model=OwnForward("test_resnet", 10, **GOOD))
    assert not disagreements(tmp_path, digits(val_fraction=0.1))


@pytest.mark.slow
def test_a_run_that_goes_on_knows_its_best_epoch_by_the_folder_and_not_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, ruin = Stage("good", epochs=2, train="head", lr=0.01), Stage("ruin", epochs=1, lr=BAD_RATE)
    monkeypatch.chdir(tmp_path)
    train(Path("whole"), [good, ruin])
    train(Path("first"), [good, ruin], max_epochs=2)
    assert summary(tmp_path / "first")["stopped_by"] == "max_epochs"
    shutil.copytree("first", "spelt")
    shutil.copytree("first", Path("elsewhere") / "moved")
    for folder in (tmp_path / "spelt", Path("elsewhere") / "moved"):
        train(folder, [good, ruin], ckpt_path=folder / "checkpoints" / "last.ckpt")
        whole, again = summary(Path("whole")), summary(folder)
        assert [again[k] for k in ("best_epoch", "val_loss")] == [whole[k] for k in ("best_epoch", "val_loss")]
        assert again["best_epoch"] < 2
        assert not disagreements(folder, digits(val_fraction=0.1))


@pytest.mark.slow
def test_a_fork_reports_its_own_epochs_and_names_files_that_are_there(tmp_path: Path) -> None:
    good, ruin = Stage("good", epochs=2, train="head", lr=0.01), Stage("ruin", epochs=1, lr=BAD_RATE)
    train(tmp_path / "old", [good, ruin], max_epochs=2)
    train(tmp_path / "new", [good, ruin], ckpt_path=tmp_path / "old" / "checkpoints" / "last.ckpt")
    assert summary(tmp_path / "new")["best_epoch"] == 2  # the only one that this folder has
    assert (tmp_path / "new" / summary(tmp_path / "new")["val_predictions"]).is_file()
    assert not disagreements(tmp_path / "new", digits(val_fraction=0.1))


def test_class_weights_give_one_loss_whatever_the_batch_is() -> None:
    weights = [1.0, 50.0, 1.0, 0.1, 1.0, 7.0, 1.0, 1.0, 1.0, 1.0]
    model = classifier(**GOOD, loss={"name": "cross_entropy", "class_weights": weights})
    data = digits(val_fraction=0.1)
    fit(model, data, Stages([HEAD]), max_epochs=-1)
    losses = []
    for size in (128, 37, 10, 1):
        again = digits(val_fraction=0.1, eval_batch_size=size)
        losses.append(pl.Trainer(**QUIET).validate(model, datamodule=again, verbose=False)[0]["val_loss"])
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-5)
    source = data.opened.splits.val
    logits = torch.stack(
        [torch.from_numpy(p.probabilities).log() for p in model.predict([*map(source.read, range(len(source)))])]
    )
    by_hand = torch.nn.functional.cross_entropy(logits, torch.tensor(source.labels), weight=torch.tensor(weights))
    assert losses[0] == pytest.approx(float(by_hand), rel=1e-3)


@pytest.mark.parametrize(
    ("options", "word"), [({"max_epochs": 2}, "max_epochs"), ({"max_steps": 5}, "max_steps"), ({}, None)]
)
def test_a_run_says_what_it_trained_and_what_ended_it(
    options: dict[str, Any], word: str | None, tmp_path: Path
) -> None:
    train(tmp_path, [HEAD, ALL], **options)
    found = summary(tmp_path)
    assert (found["finished"], found["stopped_by"]) == (word is None, word)
    assert sum(stage["epochs"] for stage in found["stages"]) == found["epochs"]
    assert [stage["planned_epochs"] for stage in found["stages"]] == [1, 2]


def test_a_metric_that_the_validation_does_not_log_is_refused_at_the_first() -> None:
    with pytest.raises(
        lr.UserError, match=r"best_checkpoint\.monitor: 'val_acc' is not logged by the validation; there"
    ):
        fit(classifier(), digits(), BestCheckpoint("val_acc"), max_epochs=1, enable_checkpointing=True)


def test_a_figure_that_differs_from_the_epochs_own_is_said(tmp_path: Path) -> None:
    class Cheat(pl.Callback):
        """Judges other weights than the module has."""

        @override
        def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.kept = {name: tensor.clone() for name, tensor in pl_module.state_dict().items()}
            for name, tensor in pl_module.state_dict().items():
                if name.startswith("head."):
                    tensor.zero_()

        @override
        def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            pl_module.load_state_dict(self.kept)

    with pytest.warns(
        UserWarning, match=r"best\.ckpt has a val_accuracy of .* on the validation images, the validation of epoch"
    ):
        train(tmp_path, [Stage("head", epochs=2, train="head", lr=0.02)], Cheat())


def test_an_ensembles_loss_with_class_weights_is_that_of_its_members_whatever_the_batch_is() -> None:
    weights = [1.0, 50.0, 1.0, 0.1, 1.0, 7.0, 1.0, 1.0, 1.0, 1.0]
    model = classifier(loss={"name": "cross_entropy", "class_weights": weights}).eval()
    torch.nn.init.normal_(model.head.weight)  # type: ignore[arg-type]

    def loss(module: pl.LightningModule, size: int) -> float:
        data = digits(val_fraction=0.1, eval_batch_size=size)
        return float(pl.Trainer(**QUIET).validate(module, datamodule=data, verbose=False)[0]["val_loss"])

    one = loss(model, 128)
    twice = EnsembleClassifier([copy.deepcopy(model), copy.deepcopy(model)])
    views = MultiViewClassifier(copy.deepcopy(model), "crops")
    views.views = []  # the image itself alone
    for size in (37, 1):
        assert loss(twice, size) == pytest.approx(one, rel=1e-4)
        assert loss(views, size) == pytest.approx(one, rel=1e-4)
