"""Made pictures that are trained on beside the real ones: how often they come, and that nothing is judged on them."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from PIL import Image
from typing_extensions import override

from lightning_recipes.__main__ import main
from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.data.batch import Batch
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.loading.extra_draw import draw_extra
from lightning_recipes.data.loading.train_sampler import EpochSampler, Key
from lightning_recipes.data.pretraining import PretrainingDataModule
from lightning_recipes.data.sources.digits import open_digits
from lightning_recipes.data.sources.write_shards import write_shards
from lightning_recipes.errors import UserError
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.stages.plan import Stage
from tests.pictures import picture, stored
from tests.small import SMALL, UNREPORTED, KeepEvery, classifier, digits, fit

REAL, EXTRA = [0] * 20 + [1] * 13, [0] * 4 + [1] * 6


def sampler(weight: float, *, batch_size: int = 1, **options: Any) -> EpochSampler:
    return EpochSampler(np.array(REAL + EXTRA), batch_size, extra=len(EXTRA), weight=weight, **options)


def keys(epoch: int, weight: float, **options: Any) -> list[Key]:
    drawn = sampler(weight, **options)
    drawn.set_epoch(epoch)
    return list(drawn)


def coloured(path: Path, red: int, green: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), (red, green, 100)).save(path)


def real_and_made(folder: Path, real: int = 10, made: int = 4) -> tuple[str, str]:
    """Red pictures of ants and bees that are real, and green ones that are made; no two of a kind are alike."""
    for label, name in enumerate(("ants", "bees")):
        for number in range(real):
            coloured(folder / "real" / name / f"{number}.png", 100 + 50 * label + number, 0)
        for number in range(made):
            coloured(folder / "made" / name / f"{number}.png", 0, 100 + 50 * label + number)
    return str(folder / "real"), str(folder / "made")


def opened(root: str, extra: Any, **options: Any) -> ImageDataModule:
    defaults = {"image_size": 16, "batch_size": 4, "num_workers": 0, "augment": "none"}
    return ImageDataModule(root, extra=extra, **{**defaults, **options})


# How often each comes.


def test_at_weight_one_every_picture_comes_once() -> None:
    assert sorted(key.index for key in keys(0, 1.0)) == list(range(43))


def test_at_half_the_weight_half_of_each_class_comes_once_and_others_in_another_epoch() -> None:
    drawn = [[key.index for key in keys(epoch, 0.5) if key.index >= 33] for epoch in range(30)]
    assert all(Counter(EXTRA[index - 33] for index in some) == {0: 2, 1: 3} for some in drawn)
    assert all(len(set(some)) == 5 for some in drawn)
    assert len({tuple(sorted(some)) for some in drawn}) > 10
    counts = Counter(index for some in drawn for index in some)
    assert set(counts) == set(range(33, 43))
    assert min(counts.values()) >= 5  # 15 are expected of each; fewer than 5 in 30 has a probability below 0.001


def test_at_weight_two_every_picture_comes_twice_with_keys_of_its_own() -> None:
    drawn = [key for key in keys(3, 2.0) if key.index >= 33]
    assert Counter(key.index for key in drawn) == dict.fromkeys(range(33, 43), 2)
    assert len(set(drawn)) == 20
    assert {key.repeat for key in drawn} == {0, 1}
    assert [key for key in keys(3, 2.0) if key.index < 33 and key.repeat] == []


def test_at_two_and_a_half_some_come_a_third_time() -> None:
    drawn = Counter(key.index for key in keys(0, 2.5) if key.index >= 33)
    assert Counter(drawn[index] for index in range(33, 37)) == {2: 2, 3: 2}
    assert Counter(drawn[index] for index in range(37, 43)) == {2: 3, 3: 3}


def test_a_class_of_one_picture_comes_at_the_smallest_weight() -> None:
    assert sorted(draw_extra([0] * 100 + [1], 0.01).tolist()) == [0, 100]


def test_of_several_labels_the_share_is_of_all_pictures() -> None:
    labels = np.array([[1, 0], [1, 1], [0, 1], [0, 0]], np.uint8)
    assert len(draw_extra(labels, 0.5, torch.Generator())) == 2


def test_an_epoch_without_extra_pictures_is_drawn_as_ever() -> None:
    plain = EpochSampler(REAL, 1)
    order = torch.randperm(33, generator=_generator(0)).tolist()
    assert list(plain) == [Key(0, index) for index in order]


def _generator(epoch: int) -> torch.Generator:
    from lightning_recipes.randomness import generator_for

    return generator_for("order", epoch)


@pytest.mark.parametrize("weight", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("balance", [False, True, "batches"])
def test_two_ranks_cover_what_one_does_and_going_on_gives_the_rest(weight: float, balance: Any) -> None:
    for epoch in range(3):
        whole = keys(epoch, weight, batch_size=4, balance=balance)
        parts = [keys(epoch, weight, batch_size=2, balance=balance, num_replicas=2, rank=rank) for rank in (0, 1)]
        assert len(parts[0]) == len(parts[1])
        assert sorted(parts[0] + parts[1]) == sorted(whole)
        rest = sampler(weight, batch_size=4, balance=balance)
        rest.set_epoch(epoch)
        rest.skip_batches = 3
        assert list(rest) == whole[12:]


@pytest.mark.parametrize(("weight", "size"), [(0.5, 22), (1.0, 24), (2.0, 28)])
def test_balance_counts_extra_pictures_among_those_of_their_class(weight: float, size: int) -> None:
    for epoch in range(5):  # all of one length, or a stage's steps would not be those that were planned
        drawn = keys(epoch, weight, balance=True)
        assert Counter((REAL + EXTRA)[key.index] for key in drawn) == {0: size, 1: size}
        assert set(range(33)) <= {key.index for key in drawn}


# Where they come, and where never.


def test_validation_and_test_are_those_of_the_real_images(tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    plain, joined = opened(root, None), opened(root, made)
    assert list(joined.opened.splits.val.paths) == list(plain.opened.splits.val.paths)
    assert joined.opened.splits.test is None
    train = joined.opened.splits.train
    assert list(train.paths)[:16] == list(plain.opened.splits.train.paths)
    assert list(train.paths)[16:] == [f"{made}/{name}/{n}.png" for name in ("ants", "bees") for n in range(4)]
    assert train.read(16)[0, 0].tolist() == [0, 100, 100]
    assert list(train.labels[16:]) == [0] * 4 + [1] * 4


@pytest.mark.parametrize("options", [{"images_per_class": 3}, {"folds": 5, "fold": 1}, {"val_fraction": 0.5}])
def test_draws_and_folds_are_of_the_real_images_alone(options: dict[str, Any], tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    plain, joined = opened(root, None, **options), opened(root, made, **options)
    assert list(joined.opened.splits.val.paths) == list(plain.opened.splits.val.paths)
    assert len(joined.opened.splits.train) == len(plain.opened.splits.train) + 8
    assert joined.extra_images == 8


@pytest.mark.parametrize("cache", [None, "decoded", "device"])
def test_what_is_trained_on_is_the_pictures_themselves_under_their_labels(cache: Any, tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    data = opened(root, {"root": made, "weight": 2.0}, cache=cache, mean=[0.0] * 3, std=[1.0] * 3)
    seen = [row for batch in data.train_dataloader() for row in zip(*batch, strict=True)]
    assert len(seen) == 16 + 2 * 8
    for image, label, index in seen:
        red, green, _ = (255 * image.mean(dim=(1, 2))).round().int().tolist()
        assert (green > 0) == (index >= 16)
        assert (max(red, green) >= 150) == bool(label)


def test_the_whole_set_in_one_batch_is_as_many_as_come_in_an_epoch(tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    data = opened(root, {"root": made, "weight": 0.5}, batch_size="all")
    (batch,) = data.train_dataloader()
    assert isinstance(batch, Batch)
    assert len(batch.images) == 16 + 4


def test_weights_of_the_loss_count_what_comes_in_an_epoch(tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    shutil.rmtree(Path(made) / "bees")
    assert opened(root, None).class_counts == [8, 8]
    assert opened(root, made).class_counts == [12, 8]
    assert opened(root, {"root": made, "weight": 0.5}).class_counts == [10, 8]
    assert opened(root, {"root": made, "weight": 3}).class_counts == [20, 8]
    assert opened(root, {"root": made, "weight": 0}).class_counts == [8, 8]


def test_a_batch_that_is_too_large_is_told_how_many_come(tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    with pytest.raises(UserError, match=r"larger than the training set of 20 images; give at most 20$"):
        opened(root, {"root": made, "weight": 0.5}, batch_size=21).train_batches()


def test_zips_shards_and_csv_files_are_taken_as_folders_are(tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "made")  # in one folder around them all
    write_shards(stored(made), tmp_path / "shards")
    rows = [("path", "label"), *((f"made/{name}/{n}.png", name) for name in ("ants", "bees") for n in range(4))]
    with (tmp_path / "made.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    plain = opened(root, made).opened.splits.train
    for other in ("packed.zip", "shards", "made.csv"):
        train = opened(root, str(tmp_path / other)).opened.splits.train
        assert np.array_equal(train.labels, plain.labels)
        assert all(np.array_equal(train.read(index), plain.read(index)) for index in range(16, 24))


def test_a_csv_file_may_give_several_labels(tmp_path: Path) -> None:
    labels = ["cat", "dog", "cat|dog", "", "dog", "cat"]
    for name, green in (("real", 0), ("made", 100)):
        rows = ["path,label"]
        for number, label in enumerate(labels):
            coloured(tmp_path / name / f"{number}.png", number, green)
            rows.append(f"{name}/{number}.png,{label}")
        (tmp_path / f"{name}.csv").write_text("\n".join(rows if name == "real" else rows[:4]))
    data = opened(str(tmp_path / "real.csv"), str(tmp_path / "made.csv"), task="multilabel", val_fraction=0.34)
    assert np.asarray(data.opened.splits.train.labels)[-3:].tolist() == [[1, 0], [0, 1], [1, 1]]
    with pytest.raises(UserError, match=r"^data\.extra: .* has one class an image, and model\.task: multilabel takes"):
        _ = opened(str(tmp_path / "real.csv"), str(tmp_path / "made"), task="multilabel", val_fraction=0.34).opened


# What is refused.


def test_a_class_that_the_data_have_not_is_named(tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    picture(Path(made) / "bee" / "1.png")
    with pytest.raises(
        UserError, match=r"^data\.extra: .* pictures of 'bee', which is no class .*; did you mean bees\?$"
    ):
        _ = opened(root, made).opened


def test_a_picture_that_is_held_out_is_refused_whatever_it_is_called(tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    held_out = str(opened(root, None).opened.splits.val.paths[0])
    shutil.copy(Path(root, held_out), Path(made, "bees", "another.png"))
    text = (
        rf"^data\.extra: '{made}/bees/another\.png' is the same picture as '{root}/{held_out}' of validation; take it"
    )
    with pytest.raises(UserError, match=text):
        _ = opened(root, made).opened
    shutil.make_archive(str(tmp_path / "packed"), "zip", made)
    shutil.make_archive(str(tmp_path / "real"), "zip", root)
    with pytest.raises(UserError, match=r"packed\.zip/bees/another\.png' is the same picture as '.*real\.zip/"):
        _ = opened(str(tmp_path / "real.zip"), str(tmp_path / "packed.zip")).opened
    with pytest.raises(UserError, match="is the same picture"):  # also where it is to come in no epoch
        _ = opened(root, {"root": made, "weight": 0}).opened


def test_a_test_picture_is_refused_too_and_one_of_training_is_not(tmp_path: Path) -> None:
    _, made = real_and_made(tmp_path)
    for number, split in enumerate(("train", "val", "test")):
        for name in ("ants", "bees"):
            coloured(tmp_path / "split" / split / name / "0.png", 7 * number + len(name), 3)
    _ = opened(str(tmp_path / "split"), str(tmp_path / "split" / "train"), batch_size=1).opened
    shutil.copy(tmp_path / "split" / "test" / "ants" / "0.png", Path(made, "ants", "9.png"))
    with pytest.raises(UserError, match=r"of test; take it out of the extra ones"):
        _ = opened(str(tmp_path / "split"), made, batch_size=1).opened


@pytest.mark.parametrize("channels", [3, 1])
def test_pixels_are_compared_where_held_out_images_are_no_files(channels: int, tmp_path: Path) -> None:
    data = digits(channels=channels)
    held_out = data.opened.splits.val
    coloured(tmp_path / "3" / "other.png", 1, 2)
    _ = digits(channels=channels, extra=tmp_path).opened
    Image.fromarray(held_out.read(5)).save(tmp_path / "3" / "same.png")
    with pytest.raises(UserError, match=r"/3/same\.png' is the same picture as 'digits/\d+"):
        _ = digits(channels=channels, extra=str(tmp_path)).opened


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ({"weight": 0.5}, r"^data\.extra\.root: not given; name a folder of class folders"),
        ({"root": "made", "weight": -1}, r"^data\.extra\.weight: -1 is not a number from 0 to 1000"),
        ({"root": "made", "weight": 1e9}, r"^data\.extra\.weight: 1000000000\.0 is not a number from 0 to 1000"),
        ({"root": "made", "weight": float("nan")}, r"^data\.extra\.weight: nan is not a number from 0 to 1000"),
        ({"root": "made", "weight": "half"}, r"^data\.extra\.weight: half is not a number from 0 to 1000"),
        (["made", "found"], r"^data\.extra: \['made', 'found'\] is neither a path nor a mapping; give one"),
        (3, r"^data\.extra: 3 is neither a path nor a mapping"),
        ({"root": "made", "wieght": 1}, r"^data\.extra\.wieght: there is no such key; did you mean weight\?$"),
    ],
)
def test_values_that_cannot_work_are_refused_before_any_image_is_read(extra: Any, text: str) -> None:
    with pytest.raises(UserError, match=text):
        ImageDataModule("nowhere", extra=extra)


def test_a_pretraining_takes_further_pictures_without_labels() -> None:
    with pytest.raises(UserError, match=r"^data\.extra: .*; name further pictures in data\.unlabelled$"):
        PretrainingDataModule("sklearn:digits", extra="made")


def test_what_cannot_be_read_is_named_by_the_key(tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    for extra, text in (
        ("nowhere", r"^data\.extra: 'nowhere' does not exist; give a folder"),
        (made + "/ants", r"^data\.extra: .* has no picture in a class folder"),
        (str(tmp_path), r"^data\.extra: .* pictures of 'made', which is no class of the data; there are ants, bees$"),
    ):
        with pytest.raises(UserError, match=text):
            _ = opened(root, extra).opened
    (tmp_path / "made.csv").write_text("path,label,split\nmade/ants/0.png,ants,val\n")
    with pytest.raises(UserError, match=r"^data\.extra: .* has 'made/ants/0\.png' in split val"):
        _ = opened(root, str(tmp_path / "made.csv")).opened
    shutil.copytree(made, tmp_path / "split" / "train")
    shutil.copytree(made, tmp_path / "split" / "val")
    with pytest.raises(UserError, match=r"^data\.extra: .* has a folder 'train'; give class folders alone"):
        _ = opened(root, str(tmp_path / "split")).opened


def test_a_bad_file_ends_the_run_or_is_skipped_and_counted(tmp_path: Path) -> None:
    root, made = real_and_made(tmp_path)
    (Path(made) / "bees" / "3.png").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"^data\.on_bad_image: 1 file is no whole picture in '.*made': bees/3\.png \(empty\)"
    ):
        _ = opened(root, made).opened
    with pytest.warns(UserWarning, match="1 files are skipped: bees/3"):
        assert opened(root, made, on_bad_image="skip").extra_images == 7


# Whole runs.


def made_digits(folder: Path, count: int = 2) -> str:
    """Digits that are none of the set: the first ones of each class in negative."""
    digits_ = open_digits()
    for label in range(10):
        for index in np.flatnonzero(np.asarray(digits_.labels) == label)[:count]:
            path = folder / str(label) / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(255 - digits_.read(int(index))).save(path)
    return str(folder)


class Indices(pl.Callback):
    """The indices of the batches of training and validation."""

    def __init__(self) -> None:
        self.train: list[list[int]] = []
        self.val: set[int] = set()

    @override
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, *_: Any) -> None:
        self.train.append(batch.indices.tolist())

    @override
    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, *_: Any
    ) -> None:
        self.val |= set(batch.indices.tolist())


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_a_run_that_was_stopped_inside_an_epoch_goes_on_with_the_same_pictures(weight: float, tmp_path: Path) -> None:
    extra = {"root": made_digits(tmp_path / "made"), "weight": weight}
    whole, rest = Indices(), Indices()
    keep: dict[str, Any] = {"enable_checkpointing": True, "default_root_dir": tmp_path}
    _, sha = fit(classifier(), digits(extra=extra), whole, KeepEvery(tmp_path, "step"), max_epochs=2, **keep)
    each = len(whole.train) // 2
    assert each == (40 + round(20 * weight)) // 10
    stop = each + 2
    ckpt = tmp_path / f"step-{stop:02d}.ckpt"
    _, again = fit(classifier(), digits(extra=extra), rest, max_epochs=2, ckpt_path=ckpt)
    assert rest.train == whole.train[stop:]
    assert again == sha
    assert max(whole.val) < len(digits().opened.splits.val)


class KeepIndices(Indices):
    """Writes each rank's indices, as children's memory is gone with them."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        (self.folder / f"{trainer.world_size}-{trainer.global_rank}.json").write_text(json.dumps(self.train))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*", "ignore:.*fork.*:DeprecationWarning")
