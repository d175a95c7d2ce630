"""What a client gets of a prediction."""

from typing import Any

from torch import Tensor

from lightning_recipes.engine.predictions import names_of
from lightning_recipes.modules.evaluator import Evaluator
from lightning_recipes.serving.refusal import Refused

__all__ = ["answer_of", "top_of"]


def answer_of(probabilities: Tensor, model: Evaluator, top: int | None) -> dict[str, Any]:
    """Return label and probabilities as JSON can hold them.

    Args:
        probabilities: (C,), float32.
        model: Says what is predicted: a label, None where it is rejected; with several labels a picture the key is
            ``labels``, a list.
        top: How many of the most probable classes are listed (None: all, in the order of the classes).
    """
    found, names, task = model.prediction(probabilities), names_of(model), model.task
    values = probabilities.tolist()
    listed = range(len(values))
    if top is not None:
        listed = sorted(listed, key=lambda place: -values[place])[:top]  # type: ignore[assignment]
    label: dict[str, Any] = {"label": found.label or None}
    if task.several_labels:
        said = task.predicted(probabilities[None])[0].tolist()
        label = {"labels": [name for name, there in zip(names, said, strict=True) if there]}
    return {**label, "probability": found.probability, "probabilities": {names[i]: values[i] for i in listed}}


def top_of(given: str | None) -> int | None:
    """Return the number of ``?top=``; None where it is not given.

    Raises:
        Refused: It is no number of classes.
    """
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or int(given[:9]) < 1:
        raise Refused(400, f"top: '{given[:40]}' is not a number of classes >= 1; give one, as in ?top=5")
    return int(given[:9])
