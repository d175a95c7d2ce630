"""What a run that goes on with another recipe really does: what is said is what happens."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lightning_recipes.__main__ import main
from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from tests.small import SMALL, classifier, digits, fit, two_stages

# Lightning says so of every fork; the best epoch of a fork is its own.
pytestmark = pytest.mark.filterwarnings("ignore:The dirpath has changed")
EMA = ["--trainer.callbacks+=lightning_recipes.EMA"]


@pytest.fixture(scope="module")
def one_epoch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs that was left after its first."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "small.yaml").write_text(SMALL + "errors: {run: false}\n")
    assert main([*words(folder, folder / "run"), "--trainer.max_epochs", "1"]) == 0
    return folder


def words(folder: Path, run: Path) -> list[str]:
    return ["fit", "--config", str(folder / "small.yaml"), "--run_dir", str(run)]


def fork(folder: Path, run: Path) -> list[str]:
    return [*words(folder, run), "--ckpt_path", str(folder / "run/checkpoints/last.ckpt")]


def groups_of(path: Path) -> list[dict[str, Any]]:
    saved = torch.load(path, weights_only=True)
    return list(saved["optimizer_states"][0]["param_groups"])


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_takes_effect_is_said_and_does(one_epoch: Path, tmp_path: Path) -> None:
    changes = ["--model.weight_decay", "0.1", "--model.optimizer", "{name: adamw, betas: [0.8, 0.99]}"]
    with pytest.warns(UserWarning, match=r"\n  model\.weight_decay: takes effect at once") as said:
        assert main([*fork(one_epoch, tmp_path / "run"), *changes, "--trainer.max_epochs", "2", *EMA]) == 0
    text = next(str(one.message) for one in said if "another recipe" in str(one.message))
    assert [line.split(":")[0].strip() for line in text.splitlines()[1:]] == [
        "trainer.callbacks.EMA", "trainer.max_epochs", "model.weight_decay",
        "model.optimizer.betas",
    ]  # fmt: skip
    last = tmp_path / "run/checkpoints/last.ckpt"
    for group in groups_of(last):
        assert group["weight_decay"] == (0.0 if group["name"].endswith("no_decay") else 0.1)
        # The first is by now what the schedule of the stage to come begins with; its own is kept beside it.
        assert (group["initial_momentum"], group["betas"][1]) == (0.8, 0.99)
    assert torch.load(last, weights_only=True)["ema"]["state_dict_is"] == "average"


@pytest.mark.parametrize(
    "change",
    [("seed_everything", "4"), ("data.batch_size", "8"), ("model.backbone", "resnet18"), ("data.split_seed", "2")],
)
@pytest.mark.parametrize("how", ["last", "fork"])
def test_what_cannot_be_is_refused_before_anything_is_written(
    change: tuple[str, str], how: str, one_epoch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(one_epoch)
    going_on = [*words(one_epoch, one_epoch / "run"), "--ckpt_path", "last"]
    command = going_on if how == "last" else fork(one_epoch, tmp_path / "new")
    assert main([*command, f"--{change[0]}", change[1]]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"lightning-recipes: {change[0]}: ")
    assert "to start anew" in lines[0]
    assert files(one_epoch) == before
    assert not (tmp_path / "new").exists()


def test_rates_of_the_present_stage_stay_and_those_to_come_are_taken(one_epoch: Path, tmp_path: Path) -> None:
    text = (one_epoch / "small.yaml").read_text()
    (tmp_path / "small.yaml").write_text(text.replace("lr: 1.0e-2", "lr: 0.5").replace("lr: 1.0e-3", "lr: 0.25"))
    command = [*words(tmp_path, tmp_path / "run"), "--ckpt_path", str(one_epoch / "run/checkpoints/last.ckpt")]
    with pytest.warns(UserWarning, match=r"stage 'head', lr: has no effect.*\n  stage 'all', lr: takes effect when"):
        assert main([*command, "--trainer.max_epochs", "2"]) == 0
    assert {group["initial_lr"] for group in groups_of(tmp_path / "run/checkpoints/last.ckpt")} == {0.01}
    again = [*words(tmp_path, tmp_path / "run"), "--ckpt_path", "last"]
    with pytest.warns(UserWarning, match=r"with:\n  trainer\.max_epochs: .*\Z"):  # the newest recipe is compared with
        assert main(again) == 0
    assert max(group["initial_lr"] for group in groups_of(tmp_path / "run/checkpoints/last.ckpt")) == 0.25
    newest = yaml.safe_load((tmp_path / "run/config-1.yaml").read_text())
    assert newest["trainer"]["max_epochs"] is None


@pytest.mark.parametrize("optimizer", ["adamw", "lamb", {"name": "sgd", "momentum": 0.9}])
def test_a_resume_from_python_takes_the_new_decay_and_is_exact_without_one(tmp_path: Path, optimizer: Any) -> None:
    def end(decay: float, name: str, **options: Any) -> tuple[str, Path]:
        keep = LastCheckpoint(dirpath=str(tmp_path / name))
        model = classifier(optimizer=optimizer, weight_decay=decay)
        _, sha = fit(model, digits(), two_stages(), keep, enable_checkpointing=True, **options)
        return sha, tmp_path / name / "last.ckpt"

    whole, _ = end(0.01, "whole", max_epochs=-1)
    _, begun = end(0.01, "begun", max_epochs=2)
    again, same = end(0.01, "again", max_epochs=-1, ckpt_path=begun)
    other, changed = end(0.5, "changed", max_epochs=-1, ckpt_path=begun)
    assert again == whole != other
    assert {group["weight_decay"] for group in groups_of(changed)} == {0.0, 0.5}
    counters = [[group.get("step") for group in groups_of(path)] for path in (same, changed)]
    assert counters[0] == counters[1]
