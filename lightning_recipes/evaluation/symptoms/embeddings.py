"""Whether embeddings have fallen into one, so that they tell no image from another."""

from lightning_recipes.evaluation.symptoms.epochs import StageCourse
from lightning_recipes.evaluation.symptoms.symptom import Symptom

__all__ = ["collapsed"]

NOTHING = 0.02
"""Of a spread of 1, where directions are even over a sphere: below it all are one."""
LITTLE, FALLEN = 0.1, 0.5
"""A network that has just been made may be there; one that has fallen to half of what it was comes from elsewhere."""
LINE = 2.0
"""Directions: embeddings that vary over fewer lie on a line."""


def collapsed(course: StageCourse) -> Symptom | None:
    """Tell whether the embeddings of the last epoch have collapsed.

    Args:
        course: Of the stage, with ``train_embedding_spread`` and ``train_embedding_rank`` of its epochs.
    """
    spreads = [row["train_embedding_spread"] for row in course.rows.values() if "train_embedding_spread" in row]
    last = course.rows[max(course.rows)] if course.rows else {}
    if "train_embedding_spread" not in last or "train_embedding_rank" not in last:
        return None
    spread, rank = last["train_embedding_spread"], last["train_embedding_rank"]
    fallen = spread < LITTLE and spread < FALLEN * max(spreads)
    if not (spread < NOTHING or fallen or rank < LINE):
        return None
    return Symptom(
        "collapsed",
        "Embeddings of different images are nearly the same",
        f"spread {spread:.3f} (1: even over all directions; it was {max(spreads):.3f}), over {rank:.1f} directions",
        "Lower the rate, give a larger batch, or another method; simsiam needs its stop-gradient, simclr its negatives",
    )
