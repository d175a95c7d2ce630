"""Data sets of torchvision, opened by name from files in torchvision's own formats that are made here."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightning_recipes.data.sources.open import open_splits
from lightning_recipes.errors import UserError


def idx(path: Path, values: np.ndarray) -> None:
    """Write the format of MNIST: two zeros, the type, the number of axes, their lengths, the bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lengths = b"".join(n.to_bytes(4, "big") for n in values.shape)
    path.write_bytes(bytes([0, 0, 8, values.ndim]) + lengths + values.astype(np.uint8).tobytes())
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))


def pictures(root: Path, count: int, classes: tuple[str, ...] = ("AD", "BE")) -> None:
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(root / name / f"{number}.jpg")


def test_mnist_has_its_own_train_and_test_images(tmp_path: Path) -> None:
    draw, raw = np.random.default_rng(0), tmp_path / "MNIST" / "raw"
    truth = {part: (draw.integers(0, 256, (n, 28, 28)), np.arange(n) % 10) for part, n in (("train", 30), ("t10k", 20))}
    for part, (images, labels) in truth.items():
        idx(raw / f"{part}-images-idx3-ubyte", images)
        idx(raw / f"{part}-labels-idx1-ubyte", labels)
    splits = open_splits("torchvision:MNIST", download_dir=str(tmp_path)).splits
    assert splits.test is not None
    assert (len(splits.train), len(splits.val), len(splits.test)) == (30, 20, 20)
    for source, part in ((splits.train, "train"), (splits.val, "t10k")):
        assert np.asarray(source.labels).tolist() == truth[part][1].tolist()
        assert (source.read(7) == truth[part][0][7][..., None]).all()
        assert np.array_equal(pickle.loads(pickle.dumps(source)).read(3), source.read(3))
    assert splits.train.paths[7] == "MNIST/train/000007"
    assert len(splits.train.classes) == 10


def test_a_set_with_a_validation_split_of_its_own_is_validated_on_it(tmp_path: Path) -> None:
    for split, count in (("train", 4), ("valid", 3), ("test", 2)):
        pictures(tmp_path / "country211" / split, count)
    splits = open_splits("torchvision:Country211", download_dir=str(tmp_path)).splits
    assert splits.test is not None
    assert (len(splits.train), len(splits.val), len(splits.test)) == (8, 6, 4)
    assert splits.val.classes == ("AD", "BE")


def test_a_set_without_splits_is_split_by_class(tmp_path: Path) -> None:
    pictures(tmp_path / "eurosat" / "2750", 10)
    splits = open_splits("torchvision:EuroSAT", download_dir=str(tmp_path), val_fraction=0.3).splits
    assert np.bincount(np.asarray(splits.val.labels)).tolist() == [3, 3]
    assert len(splits.train) == 14
    assert splits.test is None


def test_a_file_of_a_set_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    pictures(tmp_path / "eurosat" / "2750", 10)
    for path in (tmp_path / "eurosat" / "2750").rglob("*.jpg"):
        path.write_bytes(b"no picture")
    train = open_splits("torchvision:EuroSAT", download_dir=str(tmp_path)).splits.train
    with pytest.raises(UserError, match=r"^EuroSAT/00000\d: cannot be read \(not a picture\); remove the files"):
        train.read(0)


def test_a_data_set_that_is_not_there_says_where_to_put_it(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file stands where the folder would be made")
    with pytest.raises(UserError, match=r"torchvision's CIFAR10 cannot be had .*data\.download_dir"):
        open_splits("torchvision:CIFAR10", download_dir=str(blocked))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CIFAR11", "torchvision has no data set 'CIFAR11'; did you mean CIFAR10"),
        ("Zebra", "torchvision has no data set 'Zebra'; its documentation lists them"),
        ("FakeData", "torchvision's FakeData is kept in no files"),
        ("EMNIST", "torchvision's EMNIST has no training split that is opened by its name alone"),
    ],
)
def test_a_name_that_is_no_data_set_for_training_says_why(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(UserError, match=rf"^data\.root: {text}"):
        open_splits(f"torchvision:{name}", download_dir=str(tmp_path))
