"""What a model says of one picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Prediction"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one picture.

    Attributes:
        label: Name of the most probable class, empty where the picture is rejected; of several, all of them, set apart
            by ``|``, and empty of none.
        probability: Of that class; of several, of the least probable one that is said to be there, and of none,
            that the most probable one is not there.
        probabilities: (C,), float32, in the order of the model's ``class_names``.
    """

    label: str
    probability: float
    probabilities: NDArray[np.float32]
