"""What a model says of one picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Prediction"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one picture.

    Attributes:
        label: Name of the most probable class.
        probability: Of that class.
        probabilities: (C,), float32, in the order of the model's ``class_names``.
    """

    label: str
    probability: float
    probabilities: NDArray[np.float32]
