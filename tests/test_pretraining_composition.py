"""Every method of pretraining composes: killed, gone on with, and ended at the same bits, by what its file does."""

import multiprocessing
import signal
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

import lightning_recipes as lr
from lightning_recipes.callbacks.recording.run_summary import RunSummary
from lightning_recipes.models.fingerprint import weights_sha256
from tests.agreement import disagreements
from tests.modules.pretraining.pretrained import METHODS, images, module, pretrain
from tests.test_composition import IMPORTED_ONCE, KillAt, undrawn

# What acts on a step of any module, in sets that each method meets with one of; together they bring all of them.
SETS: dict[str, dict[str, Any]] = {
    "averaged": {"callbacks": lambda: [lr.EMA(0.9, 1), lr.GradientClipping("norm", 0.5)], "data": {"cache": "device"}},
    "accumulated": {"callbacks": lambda: [lr.Lookahead(3, 0.4, power=1)], "trainer": {"accumulate_grad_batches": 3}},
    "sharp": {"callbacks": lambda: [lr.SAM(0.05), lr.L1(1e-4), lr.MaxNorm(1.0)], "model": {"channels_last": True}},
    "found": {
        "callbacks": lambda: [lr.LearningRateFinder(["all"], steps=10, orders=1, min_lr=1e-4, max_lr=1)],
        "data": {"cache": "decoded", "balance": False},
        "stages": True,
    },
    "bf16": {
        "callbacks": lambda: [lr.GradientNoise(eta=1e-4), lr.StochasticDepth()],
        "trainer": {"precision": "bf16-mixed", "val_check_interval": 2},
        "model": {"backbone_kwargs": {"drop_path_rate": 0.2}},
    },
}
# One set a method on every day, so that all methods and all sets are met, and another one in the long run.
DAILY = list(zip(METHODS, SETS, strict=True))
TOGETHER = [*DAILY, *zip(METHODS, [*SETS][1:] + [*SETS][:1], strict=True)]


def train(connection: Any, method: str, name: str, folder: Path, kill: int | None, ckpt_path: Path | None) -> None:
    """Pretrain with ``last.ckpt`` after each step; send back steps, fingerprint, and what the file does otherwise."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    chosen = SETS[name]
    plan = [lr.Stage("head", epochs=1, train="head", lr=0.01), lr.Stage("all", epochs=2, lr=1e-3)]
    callbacks: list[pl.Callback] = [lr.Stages(plan)] if "stages" in chosen else []
    callbacks += [*chosen["callbacks"](), lr.ErrorAnalysis(), lr.TrainingDoctor(), RunSummary(str(folder), "recipe")]
    callbacks += [lr.BestCheckpoint(), lr.LastCheckpoint(every_n_train_steps=1)]
    callbacks += [KillAt(kill)] if kill is not None else []
    network, data = module(method, **chosen.get("model", {})), images(**chosen.get("data", {}))
    options = {**chosen.get("trainer", {}), "epochs": -1 if "stages" in chosen else 2}
    with undrawn():
        trainer = pretrain(network, data, folder, *callbacks, ckpt_path=ckpt_path, **options)
    precision = {"precision": "bf16-mixed"} if name == "bf16" else {}
    differ = disagreements(folder, images(), loose=0.3 if precision else 0, **precision)  # of a probe on 40 images
    connection.send((trainer.global_step, weights_sha256(network), differ))


class Run:
    """A pretraining in a process of its own."""

    def __init__(self, *arguments: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*IMPORTED_ONCE, "tests.test_pretraining_composition"])
        self.answer, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=train, args=(theirs, *arguments))
        self.process.start()
        theirs.close()

    def ended(self) -> int | None:
        self.process.join(timeout=480)
        return self.process.exitcode


@pytest.mark.parametrize(
    ("method", "name"), [one if one in DAILY else pytest.param(*one, marks=pytest.mark.slow) for one in TOGETHER]
)
def test_a_killed_pretraining_ends_at_the_same_weights(
    method: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    kill = 2 if name == "accumulated" else 3 + TOGETHER.index((method, name)) % 4
    whole = Run(method, name, tmp_path / "whole", None, None)
    killed = Run(method, name, tmp_path / "killed", kill, None)
    assert killed.ended() == -signal.SIGKILL
    last = tmp_path / "killed" / "checkpoints" / "last.ckpt"
    resumed = Run(method, name, tmp_path / "killed", None, last)
    assert (whole.ended(), resumed.ended()) == (0, 0)
    (steps, sha, differ), again = whole.answer.recv(), resumed.answer.recv()
    assert not differ, differ
    assert again == (steps, sha, [])


def test_the_sets_are_all_met_on_every_day() -> None:
    assert {name for _, name in DAILY} == set(SETS)
    assert {method for method, _ in DAILY} == set(METHODS)
