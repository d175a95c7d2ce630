"""What a method of pretraining is, and the methods by name."""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from lightning_recipes.components import Spec, check_arguments, import_object, parse_spec
from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.modules.step_additions import StepKey

__all__ = ["KEY", "METHODS", "Encoder", "Method", "Reconstructs", "create_method", "of_views"]

KEY = "model.method"
HERE = "lightning_recipes.modules.pretraining"
METHODS: Mapping[str, str] = {
    "simclr": f"{HERE}.simclr.SimCLR",
    "barlow_twins": f"{HERE}.barlow_twins.BarlowTwins",
    "simsiam": f"{HERE}.simsiam.SimSiam",
    "siamese": f"{HERE}.siamese.Siamese",
    "denoising": f"{HERE}.denoising.Denoising",
}
"""By name, where each is; imported where it is asked for, as most need the extra ``pretrain``."""
NEED_LIGHTLY = ("simclr", "barlow_twins", "simsiam")


class Encoder(Protocol):
    """What a method trains."""

    def features(self, images: Tensor) -> Tensor:
        """Return the features (N, F) of images (N, C, H, W)."""
        ...

    def feature_map(self, images: Tensor) -> Tensor:
        """Return the features before they are pooled, (N, F, H', W'), of images (N, C, H, W)."""
        ...


class Method(nn.Module):
    """What is learned where there are no labels; a subclass has the layers behind the backbone, and the loss.

    Made with the method's own arguments, and with those of these that its class takes: ``num_features``, the width of
    the backbone's features; ``map_features``, the same before they are pooled; ``stride``, the pixels between two
    places of the backbone's map; ``in_chans``, the channels of an image.

    Attributes:
        views: Of each image in a step.
        needs_labels: Whether it learns nothing where no label is known.
        compares_images: Whether the loss of a batch is more than the mean over its images: it then cannot be had in
            parts.
        lowest_loss: What the loss can fall to: how far it falls and rises is measured from there.
    """

    views: ClassVar[int] = 2
    compares_images: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = False
    lowest_loss: ClassVar[float] = 0.0

    @abstractmethod
    def loss(self, encoder: Encoder, images: Tensor, labels: Tensor, key: StepKey) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, a scalar, and the embeddings (M, D) that it compares.

        Args:
            encoder: That learns.
            images: (N, V, C, H, W), normalised: V views of each.
            labels: (N,), int64; -1 where the label is not known.
            key: Of the step, for draws of one's own (:func:`~lightning_recipes.randomness.generator_for`).
        """


@runtime_checkable
class Reconstructs(Protocol):
    """A method that tells a picture from what it has left of it."""

    def spoiled(self, images: Tensor, key: StepKey) -> tuple[Tensor, Tensor]:
        """Return images (N, C, H, W) as they are shown, and what is covered of them, (N, 1, H, W), 1 or 0."""
        ...

    def reconstruct(self, encoder: Encoder, images: Tensor) -> Tensor:
        """Return pictures (N, C, H, W), float32, normalised, of those that were shown."""
        ...


def of_views(encoder: Encoder, images: Tensor) -> Tensor:
    """Return features (N, V, F) of views (N, V, C, H, W), in one pass: norm statistics are those of all views."""
    return encoder.features(images.flatten(0, 1)).reshape(*images.shape[:2], -1)


def create_method(spec: Spec, shapes: Mapping[str, Callable[[], int]]) -> Method:
    """Return the method that a recipe names, one of :data:`METHODS` or the import path of a :class:`Method`.

    Args:
        spec: Its name, or a mapping of the name and its arguments.
        shapes: What :class:`Method` says, by name; asked for where the class takes it.

    Raises:
        UserError: There is no such method or argument, or a value cannot work.
    """
    name, arguments = parse_spec(KEY, spec)
    if name not in METHODS and "." not in name:
        raise UserError(f"{KEY}: '{name}' is not one of {', '.join(METHODS)}{did_you_mean(name, METHODS)}")
    if name in NEED_LIGHTLY and find_spec("lightly") is None:
        raise UserError(f"{KEY}: {name} needs lightly; pip install 'lightning-recipes[pretrain]'")
    kind = import_object(KEY, METHODS.get(name, name))
    if not (isinstance(kind, type) and issubclass(kind, Method)):
        raise UserError(f"{KEY}: '{name}' is no Method of lightning_recipes.modules.pretraining.method")
    if taken := [shape for shape in shapes if shape in arguments]:
        raise UserError(f"{KEY}.{taken[0]}: is read off the backbone and the images; leave it out")
    check_arguments(KEY, kind, arguments)
    given = {shape: shapes[shape]() for shape in shapes if shape in inspect.signature(kind).parameters}
    try:
        method: Method = kind(**given, **arguments)
    except (TypeError, ValueError) as error:  # of a text for a number, or a fraction for a width
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{KEY}: {name} cannot be made of {arguments} ({reason}); see what it takes") from error
    return method
