"""What neighbours in features say, against scikit-learn and where the answer is planted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from lightning_recipes.inspection import embeddings
from lightning_recipes.inspection.inspect import inspect
from lightning_recipes.inspection.neighbours import (
    close_classes,
    disputed,
    how_many,
    label_noise,
    look_alikes,
    nearest,
    outliers,
)
from lightning_recipes.inspection.probe_sizes import probe_sizes
from tests.inspection.scenes import folders

CLASSES = ["a", "b", "c"]


def clouds(each: int = 60, apart: float = 4.0, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = np.arange(3 * each) % 3
    centres = apart * np.eye(3, 12)
    return (centres[labels] + generator.normal(size=(len(labels), 12))).astype(np.float32), labels


def test_neighbours_are_those_of_scikit_learn() -> None:
    features, _ = clouds()
    found = nearest(features, 5)
    centred = features - features.mean(axis=0)
    distance, places = NearestNeighbors(n_neighbors=6, metric="cosine").fit(centred).kneighbors(centred)
    np.testing.assert_array_equal(found.places, places[:, 1:])
    np.testing.assert_allclose(1 - found.cosine, distance[:, 1:], atol=1e-5)


def test_as_many_neighbours_are_asked_as_a_class_can_have() -> None:
    assert [how_many(images, 10) for images in (100, 800, 5000)] == [10, 20, 30]


def test_an_outlier_is_named_first_with_how_far_it_is() -> None:
    features, _ = clouds(apart=12.0)
    features[17] = -12.0 * np.eye(12)[7]
    (place, times, deviations), _ = outliers(nearest(features, 10))  # of 180 images, the farthest two
    assert place == 17
    assert times > 3
    assert deviations > 4


def test_flipped_labels_are_disputed_with_the_right_suggestion_and_counted_by_class() -> None:
    features, labels = clouds(apart=8.0)
    given = labels.copy()
    flipped = {0: 1, 3: 1, 6: 2}
    for row, label in flipped.items():
        given[row] = label
    found = disputed(nearest(features, 10), given, 3)
    assert {row: other for row, other, _ in found} == dict.fromkeys(flipped, 0)
    noise = {one["name"]: one for one in label_noise(found, given, CLASSES)}
    assert {name: one["disputed"] for name, one in noise.items()} == {"a": 0, "b": 2, "c": 1}
    assert noise["b"]["low"] < 2 / 62 < noise["b"]["high"]


def test_classes_that_overlap_are_the_closest() -> None:
    features, labels = clouds(apart=8.0)
    features[labels == 2] = clouds(apart=8.0, seed=1)[0][labels == 1]
    (pair,) = close_classes(nearest(features, 10), labels, CLASSES)
    assert pair["classes"] == ["b", "c"]
    assert 0.35 < pair["share"] < 0.65


def test_two_of_the_same_are_alike() -> None:
    features, _ = clouds()
    features[1] = features[0] + 0.01
    ((first, second, cosine),) = [pair for pair in look_alikes(nearest(features, 10)) if pair[2] > 0.99]
    assert (first, second) == (0, 1)
    assert cosine <= 1.0 + 1e-6


def test_a_size_that_loses_nothing_is_enough() -> None:
    features, labels = clouds(apart=5.0)
    noise = np.random.default_rng(0).normal(size=features.shape).astype(np.float32)
    rows = probe_sizes(lambda size: features if size > 32 else noise, labels, [32, 64, 96])
    assert [row["enough"] for row in rows] == [False, True, True]
    assert rows[0]["accuracy"] < 0.5 < 0.95 < rows[1]["accuracy"] == rows[2]["accuracy"]
    assert rows[0]["low"] < rows[0]["accuracy"] < rows[0]["high"]


def test_a_backbone_that_comes_along_is_looked_with_and_known_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = folders(tmp_path / "photos", 12, splits=("train",))
    arguments: dict[str, Any] = {"backbone": "test_resnet", "pretrained": "embedded:letters", "image_size": 32}
    found = inspect(str(photos), str(tmp_path / "out"), **arguments, workers=1).report
    assert (found["embedded_images"], found["backbone"]) == (24, "test_resnet")
    assert len(found["label_noise"]) == 2
    assert [row["size"] for row in found["linear_probe"]] == [32]
    monkeypatch.setattr(embeddings.Embedder, "_run", None)  # which nothing asks for again
    known = inspect(str(photos), str(tmp_path / "out"), **arguments, workers=1).report
    own = ("seconds", "peak_memory_bytes")
    assert {key: value for key, value in known.items() if key not in own} == {
        key: value for key, value in found.items() if key not in own
    }
