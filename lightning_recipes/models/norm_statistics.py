"""Batch-norm statistics: estimated anew for weights that have seen no images as they are, or held where they are."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lightning_recipes.compat.torch import BatchNorm

__all__ = ["held_statistics", "reestimate_statistics"]


@torch.no_grad()
def reestimate_statistics(
    model: nn.Module, batches: Iterable[Tensor], *, mean: Callable[[Tensor], Tensor] = lambda tensor: tensor
) -> int:
    """Estimate the statistics of the batch-norm layers that train from one pass over images, in place.

    Unlike torch's ``update_bn`` it leaves layers alone that stay in eval mode when the model is put into train mode:
    those are frozen, and their statistics are the pretrained ones.

    Args:
        model: In any mode; left in the same.
        batches: Images (N, 3, H, W), on the model's device.
        mean: Averages a tensor over all processes.

    Returns:
        Number of layers that were estimated.
    """
    was_training = model.training
    model.train()
    layers = [m for m in model.modules() if isinstance(m, BatchNorm) and m.training and m.track_running_stats]
    momenta = [layer.momentum for layer in layers]
    if layers:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean over all batches
        for images in batches:
            model(images)
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            for statistics in (layer.running_mean, layer.running_var):
                assert statistics is not None
                statistics.copy_(mean(statistics))
    model.train(was_training)
    return len(layers)


@contextmanager
def held_statistics(model: nn.Module) -> Iterator[None]:
    """Let batch-norm layers that train normalise by their batch inside, and leave their statistics as they are."""
    layers = [m for m in model.modules() if isinstance(m, BatchNorm) and m.training and m.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True
