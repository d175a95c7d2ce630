"""Names of torchvision that its documentation does not have."""

from typing import Any

__all__ = ["labels_of"]

LABELS = ("targets", "labels", "_labels", "y")
SAMPLES = "_samples"  # pairs of a path and a label


def labels_of(dataset: Any) -> Any | None:
    """Return one label an image from where a data set keeps them; None where it is no place that is known.

    No name is documented for all data sets; to ask for each item reads its image.
    """
    found = next((getattr(dataset, name) for name in LABELS if hasattr(dataset, name)), None)
    return [sample[1] for sample in getattr(dataset, SAMPLES)] if found is None and hasattr(dataset, SAMPLES) else found
