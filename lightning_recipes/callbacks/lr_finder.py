"""Learning rate range test at the start of stages: find the base rate where it is needed, and leave no other trace."""

import json
import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes.atomic_io import write_json
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.engine.trial_steps import no_trace, rehearse_loss, rehearse_step
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.figures.range_test import range_test_figure
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.modules.protocols import Staged, require_one_loss, require_staged
from lightning_recipes.optim.range_test import (
    SUGGESTIONS,
    Suggestion,
    geometric_rates,
    has_diverged,
    mean_curve,
    smooth,
    suggest,
)

__all__ = ["LearningRateFinder"]

log = logging.getLogger(__name__)

FALL = 0.1  # of a smoothed loss that falls by less than a tenth, the way down is the luck of the images
NO_DESCENT = "its loss has no descent to read a rate from"
ENOUGH = 5  # points that a curve needs
HELD_OUT = 64  # images; with 32 of them the rate of a rise by half is off by up to ten times, with 64 by three


class LearningRateFinder(pl.Callback):
    """Find the base rate of a stage by a range test at its start, also right after unfreezing.

    The rate rises geometrically from ``min_lr`` to ``max_lr``, one optimizer step at each; all layer groups rise by one
    factor, so their ratios stay. After each step the loss is taken on 64 validation images: always the same, so that
    the curve shows the weights and not the luck of the batches, and none that any stage trained on, so that learning by
    heart does not count. It is smoothed, and the test ends early where it diverges. This is done for several data
    orders, each from the same weights and on other images as far as there are any, and the curves' mean decides; what
    the single curves suggest is the spread.

    How far a loss falls and rises is measured from what it can fall to, which is 0 of most (``lowest_loss``; -1 of
    SimSiam). Where it falls by less than a tenth, as after a head that has learned all that its features give, there is
    no descent to read a rate from: the stage keeps its own, and what the rule ``divergence`` says is reported. A tenth
    of that rate throws out a pretrained network as often as it trains it (``benchmarks/RESULTS.md``).

    Nothing else changes: weights, statistics, optimizer, loss scale, order of the data, random draws and logs are to
    the bit as without it. Every step goes through the trainer's strategy and precision, so accumulation, mixed
    precision, gradient clipping and several processes are as in training. Writes ``lr_finder.json`` and
    ``figures/lr_finder_<stage>.png`` into the run's folder. Keeps no state: the rate that it sets is in the scheduler's
    checkpoint.

    Source: Smith (2015), "Cyclical Learning Rates for Training Neural Networks", section 3.3.

    When: a new data set, backbone or optimizer, whose rate nobody knows. Not with: a stage that has little left to
    learn, where any rate from a wide range does.

    Args:
        stages: Names of the stages to test (default: every stage; without stages, the run's start).
        suggestion: Which rate to take. ``steep``: the loss falls fastest, of nearly equal slopes the highest rate;
            ``valley``: the middle of the longest descent; ``slide``: the end of the steady descent, from above;
            ``minimum``: a tenth of the rate of the lowest loss; ``divergence``: a tenth of the rate at which the loss
            has risen by half. All that find one are reported.
        apply: Set the rate; false only reports.
        min_lr: First rate of the head, > 0.
        max_lr: Last rate of the head, > ``min_lr``.
        steps: Optimizer steps of each data order, >= 10.
        orders: Data orders, >= 1.
        smoothing: Weight of the past in the smoothed loss, in [0, 1).
        divergence: The test ends where the smoothed loss is so many times its lowest, > 1.

    Raises:
        UserError: A value cannot work; at the start of a fit, there is no such stage, the module is no
            staged one, or ``Stages`` comes later in the list.
    """

    one_a_stage = True  # there may be several

    def __init__(
        self,
        stages: list[str] | None = None,
        suggestion: Literal["steep", "valley", "slide", "minimum", "divergence"] = "steep",
        apply: bool = True,
        min_lr: float = 1e-6,
        max_lr: float = 10.0,
        steps: int = 100,
        orders: int = 3,
        smoothing: float = 0.9,
        divergence: float = 4.0,
    ) -> None:
        refuse_bad_values(
            "LearningRateFinder",
            ("suggestion", suggestion, suggestion in SUGGESTIONS, f"one of {', '.join(SUGGESTIONS)}"),
            ("min_lr", min_lr, 0 < min_lr < math.inf, "a learning rate > 0"),
            ("max_lr", max_lr, min_lr < max_lr < math.inf, "a learning rate > min_lr"),
            ("steps", steps, steps >= 10, "a number >= 10"),
            ("orders", orders, orders >= 1, "a number >= 1"),
            ("smoothing", smoothing, 0 <= smoothing < 1, "a weight in [0, 1)"),
            ("divergence", divergence, divergence > 1, "a factor > 1"),
        )
        self.stages, self.suggestion, self.apply = stages, suggestion, apply
        self.min_lr, self.max_lr, self.steps, self.orders = min_lr, max_lr, steps, orders
        self.smoothing, self.divergence = smoothing, divergence
        self.found: dict[str, dict[str, Any]] = {}

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a foreign module."""
        if stage == "fit":
            require_one_loss(pl_module, "LearningRateFinder")

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse stages that there are not."""
        plan = require_staged(pl_module, "LearningRateFinder").timeline.plan
        plan.require_stages("LearningRateFinder.stages", self.stages)

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Run the test where a stage begins."""
        module = require_staged(pl_module, "LearningRateFinder")
        plan, epoch = module.timeline.plan, trainer.current_epoch
        position = plan.index_at(epoch)
        name = plan.stages[position].name
        if epoch != plan.start_of(position) or (self.stages is not None and name not in self.stages):
            return
        if module.plan is not None and module.stage_begun_at != epoch:
            raise UserError("LearningRateFinder: list it after Stages, which sets the rates that it replaces")
        self.find(trainer, pl_module, name)

    def find(self, trainer: pl.Trainer, pl_module: pl.LightningModule, name: str) -> None:
        """Test, report, and set the rate of the stage that begins."""
        module = require_staged(pl_module, "LearningRateFinder")
        start, recipe_lr = time.monotonic(), module.base_lr
        if not recipe_lr > 0:
            raise UserError(
                f"LearningRateFinder: the rate of stage '{name}' is {recipe_lr}; give one > 0 to start from"
            )
        rates = geometric_rates(self.min_lr, self.max_lr, self.steps)
        raw = self.curves(trainer, pl_module, rates)
        curves = [smooth(curve, self.smoothing) for curve in raw]
        found, problem = self._judge(rates, curves, module.lowest_loss)
        chosen = found.get(self.suggestion)
        if problem is None and chosen is None:
            flat = list(found) == ["divergence"]
            problem = NO_DESCENT if flat else f"the rule '{self.suggestion}' finds nothing on this curve"
        if problem not in (None, NO_DESCENT):
            rank_zero_warn(f"LearningRateFinder: stage '{name}': {problem}; its rate stays at {recipe_lr:g}")
        lr = recipe_lr if problem is not None or chosen is None or not self.apply else chosen.lr
        self.found[name] = {
            "lr": lr,
            "applied": self.apply and problem is None,
            "recipe_lr": recipe_lr,
            "suggestion": self.suggestion,
            "suggestions": {rule: asdict(s) for rule, s in found.items()},
            "problem": problem,
            "optimizer_steps": sum(len(curve) for curve in raw),
            "seconds": round(time.monotonic() - start, 3),
            "rates": rates[: max(map(len, raw))],
            "losses": raw,
        }
        if lr != recipe_lr:
            module.scale_learning_rates(lr / recipe_lr)
        self._report(trainer, name, rates, curves, found)

    def curves(self, trainer: pl.Trainer, pl_module: pl.LightningModule, rates: list[float]) -> list[list[float]]:
        """Return the loss on held-out images after a step at each rate, for each data order, until it diverges."""
        curves, module = [], require_staged(pl_module, "LearningRateFinder")
        for order in range(self.orders):
            with no_trace(trainer, pl_module) as optimizer:
                trained, held_out = _batches(trainer, order)
                curves.append(self._curve(trainer, module, optimizer, rates, trained, held_out, order))
        return curves

    def _curve(
        self,
        trainer: pl.Trainer,
        module: Staged,
        optimizer: Optimizer,
        rates: list[float],
        trained: Iterator[Any],
        held_out: list[Any],
        order: int,
    ) -> list[float]:
        relative = [group["initial_lr"] / module.base_lr for group in optimizer.param_groups]
        losses: list[float] = []
        for step, rate in enumerate(rates):
            for group, share in zip(optimizer.param_groups, relative, strict=True):
                group["lr"] = rate * share
            batches = list(islice(trained, trainer.accumulate_grad_batches))
            rehearse_step(trainer, optimizer, batches, key=("range_test", trainer.current_epoch, order, step))
            # The same images with the same draws every time: what changes is the weights alone.
            same = ("range_test", trainer.current_epoch, order, self.steps)
            losses.append(rehearse_loss(trainer, held_out, key=same))
            measured = [loss - module.lowest_loss for loss in losses]
            if has_diverged(measured, beta=self.smoothing, threshold=self.divergence):
                break
        while losses and not math.isfinite(losses[-1]):
            losses.pop()
        return losses

    def _judge(
        self, rates: list[float], curves: list[list[float]], floor: float
    ) -> tuple[dict[str, Suggestion], str | None]:
        """Return the suggestions, and what is wrong with the curves if something is."""
        if min(map(len, curves)) < ENOUGH:
            return {}, f"the loss was not finite after {min(map(len, curves))} steps from a rate of {rates[0]:g} on"
        measured = [[loss - floor for loss in curve] for curve in curves]
        mean, found = mean_curve(measured), suggest(rates, measured)
        if min(mean) > (1 - FALL) * mean[0]:
            found = {rule: s for rule, s in found.items() if rule == "divergence"}
            highest = f"{rates[len(mean) - 1]:g}"
            neither = f"the loss of {mean[0] + floor:.4g} hardly fell, and did not rise, up to a rate of {highest}"
            return found, None if found else neither
        return found, None

    def _report(
        self,
        trainer: pl.Trainer,
        name: str,
        rates: list[float],
        curves: list[list[float]],
        found: dict[str, Suggestion],
    ) -> None:
        result = self.found[name]
        listed = ", ".join(f"{rule} {s.lr:.2g} [{s.low:.2g}..{s.high:.2g}]" for rule, s in found.items())
        does = "takes" if result["applied"] else "keeps"
        if trainer.is_global_zero:
            why = f"; {NO_DESCENT}" if result["problem"] == NO_DESCENT else ""
            log.info("stage '%s' %s a rate of %.3g (%s)%s", name, does, result["lr"], listed or "no suggestion", why)
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        folder = Path(trainer.default_root_dir)
        path = folder / "figures" / f"lr_finder_{_file_name(name)}.png"
        figure = range_test_figure(rates, curves, found, chosen=result["suggestion"], title=_title(name, result))
        save_figure(figure, path, key=f"lr_finder/{name}", loggers=trainer.loggers)
        _add_to_json(folder / "lr_finder.json", name, {**result, "figure": path.stem})


def _batches(trainer: pl.Trainer, order: int) -> tuple[Iterator[Any], list[Any]]:
    """Return batches to train on without end, and some that are held out; of a foreign data module the first is."""
    data = image_data_of(trainer)
    if data is not None:
        trained, held_out = data.rehearsal_dataloaders(order, held_out=HELD_OUT)
        return _endless(trained), list(held_out)
    batches = _endless(trainer.train_dataloader or [])
    return batches, [next(batches)]


def _endless(loader: Iterable[Any]) -> Iterator[Any]:
    """Pass over the loader again and again."""
    empty = False
    while not empty:
        empty = True
        for batch in loader:
            empty = False
            yield batch


def _file_name(stage: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stage)


def _title(name: str, result: dict[str, Any]) -> str:
    if result["problem"] is not None:
        return f"Range test of stage '{name}': {result['problem']}"
    took = f"takes {result['lr']:.2g}" if result["applied"] else f"keeps {result['lr']:.2g}"
    return f"Range test of stage '{name}' {took} (recipe: {result['recipe_lr']:.2g})"


def _add_to_json(path: Path, name: str, result: dict[str, Any]) -> None:
    results = json.loads(path.read_text()) if path.exists() else {}
    write_json(path, {**results, name: result})
