"""Heads by name: from what a backbone gives to logits, with a first loss of ln(classes)."""

from collections.abc import Mapping
from typing import Any

import torch
from timm.layers import AttentionPoolLatent
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its name everywhere

from lightning_recipes.components import Spec, check_arguments, import_object, parse_spec
from lightning_recipes.errors import UserError, did_you_mean, refuse_bad_values

__all__ = ["HEADS", "create_head", "is_linear", "pooling_of"]

KEY = "model.head"
LINEAR = "linear"


def _last(width: int, num_classes: int) -> nn.Linear:
    """A linear layer of zeros, as the last one: all classes are equally probable at first."""
    layer = nn.Linear(width, num_classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class MLPHead(nn.Sequential):
    """Two linear layers with a GELU between them.

    When: features that a linear head does not separate, and enough images. Not with: a few images a class.

    Args:
        num_features: F, of features (N, F).
        num_classes: C.
        hidden: Width between the layers, >= 1.
        dropout: Of what is between them, in [0, 1).
    """

    def __init__(self, num_features: int, num_classes: int, hidden: int = 512, dropout: float = 0.0) -> None:
        refuse_bad_values(
            KEY,
            ("hidden", hidden, hidden >= 1, "a number >= 1"),
            ("dropout", dropout, 0 <= dropout < 1, "a share in [0, 1)"),
        )
        super().__init__(nn.Linear(num_features, hidden), nn.GELU(), nn.Dropout(dropout), _last(hidden, num_classes))


class CosineHead(nn.Module):
    """``s cos(w_c, h)``: the direction of the features alone counts, and no class is favoured for its length.

    Source: Gidaris and Komodakis (2018), "Dynamic Few-Shot Visual Learning without Forgetting", section 3.1.

    When: few or uneven images a class. Not with: several labels an image, of which none may be there.

    Args:
        num_features: F, of features (N, F).
        num_classes: C.
        scale: s to begin with, > 0; it is learned.
    """

    def __init__(self, num_features: int, num_classes: int, scale: float = 10.0) -> None:
        super().__init__()
        refuse_bad_values(KEY, ("scale", scale, 0 < scale < float("inf"), "a number > 0"))
        # One direction for all classes, so that all are equally probable at first; their gradients part them.
        self.weight = nn.Parameter(F.normalize(torch.randn(1, num_features), dim=1).repeat(num_classes, 1))
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, C)."""
        return self.scale * F.linear(F.normalize(features, dim=1), F.normalize(self.weight, dim=1))


class ConcatPoolHead(nn.Sequential):
    """fastai's head: mean and maximum over the map, then batch-norm, dropout and linear twice.

    Source: Howard and Gugger (2020), "fastai: A Layered API for Deep Learning", ``create_head``.

    When: convolutional backbones, to be compared with fastai. Not with: transformers, whose tokens are no map.

    Args:
        num_features: 2 F, of means and maxima (N, 2 F).
        num_classes: C.
        hidden: Width between the layers, >= 1.
        dropout: Before the last layer, in [0, 1); half of it before the first.
    """

    pooling = "catavgmax"
    drops_before_norm = True  # which is warned of elsewhere: it is taken for being fastai's

    def __init__(self, num_features: int, num_classes: int, hidden: int = 512, dropout: float = 0.5) -> None:
        refuse_bad_values(
            KEY,
            ("hidden", hidden, hidden >= 1, "a number >= 1"),
            ("dropout", dropout, 0 <= dropout < 1, "a share in [0, 1)"),
        )
        super().__init__(
            nn.BatchNorm1d(num_features),
            nn.Dropout(dropout / 2),
            nn.Linear(num_features, hidden, bias=False),
            nn.ReLU(inplace=True),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropout),
            _last(hidden, num_classes),
        )


class AttentionHead(nn.Module):
    """A query that is learned looks at all tokens; timm's attention pooling, then a linear layer.

    Source: Lee et al. (2019), "Set Transformer", section 3.2; Zhai et al. (2022), "Scaling Vision Transformers",
    section 2.2.

    When: transformers, above all those without a class token. Not with: convolutional backbones, which give no tokens.

    Args:
        num_features: F, of tokens (N, L, F).
        num_classes: C.
        num_heads: Of the attention; F has to be a multiple of it.
    """

    pooling = ""

    def __init__(self, num_features: int, num_classes: int, num_heads: int = 8) -> None:
        super().__init__()
        what = f"a number of heads that {num_features} features can be shared among"
        refuse_bad_values(KEY, ("num_heads", num_heads, num_heads >= 1 and num_features % num_heads == 0, what))
        self.pool = AttentionPoolLatent(num_features, num_heads=num_heads)
        self.last = _last(num_features, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (N, C)."""
        if tokens.ndim != 3:
            raise UserError(f"{KEY}: attention needs a backbone that gives tokens, such as a ViT; take concat_pool")
        logits: Tensor = self.last(self.pool(tokens))
        return logits


HEADS: dict[str, type[nn.Module]] = {
    "mlp": MLPHead,
    "cosine": CosineHead,
    "concat_pool": ConcatPoolHead,
    "attention": AttentionHead,
}
"""Besides ``linear``, which is the backbone's own classifier where it has one for the same classes."""


def pooling_of(spec: Spec) -> str | None:
    """Return how the backbone is to pool for a head, as timm calls it; None for the backbone's own way.

    A class of one's own says it by its attribute ``pooling``.
    """
    name, _ = parse_spec(KEY, spec)
    return None if is_linear(spec) else getattr(_class_of(name), "pooling", None)


def is_linear(spec: Spec) -> bool:
    """Tell whether a head is the linear one, which may be the backbone's own classifier."""
    return parse_spec(KEY, spec)[0] == LINEAR


def create_head(spec: Spec, linear: nn.Module, *, num_features: int, num_classes: int) -> nn.Module:
    """Return the head that a recipe names.

    Args:
        spec: ``linear``, one of :data:`HEADS` with its arguments, or the import path of a module class that is made
            with ``num_features`` and ``num_classes``.
        linear: The linear one, which may be pretrained.
        num_features: Width of what the backbone gives.
        num_classes: C.

    Raises:
        UserError: There is no such head, or it takes no such argument.
    """
    name, arguments = parse_spec(KEY, spec)
    if name == LINEAR:
        _refuse_arguments(arguments)
        return linear
    kind = _class_of(name)
    check_arguments(KEY, kind, arguments)
    return kind(num_features=num_features, num_classes=num_classes, **arguments)


def _refuse_arguments(arguments: Mapping[str, Any]) -> None:
    for name in arguments:
        raise UserError(f"{KEY}.{name}: 'linear' takes no arguments; leave it out, or take another head")


def _class_of(name: str) -> type[nn.Module]:
    if name not in HEADS and "." not in name:
        known = (LINEAR, *HEADS)
        raise UserError(f"{KEY}: '{name}' is not one of {', '.join(known)}{did_you_mean(name, known)}")
    found = HEADS.get(name) or import_object(KEY, name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(f"{KEY}: '{name}' is not a subclass of torch.nn.Module; name a class that is")
    return found
