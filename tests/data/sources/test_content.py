"""What an image is, whatever it is called."""

import hashlib
import shutil
from pathlib import Path

import numpy as np

from lightning_recipes.data.sources.content import content_hashes
from lightning_recipes.data.sources.digits import open_digits
from lightning_recipes.data.sources.open import read_parts
from lightning_recipes.data.sources.source import Subset
from lightning_recipes.data.sources.write_shards import write_shards
from tests.pictures import class_folders, stored


def hashes(root: Path) -> dict[str, str]:
    (part,) = read_parts(str(root)).values()
    return dict(zip(map(str, part.paths), content_hashes(part, range(len(part))), strict=True))


def test_a_file_has_the_hash_that_everybody_computes_in_a_folder_a_zip_and_shards(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pictures")
    found = hashes(root)
    assert found["ants/0.png"] == hashlib.sha256((root / "ants" / "0.png").read_bytes()).hexdigest()
    assert len(set(found.values())) == 5  # of five colours, each there twice
    shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    write_shards(stored(root), tmp_path / "shards")
    assert hashes(tmp_path / "packed.zip") == found
    assert hashes(tmp_path / "shards") == found


def test_pixels_are_told_apart_where_there_is_no_file() -> None:
    digits = open_digits()
    some = Subset(digits, np.array([5, 3, 3]))
    first, second, again = content_hashes(some, [0, 1, 2])
    assert first != second == again == content_hashes(digits, [3])[0]


def test_an_image_that_is_gone_has_none(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pictures")
    (part,) = read_parts(str(root)).values()
    (root / "ants" / "1.png").unlink()
    assert [bool(one) for one in content_hashes(part, range(3))] == [True, False, True]
