"""A split of images with several labels: every class keeps its share, rare ones too."""

from pathlib import Path

import numpy as np
import pytest

from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.sources.iterative_split import every_class_on_both_sides, iterative_split
from lightning_recipes.errors import UserError
from tests.shapes import draw_shapes


def test_every_class_keeps_its_share_and_every_image_is_in_one_part() -> None:
    generator = np.random.default_rng(0)
    labels = (generator.random((400, 6)) < [0.5, 0.3, 0.1, 0.05, 0.02, 0.02]).astype(np.uint8)
    train, val = iterative_split(labels, 0.2, np.random.default_rng(1))
    assert sorted([*train, *val]) == list(range(400))
    assert len(val) == pytest.approx(80, abs=3)
    np.testing.assert_allclose(labels[val].sum(axis=0), 0.2 * labels.sum(axis=0), atol=1.5)


def test_the_split_is_a_function_of_the_seed_and_the_names(tmp_path: Path) -> None:
    manifest = draw_shapes(tmp_path)

    def paths(seed: int) -> list[str]:
        data = ImageDataModule(str(manifest), task="multilabel", split_seed=seed, image_size=32)
        return list(data.opened.splits.val.paths)

    assert paths(0) == paths(0) != paths(1)


def test_labels_are_read_as_the_file_has_them(tmp_path: Path) -> None:
    manifest = draw_shapes(tmp_path)
    data = ImageDataModule(str(manifest), task="multilabel", image_size=32, augment="none")
    assert data.classes == ["blue", "circle", "red", "square", "triangle"]
    rows = dict(line.split(",") for line in manifest.read_text().splitlines()[1:])
    train = data.opened.splits.train
    for path, labels in zip(train.paths, np.asarray(train.labels), strict=True):
        assert {name for name, there in zip(data.classes, labels, strict=True) if there} == {*rows[path].split("|")} - {
            ""
        }
    every = "".join(f"|{row}|" for row in rows.values())
    val = np.asarray(data.opened.splits.val.labels).sum(axis=0)
    assert [n + int(v) for n, v in zip(data.class_counts, val, strict=True)] == [
        every.count(f"|{name}|") for name in data.classes
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"balance": True}, r"data\.balance: images have several labels each; leave it out"),
        ({"images_per_class": 3}, r"data\.images_per_class: images have several labels each; leave it out"),
    ],
)
def test_what_asks_for_one_class_an_image_is_refused(tmp_path: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _ = ImageDataModule(str(draw_shapes(tmp_path)), task="multilabel", **options).opened  # type: ignore[arg-type]


def test_data_of_one_class_an_image_is_refused_for_several() -> None:
    with pytest.raises(UserError, match=r"multilabel needs labels that can be several, and 'sklearn:digits'"):
        _ = ImageDataModule("sklearn:digits", task="multilabel").opened


@pytest.mark.parametrize("seed", range(10))
def test_of_small_sets_with_many_labels_no_class_of_two_is_on_one_side_alone(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.zeros((80, 60), np.uint8)
    for row in labels:
        row[generator.choice(60, 9, replace=False)] = 1
    parts = iterative_split(labels, 0.2, np.random.default_rng(seed))
    train, val = every_class_on_both_sides(labels, *parts)
    assert sorted([*train, *val]) == list(range(80))
    assert labels[train].any(axis=0).all()
    assert labels[val].any(axis=0).all()
    assert len(val) == pytest.approx(16, abs=8)


def test_a_class_of_one_image_is_learnt_and_said_not_to_be_judged(tmp_path: Path) -> None:
    manifest = draw_shapes(tmp_path)
    lines = manifest.read_text().splitlines()
    lines[1] = f"{lines[1]}|rare"
    manifest.write_text("\n".join(lines))
    data = ImageDataModule(str(manifest), task="multilabel", image_size=32)
    with pytest.warns(UserWarning, match="too few images have 'rare' for one in validation"):
        splits = data.opened.splits
    rare = data.classes.index("rare")
    assert np.asarray(splits.train.labels)[:, rare].sum() == 1


@pytest.mark.filterwarnings("ignore:data.val_fraction")
def test_labels_that_are_set_apart_by_another_mark_are_said(tmp_path: Path) -> None:
    manifest = draw_shapes(tmp_path)
    manifest.write_text(manifest.read_text().replace("|", ";"))
    with pytest.warns(UserWarning, match=r"counts as one label; labels are set apart by \|, not by ';'"):
        _ = ImageDataModule(str(manifest), task="multilabel", image_size=32).opened


def test_a_row_for_each_label_is_told_to_be_one(tmp_path: Path) -> None:
    manifest = draw_shapes(tmp_path)
    manifest.write_text(manifest.read_text() + "000.png,red\n")
    with pytest.raises(UserError, match=r"named in line 2 too; put all its labels into one line, with \| between them"):
        _ = ImageDataModule(str(manifest), task="multilabel", image_size=32).opened
