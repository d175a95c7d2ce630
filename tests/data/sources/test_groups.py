"""What belongs together stays on one side of a split."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lightning_recipes.data.sources.open import open_splits
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.errors import UserError
from tests.pictures import picture


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Two classes of ten films each, of three to twelve frames."""
    for name in ("cats", "dogs"):
        for film in range(10):
            for frame in range(3 + film):
                picture(tmp_path / "films" / name / f"film_{name[0]}{film}_{frame:02d}.png", frame)
    return tmp_path / "films"


def films_of(source: ImageSource) -> set[str]:
    return {path.rpartition("_")[0] for path in source.paths}


@pytest.mark.parametrize("val_fraction", [0.1, 0.2, 0.4, 0.5, 0.75])
def test_no_film_is_on_both_sides_and_the_share_of_each_class_is_about_kept(films: Path, val_fraction: float) -> None:
    for seed in range(3):
        splits = open_splits(films, val_fraction=val_fraction, split_seed=seed, group="(film_[a-z0-9]+)_").splits
        train, val = films_of(splits.train), films_of(splits.val)
        assert not train & val
        assert len(train | val) == 20
        for label in (0, 1):
            share = (np.asarray(splits.val.labels) == label).sum() / 75
            assert share == pytest.approx(val_fraction, abs=0.09)


def test_the_split_is_a_function_of_the_seed_and_the_names(films: Path) -> None:
    def val(seed: int) -> set[str]:
        return films_of(open_splits(films, split_seed=seed, group="film_[a-z0-9]+").splits.val)

    assert val(0) == val(0)
    assert len({frozenset(val(seed)) for seed in range(5)}) > 1


def test_a_column_of_the_csv_says_it_too(films: Path, tmp_path: Path) -> None:
    rows = [(f"films/{p.parent.name}/{p.name}", p.parent.name, p.name.split("_")[1]) for p in films.rglob("*.png")]
    manifest = tmp_path / "frames.csv"
    manifest.write_text("\n".join(["path,label,film", *map(",".join, rows)]))
    splits = open_splits(manifest, group="film").splits
    assert not films_of(splits.train) & films_of(splits.val)
    assert len(splits.train) + len(splits.val) == 150
    with pytest.raises(UserError, match=r"data\.group: '.*' has no column 'Film'; did you mean film"):
        open_splits(manifest, group="Film")
    manifest.write_text("\n".join(["path,label,film", *map(",".join, rows), f"{rows[0][0]}x,cats,"]))
    picture(tmp_path / f"{rows[0][0]}x.png")
    (tmp_path / f"{rows[0][0]}x.png").rename(tmp_path / f"{rows[0][0]}x")
    with pytest.raises(UserError, match=r"line 152: film is empty, and data\.group asks for it; fill it in"):
        open_splits(manifest, group="film")


def test_of_data_that_bring_their_split_torn_films_are_named(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("cats", "dogs"):
            for film in range(3):
                picture(tmp_path / split / name / f"{name}{film if name == 'cats' else split}_{film}.png")
    with pytest.warns(UserWarning, match="3 groups are in training and in validation, such as cats0, cats1"):
        open_splits(tmp_path, group="([a-z0-9]+)_[0-9]+.png")


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("(", r"data\.group: '\(' is no regular expression"),
        ("tape", r"data\.group: 'tape' finds nothing in 150 of 150 names, such as 'cats/film_c0_00\.png'"),
        ("_0(0)?", r"data\.group: '_0\(0\)\?' finds nothing in .* names"),
        ("film", r"data\.group: all 150 images are of one group"),
        ("(cats|dogs)/", r"data\.group: class 'cats' is all one group; it needs two"),
    ],
)
def test_a_group_that_cannot_work_is_refused(films: Path, group: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_splits(films, group=group)


@pytest.fixture
def labelled() -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        rows = []
        for film in range(12):
            for frame in range(4):
                picture(folder / f"f{film}_{frame}.png", frame)
                rows.append(f"f{film}_{frame}.png,{'a|b' if film % 2 else 'b'}")
        (folder / "labels.csv").write_text("\n".join(["path,label", *rows]))
        return folder / "labels.csv"

    return write


def test_pictures_of_several_labels_stay_together_too(labelled: Callable[[Path], Path], tmp_path: Path) -> None:
    splits = open_splits(labelled(tmp_path), several_labels=True, group="f[0-9]+").splits
    assert not films_of(splits.train) & films_of(splits.val)


def test_classes_of_fewer_images_than_folds_are_split_as_nearly_as_they_can_be(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        for number in range(4):
            picture(tmp_path / "few" / name / f"{name}_{number}.png", number)
    splits = open_splits(tmp_path / "few", val_fraction=0.2, group="[a-z]+_[0-9]").splits
    assert (len(splits.train), len(splits.val)) == (6, 2)
