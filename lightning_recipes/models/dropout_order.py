"""Dropout in front of batch-norm: a pair that the sources advise against."""

from torch import nn

from lightning_recipes.compat.torch import BatchNorm, Dropout

__all__ = ["dropout_before_norm"]


def dropout_before_norm(module: nn.Module) -> tuple[str, str] | None:
    """Return the first dropout that a batch-norm follows, and that batch-norm, by name; None where there is none.

    Dropout scales what it keeps in training, so the variance that a batch-norm behind it learns is not the one that
    evaluation has. Layers are taken in the order in which they were added to the module; a part that says
    ``drops_before_norm = True`` is taken for being so on purpose.

    Source: Li et al. (2018), "Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift".

    Example:
        >>> dropout_before_norm(nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4), nn.BatchNorm1d(4)))
        ('0', '2')
        >>> dropout_before_norm(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)))
    """
    dropout, on_purpose = None, "\n"
    for name, layer in module.named_modules():
        if getattr(layer, "drops_before_norm", False):
            on_purpose = f"{name}."
        elif name.startswith(on_purpose):
            continue
        elif isinstance(layer, Dropout) and layer.p > 0:
            dropout = dropout or name
        elif isinstance(layer, BatchNorm) and dropout is not None:
            return dropout, name
    return None
