"""Everything composes: recipes of any two techniques are killed, moved, resumed, and end at the same bits.

And what they report is what their file does.
"""

import inspect
import json
import math
import multiprocessing
import os
import signal
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from typing_extensions import override

import lightning_recipes
from lightning_recipes.callbacks import error_analysis
from lightning_recipes.callbacks.best_checkpoint import BestCheckpoint
from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from lightning_recipes.callbacks.error_analysis import ErrorAnalysis
from lightning_recipes.callbacks.recording.run_summary import RunSummary
from lightning_recipes.callbacks.training_doctor import TrainingDoctor
from lightning_recipes.modules.step_additions import StepAdditions
from tests.agreement import disagreements
from tests.catalogue import FACTORS, Recipe, data_of, every_pair, pairwise_recipes, run, uses

RECIPES = pairwise_recipes()
# A process of its own, which has never computed anything, is forked from one that has imported all there is.
IMPORTED_ONCE = ["tests.test_composition", "matplotlib.pyplot", "scipy.stats", "sklearn.datasets", "wandb"]
ON_EVERY_DAY = 18  # every eighteenth recipe; the others are slow tests
TOGETHER: list[Recipe] = [
    {"clipping": clipping, "ema": ema, "accumulate": accumulate, "precision": precision}
    for clipping in ("norm", "value", "adaptive")
    for ema, accumulate in (("average", "2"), ("both", "3"))
    for precision in ("fp16", "bf16")
]


@pytest.fixture(autouse=True)
def _imports_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than in the checkout the server of forks finds no test to import, says nothing, and is slow."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))


class KillAt(pl.Callback):
    """Ends the process as nobody can prevent, after so many optimizer steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def undrawn() -> AbstractContextManager[Any]:
    """Leave out the pictures of what went wrong, which take longer than a small training and change nothing of it."""
    return patch.object(error_analysis, "save_figure")


def train(connection: Any, recipe: Recipe, folder: Path, kill: int | None, ckpt_path: Path | None) -> None:
    """Run a recipe, keep ``last.ckpt`` after each step, and send back steps, fingerprint and what it reports."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    doctor = TrainingDoctor(["waits_for_images"])
    reports = [ErrorAnalysis(), doctor, RunSummary(str(folder), "recipe"), BestCheckpoint()]
    more = [*reports, LastCheckpoint(every_n_train_steps=1), *([KillAt(kill)] if kill is not None else [])]
    with undrawn():
        trainer, sha = run(recipe, folder, *more, ckpt_path=ckpt_path)
    summary = json.loads((folder / "summary.json").read_text())
    reported = {name: summary[name] for name in ("best_epoch", "val_loss", "val_accuracy")}
    reported["symptoms"] = json.loads((folder / "symptoms.json").read_text())
    precision: dict[str, Any] = {"precision": "bf16-mixed"} if recipe.get("precision") == "bf16" else {}
    if recipe.get("precision") == "fp16":
        precision = {"plugins": [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))]}
    differ = disagreements(folder, data_of(recipe), loose=0.1 if precision else 0, **precision)
    connection.send((trainer.global_step, sha, reported, differ))


class Run:
    """A recipe that trains in a process of its own."""

    def __init__(self, recipe: Recipe, folder: Path, *, kill: int | None = None, ckpt_path: Path | None = None) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED_ONCE)
        self.answer, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=train, args=(theirs, recipe, folder, kill, ckpt_path))
        self.process.start()
        theirs.close()

    def result(self) -> tuple[int, str, dict[str, Any]]:
        """Steps, fingerprint and what the run reports, which has to be what its file does."""
        self.process.join(timeout=480)
        assert self.process.exitcode == 0
        steps, sha, reported, differ = self.answer.recv()
        assert not differ, differ
        return steps, sha, reported

    def killed(self) -> bool:
        self.process.join(timeout=480)
        return self.process.exitcode == -signal.SIGKILL


def check(recipe: Recipe, number: int, folder: Path) -> None:
    accumulate = int(recipe.get("accumulate", "1"))
    head, later = math.ceil(4 / accumulate), math.ceil((2 if recipe.get("ramp") == "on" else 4) / accumulate)
    # No checkpoint is written right before a validation inside an epoch: that after the first of three batches.
    first = 2 if accumulate == 3 and recipe.get("validating") == "within" else 1
    kill = first + 1 + number % (head + later - first)  # any step of the first two epochs after the first checkpoint
    whole, cut = Run(recipe, folder / "whole"), Run(recipe, folder / "killed", kill=kill)
    assert cut.killed()
    # Gone on with in another place, or under another spelling of its path.
    moved = (folder / "killed").rename(folder / "moved") if number % 2 else folder / "killed" / ".." / "killed"
    assert Run(recipe, moved, ckpt_path=moved / "checkpoints" / "last.ckpt").result() == whole.result()


def test_the_recipes_bring_every_two_settings_together() -> None:
    assert every_pair() <= uses(RECIPES)
    assert len(every_pair()) > 3000


def test_the_catalogue_has_every_callback_that_acts_on_a_step() -> None:
    made = [make() for levels in FACTORS.values() for level in levels.values() for make in level.callbacks]
    names = {type(callback).__name__ for callback in made if type(callback).__module__.startswith("lightning_recipes")}
    folder = Path(__file__).parents[1] / "lightning_recipes" / "callbacks"
    at_the_end = {"error_analysis", "gradcam"}
    others = {"__init__", "best_checkpoint", "checkpoints", "epoch_lines", "progress_bar", "stages", "stop_on_signal"}
    others |= {"pipeline_checks", "training_doctor"}  # of a command of its own, and of every recipe
    others |= {"stem_whitening"}  # before the first step, of a backbone that the recipes have not
    modules = {path.stem for path in folder.glob("*.py")} - others - at_the_end
    assert {_module_of(name) for name in names} == modules


def test_every_technique_says_where_it_is_from_and_when_not_to_use_it() -> None:
    for levels in FACTORS.values():
        for level in levels.values():
            for make in (make for make in level.callbacks if hasattr(lightning_recipes, type(make()).__name__)):
                text = inspect.getdoc(type(make())) or ""
                assert all(word in text for word in ("Source: ", "When: ", "Not with: ", "Args:", "Raises:")), make()


def _module_of(callback: str) -> str:
    return str(getattr(lightning_recipes, callback).__module__).rpartition(".")[2]


@pytest.mark.parametrize("number", range(0, len(RECIPES), ON_EVERY_DAY))
def test_a_killed_run_of_any_two_techniques_ends_at_the_same_weights(number: int, tmp_path: Path) -> None:
    check(RECIPES[number], number, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [n for n in range(len(RECIPES)) if n % ON_EVERY_DAY])
def test_every_other_pair_too(number: int, tmp_path: Path) -> None:
    check(RECIPES[number], number, tmp_path)


@pytest.mark.parametrize(
    "number", [n if n == 9 else pytest.param(n, marks=pytest.mark.slow) for n in range(len(TOGETHER))]
)
def test_clipping_with_an_average_accumulation_and_mixed_precision(number: int, tmp_path: Path) -> None:
    check(TOGETHER[number], number, tmp_path)


def test_a_fit_that_is_over_leaves_no_callback_in_the_module(tmp_path: Path) -> None:
    techniques = {"mixing": "both", "activations": "small", "sharpness": "on", "l1": "on", "ema": "both"}
    trainer, _ = run({**techniques, "memory": "parts"}, tmp_path)
    assert trainer.lightning_module.additions == StepAdditions()
