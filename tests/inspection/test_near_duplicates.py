"""Pairs of the same picture are found whatever was done to one, and different pictures are not taken for the same."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lightning_recipes.inspection.align import aligned, confirm
from lightning_recipes.inspection.candidates import find_candidates
from lightning_recipes.inspection.descriptors import describe, mirrored
from lightning_recipes.inspection.measure import COLOUR, RECORD, _look
from lightning_recipes.inspection.verify import least_correlation, verify
from tests.inspection.scenes import CHANGES, scene

ORIGINALS, COPIES = 150, 40


def records_of(pictures: list[NDArray[np.uint8]]) -> NDArray[np.void]:
    records = np.zeros(len(pictures), RECORD)
    for picture, record in zip(pictures, records, strict=True):
        record["height"], record["width"] = picture.shape[:2]
        _look(picture, record)
    return records


@pytest.fixture(scope="module")
def originals() -> NDArray[np.void]:
    return records_of([np.asarray(scene(seed)) for seed in range(ORIGINALS)])


@pytest.mark.parametrize("change", CHANGES)
def test_all_that_is_planted_is_found_and_nothing_else(change: str, originals: NDArray[np.void]) -> None:
    copied = [np.asarray(CHANGES[change](scene(seed), seed)) for seed in range(COPIES)]
    copies = records_of(copied)
    both = np.concatenate([originals, copies])
    pictures = [np.asarray(scene(seed)) for seed in range(ORIGINALS)] + copied
    seen = verify(both["grey"], both["colour"], find_candidates(both["grey"]))
    found = confirm(seen, np.minimum(both["width"], both["height"]), pictures.__getitem__)
    pairs = {(int(a), int(b)): found.kind(row) for row, (a, b) in enumerate(found.pairs)}
    assert {tuple(sorted(pair)) for pair in pairs} == {(seed, ORIGINALS + seed) for seed in range(COPIES)}
    said = change if "cropped" in change or "mirrored" in change else "same"
    assert list(pairs.values()).count(said) >= 0.9 * COPIES
    if "cropped" in change:
        assert all(a < b for a, b in pairs), "the whole picture comes first"


def test_outlines_that_agree_are_not_enough() -> None:
    """Two shirts on one wall: the same bright shape in the middle, another pattern on it."""
    shape = np.zeros((96, 96))
    shape[20:80, 25:70] = 160
    pictures = [(40 + shape + 0.12 * np.asarray(scene(seed, 96, 96).convert("L"))).astype(np.uint8) for seed in (1, 2)]
    colours = [np.repeat(picture[..., None], 3, axis=2) for picture in pictures]
    records = records_of(colours)
    seen = verify(records["grey"], records["colour"], find_candidates(records["grey"]))
    assert len(seen.pairs) == 1
    assert not len(confirm(seen, np.array([96, 96]), colours.__getitem__).pairs)


def test_of_more_pairs_than_can_be_compared_the_most_alike_are(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.asarray(scene(5))
    pictures = [picture, picture, np.asarray(CHANGES["recompressed"](scene(5), 0))]
    records = records_of(pictures)
    seen = verify(records["grey"], records["colour"], find_candidates(records["grey"]))
    assert len(seen.pairs) == 3
    monkeypatch.setattr("lightning_recipes.inspection.align.MOST", 1)
    found = confirm(seen, np.full(3, 72), pictures.__getitem__)
    assert (found.pairs.tolist(), found.complete) == ([[0, 1]], False)


def test_a_picture_is_laid_upon_the_crop_of_it_to_the_pixel() -> None:
    picture = scene(4, 400, 400)
    crop = picture.crop((36, 4, 388, 356))  # side 0.88, 4 and 36 of 48 px that are left over
    whole, part = (
        torch.from_numpy(np.asarray(one.resize((96, 96)).convert("L"), np.float32))[None, None]
        for one in (picture, crop)
    )
    began = torch.tensor([[0.91, 0.3, 0.5]])
    correlation, found = aligned(whole, part, began)
    assert float(correlation) > 0.95
    assert float(found[0, 0]) == pytest.approx(0.88, abs=0.003)


def test_the_same_picture_in_another_colour_is_another() -> None:
    picture = np.asarray(scene(3))
    red = picture // 2 + np.array([120, 0, 0], np.uint8)
    both = records_of([picture // 2, red])
    assert len(find_candidates(both["grey"])) == 1
    assert not len(verify(both["grey"], both["colour"], find_candidates(both["grey"])).pairs)


def test_pictures_in_frames_of_one_kind_are_not_the_same() -> None:
    framed = []
    for seed in range(12):
        picture = np.full((72, 96, 3), 255, np.uint8)
        picture[9:-9, 9:-9] = np.asarray(scene(seed, 78, 54)) // 6
        framed.append(picture)
    records = records_of(framed)
    assert len(find_candidates(records["grey"])) > 10
    assert not len(verify(records["grey"], records["colour"], find_candidates(records["grey"])).pairs)


def test_plain_pictures_are_like_none() -> None:
    plain = records_of([np.full((40, 40, 3), level, np.uint8) for level in (10, 10, 200)])
    assert not len(find_candidates(plain["grey"]))


def test_a_descriptor_of_a_mirror_image_is_that_of_the_picture_with_odd_signs_changed(
    originals: NDArray[np.void],
) -> None:
    grey = originals["grey"][:20]
    np.testing.assert_allclose(describe(grey[:, :, ::-1], 8), mirrored(describe(grey, 8), 8), atol=1e-4)


def test_a_view_is_described_as_if_it_had_been_cut_out(originals: NDArray[np.void]) -> None:
    whole = np.asarray(scene(7, 256, 256))
    part = records_of([whole[:225, 31:]])  # seven eighths, at the top right
    seen = describe(records_of([whole])["grey"], 8, (225 / 256, 0.0, 1.0))
    assert float((seen * describe(part["grey"], 8)).sum()) > 0.98


def test_sets_whose_pictures_are_all_alike_ask_for_more(originals: NDArray[np.void]) -> None:
    assert least_correlation(originals["grey"]) == pytest.approx(0.85)
    shared = np.asarray(scene(0), np.float32)
    alike = records_of([(0.8 * shared + 0.2 * np.asarray(scene(1 + i))).astype(np.uint8) for i in range(60)])
    assert least_correlation(alike["grey"]) > 0.95


def test_many_pictures_are_searched_in_cells_and_nearly_nothing_is_missed() -> None:
    generator = np.random.default_rng(0)
    grey = generator.integers(0, 256, (6000, 4, 4), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    grey[3000:3100] = (grey[:100].astype(int) + generator.integers(-9, 10, (100, 32, 32))).clip(0, 255)
    found = find_candidates(grey)
    pairs = {(int(min(a, b)), int(max(a, b))) for a, b in zip(found.first, found.second, strict=True)}
    planted = {(i, 3000 + i) for i in range(100)}
    assert len(planted & pairs) >= 99
    assert found.complete
    assert COLOUR == 8
