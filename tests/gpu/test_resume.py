"""On a GPU too a stopped run goes on and ends, to the bit, as if it had not been; the finder leaves no trace."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from lightning_recipes import EMA, GradientClipping, Mixing
from tests.callbacks.test_lr_finder_trace import run as run_with_finder
from tests.processes import start
from tests.small import GPU, SMALL, KeepEvery, classifier, digits, fit, two_stages

PRECISIONS = ["32-true", "16-mixed", "bf16-mixed"]


@pytest.mark.parametrize(
    ("precision", "options"),
    [
        *((precision, {}) for precision in PRECISIONS),
        ("16-mixed", {"channels_last": True}),
        ("bf16-mixed", {"compile": True}),
    ],
)
def test_from_any_step_the_weights_are_those_of_the_whole_run(
    precision: Any, options: dict[str, Any], tmp_path: Path
) -> None:
    def run(name: str, ckpt_path: Path | None = None) -> str:
        callbacks = [two_stages(), EMA(0.9), GradientClipping("norm", 1.0), Mixing()]
        _, sha = fit(
            classifier(**options), digits(augment="medium"), *callbacks, KeepEvery(tmp_path, name), max_epochs=-1,
            ckpt_path=ckpt_path, enable_checkpointing=True, default_root_dir=str(tmp_path / name), precision=precision,
            **GPU,
        )  # fmt: skip
        return sha

    whole = run("whole")
    for path in sorted(tmp_path.glob("whole-*.ckpt"))[1:-1:4]:
        assert run("again", path) == whole, path.stem


@pytest.mark.filterwarnings("ignore:LearningRateFinder. stage")  # ten steps of an untrained network find nothing
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_run_with_the_finder_is_the_run_without_it(precision: Any, tmp_path: Path) -> None:
    without, with_it = (
        run_with_finder(tmp_path / name, bool(name == "with"), precision=precision, **GPU)
        for name in ("without", "with")
    )
    assert with_it[1] == without[1]  # order, augmentation, random draws, rates, momentum, loss scale
    assert with_it[2] == without[2]  # the logs of training
    assert with_it[0] == without[0]  # the weights


def test_killed_and_resumed_the_run_is_the_same(tmp_path: Path) -> None:
    recipe = SMALL.replace("logger: false", "precision: 16-mixed").replace("accelerator: cpu", "accelerator: gpu")
    recipe = recipe.replace("{name: all, epochs: 1", "{name: all, epochs: 12")
    shas = {}
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "small.yaml").write_text(recipe)
        if name == "killed":
            process = start(folder, "--last_checkpoint.every_n_train_steps", "1")
            path = folder / "run" / "metrics.csv"
            while process.poll() is None and not (path.exists() and len(path.read_text().splitlines()) > 4):
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        again = ["--ckpt_path", "last"] if name == "killed" else []
        assert start(folder, *again).wait() == 0, (folder / "errors.txt").read_text()
        shas[name] = json.loads((folder / "run" / "summary.json").read_text())["weights_sha256"]
    assert shas["killed"] == shas["whole"]
