"""Discriminative rates and weight decay against hand-worked values."""

import pytest
import torch
from torch import nn

from lightning_recipes.errors import UserError
from lightning_recipes.optim.parameter_groups import parameter_groups


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def layers(net: nn.Sequential) -> list[tuple[str, list[tuple[str, nn.Parameter]]]]:
    return [(f"block{i}", list(child.named_parameters())) for i, child in enumerate(net)]


def test_group_g_from_the_head_gets_lr_times_decay_to_the_g() -> None:
    groups = parameter_groups(layers(network()), lr=0.1, lr_decay=0.5, weight_decay=0.01)
    rates = {group["name"]: group["lr"] for group in groups}
    assert rates == pytest.approx(
        {"block0": 0.025, "block0/no_decay": 0.025, "block1/no_decay": 0.05, "block2": 0.1, "block2/no_decay": 0.1}
    )


def test_biases_and_norm_weights_do_not_decay() -> None:
    net = network()
    decayed = {
        id(p)
        for g in parameter_groups(layers(net), lr=1.0, lr_decay=1.0, weight_decay=0.3)
        for p in g["params"]
        if g["weight_decay"]
    }
    assert decayed == {id(net[0].weight), id(net[2].weight)}


def test_one_step_moves_each_group_by_its_own_rate() -> None:
    net = network()
    optimizer = torch.optim.SGD(parameter_groups(layers(net), lr=1.0, lr_decay=0.1, weight_decay=0.0), lr=1.0)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    moved = {name: float((before[name] - p.detach()).mean()) for name, p in net.named_parameters()}
    assert moved["0.weight"] == pytest.approx(0.01, rel=1e-4)
    assert moved["1.bias"] == pytest.approx(0.1, rel=1e-4)
    assert moved["2.bias"] == pytest.approx(1.0, rel=1e-4)


def test_a_parameter_in_two_groups_is_refused_by_name() -> None:
    shared = nn.Linear(2, 2)
    named = list(shared.named_parameters())
    with pytest.raises(UserError, match="parameter 'weight' of 'b' is in another group too"):
        parameter_groups([("a", named), ("b", named)], lr=1.0, lr_decay=1.0, weight_decay=0.0)