def test_two_processes_train_on_the_batches_of_one(tmp_path: Path) -> None:
    extra = {"root": made_digits(tmp_path / "made"), "weight": 0.5}
    fit(classifier(), digits(extra=extra, balance=True), KeepIndices(tmp_path), max_epochs=2)
    two: dict[str, Any] = {"strategy": "ddp_fork", "devices": 2}
    data = digits(extra=extra, balance=True, batch_size=5)
    fit(classifier(), data, KeepIndices(tmp_path), max_epochs=2, **two)
    whole, *parts = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("1-0", "2-0", "2-1"))
    assert len(whole) == 10  # fifty images an epoch: of each class four real ones and one extra
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(one) for one in whole]
    assert sum(index >= 40 for one in whole for index in one) == 20


def test_at_weight_zero_a_run_is_the_one_without(tmp_path: Path) -> None:
    extra = {"root": made_digits(tmp_path / "made"), "weight": 0.0}
    shas = [fit(classifier(), digits(extra=one), max_epochs=1)[1] for one in (None, extra)]
    assert shas[0] == shas[1]


@pytest.mark.parametrize("views", [None, 2])
def test_cached_features_are_of_the_extra_pictures_too(views: int | None, tmp_path: Path) -> None:
    seen = Indices()
    stage = Stage("look", epochs=2, train="head", lr=0.01, cache_features=True, feature_views=views)
    fit(classifier(), digits(extra=made_digits(tmp_path / "made")), Stages([stage]), seen, max_epochs=-1)
    assert sorted(index for some in seen.train for index in some) == sorted([*range(60), *range(60)])


