"""What the best of several is worth, on images that it was not chosen by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.randomness import numpy_generator_for

__all__ = ["Chosen", "corrected_for_choice"]

RESAMPLES = 1000


@dataclass(frozen=True)
class Chosen:
    """The best of several by a mean over images.

    Attributes:
        value: Its mean on the images that it was chosen by, which flatters.
        corrected: The mean, over resamples, of what the best of a resample reaches on the images outside of it.
        ci95: Percentiles of that.
    """

    value: float
    corrected: float
    ci95: tuple[float, float]


def corrected_for_choice(scores: NDArray[np.float64], *, higher_is_better: bool = True) -> Chosen:
    """Return the best row's mean, and what to expect of it on other images of the same kind.

    The choice itself is repeated: images are drawn anew, the best on those is taken, and judged on the images that were
    not drawn (a third). Nothing is trained again.

    Source: Tsamardinos, Greasidou and Borboudakis (2018), "Bootstrapping the out-of-sample predictions for efficient
    and accurate cross-validation", algorithm 4 (BBC-CV). Its interval is wide: that of a third of the images.

    Args:
        scores: (candidates, images), at least two images; such as 1 where an image is right, else 0.
        higher_is_better: Or lower, as of losses.
    """
    images = scores.shape[1]
    sign = 1.0 if higher_is_better else -1.0
    means = scores.mean(axis=1)
    counts = numpy_generator_for("choice", images, seed=0).multinomial(
        images, np.full(images, 1 / images), size=RESAMPLES
    )
    chosen = np.argmax(sign * (scores @ counts.T), axis=0)  # (resamples,)
    outside = (counts == 0).astype(np.float64)
    outside = outside[known := outside.any(axis=1)]
    reached = (scores @ outside.T / outside.sum(axis=1))[chosen[known], np.arange(len(outside))]
    low, high = np.quantile(reached, [0.025, 0.975])
    return Chosen(float(sign * (sign * means).max()), float(reached.mean()), (float(low), float(high)))
