"""Update rules of the first optimizers against the textbook, step by step in float64, and where libraries differ."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_recipes.components import Spec
from lightning_recipes.optim.optimizers import create_optimizer

LR, STEPS, DECAY = 0.1, 12, 0.05
HESSIAN = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
Memory = dict[str, Tensor]
START = torch.tensor([1.0, -2.0], dtype=torch.float64)


def gradient(w: Tensor) -> Tensor:
    """Of ``w H w / 2 + sum sin w``: not a quadratic, so that no two rules agree by chance."""
    return HESSIAN @ w + w.cos()


def library(spec: Spec, *, weight_decay: float = 0.0, rates: list[float] | None = None) -> list[Tensor]:
    """Where the optimizer that a recipe names goes."""
    w = nn.Parameter(START.clone())
    group = {"params": [w], "lr": LR, "weight_decay": weight_decay}
    optimizer = create_optimizer(spec, [group], lr=LR, weight_decay=weight_decay)
    path = []
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = LR if rates is None else rates[step]
        w.grad = gradient(w.detach())
        optimizer.step()
        path.append(w.detach().clone())
    return path


def textbook(rule: Callable[[Tensor, Memory, int], Tensor]) -> list[Tensor]:
    """Where a rule goes that gives the next point of a point, its memory, and the number of the step from 1 on."""
    w, memory, path = START.clone(), {"v": torch.zeros(2).double(), "s": torch.zeros(2).double()}, []
    for step in range(1, STEPS + 1):
        w = rule(w, memory, step)
        path.append(w)
    return path


def descent(w: Tensor, memory: Memory, t: int) -> Tensor:
    """Goodfellow et al. (2016), algorithm 8.1."""
    return w - LR * gradient(w)


def momentum(w: Tensor, memory: Memory, t: int) -> Tensor:
    """Goodfellow et al. (2016), algorithm 8.2: the velocity holds the rate."""
    memory["v"] = 0.9 * memory["v"] - LR * gradient(w)
    return w + memory["v"]


def rmsprop(w: Tensor, memory: Memory, t: int) -> Tensor:
    """Hinton's lecture 6e, with epsilon outside the root."""
    g = gradient(w)
    memory["s"] = 0.99 * memory["s"] + 0.01 * g**2
    return w - LR * g / (memory["s"].sqrt() + 1e-8)


def adam(w: Tensor, memory: Memory, t: int) -> Tensor:
    """Kingma and Ba (2015), algorithm 1: with bias correction, epsilon outside the root."""
    g = gradient(w)
    memory["v"] = 0.9 * memory["v"] + 0.1 * g
    memory["s"] = 0.999 * memory["s"] + 0.001 * g**2
    return w - LR * (memory["v"] / (1 - 0.9**t)) / ((memory["s"] / (1 - 0.999**t)).sqrt() + 1e-8)


def adamw(w: Tensor, memory: Memory, t: int) -> Tensor:
    """Loshchilov and Hutter (2019), algorithm 2: the decay goes past the moments."""
    return adam(w, memory, t) - LR * DECAY * w


def adam_l2(w: Tensor, memory: Memory, t: int) -> Tensor:
    """The same algorithm's L2: the decay goes through the moments."""
    g = gradient(w) + DECAY * w
    memory["v"] = 0.9 * memory["v"] + 0.1 * g
    memory["s"] = 0.999 * memory["s"] + 0.001 * g**2
    return w - LR * (memory["v"] / (1 - 0.9**t)) / ((memory["s"] / (1 - 0.999**t)).sqrt() + 1e-8)


@pytest.mark.parametrize(
    ("spec", "decay", "rule"),
    [
        ("sgd", 0.0, descent),
        ({"name": "sgd", "momentum": 0.9}, 0.0, momentum),
        ("rmsprop", 0.0, rmsprop),
        ("adam", 0.0, adam),
        ("adamw", DECAY, adamw),
        ("adam", DECAY, adam_l2),
    ],
)
def test_the_optimizer_goes_where_the_textbook_goes(spec: Spec, decay: float, rule: Any) -> None:
    torch.testing.assert_close(library(spec, weight_decay=decay), textbook(rule), rtol=1e-12, atol=1e-12)


def test_nesterov_stands_at_the_textbooks_look_ahead() -> None:
    """Sutskever et al. (2013), equation 3, takes the gradient at ``w + 0.9 v``; torch's weights are that point."""
    w, v, ahead = START.clone(), torch.zeros(2).double(), []
    for _ in range(STEPS):
        v = 0.9 * v - LR * gradient(w + 0.9 * v)
        w = w + v
        ahead.append(w + 0.9 * v)
    torch.testing.assert_close(library({"name": "sgd", "momentum": 0.9, "nesterov": True}), ahead, rtol=1e-12, atol=0)


def test_torchs_momentum_leaves_the_rate_out_of_the_velocity_so_a_lower_rate_acts_on_all_of_it() -> None:
    rates = [LR] * 6 + [LR / 10] * 6
    v, w, path = torch.zeros(2).double(), START.clone(), []
    for rate in rates:
        v = 0.9 * v + gradient(w)
        w = w - rate * v
        path.append(w)
    ours = library({"name": "sgd", "momentum": 0.9}, rates=rates)
    torch.testing.assert_close(ours, path, rtol=1e-12, atol=1e-12)
    v, w = torch.zeros(2).double(), START.clone()
    for rate in rates:
        v = 0.9 * v - rate * gradient(w)
        w = w + v
    assert (ours[-1] - w).norm() > 1e-2  # the textbook's velocity still has the old rate in it


def test_dampening_makes_the_velocity_a_mean_but_for_torchs_first_step() -> None:
    v, w, path = None, START.clone(), []
    for _ in range(STEPS):
        g = gradient(w)
        v = g if v is None else 0.9 * v + 0.1 * g
        w = w - LR * v
        path.append(w)
    ours = library({"name": "sgd", "momentum": 0.9, "dampening": 0.9})
    torch.testing.assert_close(ours, path, rtol=1e-12, atol=1e-12)


def test_timms_rmsprop_of_tensorflow_has_epsilon_inside_the_root_and_begins_at_one() -> None:
    s, w, path = torch.ones(2).double(), START.clone(), []
    for _ in range(STEPS):
        g = gradient(w)
        s = 0.9 * s + 0.1 * g**2
        w = w - LR * g / (s + 1e-3).sqrt()
        path.append(w)
    ours = library({"name": "rmsproptf", "alpha": 0.9, "eps": 1e-3, "momentum": 0.0})
    torch.testing.assert_close(ours, path, rtol=1e-9, atol=1e-9)
