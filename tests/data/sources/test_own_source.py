"""A data source of somebody else's, by its import path."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.errors import UserError

MODULE = '''
import numpy as np
from lightning_recipes.data.sources.source import Splits


class Stripes:
    """Forty pictures, upright or lying stripes."""

    classes = ("lying", "upright")
    labels = np.arange(40) % 2
    paths = [f"stripes/{i:02d}" for i in range(40)]

    def __len__(self):
        return 40

    def read(self, index, min_size=None):
        image = np.zeros((16, 16, 3), np.uint8)
        if self.labels[index]:
            image[:, ::2] = 255
        else:
            image[::2] = 255
        return image


def with_splits():
    return Splits(Stripes(), Stripes())


class Bytes(Stripes):
    labels = np.arange(40, dtype=np.uint8) % 2


class Others(Stripes):
    classes = ("upright", "lying")


def other_classes():
    return Splits(Stripes(), Others())


def nothing():
    return [1, 2]
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "striped.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))


def images(data: ImageDataModule) -> NDArray[np.int64]:
    return np.array([len(data.opened.splits.train), len(data.opened.splits.val)])


@pytest.mark.usefixtures("project")
def test_it_is_split_or_has_splits_of_its_own() -> None:
    data = ImageDataModule("striped.Stripes", image_size=16, val_fraction=0.25)
    assert data.classes == ["lying", "upright"]
    assert images(data).tolist() == [30, 10]
    assert images(ImageDataModule("striped.with_splits", image_size=16)).tolist() == [40, 40]


@pytest.mark.usefixtures("project")
def test_what_is_no_source_or_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match=r"data\.root: 'striped\.nothing' gives a list without classes, labels"):
        _ = ImageDataModule("striped.nothing").opened
    with pytest.raises(UserError, match=r"data\.root: the labels of 'striped\.Bytes' are uint8; give int64"):
        _ = ImageDataModule("striped.Bytes").opened
    with pytest.raises(UserError, match=r"data\.root: the splits of 'striped\.other_classes' have other classes"):
        _ = ImageDataModule("striped.other_classes").opened
    with pytest.raises(UserError, match=r"data\.root: module 'striped' has no 'Stripe'; did you mean Stripes"):
        _ = ImageDataModule("striped.Stripe").opened
