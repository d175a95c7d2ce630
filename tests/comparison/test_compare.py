"""``compare``: from the folders of runs to what is written and said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from lightning_recipes.cli.commands.compare import Compare
from lightning_recipes.comparison.compare import compare
from lightning_recipes.errors import UserError
from tests.comparison.runs import change_row, write_run
from tests.wandb_file import sessions

GOOD, BAD = [True] * 95 + [False] * 5, [True] * 70 + [False] * 30


def written(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "compare.json").read_text())
    return found


def test_two_runs_are_paired_by_image_whatever_their_order_and_names(tmp_path: Path) -> None:
    write_run(tmp_path / "a", GOOD)
    names = [f"{number}.png" for number in range(100)]
    write_run(tmp_path / "b", BAD[::-1], names=names[::-1], model={"lr": 0.2})
    (pair,) = compare(["a", "b"]).pairs
    assert pair == written(tmp_path / "comparison")[0]
    assert (pair["a"], pair["b"], pair["images"], pair["verdict"]) == ("a", "b", 100, "a")
    assert pair["difference"] == pytest.approx(0.25)
    assert pair["p_value"] == pytest.approx(binomtest(25, 25).pvalue)
    assert pair["ci95"][0] < 0.25 < pair["ci95"][1]
    assert pair["log_loss"]["difference"] == pytest.approx(-0.25 * 2.2)
    assert pair["log_loss"]["verdict"] == "a"  # less is better
    assert pair["recipe"] == [{"key": "model.lr", "a": 0.1, "b": 0.2}]
    assert pair["warning"] == ""
    assert [one["better"] for one in pair["changed"]] == ["a"] * 25
    assert {one["path"] for one in pair["changed"]} == {f"pictures/{number}.png" for number in range(70, 95)}
    assert pair["groups"]["a"]["accuracy"]["value"] == 0.95
    assert (tmp_path / "comparison" / "compare.html").read_text().count("is better than") == 1
    assert (tmp_path / "comparison" / "figures" / "differences.png").stat().st_size > 5000


def test_what_is_not_shown_says_how_many_images_would_show_it(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [True] * 92 + [False] * 8)
    write_run(tmp_path / "b", [True] * 90 + [False] * 9 + [True], model={"lr": 0.2, "backbone": "resnet34"})
    done = compare(["a", "b"])
    (pair,) = done.pairs
    assert pair["verdict"] == "not shown"
    assert pair["images_needed"] > 300
    assert f"{pair['images_needed']:,} images" in done.said[0]["advice"]
    assert "2 keys differ" in pair["warning"]
    assert done.said[0]["number"].startswith("first less second +1.0 (")


def test_it_is_said_how_far_the_better_one_is_ahead(tmp_path: Path) -> None:
    write_run(tmp_path / "a", GOOD)
    write_run(tmp_path / "b", BAD, model={"lr": 0.2})
    ahead, behind = compare(["a", "b"]), compare(["b", "a"])
    assert ahead.said[0]["what"] == behind.said[0]["what"] == "a is better than b in accuracy"
    assert ahead.said[0]["number"].startswith("+25.0 (")
    assert behind.said[0]["number"] == ahead.said[0]["number"]
    assert behind.pairs[0]["difference"] == -ahead.pairs[0]["difference"]


def test_numbered_runs_are_the_seeds_of_a_recipe(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for seed in range(3):
        for name, share in (("a", 0.9), ("b", 0.6)):
            write_run(
                tmp_path / name / str(seed), (generator.random(400) < share).tolist(), seed=seed, model={"lr": share}
            )
    (pair,) = compare(["a", "b"]).pairs
    assert pair["verdict"] == "a"
    assert pair["groups"]["a"]["runs"] == ["a/0", "a/1", "a/2"]
    assert pair["groups"]["a"]["seconds"] == 11
    assert 0 < pair["groups"]["a"]["accuracy"]["ci95"][0] < pair["groups"]["a"]["accuracy"]["ci95"][1] < 1
    (same,) = compare(["a/0,a/1,a/2", "b/0,b/1,b/2"]).pairs
    assert same["difference"] == pair["difference"]
    assert (same["a"], same["b"]) == ("a/{0,1,2}", "b/{0,1,2}"), "as a shell has it, for a table has little room"
    assert compare(["a", "b/0"]).pairs[0]["runs_needed"] is not None


def test_several_pairs_are_corrected_for_and_may_be_against_the_first(tmp_path: Path) -> None:
    for number, share in enumerate((0.95, 0.94, 0.7)):
        right = np.random.default_rng(number).random(300) < share
        write_run(tmp_path / str(number), right.tolist())
    every = compare(["0", "1", "2"]).pairs
    assert [(pair["a"], pair["b"]) for pair in every] == [("0", "1"), ("0", "2"), ("1", "2")]
    assert all(pair["p_adjusted"] >= pair["p_value"] for pair in every)
    assert sorted(pair["p_adjusted"] / pair["p_value"] for pair in every)[-1] == pytest.approx(3)
    assert [(pair["a"], pair["b"]) for pair in compare(["0", "1", "2"], against_first=True).pairs] == [
        ("0", "1"),
        ("0", "2"),
    ]


def test_folds_of_a_seed_are_one_run(tmp_path: Path) -> None:
    for name, share in (("a", 9), ("b", 5)):
        for fold in range(2):
            images = [f"{number}.png" for number in range(fold, 100, 2)]
            right = [number % 10 < share for number in range(50)]
            write_run(tmp_path / name / str(fold), right, names=images, folds=2, fold=fold, model={"lr": share})
    (pair,) = compare(["a", "b"]).pairs
    assert pair["images"] == 100
    assert pair["p_value"] == pytest.approx(binomtest(40, 40).pvalue)  # two runs, by counts
    assert "data.fold" not in [one["key"] for one in pair["recipe"]]


def test_test_images_are_those_that_test_has_written(tmp_path: Path) -> None:
    for name, right in (("a", GOOD), ("b", BAD)):
        write_run(tmp_path / name, right, split="test")
    assert compare(["a", "b"], split="test").pairs[0]["difference"] == pytest.approx(0.25)
    with pytest.raises(UserError, match=r"val_predictions\.csv: is not there; lightning-recipes validate --ckpt_path"):
        compare(["a", "b"])


def without_hash(folder: Path) -> None:
    change_row(folder / "val_predictions.csv", 3, "sha256", "")


def another_image(folder: Path) -> None:
    change_row(folder / "val_predictions.csv", 3, "sha256", "f" * 64)


def another_label(folder: Path) -> None:
    change_row(folder / "val_predictions.csv", 3, "true", "dog")


def older_version(folder: Path) -> None:
    table = folder / "val_predictions.csv"
    table.write_text("\n".join(",".join(line.split(",")[:4]) for line in table.read_text().splitlines()) + "\n")


def not_text(folder: Path) -> None:
    (folder / "val_predictions.csv").write_bytes(b"path,true\xff\xfe\n")


def half_a_summary(folder: Path) -> None:
    (folder / "summary.json").write_text('{"seed": 0, "fini')


def one_image(folder: Path) -> None:
    for name in ("a", "b"):
        table = folder.parent / name / "val_predictions.csv"
        table.write_text("\n".join(table.read_text().splitlines()[:2]) + "\n")


def no_run(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        path.unlink()


def same_weights(folder: Path) -> None:
    (folder / "1").mkdir()
    for path in [one for one in folder.iterdir() if one.is_file()]:
        (folder / "1" / path.name).write_bytes(path.read_bytes())
    (folder / "0").mkdir()
    for path in [one for one in folder.iterdir() if one.is_file()]:
        path.rename(folder / "0" / path.name)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            without_hash,
            r"b/val_predictions\.csv: is cut short, or has an image without its hash; lightning-recipes valid",
        ),
        (older_version, r"b/val_predictions\.csv: does not say by hashes which images these are, as an older version"),
        (not_text, r"b/val_predictions\.csv: is no table of predictions"),
        (half_a_summary, r"^b: its summary cannot be read"),
        (one_image, r"^a: was judged on a single image|other images"),
        (another_image, r"^a: was judged on other images than b: 1 of these 100 are not among them.*pictures/3\.png"),
        (another_label, r"^b: was judged by other labels than a: pictures/3\.png is 'dog' here and 'cat' there"),
        (no_run, r"^b: holds no run"),
        (same_weights, r"^b: b/0 and b/1 have the same weights, and are one run"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: Any, said: str
) -> None:
    write_run(tmp_path / "a", GOOD)
    fault(write_run(tmp_path / "b", BAD))
    with pytest.raises(UserError, match=said):
        compare(["a", "b"])
    assert not (tmp_path / "comparison").exists()
    assert Compare.main(["a", "b"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (["a"], "takes two runs or more"),
        (["a", "a"], "is named twice"),
        (["a", "./a/"], r"\./a/: a is named twice, in a too"),
        (["a", "link"], "link: link is named twice, in a too"),
        ([",", "a"], ",: holds no run"),
        (["a", "nowhere"], "nowhere: is no folder"),
        (["a", "a,nowhere"], "nowhere: is no folder"),
    ],
)
def test_names_that_are_no_runs_are_refused(tmp_path: Path, runs: list[str], said: str) -> None:
    write_run(tmp_path / "a", GOOD)
    (tmp_path / "link").symlink_to("a")
    with pytest.raises(UserError, match=said):
        compare(runs)


def test_a_fold_that_is_there_twice_or_not_at_all_is_refused(tmp_path: Path) -> None:
    for name, folds in (("a", (0, 1)), ("b", (0, 0))):
        for number, fold in enumerate(folds):
            images = [f"{image}.png" for image in range(fold, 100, 2)]
            write_run(tmp_path / name / str(number), [True] * 50, names=images, folds=2, fold=fold)
    with pytest.raises(UserError, match=r"b, seed 0: its runs hold out the folds 0, 0 of 2"):
        compare(["a", "b"])


def test_of_images_that_tell_nothing_apart_nothing_is_certain(tmp_path: Path) -> None:
    for seed in range(2):
        for name in ("a", "b"):
            write_run(tmp_path / name / str(seed), [True] * 20, seed=seed)
        write_run(tmp_path / "c" / str(seed), [False] * 20, seed=seed)
    same, other, _ = compare(["a", "b", "c"]).pairs
    assert same["difference"] == 0
    assert same["ci95"][0] < -0.02
    assert same["ci95"][1] > 0.02
    assert same["p_value"] == 1
    assert 0.3 < same["groups"]["a"]["accuracy"]["ci95"][0] < 0.9  # twenty right of twenty: not all of all
    assert other["difference"] == 1
    assert other["ci95"][0] < 1
    assert 0 < other["p_value"] < 0.05


def test_it_says_what_is_unfinished_and_what_is_not_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, GOOD)
    (tmp_path / "a" / "summary.json").unlink()
    (tmp_path / "b" / "config.yaml").unlink()
    (pair,) = compare(["a", "b"]).pairs
    assert pair["recipe"] == []
    assert "a did not come to the end of the plan. b has no config.yaml, so in what" in pair["warning"]
    (tmp_path / "file").write_text("")
    assert Compare.main(["a", "b", "--out", "file"]) == 2
    assert "out: 'file'" in capsys.readouterr().err


def test_a_log_loss_that_is_no_number_is_not_known(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, GOOD)
    change_row(tmp_path / "b" / "val_predictions.csv", 3, "log_loss", "")
    (pair,) = compare(["a", "b"]).pairs
    assert pair["log_loss"] is None
    assert pair["groups"]["a"]["log_loss"] is None


def test_runs_of_several_recipes_are_no_seeds(tmp_path: Path) -> None:
    write_run(tmp_path / "a" / "0", GOOD)
    write_run(tmp_path / "a" / "1", GOOD, model={"lr": 0.3})
    write_run(tmp_path / "b", BAD)
    with pytest.raises(UserError, match=r"model\.lr differs between a/0 and a/1, which are no seeds"):
        compare(["a", "b"])


def test_each_seed_may_begin_from_a_pretraining_of_its_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        begun = {"pretrained": f"runs/simclr/{seed}/checkpoints/best.ckpt"}
        write_run(tmp_path / "a" / str(seed), GOOD, seed=seed, model=begun)
        write_run(tmp_path / "b" / str(seed), BAD, seed=seed, model={"pretrained": False})
    (pair,) = compare(["a", "b"]).pairs
    assert pair["verdict"] == "a"


def test_the_command_says_it_and_wandb_has_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", GOOD)
    write_run(tmp_path / "b", BAD)
    assert Compare.main(["a", "--wandb", "offline", "b", "--out=said"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "a is better than b in accuracy" in text
    assert "The recipes are the same, so what differs is chance" in text
    assert "said/compare.html shows it" in text
    (run,) = sessions(tmp_path / "said")
    assert run.exit_code == 0
    assert {"differences", "recipe", "changed_images"} <= {key.partition("/")[0] for key in run.history[0]}
