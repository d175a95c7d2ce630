"""How often the intervals of ``compare`` hold the truth, in simulated runs of which the truth is known.

An image is right where a normal variable is above 0: what the recipe is worth, how hard the image is for both, how hard
it is for one, what the seed adds to all images, and what it adds to this one. Standard deviations: 1.5 of an image, 0.3
of an image for one recipe, 0.5 of an image in a run; that between seeds is varied: with 0.2, accuracies of seeds differ
by a standard deviation of about 2 points. ``bootstrap`` is a bootstrap of two levels, over seeds and images (of 500 of
the pairs).

python benchmarks/comparison_coverage.py --pairs 2000
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from lightning_recipes.evaluation.crossed import crossed_difference
from lightning_recipes.evaluation.paired_shares import mcnemar_p_value, paired_share_interval

OF_IMAGE, OF_IMAGE_FOR_ONE, OF_IMAGE_IN_A_RUN = 1.5, 0.3, 0.5
Right = NDArray[np.float64]


def simulated(
    generator: np.random.Generator, runs: tuple[int, int], images: int, worth: tuple[float, float], seeds: float
) -> tuple[Right, Right, float]:
    """Return what runs of two recipes have right, (runs, images) each, and the true difference of their accuracies."""
    image = generator.normal(0, OF_IMAGE, images)
    sides = []
    for count, level in zip(runs, worth, strict=True):
        own = level + image + generator.normal(0, OF_IMAGE_FOR_ONE, images)
        seed = generator.normal(0, seeds, (count, 1)) + generator.normal(0, OF_IMAGE_IN_A_RUN, (count, images))
        sides.append((own + seed > 0).astype(np.float64))
    spread = np.sqrt(OF_IMAGE**2 + OF_IMAGE_FOR_ONE**2 + OF_IMAGE_IN_A_RUN**2 + seeds**2)
    true = norm.cdf(worth[0] / spread) - norm.cdf(worth[1] / spread)
    return sides[0], sides[1], float(true)


def interval(a: Right, b: Right) -> tuple[float, float]:
    """Return the interval that ``compare`` gives."""
    if len(a) == len(b) == 1:
        return paired_share_interval(int((a > b).sum()), int((b > a).sum()), a.shape[1])
    found = crossed_difference(a, b, shares=True)
    return found.value - found.half, found.value + found.half


def bootstrap(generator: np.random.Generator, a: Right, b: Right, resamples: int = 400) -> tuple[float, float]:
    """Return the interval of a bootstrap of two levels."""
    images = a.shape[1]
    weights = generator.multinomial(images, np.full(images, 1 / images), size=resamples).T / images
    drawn = []
    for side in (a, b):
        rows = generator.integers(0, len(side), (len(side), resamples))
        drawn.append(np.take_along_axis(side @ weights, rows, axis=0).mean(axis=0))
    low, high = np.quantile(drawn[0] - drawn[1], [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--images", type=int, nargs="+", default=[153, 1000, 5000])
    options, generator = parser.parse_args(), np.random.default_rng(0)
    print("| runs | images | sd of seeds | interval of 95 % holds | bootstrap | shown, where equal |\n|" + " --- |" * 6)
    for runs in ((1, 1), (2, 2), (3, 3), (5, 5), (3, 1)):
        for images in options.images:
            for seeds in (0.0,) if runs == (1, 1) else (0.0, 0.05, 0.2):
                print(line(generator, options.pairs, runs, images, seeds), flush=True)


def line(generator: np.random.Generator, pairs: int, runs: tuple[int, int], images: int, seeds: float) -> str:
    """Return a row of the table."""
    held, held_by_bootstrap, shown = [], [], []
    for number in range(pairs):
        a, b, true = simulated(generator, runs, images, (2.0, 1.8), seeds)
        low, high = interval(a, b)
        held.append(low <= true <= high)
        if runs != (1, 1) and number < 500:
            low, high = bootstrap(generator, a, b)
            held_by_bootstrap.append(low <= true <= high)
        a, b, _ = simulated(generator, runs, images, (2.0, 2.0), seeds)
        counts = int((a > b).sum()), int((b > a).sum())
        p_value = mcnemar_p_value(*counts) if runs == (1, 1) else crossed_difference(a, b, shares=True).p_value
        shown.append(p_value < 0.05)
    other = f"{np.mean(held_by_bootstrap):.3f}" if held_by_bootstrap else "-"
    return f"| {runs[0]}, {runs[1]} | {images} | {seeds} | {np.mean(held):.3f} | {other} | {np.mean(shown):.3f} |"


if __name__ == "__main__":
    main()
