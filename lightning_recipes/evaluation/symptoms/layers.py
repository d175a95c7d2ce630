"""What the outputs of a network's layers say of a training."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lightning_recipes.errors import first_few
from lightning_recipes.evaluation.percent import percent
from lightning_recipes.evaluation.symptoms.symptom import Symptom

__all__ = ["LayerOutput", "dead_layer", "exploding_layer", "not_finite"]

DEAD = 0.9
"""Share of a rectifier's channels that say nothing of any image of a batch."""
LARGE = 1e4
"""Outputs above which 16-bit precision, whose largest number is 65,504, is near its end."""
GROWN = 10.0
"""Times the first look's outputs."""


class LayerOutput(NamedTuple):
    """What a layer gave for one batch.

    Attributes:
        name: Of the layer in its module.
        largest: Absolute value among its outputs.
        silent: Share of its channels that were 0 for all images; None for a layer that is no rectifier.
    """

    name: str
    largest: float
    silent: float | None = None


def dead_layer(outputs: Sequence[LayerOutput]) -> Symptom | None:
    """Return the first rectifier of which nine channels in ten are 0 for every image of a batch.

    Source: Lu et al. (2020), "Dying ReLU and Initialization".
    """
    for one in outputs:
        if one.silent is not None and one.silent >= DEAD:
            return Symptom(
                "dead_layer",
                f"Layer {one.name} is dead",
                f"{percent(one.silent)} of its channels are 0 for every image of a batch",
                "Give a lower learning rate or a warm-up, and look at its initialisation",
            )
    return None


def exploding_layer(outputs: Sequence[LayerOutput], first: Mapping[str, float]) -> Symptom | None:
    """Return the first layer whose outputs have grown tenfold, to a size that 16-bit precision has little room for.

    Args:
        outputs: Of the layers in the order in which an image goes through them.
        first: The largest output of each layer at the first look.
    """
    for one in outputs:
        before = first.get(one.name, one.largest)
        if one.largest >= LARGE and one.largest >= GROWN * before:
            return Symptom(
                "exploding_layer",
                f"The outputs of layer {one.name} explode",
                f"up to {one.largest:.3g}, {before:.3g} at first",
                "Give a lower learning rate, GradientClipping, more weight decay, or norm layers",
            )
    return None


def not_finite(layer: str | None, spoilt: Sequence[str]) -> Symptom:
    """Say of a loss that is not finite what made it so.

    Args:
        layer: The first that makes of finite numbers some that are not; None where that is not known.
        spoilt: Names of the weights and statistics that are not finite.
    """
    if layer is not None:
        number = f"layer {layer} is the first that makes it of finite numbers"
    elif spoilt:
        number = f"weights and statistics are not either: {first_few(spoilt, 3)}"
    else:
        number = "the weights are, and so is what each layer makes of the batch"
    return Symptom(
        "not_finite",
        "The loss is not finite",
        number,
        "Give a lower learning rate, GradientClipping, or bf16 or 32-bit in the place of 16-bit precision",
    )
