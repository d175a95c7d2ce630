"""One training step: batch transforms, parts of a batch, penalties, and a second pass where a callback asks for one."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.strategies import ParallelStrategy
from torch import Tensor

from lightning_recipes.compat.lightning import gradient_scaler
from lightning_recipes.data.batch import batch_length, split_batch
from lightning_recipes.models.norm_statistics import held_statistics
from lightning_recipes.modules.step_additions import StepKey
from lightning_recipes.randomness import seed_process
from lightning_recipes.stages.step_count import logs_this_step

if TYPE_CHECKING:
    from lightning_recipes.modules.staged import StagedModule

__all__ = ["training_step"]


def training_step(module: "StagedModule", batch: Any, batch_idx: int) -> Tensor:
    """Return the loss whose gradient the optimizer gets; see :meth:`StagedModule.training_step`.

    What is counted and logged is the first pass: a second one sees the same batch with the same draws.
    """
    additions, trainer, key = module.additions, module.trainer, module.step_key(batch_idx)
    batch = module.transform_batch(batch, batch_idx)
    opens_step = batch_idx % trainer.accumulate_grad_batches == 0
    if additions.micro_batches > 1 and module.trial_key is None and opens_step:
        module.optimizers(use_pl_optimizer=False).zero_grad()  # type: ignore[union-attr]  # Lightning would after it
    learns, images = torch.is_grad_enabled(), batch_length(batch)
    parts = split_batch(batch, additions.micro_batches if learns else 1)
    if learns and additions.first_pass is not None:
        seen = _first_pass(module, parts, images, key)
        seed_process(*key)  # the draws of the second pass are those of the first
        with held_statistics(module):
            _, loss = _pass(module, parts, images, key, batch_idx, counts=False)
    else:
        seen, loss = _pass(module, parts, images, key, batch_idx, counts=True)
    if logs_this_step(trainer):  # to log takes as long as the step of a head
        # Not for the progress bar: Lightning reads the number at every step then, and waits for a GPU.
        module.log("train_loss_step", seen, batch_size=images)
    return loss


def _pass(
    module: "StagedModule", parts: list[Any], images: int, key: StepKey, batch_idx: int, *, counts: bool
) -> tuple[Tensor, Tensor]:
    """Return the loss of a batch, and that of its last part with its graph: the gradients of the others are added."""
    share = _share_of_step(module, batch_idx)
    seen = gradient_of = torch.zeros((), device=module.device)
    for number, part in enumerate(parts, start=1):
        module.backwards_left = len(parts) - number + 1
        loss, penalty = _loss_of(module, part, _key_of_part(key, number), counts=counts)
        seen = seen + loss.detach() * (batch_length(part) / images)
        gradient_of = (loss + penalty) * (share * batch_length(part) / images)
        if number < len(parts):  # Lightning takes the last part's
            _backward(module, gradient_of)
    return seen, gradient_of


def _first_pass(module: "StagedModule", parts: list[Any], images: int, key: StepKey) -> Tensor:
    """Return the loss of a batch, after the callback has seen its gradient; the optimizer does not."""
    assert module.additions.first_pass is not None
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    seen, total = torch.zeros((), device=module.device), [None] * len(trained)
    scaler = gradient_scaler(module.trainer)  # FP16 loses small gradients without it
    for number, part in enumerate(parts, start=1):
        loss, penalty = _loss_of(module, part, _key_of_part(key, number), counts=True)
        weight = batch_length(part) / images
        seen = seen + loss.detach() * weight
        whole = (loss + penalty) * weight
        gradients = torch.autograd.grad(scaler.scale(whole) if scaler else whole, trained, allow_unused=True)
        total = [_sum(before, gradient) for before, gradient in zip(total, gradients, strict=True)]
    module.additions.first_pass(trained, total)
    torch.clear_autocast_cache()  # it holds the weights as they were, in half precision
    return seen


def _key_of_part(key: StepKey, number: int) -> StepKey:
    """The key of a part of a batch, counted from 1: each draws its own; the first one's is that of a whole batch."""
    return key if number == 1 else (*key, "part", number)


def _sum(whole: Any, gradient: Tensor | None) -> Any:
    return gradient if whole is None else whole if gradient is None else whole + gradient


def _loss_of(module: "StagedModule", batch: Any, key: StepKey, *, counts: bool) -> tuple[Tensor, Tensor | float]:
    """Return the loss of a batch and the sum of its penalties; count and log them where this pass counts."""
    output = module.training_loss(batch, key)
    loss: Tensor = output["loss"] if isinstance(output, Mapping) else output
    penalties = {name: penalty() for name, penalty in module.additions.penalties.items()}
    if counts:
        module.count_training(batch, output if isinstance(output, Mapping) else {"loss": output})
        for name, value in penalties.items() if logs_this_step(module.trainer) else ():
            module.log(name, value.detach())
    return loss, sum(penalties.values())


def _backward(module: "StagedModule", loss: Tensor) -> None:
    """Add a part's gradient; what the other processes have is added with the last part's."""
    strategy = module.trainer.strategy
    with strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext():
        strategy.backward(loss / module.trainer.accumulate_grad_batches, None)


def _share_of_step(module: "StagedModule", batch_idx: int) -> float:
    """What a loss counts more where the epoch's last step accumulates fewer batches than the others.

    Lightning divides by the full number there too, so that step would be shorter than the mean over its images.
    """
    per_step, batches = module.trainer.accumulate_grad_batches, module.trainer.num_training_batches
    if per_step == 1 or module.trial_key is not None or not isinstance(batches, int):
        return 1.0
    left = batches % per_step
    return per_step / left if left and batch_idx >= batches - left else 1.0
