"""Groups in names are found with an expression that ``data.group`` takes, and what is no group is none."""

import numpy as np
import pytest

from lightning_recipes.data.sources.files import FileSource, Folder
from lightning_recipes.data.sources.groups import groups_of
from lightning_recipes.inspection.images import ImageSet
from lightning_recipes.inspection.measure import RECORD, Note
from lightning_recipes.inspection.names import NameGroups, find_name_groups

CLASSES = ["ant", "bee"]


def named(names: list[str], splits: list[str] | None = None, films: list[int] | None = None) -> ImageSet:
    """Images of these names in class folders; those of one film look alike."""
    generator = np.random.default_rng(0)
    records = np.zeros(len(names), RECORD)
    records["seen"] = True
    scenes = generator.integers(0, 256, (1 + max(films or [0]), 32, 32))
    shown = np.array(films) if films else None
    noise = generator.integers(0, 256, (len(names), 32, 32))
    records["grey"] = noise if shown is None else (scenes[shown] + 0.2 * noise).clip(0, 255)
    labels = np.array([int("/bee/" in f"/{name}") for name in names])
    order = sorted(set(splits or ["train"]), key=["train", "val", "test"].index)
    split = np.array([order.index(one) for one in splits or ["train"] * len(names)])
    return ImageSet(names, labels, split, CLASSES, order, records, [Note()] * len(names))


def films(form: str, of_a_class: int = 6, frames: int = 5) -> tuple[list[str], list[int]]:
    names, numbers = [], []
    for label, name in enumerate(CLASSES):
        for film in range(of_a_class):
            for frame in range(frames):
                numbers.append(label * of_a_class + film)
                names.append(f"{name}/" + form.format(film=numbers[-1], frame=frame))
    return names, numbers


@pytest.mark.parametrize(
    ("form", "example"),
    [
        ("video_{film:03d}_frame_{frame}.jpg", "video_000"), ("clip{film}-{frame:04d}.png", "clip0"),
        ("p{film}_{frame}_left.jpg", "p0"), ("{film}/{frame}_x.jpg", "0"),
    ],
)  # fmt: skip
def test_films_are_found_and_the_expression_finds_them_again(form: str, example: str) -> None:
    names, numbers = films(form)
    found = find_name_groups(named(names, films=numbers))
    assert isinstance(found, NameGroups)
    assert (found.groups, found.images, found.largest, found.example) == (12, 60, 5, example)
    assert found.shown
    source = FileSource(Folder("."), names, [0] * len(names), CLASSES)
    groups = groups_of(source, found.expression)
    assert len({(group, number) for group, number in zip(groups, numbers, strict=True)}) == 12


def test_a_random_fifth_tears_most_films_apart_and_a_given_split_those_that_it_does() -> None:
    names, numbers = films("video_{film:03d}_frame_{frame}.jpg")
    alone = find_name_groups(named(names, films=numbers))
    assert alone is not None
    assert (alone.torn, alone.given) == (8, False)  # 12 (1 - 0.8^5 - 0.2^5) = 8.06
    splits = ["val" if number == 3 and i % 2 else "train" for i, number in enumerate(numbers)]
    given = find_name_groups(named(names, splits, numbers))
    assert given is not None
    assert (given.torn, given.given) == (1, True)


def test_pictures_that_share_a_name_and_nothing_else_are_said_not_to_look_alike() -> None:
    names, _ = films("video_{film:03d}_frame_{frame}.jpg")
    found = find_name_groups(named(names))
    assert found is not None
    assert not found.shown
    assert abs(found.alike) < 0.1


@pytest.mark.parametrize("form", ["{number:04d}.jpg", "{label}_{number:04d}.jpg", "img_{number}.jpg", "{hash}.jpg"])
def test_plain_numbers_and_random_names_are_no_groups(form: str) -> None:
    generator = np.random.default_rng(0)
    names = [
        f"{label}/" + form.format(label=label, number=number, hash=generator.bytes(8).hex())
        for label in CLASSES
        for number in range(40)
    ]
    assert find_name_groups(named(names)) is None
    splits = ["train", "val"] * 40
    assert find_name_groups(named([f"{split}/{name}" for split, name in zip(splits, names)], splits)) is None
