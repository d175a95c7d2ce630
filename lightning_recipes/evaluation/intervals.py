"""Confidence intervals for what is read off a finite set of images."""

import math

__all__ = ["Z_95", "wilson_interval"]

Z_95 = 1.959963984540054
"""Two-sided 95 % quantile of the standard normal distribution."""


def wilson_interval(correct: int, total: int, *, z: float = Z_95) -> tuple[float, float]:
    """Return the score interval of a share, which stays in [0, 1] and is honest for few images and shares near 1.

    ``(p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n)`` with p = correct / total and n = total.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".

    Args:
        correct: Number of hits, 0 to ``total``.
        total: Number of images, >= 1.
        z: Quantile of the normal distribution; 95 % two-sided by default.

    Raises:
        ValueError: ``total`` is not >= 1 or ``correct`` not within it.

    Example:
        >>> [round(bound, 4) for bound in wilson_interval(145, 153)]
        [0.9002, 0.9733]
    """
    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"wilson_interval: {correct} of {total} is not a share of at least one image")
    share, z2 = correct / total, z * z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    # The share itself is always inside; at 0 and 1 rounding would leave it out.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
