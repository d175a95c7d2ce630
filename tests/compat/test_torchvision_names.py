"""Names of torchvision beside its public interface: which one a new release has moved."""

import inspect

import pytest
from torchvision import datasets

from lightning_recipes.compat.torchvision import labels_of


@pytest.mark.parametrize(
    ("kind", "name"), [("CIFAR10", "targets"), ("SVHN", "labels"), ("Flowers102", "_labels"), ("GTSRB", "_samples")]
)
def test_a_data_set_still_keeps_its_labels_there(kind: str, name: str) -> None:
    source = inspect.getsource(getattr(datasets, kind))
    assert f"self.{name}" in source, f"torchvision's {kind} has no {name}: see lightning_recipes/compat/torchvision.py"


def test_labels_are_taken_from_where_they_are() -> None:
    class OfPairs:
        _samples = (("a.png", 1), ("b.png", 0))

    class OfLabels:
        _labels = (0, 1, 2)

    assert (labels_of(OfPairs()), labels_of(OfLabels()), labels_of(object())) == ([1, 0], (0, 1, 2), None)
