"""Clipping in a fit: what is clipped, when, what is logged, and what cannot go together."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes import GradientClipping, UserError
from lightning_recipes.optim.gradients import gradients_of
from tests.small import classifier, digits, fit


class Norms(pl.Callback):
    """The norm of each layer group's gradient at each step; before clipping or after, by its place in the list."""

    def __init__(self) -> None:
        self.seen: list[dict[str, float]] = []

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        norms: dict[str, float] = {}
        for group in optimizer.param_groups:
            name = group["name"].removesuffix("/no_decay")
            square = sum(float(g.square().sum()) for g in gradients_of(group["params"]))
            norms[name] = norms.get(name, 0.0) + square
        self.seen.append({name: square**0.5 for name, square in norms.items()})

    def total(self) -> list[float]:
        return [sum(norm**2 for norm in norms.values()) ** 0.5 for norms in self.seen]


def clipped_fit(clipping: GradientClipping, **options: Any) -> tuple[pl.Trainer, Norms, Norms]:
    before, after = Norms(), Norms()
    trainer, _ = fit(classifier(), digits(), before, clipping, after, max_epochs=1, log_every_n_steps=1, **options)
    return trainer, before, after


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_norm_is_never_longer_than_the_limit_and_what_is_shorter_stays(accumulate: int) -> None:
    limit = 1.5
    trainer, before, after = clipped_fit(GradientClipping("norm", limit), accumulate_grad_batches=accumulate)
    assert len(before.seen) == 4 // accumulate
    for was, now in zip(before.total(), after.total(), strict=True):
        assert now == pytest.approx(min(was, limit), rel=1e-4)
    share = sum(norm > limit for norm in before.total()) / len(before.seen)
    assert float(trainer.callback_metrics["gradient_clipping/clipped_share"]) == pytest.approx(share)
    assert float(trainer.callback_metrics["gradient_clipping/norm"]) == pytest.approx(before.total()[-1], rel=1e-5)


def test_each_layer_group_has_its_own_limit_where_that_is_asked_for() -> None:
    _, before, after = clipped_fit(GradientClipping("norm", 0.3, scope="group"))
    for was, now in zip(before.seen, after.seen, strict=True):
        assert now == pytest.approx({name: min(norm, 0.3) for name, norm in was.items()}, rel=1e-4)


def test_the_adaptive_kind_leaves_the_head_alone() -> None:
    _, before, after = clipped_fit(GradientClipping("adaptive", 1e-3))
    assert [norms["head"] for norms in after.seen] == [norms["head"] for norms in before.seen]
    assert after.seen[1]["stem"] < before.seen[1]["stem"]  # at the first step the head is zero, and so is this


def test_under_fp16_the_limit_is_on_the_true_gradients() -> None:
    fp16 = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))
    _, before, after = clipped_fit(GradientClipping("norm", 0.5), plugins=[fp16])
    assert max(before.total()) < 20  # not a thousand times as much
    assert max(after.total()) == pytest.approx(0.5, rel=1e-3)


def test_what_clips_twice_or_unseen_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"trainer\.gradient_clip_val"):
        clipped_fit(GradientClipping(), gradient_clip_val=1.0)
    fp16 = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    fused = classifier(optimizer={"name": "adamw", "fused": True})
    with pytest.raises(UserError, match="fused: false"):
        fit(fused, digits(), GradientClipping(), max_epochs=1, plugins=[fp16])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"by": "length"}, r"GradientClipping\.by: length"),
        ({"limit": 0.0}, r"GradientClipping\.limit: 0\.0"),
        ({"limit": float("nan")}, r"GradientClipping\.limit: nan"),
        ({"scope": "layer"}, r"GradientClipping\.scope: layer"),
    ],
)
def test_a_bad_value_is_named(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        GradientClipping(**arguments)
