"""A split of images with several labels: every class keeps its share, rare ones too."""

from pathlib import Path

import numpy as np
import pytest

from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.sources.iterative_split import iterative_split
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
