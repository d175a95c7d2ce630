"""The time that a training waits for images."""

from lightning_recipes.evaluation.percent import percent
from lightning_recipes.evaluation.symptoms.symptom import Symptom

__all__ = ["waits_for_images"]

WAITED = 20.0
"""Seconds of waiting that are worth a word."""
MOST = 0.5
"""Share of the time."""


def waits_for_images(waited: float, worked: float, num_workers: int | None) -> Symptom | None:
    """Tell whether a stage spends more time on waiting for its loader than on training.

    Args:
        waited: Seconds between the end of a step and the next one's batch.
        worked: Seconds of the steps.
        num_workers: Of the loader; None where that is not known.
    """
    share = waited / max(waited + worked, 1e-9)
    if waited < WAITED or share < MOST:
        return None
    workers = "" if num_workers is None else f", with data.num_workers {num_workers}"
    return Symptom(
        "waits_for_images",
        "The training waits for its images",
        f"{percent(share)} of the time, {waited:.0f} s so far{workers}",
        "Give more data.num_workers where there are cores, smaller files, or a stage on cached features",
    )
