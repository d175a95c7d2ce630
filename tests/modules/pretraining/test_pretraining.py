"""A backbone learns without labels: what it sees, what judges it, what becomes of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from typing_extensions import override

import lightning_recipes as lr
from lightning_recipes.callbacks.training_doctor import TrainingDoctor
from lightning_recipes.comparison.compare import compare
from lightning_recipes.data.loading.train_sampler import Key
from lightning_recipes.errors import UserError
from lightning_recipes.evaluation.probes import linear_probe, nearest_classes
from lightning_recipes.modules.load import load_classifier
from lightning_recipes.modules.pretraining.simclr import SimCLR
from tests.agreement import disagreements
from tests.modules.pretraining.pretrained import METHODS, images, module, pretrain
from tests.small import digits


def test_all_training_images_are_learned_from_and_the_labels_of_a_few_are_known() -> None:
    data, fitted = images(), digits()
    assert sorted(data.opened.splits.train.paths) == sorted(fitted.opened.splits.train.paths)  # as a fit draws them
    assert len(data.train_source) == 1797 - len(data.opened.splits.val)
    known = np.asarray(data.train_source.labels) >= 0
    names = np.asarray(data.train_source.paths)
    assert set(names[known]) == set(fitted.opened.splits.train.paths)
    assert not set(names) & set(data.opened.splits.val.paths)
    assert sum(data.class_counts) == known.sum() == 40


def test_the_first_view_is_the_one_a_fit_would_see_and_each_has_a_key_of_its_own() -> None:
    pl.seed_everything(1, verbose=False)
    data = images(images_per_class=None, augment="light")
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    plain = digits(images_per_class=None, augment="light", batch_size=32)
    plain.setup("fit")
    alone = next(iter(plain.train_dataloader()))
    assert batch.images.shape == (32, 2, 3, 32, 32)
    assert torch.equal(batch.images[:, 0], alone.images)
    assert torch.equal(batch.indices, alone.indices)
    assert not torch.equal(batch.images[:, 0], batch.images[:, 1])


@pytest.mark.parametrize("cache", [None, "device"])
def test_views_do_not_depend_on_workers_nor_on_where_the_epoch_is_gone_on(cache: str | None) -> None:
    pl.seed_everything(1, verbose=False)
    data = images(cache=cache)
    data.setup("fit")
    views: Any = data.train_dataloader().dataset
    keys = [Key(3, index) for index in (5, 9, 700)]
    together = views.__getitems__(keys).images
    assert torch.equal(together[1:2], views.__getitems__(keys[1:2]).images)
    assert not torch.equal(together, views.__getitems__([key._replace(epoch=4) for key in keys]).images)
    if cache is None:
        workers = images(num_workers=2)
        workers.setup("fit")
        assert torch.equal(next(iter(workers.train_dataloader())).images, next(iter(data.train_dataloader())).images)
        workers.teardown("fit")


def test_the_probe_is_a_logistic_regression_and_the_neighbours_are_scikit_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(4, 6, generator=generator)
    labels = torch.arange(80) % 4
    features = centres[labels] + torch.randn(80, 6, generator=generator) * torch.tensor([1, 5, 1, 1, 0.1, 1.0])
    asked = centres[labels[:40]] + torch.randn(40, 6, generator=generator)
    weight, bias = linear_probe(features, labels, 5)
    said = (asked @ weight.T + bias).argmax(dim=1)
    mean, std = features.mean(0), features.std(0, unbiased=False)
    known = [
        LogisticRegression(C=c, max_iter=1000).fit((features - mean) / std, labels).predict((asked - mean) / std)
        for c in 10.0 ** np.arange(-4, 1)
    ]
    assert any((said.numpy() == one).all() for one in known)
    assert (said != 4).all()  # of which there was no image
    nearest = nearest_classes(features, labels, asked, neighbours=1, num_classes=5)
    truth = KNeighborsClassifier(1, metric="cosine").fit(features, labels).predict(asked)
    assert (nearest.numpy() == truth).all()


def test_two_classes_are_told_apart_too() -> None:
    features = torch.tensor([[0.0], [1.0], [4.0], [5.0]])
    weight, bias = linear_probe(features, torch.tensor([0, 0, 1, 1]), 2)
    assert (features @ weight.T + bias).argmax(dim=1).tolist() == [0, 0, 1, 1]


def test_what_is_reported_is_what_the_file_does_and_a_fit_goes_on_from_it(tmp_path: Path) -> None:
    recorder = lr.RunRecorder(tmp_path, gradcam=lr.MisclassifiedGradCAM(images=0))
    trainer = pretrain(module(), images(), tmp_path, recorder, logger=False)
    assert disagreements(tmp_path, images()) == []
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["val_accuracy"] > 0.3
    assert summary["val_accuracy_ci95"][0] < summary["val_accuracy"]
    assert summary["train_images"] == len(images().train_source)
    figures = {file.stem for file in (tmp_path / "figures").glob("*.png")}
    assert {"embedding_map", "neighbours", "views"} <= figures
    assert "What it has learned to see" in (tmp_path / "report.html").read_text()
    best = tmp_path / "checkpoints" / "best.ckpt"
    loaded: Any = lr.load(best)
    assert type(loaded).__name__ == "ImageClassifier"  # needs none of the method's layers
    finetuned: Any = lr.ImageClassifier("test_resnet", 10, pretrained=str(best), class_names=loaded.class_names)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(finetuned.eval().features(x), loaded.features(x))
    assert torch.equal(finetuned.head.weight, loaded.head.weight)  # the probe, of the same classes
    source = images().opened.splits.val
    shown = [source.read(index) for index in range(3)]
    with torch.inference_mode():
        said = loaded.classify(loaded.embed(shown)).softmax(dim=1)
    assert torch.allclose(said[0], torch.from_numpy(loaded.predict(shown)[0].probabilities))
    assert trainer.callback_metrics["val_knn_accuracy"] > 0.2


def folder_of_pictures(folder: Path, count: int = 60) -> Path:
    source = digits(images_per_class=None).opened.splits.train
    for index in range(count):
        path = folder / f"{index % 3}" / "deep" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(source.read(index)).resize((32, 32)).save(path)
    return folder


def test_a_folder_without_labels_is_enough(tmp_path: Path) -> None:
    root = folder_of_pictures(tmp_path / "pictures")
    data = images(root=None, unlabelled=str(root), images_per_class=None, batch_size=8, val_fraction=0.2)
    network = module(num_classes=data.num_classes, class_names=data.classes)
    run = tmp_path / "run"
    pretrain(network, data, run, lr.RunRecorder(run))
    summary = json.loads((run / "summary.json").read_text())
    assert summary["monitor"] == "val_pretext_loss"
    assert "val_accuracy" not in summary
    assert summary["train_images"] == 48
    assert {"embedding_map", "neighbours"} <= {file.stem for file in (run / "figures").glob("*.png")}
    best = run / "checkpoints" / "best.ckpt"
    loaded: Any = lr.load(best)
    finetuned: Any = lr.ImageClassifier("test_resnet", 10, pretrained=str(best))
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(finetuned.eval().features(x), loaded.features(x))
    assert summary["val_images"] == 12
    assert "48 training and 12 validation images" in (run / "report.html").read_text()
    with pytest.raises(UserError, match="learned without labels, and no class is known; embed gives features"):
        loaded.predict(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(UserError, match=r"ckpt_path: .*best.ckpt' learned without labels and gives features alone"):
        load_classifier(best)
    with pytest.raises(UserError, match=r"run: its model tells no classes apart"):
        compare([str(run), str(other_run(run))])


def other_run(run: Path) -> Path:
    """A run beside one, of other weights."""
    other = run.parent / "other"
    shutil.copytree(run, other)
    summary = json.loads((other / "summary.json").read_text())
    (other / "summary.json").write_text(json.dumps({**summary, "weights_sha256": "0"}))
    return other


def test_copies_of_held_out_pictures_are_left_out(tmp_path: Path) -> None:
    root = folder_of_pictures(tmp_path / "pictures", 20)
    for path in sorted(root.rglob("*.png")):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    data = images(root=None, unlabelled=str(root), images_per_class=None, batch_size=4, val_fraction=0.2)
    with pytest.warns(
        UserWarning, match=r"data.unlabelled: \d+ of 40 pictures are the same as held-out ones, and left"
    ):
        splits = data.opened.splits
    learned = {splits.train.read(index).tobytes() for index in range(len(splits.train))}
    held_out = {splits.val.read(index).tobytes() for index in range(len(splits.val))}
    assert learned
    assert not learned & held_out
    alone = images(root=None, unlabelled=str(next(iter(sorted(root.rglob("*.png"))))), images_per_class=None)
    with pytest.raises(UserError, match=r"^data\.unlabelled: one picture leaves none to hold out; give more$"):
        _ = alone.opened


@pytest.mark.parametrize("method", ["simclr", "barlow_twins", "siamese"])
def test_a_last_validation_image_by_itself_does_not_count(method: str, tmp_path: Path) -> None:
    """Its loss would be 0, or an error, as there is nothing that it could be compared with."""
    found = []
    for size in (35, 36):  # of 36 images: one of the last batch, and none
        data, trainer = (
            images(eval_batch_size=size, cache="device"),
            pl.Trainer(logger=False, enable_progress_bar=False),
        )
        network = module(method)
        trainer.validate(network, datamodule=data, verbose=False)
        found.append(float(trainer.callback_metrics["val_pretext_loss"]))
    assert all(map(np.isfinite, found))
    assert found[0] == pytest.approx(found[1], rel=0.05)


def test_a_step_of_one_image_is_refused_where_images_are_compared(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.batch_size: SimCLR compares the images of a batch, .*give 2 or more$"):
        pretrain(module(), images(batch_size=1), tmp_path)


def test_a_validation_of_one_image_at_a_time_is_refused_there_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.eval_batch_size: SimCLR compares the images of a batch; give 2 "):
        pretrain(module(), images(eval_batch_size=1), tmp_path)


def test_pictures_without_labels_come_beside_labelled_ones(tmp_path: Path) -> None:
    data = images(unlabelled=str(folder_of_pictures(tmp_path, 20)))
    assert len(data.train_source) == len(images().train_source) + 20
    assert (np.asarray(data.train_source.labels)[-20:] == -1).all()
    assert np.array_equal(data.train_source.read(len(data.train_source) - 1).shape, (32, 32, 3))


def test_a_validation_image_among_the_unlabelled_is_left_out(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for split, first, last in (("train", 0, 40), ("val", 40, 60)):
        folder_of_pictures(root / split, 60)
        for path in (root / split).rglob("*.png"):
            if not first <= int(path.stem) < last:
                path.unlink()
    beside = folder_of_pictures(tmp_path / "beside" / "more", 70)
    data = images(root=str(root), unlabelled=[str(root), str(beside)], images_per_class=None, val_fraction=0.2)
    with pytest.warns(UserWarning, match=r"data.unlabelled: 40 of 130 pictures are validation or test images"):
        source = data.train_source
    learned = [source.read(index).tobytes() for index in range(len(source))]
    judged = {data.opened.splits.val.read(index).tobytes() for index in range(20)}
    assert len(judged) > 1
    assert not judged & set(learned)


class NoNegatives(SimCLR):
    """SimCLR that only draws views together: all embeddings are soon one, where no norm layer keeps them apart."""

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.projection = torch.nn.Linear(num_features, 32)

    @override
    def loss(self, encoder: Any, images: Tensor, labels: Tensor, key: Any) -> tuple[Tensor, Tensor]:
        z = torch.nn.functional.normalize(self.projection(encoder.features(images.flatten(0, 1))), dim=1)
        return (z[::2] - z[1::2]).square().sum(dim=1).mean(), z


COLLAPSING = [
    {"name": "simsiam", "stop_gradient": False, "hidden": 64, "width": 32, "bottleneck": 16},
    f"{NoNegatives.__module__}.NoNegatives",
]


@pytest.mark.parametrize("method", COLLAPSING)
def test_embeddings_that_have_fallen_into_one_are_named(method: Any, tmp_path: Path) -> None:
    network = module(method, lr=0.1, optimizer={"name": "sgd", "momentum": 0.9}, schedule="constant")
    pretrain(network, images(), tmp_path, TrainingDoctor(), epochs=6, limit_train_batches=20)
    said = {one["name"] for one in json.loads((tmp_path / "symptoms.json").read_text())}
    assert "collapsed" in said


@pytest.mark.parametrize("method", METHODS)
def test_embeddings_of_a_method_as_it_is_are_not(method: str, tmp_path: Path) -> None:
    pretrain(module(method, lr=2e-3), images(), tmp_path, TrainingDoctor(), epochs=2, limit_train_batches=10)
    said = {one["name"] for one in json.loads((tmp_path / "symptoms.json").read_text())}
    assert "collapsed" not in said


@pytest.mark.parametrize("size", [40, 65])
def test_a_size_that_is_no_multiple_of_the_stride_is_told_too(size: int, tmp_path: Path) -> None:
    network: Any = module("denoising", image_size=size)
    assert network.method.stride == 32  # test_resnet's: a place tells the pixels that it lies over
    smaller = lr.Stages([lr.Stage("smaller", epochs=1, image_size=32), lr.Stage("whole", epochs=1)])
    trainer = pretrain(network, images(image_size=size), tmp_path, smaller, epochs=-1)
    assert trainer.callback_metrics["val_pretext_loss"].isfinite()


def test_a_run_that_diverges_is_whole_and_says_so(tmp_path: Path) -> None:
    root = folder_of_pictures(tmp_path / "pictures")
    data = images(root=None, unlabelled=str(root), images_per_class=None, batch_size=16, val_fraction=0.2)
    options = {"num_classes": data.num_classes, "class_names": data.classes, "schedule": "constant"}
    network = module("denoising", lr=1e20, optimizer="sgd", **options)
    run = tmp_path / "run"
    pretrain(network, data, run, lr.RunRecorder(run), epochs=3)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["epochs"] == 3
    assert summary["diverged_at_epoch"] == 0


def test_the_diagnosis_of_a_run_that_labels_judge_and_the_summary_name_the_same_epoch(tmp_path: Path) -> None:
    """Validated in the second epoch alone."""
    network = module("denoising", lr=1e20, optimizer="sgd", schedule="constant")
    recorder = lr.RunRecorder(tmp_path, gradcam=lr.MisclassifiedGradCAM(images=0))
    pretrain(network, images(), tmp_path, recorder, epochs=2, check_val_every_n_epoch=2)
    assert json.loads((tmp_path / "summary.json").read_text())["diverged_at_epoch"] == 0
    assert "the loss was not finite from epoch 0 on" in (tmp_path / "report.html").read_text()


def test_the_finder_reads_a_rate_off_a_loss_below_zero(tmp_path: Path) -> None:
    """SimSiam's, which begins at about 0; of 36 held-out images in batches of 35, one would be by itself."""
    finder = lr.LearningRateFinder(steps=40, orders=2, min_lr=1e-4, max_lr=1.0, smoothing=0.5, apply=False)
    network = module("simsiam", schedule="constant")
    pretrain(network, images(eval_batch_size=35), tmp_path, finder, epochs=1)
    (found,) = json.loads((tmp_path / "lr_finder.json").read_text()).values()
    assert found["problem"] is None
    assert [len(curve) for curve in found["losses"]] == [40, 40]
    assert min(found["losses"][0]) < -0.1
    assert {"steep", "minimum"} <= found["suggestions"].keys()


