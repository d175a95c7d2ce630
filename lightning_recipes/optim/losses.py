"""Losses by name, on logits and class labels."""

from torch import nn

from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.specs import Spec, check_arguments, import_object, parse_spec

__all__ = ["LOSSES", "create_loss"]

LOSSES: dict[str, type[nn.Module]] = {"cross_entropy": nn.CrossEntropyLoss}
KEY = "model.loss"


def create_loss(spec: Spec) -> nn.Module:
    """Return the loss that a recipe names, called with logits (N, C) and labels (N,).

    Args:
        spec: One of :data:`LOSSES` with its arguments, such as ``{"name": "cross_entropy", "label_smoothing": 0.1}``,
            or the import path of a module class.

    Raises:
        UserError: Unknown loss or argument.
    """
    name, arguments = parse_spec(KEY, spec)
    if name not in LOSSES and "." not in name:
        raise UserError(f"{KEY}: '{name}' is not a loss ({', '.join(LOSSES)}){did_you_mean(name, LOSSES)}")
    cls = LOSSES.get(name) or import_object(KEY, name)
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise UserError(f"{KEY}: '{name}' is not a subclass of torch.nn.Module; name a class that is")
    check_arguments(KEY, cls, arguments)
    return cls(**arguments)
