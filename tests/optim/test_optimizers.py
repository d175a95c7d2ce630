"""Optimizers by name: the classes of torch and timm, with clear errors."""

from typing import Any

import pytest
import timm.optim
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn

from lightning_recipes.components import Spec
from lightning_recipes.errors import UserError
from lightning_recipes.optim.optimizers import _torch_optimizers, create_optimizer
from lightning_recipes.optim.own_state import untouched_optimizer
from tests.small import classifier, digits, fit


def make(spec: Spec) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = [{"params": [nn.Parameter(torch.ones(2, 2))], "lr": 0.5, "weight_decay": 0.25}]
    return create_optimizer(spec, groups, lr=0.1, weight_decay=0.2)


@pytest.mark.parametrize(
    ("spec", "cls"),
    [
        ("adamw", torch.optim.AdamW),
        ("AdamW", torch.optim.AdamW),
        ({"name": "sgd", "momentum": 0.9, "nesterov": True}, torch.optim.SGD),
        ({"class_path": "torch.optim.RMSprop", "init_args": {"alpha": 0.9}}, torch.optim.RMSprop),
        ("lamb", timm.optim.Lamb),
        ("lion", timm.optim.Lion),
    ],
)
def test_a_name_gives_the_class_and_the_groups_keep_their_own_rates(spec: Spec, cls: type) -> None:
    optimizer = make(spec)
    assert type(optimizer) is cls
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]) == (0.5, 0.25)


def test_arguments_reach_the_optimizer() -> None:
    assert tuple(make({"name": "adamw", "betas": [0.8, 0.9]}).param_groups[0]["betas"]) == (0.8, 0.9)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("adamx", r"model\.optimizer: neither torch nor timm has 'adamx'; did you mean"),
        (
            {"name": "sgd", "momentun": 0.9},
            r"model\.optimizer\.momentun: 'SGD' takes no such argument; did you mean momentum",
        ),
        ({"name": "sgd", "lr": 0.9}, r"model\.optimizer\.lr: give model\.lr"),
        ({"name": "sgd", "momentum": -1.0}, r"model\.optimizer: sgd refuses its arguments: Invalid momentum"),
    ],
)
def test_a_wrong_optimizer_is_named_in_the_error(spec: Spec, text: str) -> None:
    with pytest.raises(UserError, match=text):
        make(spec)


CANNOT = {
    "lbfgs": "refuses its arguments: LBFGS doesn't support per-parameter options",
    "sparseadam": "cannot train this model: SparseAdam does not support dense gradients",
    "muon": "refuses its arguments: Muon only supports 2D parameters",
    "adahessian": "cannot train this model: it needs second derivatives",
}


@pytest.mark.parametrize(("name", "why"), CANNOT.items())
def test_an_optimizer_that_cannot_train_the_model_is_refused_in_one_line_before_the_first_step(
    name: str, why: str
) -> None:
    with pytest.raises(UserError, match=rf"model\.optimizer: {name} {why}") as refused:
        fit(classifier(optimizer=name), digits(), max_epochs=1)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "spec", ["adamw", "adam", {"name": "sgd", "momentum": 0.9, "nesterov": True}, "adagrad"], ids=str
)
def test_a_fused_step_is_torchs_own_step(spec: Any) -> None:
    def trained(fuse: bool) -> tuple[Tensor, Any]:
        torch.manual_seed(0)
        weight, frozen = nn.Parameter(torch.randn(5, 7)), nn.Parameter(torch.randn(3))
        optimizer = create_optimizer(spec, [{"params": [weight, frozen]}], lr=0.1, weight_decay=0.2, fuse=fuse)
        for step in range(5):
            weight.grad = torch.randn(5, 7, generator=torch.Generator().manual_seed(step))
            optimizer.step()
        return weight.detach(), optimizer.param_groups[0]["fused"]

    (ours, is_fused), (plain, _) = trained(True), trained(False)
    assert is_fused
    torch.testing.assert_close(ours, plain)


def test_a_recipe_that_chooses_how_a_step_is_taken_is_left_alone() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    for chosen in ({"fused": False}, {"foreach": True}):
        optimizer = create_optimizer({"name": "adamw", **chosen}, [{"params": [weight]}], lr=0.1, weight_decay=0.2)
        assert not optimizer.param_groups[0]["fused"]