def run(tmp_path: Path, *words: str) -> int:
    (tmp_path / "small.yaml").write_text(SMALL)
    return main(["fit", "--config", str(tmp_path / "small.yaml"), "--run_dir", str(tmp_path / "run"), *words])


def test_the_command_line_says_counts_and_keeps_them_and_does_not_let_them_change(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    made = made_digits(tmp_path / "made")
    (tmp_path / "extra.yaml").write_text(f"data: {{extra: {{root: {made}, weight: 1.0}}}}")
    words = ["--config", str(tmp_path / "extra.yaml"), "--data.extra.weight", "0.5", "--trainer.max_epochs", "1"]
    assert run(tmp_path, *words, *UNREPORTED) == 0
    said = "data.extra: 20 pictures beside 40 real ones; they come 10 times in each epoch"
    assert caplog.messages.count(said) == 1
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["train_images"], summary["extra_images"]) == (40, 20)
    assert "40 training (and 20 extra) and" in (tmp_path / "run" / "report.html").read_text()
    assert run(tmp_path, "--data.extra", made, "--ckpt_path", "last", *UNREPORTED) == 2
    assert "data.extra: the steps of an epoch" in capfd.readouterr().err


def test_a_finished_model_is_judged_where_the_extra_pictures_are_gone(tmp_path: Path) -> None:
    made = made_digits(tmp_path / "made")
    assert run(tmp_path, "--data.extra", made, "--trainer.max_epochs", "1", *UNREPORTED) == 0
    shutil.rmtree(made)
    assert main(["validate", "--ckpt_path", str(tmp_path / "run" / "checkpoints" / "best.ckpt")]) == 0


def test_wrong_labels_of_extra_pictures_are_listed_as_theirs(tmp_path: Path) -> None:
    made = made_digits(tmp_path / "made", 4)
    assert run(tmp_path, "--data.extra", made, "--errors.label_folds", "2", "--gradcam.images", "0") == 0
    with (tmp_path / "run" / "label_issues.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} <= {"train", "extra", "val"}
    assert any(row["split"] == "extra" for row in rows)
    assert all(row["path"].startswith(made) == (row["split"] == "extra") for row in rows)


def test_a_class_of_ones_own_still_trains(tmp_path: Path) -> None:
    model = ImageClassifier("test_resnet", num_classes=10, pretrained=False)
    trainer, _ = fit(model, digits(extra=made_digits(tmp_path), balance="batches"), max_epochs=1)
    assert trainer.global_step == 6