def test_what_would_judge_other_weights_than_the_probes_is_refused(tmp_path: Path) -> None:
    plan = lr.Stages([lr.Stage("all", epochs=2, schedule={"name": "warm_restarts", "cycle_epochs": 1})])
    with pytest.raises(UserError, match=r"^SnapshotEnsemble: would judge weights that the head of a PretrainingModule"):
        pretrain(module(), images(), tmp_path, plan, lr.SnapshotEnsemble(), epochs=-1)
    with pytest.raises(
        UserError, match=r"^EMA.validate: both: would judge weights that the head of a PretrainingModule"
    ):
        pretrain(module(), images(), tmp_path, lr.EMA(validate="both"))


@pytest.mark.parametrize("mask", [0.0, 0.5])
def test_tokens_tell_their_own_patches(mask: float, tmp_path: Path) -> None:
    network = module({"name": "denoising", "noise": 0.3, "mask": mask}, backbone="test_vit", image_size=48)
    assert network.feature_map(torch.randn(2, 3, 48, 48)).shape[2:] == (3, 3)
    trainer = pretrain(network, images(image_size=48, augment="light"), tmp_path, epochs=1)
    assert trainer.callback_metrics["val_pretext_loss"].isfinite()


def test_what_would_compare_parts_of_a_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="MicroBatches would compare the images of each part alone"):
        pretrain(module(), images(), tmp_path, lr.MicroBatches(start=2, trial=False))
    pretrain(module("denoising"), images(), tmp_path, lr.MicroBatches(start=2, trial=False), epochs=1)
    with pytest.raises(UserError, match="would change what is compared; leave Mixing out"):
        pretrain(module(), images(), tmp_path, lr.Mixing())


def test_what_cannot_be_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.augment: none makes all views of an image the same"):
        pretrain(module(), images(augment="none"), tmp_path)
    with pytest.raises(UserError, match=r"data.unlabelled: not given, nor data.root"):
        lr.PretrainingDataModule()
    with pytest.raises(UserError, match=r"data.balance: classes are not to be known here"):
        images(balance=True)
    with pytest.raises(UserError, match=r"data.images_per_class: there are no labels without data.root"):
        images(root=None, unlabelled="pictures")
    with pytest.raises(UserError, match=r"data.root: .*; pictures without labels are named in data.unlabelled$"):
        _ = images(root=str(folder_of_pictures(tmp_path / "flat") / "a"), images_per_class=None).opened
    with pytest.raises(UserError, match=r"data.image_size: the backbone cannot take images of 24 px"):
        module("denoising", backbone="test_vit", image_size=24)
    with pytest.raises(UserError, match=r"data.unlabelled: 'nowhere' does not exist"):
        _ = images(unlabelled="nowhere").train_source
    plan = lr.Stages([lr.Stage("head", epochs=1, train="head", cache_features=True)])
    with pytest.raises(UserError, match="cache_features: the backbone is what learns here"):
        pretrain(module(), images(), tmp_path, plan)