def test_a_run_under_a_scaled_loss_is_not_fused_and_others_are() -> None:
    scaled = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=8.0))
    for plugins, fused in (([], True), ([scaled], False)):
        trainer, _ = fit(classifier(), digits(), max_epochs=1, plugins=plugins)
        assert bool(trainer.optimizers[0].param_groups[0]["fused"]) == fused


def test_looking_whether_an_optimizer_works_draws_nothing_and_moves_nothing() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    before = torch.get_rng_state()
    create_optimizer("adamw", [{"params": [weight]}], lr=0.1, weight_decay=0.2)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(weight, torch.ones(2, 2))
    assert weight.grad is None


def every_name() -> list[str]:
    names = [*_torch_optimizers(), *timm.optim.list_optimizers()]
    return [name for name in dict.fromkeys(names) if name not in CANNOT]


@pytest.mark.filterwarnings("ignore:.*opt_einsum.*", "ignore:.*create_graph=True.*")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name.startswith("kron") else name for name in every_name()]
)
def test_every_optimizer_of_torch_and_timm_goes_downhill_from_a_recipe(name: str) -> None:
    torch.manual_seed(0)
    matrix, bias = nn.Parameter(torch.randn(8, 8)), nn.Parameter(torch.randn(8))
    groups: list[dict[str, Any]] = [
        {"params": [matrix], "name": "head", "depth": 0, "lr": 1e-2, "weight_decay": 0.01},
        {"params": [bias], "name": "head/no_decay", "depth": 0, "lr": 1e-2, "weight_decay": 0.0},
    ]
    if name.startswith(("bnb", "fused")) and not torch.cuda.is_available():
        with pytest.raises(UserError, match=rf"model\.optimizer: {name} cannot be had here: CUDA required"):
            create_optimizer(name, groups, lr=1e-2, weight_decay=0.01)
        return
    optimizer = create_optimizer(name, groups, lr=1e-2, weight_decay=0.01)
    losses = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = matrix.square().mean() + bias.square().mean()
        loss.backward(create_graph=getattr(optimizer, "is_second_order", False))  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()))
        return loss

    for _ in range(30):
        optimizer.step(closure)  # type: ignore[arg-type]
    assert losses[-1] < losses[0]


def flat(value: Any) -> Any:
    """The same as plain lists and numbers, to be compared."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): flat(item) for key, item in value.items()}
    return [flat(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.filterwarnings("ignore:.*opt_einsum.*")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.startswith("kron") else name  # compiles for each shape
        for name in every_name()
        if not name.startswith(("bnb", "fused"))
    ],
)
@pytest.mark.parametrize("steps_before", [0, 2])
def test_steps_that_are_undone_leave_nothing_with_any_optimizer_of_torch_and_timm(name: str, steps_before: int) -> None:
    def trained(*, tried: bool) -> tuple[list[torch.Tensor], torch.optim.Optimizer]:
        torch.manual_seed(0)
        matrix, bias = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.randn(4))
        groups: list[dict[str, Any]] = [
            {"params": [matrix], "name": "head", "lr": 1e-2, "weight_decay": 0.01},
            {"params": [bias], "name": "head/no_decay", "lr": 1e-2, "weight_decay": 0.0},
        ]
        optimizer = create_optimizer(name, groups, lr=1e-2, weight_decay=0.01)

        def step(size: float = 1.0) -> None:
            optimizer.zero_grad()
            (size * (matrix.square().mean() + bias.square().mean())).backward()  # type: ignore[no-untyped-call]
            torch.manual_seed(0)
            optimizer.step()

        for _ in range(steps_before):
            step()
        before, names = flat(optimizer.state_dict()), sorted(vars(optimizer))
        values = [matrix.detach().clone(), bias.detach().clone()]
        if tried:
            with untouched_optimizer(optimizer):
                for group in optimizer.param_groups:
                    group["lr"] = 0.5
                for size in (1.0, 30.0, 0.1):
                    step(size)
            with torch.no_grad():
                matrix.copy_(values[0])
                bias.copy_(values[1])
        assert flat(optimizer.state_dict()) == before
        assert sorted(vars(optimizer)) == names
        for _ in range(3):
            step()
        return [matrix.detach(), bias.detach()], optimizer

    (ours, one), (theirs, other) = trained(tried=True), trained(tried=False)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert flat(one.state_dict()) == flat(other.state_dict())
