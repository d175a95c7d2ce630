"""The command that searches: what it refuses before the first run, and what it leaves."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_recipes.__main__ import main
from tests.sweeps.sweeping import SEARCH, TINY, report, start_sweep, wait_until, write_files


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    write_files(tmp_path)


def sweep(*words: str) -> int:
    return main(["sweep", "--config", "tiny.yaml", "--search", "search.yaml", "--out", "out", *words])


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert sweep(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert not Path("out").exists(), "nothing is left behind"
    return line.removeprefix("lightning-recipes: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trials", "0"], "trials: 0 is not a number >= 1"),
        (["--seeds", "0"], "seeds: 0 is not a number >= 1"),
        (["--folds", "1"], "folds: 1 is not a number >= 2"),
        (["--reduction", "1"], "reduction: 1 is not a number >= 2"),
        (["--minutes", "0"], "minutes: 0.0 is not a number > 0"),
        (["--sampler", "tree"], "sampler: 'tree' is not one of random, quasi_random, grid, tpe"),
        (["--study", "mine"], "study: names a study in a database; give --storage too, or leave it out"),
        (["--search", "there.yaml"], "search: 'there.yaml' is not a file; give a YAML file of keys"),
        (["--sampler", "grid"], "search.trainer.callbacks[Stages].stages[all].lr.steps: not given; a grid needs"),
        (["--trails", "3"], "--trails: there is no such option; did you mean trials, trainer?"),
        (["--model.lrr", "3"], "model.lrr: there is no such key; did you mean lr?"),
    ],
)
def test_a_value_that_cannot_work_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, *words).startswith(said)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("model.lrr: {log: [1, 2]}", "model.lrr: there is no such key; did you mean lr?"),
        ("data.batch_size: {uniform: [1, 2]}", "data.batch_size: "),
        ("trainer.callbacks[Stage].stages[all].lr: {log: [1, 2]}", "search.trainer.callbacks[Stage].stages[all].lr: "),
        ("model.lr: {log: [1, 2]}\nmodel.lr: {log: [1, 2]}", "search.yaml: model.lr is given twice, in lines 1 and 2"),
        ("- model.lr", "search.yaml: the file holds a list; a search is a mapping of keys"),
        (
            "model.optimizer: {choice: [adamw, sgd]}\n"
            "model.dropuot: {uniform: [0, 1], when: {model.optimizer: sgd}}",
            "model.dropuot: there is no such key; did you mean dropout?",
        ),
    ],
)  # fmt: skip
def test_a_search_that_fit_would_not_parse_is_refused_before_the_first_trial(
    search: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "search.yaml").write_text(search)
    assert refused(capsys).startswith(said)


def test_what_tells_the_runs_of_a_trial_apart_is_not_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "search.yaml").write_text("data.fold: {choice: [0, 1]}")
    said = "search.data.fold: is another in each run of a trial by --folds; leave out one of them"
    assert refused(capsys, "--folds", "2").startswith(said)


def test_its_keys_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Usage: lightning-recipes sweep --config RECIPE --search SEARCH --out DIR")
    assert "--sampler" in said
    assert main(["sweep", "--help", "reduction"]) == 0
    assert "(default: 3)" in capsys.readouterr().out


@pytest.mark.slow
def test_seeds_and_the_test_images(tmp_path: Path) -> None:
    """One sweep for all of what a trial can be; the second trial fails, as its batches are larger than the set."""
    from tests.pictures import class_folders

    class_folders(Path("images") / "train", 6)
    class_folders(Path("images") / "test", 3)
    recipe = TINY.replace('root: "sklearn:digits", val_fraction: 0.05, images_per_class: 4', "root: images")
    search = "model.lr: {choice: [0.01]}\nmodel.optimizer: {choice: [adamw, nonsense]}"
    write_files(tmp_path, recipe, search)
    words = ("--out", "out", "--trials", "5", "--sampler", "grid", "--seeds", "2", "--wandb.tags", "[mine]")
    process = start_sweep(tmp_path, "said", *words)
    assert process.wait() == 0, (tmp_path / "said.txt").read_text()
    found = report(tmp_path / "out")
    good, bad = found["trials"]
    assert (found["metric"], found["mode"], found["best"], found["sampler"]) == ("val_accuracy", "max", 0, "grid")
    assert (good["state"], good["values"]) == ("complete", {"model.lr": 0.01, "model.optimizer": "adamw"})
    assert good["runs"] == ["trials/0000/seed_3", "trials/0000/seed_4"]
    assert good["run_dir"] == "trials/0000/seed_3"
    summaries = [json.loads((tmp_path / "out" / run / "summary.json").read_text()) for run in good["runs"]]
    assert [summary["seed"] for summary in summaries] == [3, 4]
    assert good["weights_sha256"] == [summary["weights_sha256"] for summary in summaries]
    assert good["metrics"] == [summary["best_score"] for summary in summaries]
    assert good["metric"] == pytest.approx(sum(good["metrics"]) / 2)
    if good["metrics"][0] == good["metrics"][1]:
        assert good["ci95"] is None, "two runs that are alike do not say how others differ"
    else:
        assert 0 < good["ci95"][0] < good["metric"] < good["ci95"][1] < 1
    assert bad["state"] == "failed"
    assert bad["reason"].startswith("model.optimizer: ")
    assert bad["metric"] is None

    tested = json.loads((tmp_path / "out" / "test.json").read_text())
    assert found["test"] == {"trial": 0, **tested}
    assert tested["images"] == 6
    best = (tmp_path / "out" / "best.yaml").read_text()
    assert best.startswith("# Trial 0 of the sweep in out: val_accuracy ")
    whole: dict[str, Any] = yaml.safe_load(best)
    assert whole["model"]["init_args"]["optimizer"] == "adamw"
    assert whole["wandb"]["group"] == "out"
    assert whole["wandb"]["tags"] == ["mine"]
    said = (tmp_path / "said.txt").read_text()
    assert "trial 0: model.lr 0.01, model.optimizer adamw began\n" in said
    assert "trial 1: failed after " in said
    assert "On 6 test images, trial 0: test_accuracy " in said
    assert (tmp_path / "out" / "trials" / "0000" / "seed_3" / "test_predictions.csv").exists() or (
        tmp_path / "out" / "trials" / "0000" / "seed_4" / "test_predictions.csv"
    ).exists(), "what compare --split test reads"
    assert "On test images" in (tmp_path / "out" / "sweep.html").read_text()
    assert json.loads((tmp_path / "out" / "analysis.json").read_text())["complete"] == 1
    when = os.stat(tmp_path / "out" / "test.json").st_mtime_ns
    again = start_sweep(tmp_path, "again", *words)
    assert again.wait() == 0, (tmp_path / "again.txt").read_text()
    assert os.stat(tmp_path / "out" / "test.json").st_mtime_ns == when, "the test images are looked at once"
    assert "began" not in (tmp_path / "again.txt").read_text()


@pytest.mark.slow
def test_one_at_a_time_compares_each_line_with_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = "trainer.callbacks[Stages].stages[all]"
    (tmp_path / "lines.yaml").write_text(f"model.pretrained: {{choice: [false]}}\n{key}: {{choice: [null]}}\n")
    assert sweep("--one_at_a_time", "true", "--search", "lines.yaml") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "whole recipe: " in said
    assert "without stage all" in said
    pairs = json.loads((tmp_path / "out" / "comparison" / "compare.json").read_text())
    assert [(pair["a"], pair["b"]) for pair in pairs] == [
        ("whole recipe", "model.pretrained false"),
        ("whole recipe", "without stage all"),
    ]
    assert [[one["key"] for one in pair["recipe"]] for pair in pairs] == [["model.pretrained"], [key]]
    assert pairs[0]["difference"] > 0.2
    assert (tmp_path / "out" / "comparison" / "figures" / "changed_0_a.png").exists(), "pictures of the digits"


@pytest.mark.parametrize(
    ("lines", "words", "said"),
    [
        ("model.lr: {log: [0.1, 1]}", [], "search.model.lr: one_at_a_time takes one value of each key"),
        ("model.lr: {choice: [0.1]}", ["--prune", "halving"], "one_at_a_time: goes through the recipe's lines whole"),
    ],
)
def test_what_one_at_a_time_cannot_do_is_refused(
    tmp_path: Path, lines: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lines.yaml").write_text(lines)
    assert refused(capsys, "--one_at_a_time", "true", "--search", "lines.yaml", *words).startswith(said)


def test_a_folder_of_another_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("--minutes", "1e-9") == 0
    assert "The time is over; the same command goes on with it." in capsys.readouterr().out
    (tmp_path / "other.yaml").write_text(SEARCH.replace("[8, 12]", "[8, 14]"))
    for words, said in (
        (["--model.dropout", "0.5"], "model.dropout: the sweep in out is another (it began with 0.0; now it is 0.5)"),
        (["--seeds", "2"], "seeds: the sweep in out is another (it began with 1; now it is 2)"),
        (["--search", "other.yaml"], "search.data.batch_size.int: the sweep in out is another"),
    ):
        assert sweep(*words) == 2
        assert capsys.readouterr().err.startswith(f"lightning-recipes: {said}")


@pytest.mark.slow
def test_a_sweep_whose_trials_all_fail_alike_ends_with_the_reason(tmp_path: Path) -> None:
    write_files(tmp_path, TINY.replace("test_resnet", "no_such_network"))
    process = start_sweep(tmp_path, "said", "--out", "out")
    assert process.wait() == 1
    said = (tmp_path / "said.txt").read_text()
    assert said.splitlines()[-1].startswith("lightning-recipes: the first trials all failed alike (model.backbone: ")
    assert [entry["state"] for entry in report(tmp_path / "out")["trials"]] == ["failed"] * 3


@pytest.mark.slow
@pytest.mark.parametrize("number", [15, 2])
def test_a_signal_saves_the_run_and_the_same_command_goes_on(tmp_path: Path, number: int) -> None:
    write_files(tmp_path, TINY.replace("{name: all, epochs: 2", "{name: all, epochs: 200"))
    process = start_sweep(tmp_path, "said", "--out", "out", "--trials", "1")
    last = tmp_path / "out" / "trials" / "0000" / "checkpoints" / "last.ckpt"
    assert wait_until(last.exists, process)
    process.send_signal(number)
    assert process.wait() == 128 + number
    said = (tmp_path / "said.txt").read_text()
    assert "trial 0: stopped; whoever comes next goes on with it" in said
    assert said.splitlines()[-1] == "Stopped; the same command goes on with it."
    summary = json.loads((last.parents[1] / "summary.json").read_text())
    assert summary["finished"] is False
    assert summary["epochs"] > 0
    assert report(tmp_path / "out")["trials"][0]["state"] == "running"


@pytest.mark.slow
def test_halving_stops_what_is_behind_and_two_workers_share_the_trials(tmp_path: Path) -> None:
    """A grid of one that learns and three whose rate is too small to; of two folds the first one's run decides."""
    recipe = TINY.replace("{name: all, epochs: 2", "{name: all, epochs: 9")
    search = "trainer.callbacks[Stages].stages[head].lr: {choice: [0.01, 1e-9, 2e-9, 3e-9]}\n"
    write_files(tmp_path, recipe, search)
    # One decision, after the first epoch: only the best so far goes on.
    words = ["--out", "out", "--sampler", "grid", "--prune", "halving", "--reduction", "20", "--workers", "2"]
    process = start_sweep(tmp_path, "said", *words, "--folds", "2")
    assert process.wait() == 0, (tmp_path / "said.txt").read_text()
    trials = report(tmp_path / "out")["trials"]
    states = [entry["state"] for entry in trials]
    assert states[0] == "complete"
    assert states[2:] == ["pruned", "pruned"]
    assert states[1] in ("pruned", "complete"), "it goes on where it has its first epoch before the first has"
    assert trials[0]["runs"] == ["trials/0000/fold_0", "trials/0000/fold_1"]
    for entry in trials:
        first = json.loads((tmp_path / "out" / entry["run_dir"] / "summary.json").read_text())
        assert first["finished"] == (entry["state"] == "complete")
        assert (tmp_path / "out" / entry["runs"][1]).exists() == (entry["state"] == "complete")
    folds = [yaml.safe_load((tmp_path / "out" / run / "config.yaml").read_text())["data"] for run in trials[0]["runs"]]
    assert [(data["init_args"]["folds"], data["init_args"]["fold"]) for data in folds] == [(2, 0), (2, 1)]
    began = [line for line in (tmp_path / "said.txt").read_text().splitlines() if " began" in line][:2]
    assert [line.split(":")[0] for line in began] == ["trial 0", "trial 1"], "side by side"
