"""A run that is stopped at any step and resumed ends at the same weights, to the bit."""

from pathlib import Path
from typing import Any

import pytest

from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from tests.small import KeepEvery, classifier, digits, fit, two_stages

STEPS = 12  # three epochs of four batches
# Of the checkpoints of every step: some for every day, and all but the last, after which nothing is left.
SOME = slice(1, -1, 4)
STEPS_TO_GO_ON_FROM = [pytest.param(SOME, id="some"), pytest.param(slice(0, -1), id="all", marks=pytest.mark.slow)]


def run(
    folder: Path, name: str, *, ckpt_path: Path | None = None, cache: bool = True, max_steps: int = -1, **data: Any
) -> str:
    keep = KeepEvery(folder, name)
    model = classifier(optimizer="adamw")
    _, sha = fit(
        model, digits(augment="medium", **data), two_stages(cache_features=cache), keep, max_epochs=-1,
        ckpt_path=ckpt_path, enable_checkpointing=True, max_steps=max_steps,
    )  # fmt: skip
    return sha


@pytest.mark.parametrize("steps", STEPS_TO_GO_ON_FROM)
@pytest.mark.parametrize("max_steps", [100, 11])
def test_a_limit_of_steps_changes_no_resume(tmp_path: Path, max_steps: int, steps: slice) -> None:
    whole = run(tmp_path, "whole", max_steps=max_steps)
    paths = sorted(tmp_path.glob("whole-*.ckpt"))
    assert len(paths) == min(STEPS, max_steps)
    for path in paths[steps]:
        assert run(tmp_path, "again", ckpt_path=path, max_steps=max_steps) == whole, path.stem


@pytest.mark.parametrize("steps", [3, 6, 8])
def test_a_run_that_a_limit_ended_inside_an_epoch_goes_on_with_the_rest_of_it(tmp_path: Path, steps: int) -> None:
    def train(folder: str, **options: Any) -> tuple[int, str]:
        last = LastCheckpoint(dirpath=str(tmp_path / folder))
        plan, data = two_stages(), digits(augment="medium")
        trainer, sha = fit(classifier(), data, plan, last, max_epochs=-1, enable_checkpointing=True, **options)
        return trainer.global_step, sha

    whole = train("whole")
    assert train("cut", max_steps=steps)[0] == steps
    assert train("cut", ckpt_path=tmp_path / "cut" / "last.ckpt") == whole


@pytest.mark.parametrize("steps", STEPS_TO_GO_ON_FROM)
@pytest.mark.parametrize("cache", [True, False])
def test_every_resume_and_every_resume_of_a_resume_ends_at_the_same_weights(
    tmp_path: Path, cache: bool, steps: slice
) -> None:
    whole = run(tmp_path, "whole", cache=cache)
    first = sorted(tmp_path.glob("whole-*.ckpt"))
    assert len(first) == STEPS
    for path in first[steps]:
        assert run(tmp_path, f"from{path.stem[-2:]}", ckpt_path=path, cache=cache) == whole, path.stem
    # A second stop, one to eleven steps after the first, resumed from the resumed run's own checkpoint.
    for path in sorted(tmp_path.glob("from*.ckpt"))[:: 9 if steps == SOME or not cache else 3]:
        if not path.stem.endswith(f"-{STEPS}"):
            assert run(tmp_path, "chained", ckpt_path=path, cache=cache) == whole, path.stem


def test_the_same_run_twice_is_the_same_and_another_seed_is_not(tmp_path: Path) -> None:
    shas = [fit(classifier(), digits(augment="light"), two_stages(), max_epochs=-1, seed=seed)[1] for seed in (1, 1, 2)]
    assert shas[0] == shas[1] != shas[2]


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_the_number_of_workers_does_not_change_the_weights(workers: int) -> None:
    shas = [
        fit(classifier(), digits(augment="medium", num_workers=n), two_stages(), max_epochs=-1)[1] for n in (0, workers)
    ]
    assert shas[0] == shas[1]
