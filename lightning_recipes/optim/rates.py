"""Base rates and momentum of an optimizer under a schedule: the only place that writes them.

A group's rate is its base rate times the schedule's factor. Base rates live in the scheduler and so in its checkpoint.
"""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_recipes.optim.parameter_groups import layer_learning_rate

__all__ = ["head_rate", "set_base_rates", "set_learning_rates", "set_momentum"]


def head_rate(optimizer: Optimizer, scheduler: LambdaLR) -> float:
    """Return the base rate of the head, which is the largest there is."""
    return float(max(scheduler.base_lrs[: len(optimizer.param_groups)]))


def set_base_rates(optimizer: Optimizer, scheduler: LambdaLR, rates: list[float]) -> None:
    """Give every group its base rate; the schedule goes on from where it is.

    Args:
        optimizer: Whose groups they are.
        scheduler: Over that optimizer.
        rates: One a group, in the optimizer's order.
    """
    for position, (group, rate) in enumerate(zip(optimizer.param_groups, rates, strict=True)):
        scheduler.base_lrs[position] = group["initial_lr"] = rate
        group["lr"] = rate * scheduler.lr_lambdas[position](scheduler.last_epoch)


def set_learning_rates(optimizer: Optimizer, scheduler: LambdaLR, *, lr: float, lr_decay: float) -> None:
    """Give every group the base rate of its depth, ``lr * lr_decay ** depth``."""
    depths = [group["depth"] for group in optimizer.param_groups]
    set_base_rates(optimizer, scheduler, [layer_learning_rate(lr, lr_decay, depth) for depth in depths])


def set_momentum(optimizer: Optimizer, momentum: float | None) -> None:
    """Give every group a momentum (of Adam and its kin: beta1), or its own back.

    An optimizer without momentum, or with a momentum of 0, stays without.

    Args:
        optimizer: Whose groups they are.
        momentum: In [0, 1); None is what the optimizer was made with.
    """
    for group in optimizer.param_groups:
        if momentum is None and "initial_momentum" not in group:
            continue
        if "betas" in group:
            own = group.setdefault("initial_momentum", group["betas"][0])
            group["betas"] = (own if momentum is None else momentum, *group["betas"][1:])
        elif group.get("momentum"):
            own = group.setdefault("initial_momentum", group["momentum"])
            group["momentum"] = own if momentum is None else momentum
