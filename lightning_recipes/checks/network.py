"""What the network does with each image, and what a step does to each parameter."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_recipes.checks.check import Check, failed, passed, verdict
from lightning_recipes.data.batch import Batch
from lightning_recipes.engine.trial_steps import rehearse_step
from lightning_recipes.errors import first_few
from lightning_recipes.models.groups import LayerGroup
from lightning_recipes.modules.protocols import GivesProbabilities, Staged

__all__ = ["check_gradients", "check_modes", "check_own_image", "take_steps"]


def check_own_image(module: GivesProbabilities, batch: Batch) -> Check:
    """Tell whether the outputs of an image depend on that image, and on no other of its batch.

    By the gradient of one image's logits with respect to all images, as in evaluation. Seen so are a ``view`` or
    ``reshape`` that mixes images, and a network that does not look at them.

    Args:
        module: In eval mode, a step or two trained: a head that begins with zeros looks at nothing yet.
        batch: On its device, >= 2 images.
    """
    name, expected = "own_image", "a gradient at the image itself, none at the others"
    images, middle = batch.images.detach().clone().requires_grad_(), len(batch.images) // 2
    with torch.enable_grad():
        # Squares, as the sum of a softmax or a layer norm has no gradient at all.
        logits = module.logits_of(batch._replace(images=images))[middle].float().square().sum()
        gradient = torch.autograd.grad(logits, images, allow_unused=True)[0] if logits.requires_grad else None
    sizes = torch.zeros(len(images)) if gradient is None else gradient.flatten(1).abs().amax(dim=1).float().cpu()
    others = [i for i in range(len(images)) if i != middle and float(sizes[i]) > 0]
    problems = []
    if others:
        what = f"the logits of one image change with {len(others)} others of its batch"
        problems.append((what, "look for a view, reshape, transpose or mean that mixes the images; dim 0 is the batch"))
    elif not float(sizes[middle]) > 0:
        problems.append(("the logits do not change with their image", "look at what forward does with the images"))
    return verdict(name, problems, measured="at the image itself alone", expected=expected)


def check_gradients(
    trainer: pl.Trainer, module: Staged, optimizer: Optimizer, batches: Sequence[Any], *, stage: str, trainable: int
) -> Check:
    """Tell whether a step changes what the stage trains, and nothing that it freezes.

    Args:
        trainer: Of a fit that is in the stage.
        module: Of the run.
        optimizer: That of :func:`~lightning_recipes.engine.trial_steps.no_trace`, which puts all back.
        batches: Of one step.
        stage: Its name.
        trainable: How many of the last layer groups it trains.
    """
    name = f"gradients of stage '{stage}'"
    groups = module.layer_groups
    frozen, trained = groups[: len(groups) - trainable], groups[len(groups) - trainable :]
    expected = f"finite ones in {len(trained)} of {len(groups)} layer groups, the others as they were"
    before = {group.name: [tensor.detach().clone() for tensor in group.tensors] for group in frozen}
    take_steps(trainer, optimizer, batches)
    problems = [*_of_trained(trained), *_of_frozen(frozen, before)]
    count = sum(parameter.numel() for group in trained for _, parameter in group.parameters)
    measured = f"{count:,} parameters get one" + (f", {len(frozen)} groups stay" if frozen else "")
    return verdict(name, problems, measured=measured, expected=expected)


def take_steps(trainer: pl.Trainer, optimizer: Optimizer, batches: Sequence[Any]) -> None:
    """Take two steps: a head that begins with all classes alike gives what is before it a gradient in the second."""
    for group in optimizer.param_groups:
        group["lr"] = group.get("initial_lr", group["lr"])  # a warm-up may begin at zero
    for step in range(2):
        rehearse_step(trainer, optimizer, batches, key=("check", "gradients", step))


def _of_trained(groups: Sequence[LayerGroup]) -> Iterator[tuple[str, str]]:
    parameters = [(name, p) for group in groups for name, p in group.parameters]
    if stuck := [name for name, p in parameters if not p.requires_grad]:
        yield (
            f"{len(stuck)} parameters that the stage trains are frozen: {first_few(stuck)}",
            "look for requires_grad_(False), or train fewer layer groups",
        )
    gradients = [(name, p.grad) for name, p in parameters if p.requires_grad]
    if lost := [name for name, gradient in gradients if gradient is None]:
        yield (
            f"{len(lost)} parameters get no gradient: {first_few(lost)}",
            "let forward use them, or leave them out; look for detach() and no_grad()",
        )
    if bad := [name for name, g in gradients if g is not None and not bool(g.isfinite().all())]:
        yield (
            f"{len(bad)} parameters get gradients that are not finite: {first_few(bad)}",
            "look for a division, a root or a logarithm of zero; lower the rate, or clip",
        )
    alive = {g.name for g in groups for _, p in g.parameters if p.grad is None or bool(p.grad.any())}
    if dead := [g.name for g in groups if g.parameters and g.name not in alive]:
        yield (
            f"all gradients of {first_few(dead)} are zero",
            "look for units that are never active, or a factor of zero",
        )


def _of_frozen(groups: Sequence[LayerGroup], before: dict[str, list[Tensor]]) -> Iterator[tuple[str, str]]:
    moved = [
        group.name
        for group in groups
        if any(not torch.equal(new, old) for new, old in zip(group.tensors, before[group.name], strict=True))
    ]
    if moved:
        yield (
            f"{first_few(moved)} changed, weights or norm statistics, though frozen",
            "keep frozen layers in eval mode and without requires_grad; leave both to the stages",
        )


def check_modes(
    trainer: pl.Trainer, module: pl.LightningModule, optimizer: Optimizer, batches: Sequence[Any], *, stage: str
) -> Check:
    """Tell whether dropout and norm layers are in the mode in a training step that the stage puts them into.

    A ``self.eval()`` that nothing takes back trains without dropout and on statistics that stand still.

    Args:
        trainer: Of a fit that is in the stage.
        module: Of the run.
        optimizer: As in :func:`check_gradients`.
        batches: Of one step.
        stage: Its name.
    """
    name, expected = f"modes of stage '{stage}'", "as the stage puts each layer: what trains in training mode"
    module.train()
    wanted = {path: layer.training for path, layer in _with_modes(module)}
    with _modes_seen(module) as seen:
        rehearse_step(trainer, optimizer, batches, key=("check", "modes"))
    module.train()
    resting = [path for path, mode in seen.items() if wanted[path] and not mode]
    awake = [path for path, mode in seen.items() if not wanted[path] and mode]
    if resting:
        what = f"in eval mode while training: {first_few(resting)}"
        return failed(name, what, expected, "look for eval() in the training step, or in a hook before it")
    if awake:
        what = f"in training mode though frozen: {first_few(awake)}"
        return failed(name, what, expected, "look for train() in the training step; frozen layers stay in eval mode")
    return passed(name, f"{len(seen)} layers as they should be", expected)


def _with_modes(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Layers that do something else in training: dropout, and norm layers that keep statistics."""
    for path, layer in module.named_modules():
        if getattr(layer, "running_mean", None) is not None or "drop" in type(layer).__name__.lower():
            yield path, layer


@contextmanager
def _modes_seen(module: nn.Module) -> Iterator[dict[str, bool]]:
    """Note the mode of each of these layers as its forward is called."""
    seen: dict[str, bool] = {}

    def note(path: str) -> Any:
        return lambda layer, inputs: seen.__setitem__(path, layer.training)

    hooks = [layer.register_forward_pre_hook(note(path)) for path, layer in _with_modes(module)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
