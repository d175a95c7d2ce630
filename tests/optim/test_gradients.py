"""Clipping against torch's and timm's, and against numbers worked by hand."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from timm.utils.agc import adaptive_clip_grad
from torch import nn

from lightning_recipes.optim.gradients import clip_by_norm_, clip_by_unit_, clip_by_value_


def network(scale: float = 1.0) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    model.append(nn.Linear(2, 2).requires_grad_(False))
    (scale * model(torch.randn(5, 3, 4, 4)).square().sum()).backward()
    return model


def parameters(*gradients: list[float]) -> list[nn.Parameter]:
    made = [nn.Parameter(torch.ones(len(g))) for g in gradients]
    for parameter, gradient in zip(made, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    return made


def test_by_norm_by_hand() -> None:
    short, long = parameters([3.0], [0.0, 4.0])
    norm, clipped = clip_by_norm_([short, long], max_norm=2.5)
    assert (norm.item(), clipped.item()) == (5.0, True)
    assert short.grad is not None
    assert long.grad is not None
    torch.testing.assert_close(torch.cat([short.grad, long.grad]), torch.tensor([1.5, 0.0, 2.0]))


def test_by_value_by_hand() -> None:
    (parameter,) = parameters([-6.0, 0.5, 8.0])
    norm, clipped = clip_by_value_([parameter], max_value=5.0)
    assert norm.item() == pytest.approx(100.25**0.5)
    assert clipped.item()
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [-5.0, 0.5, 5.0]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 100.0])
def test_by_norm_and_by_value_are_torchs(scale: float) -> None:
    kinds: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
        (lambda p: clip_by_norm_(p, max_norm=1.0), lambda p: nn.utils.clip_grad_norm_(p, 1.0)),
        (lambda p: clip_by_value_(p, max_value=0.1), lambda p: nn.utils.clip_grad_value_(p, 0.1)),
    ]
    for ours, theirs in kinds:
        a = network(scale)
        b = copy.deepcopy(a)
        for x, y in zip(a.parameters(), b.parameters(), strict=True):  # a copy has no gradients
            y.grad = None if x.grad is None else x.grad.clone()
        ours(list(a.parameters()))
        theirs(b.parameters())
        for x, y in zip(a.parameters(), b.parameters(), strict=True):
            assert (x.grad is None) == (y.grad is None)
            if x.grad is not None and y.grad is not None:
                assert torch.equal(x.grad, y.grad)


@pytest.mark.parametrize("scale", [1e-7, 1.0, 100.0])
def test_by_unit_is_timms(scale: float) -> None:
    a = network(scale)
    b = copy.deepcopy(a)
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        y.grad = None if x.grad is None else x.grad.clone()
    norm, clipped = clip_by_unit_(list(a.parameters()), factor=0.02)
    adaptive_clip_grad([p for p in b.parameters() if p.grad is not None], clip_factor=0.02)
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        if x.grad is not None:
            torch.testing.assert_close(x.grad, y.grad)
    assert clipped.item() == (scale > 1e-3)
    assert norm > 0
