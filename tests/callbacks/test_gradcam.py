"""GradCAM on what is wrong: which images, how many, of which weights, and what lies in the run's folder."""

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lightning_recipes import BestCheckpoint, ImageClassifier, MisclassifiedGradCAM, RunSummary, UserError
from lightning_recipes.__main__ import main
from lightning_recipes.evaluation.mistakes import choose_mistakes
from tests.small import classifier, digits, fit

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
WRONG = torch.tensor(
    [[0.1, 0.9, 0.0], [0.2, 0.8, 0.0], [0.0, 1.0, 0.0], [0.7, 0.3, 0.0], [0.6, 0.0, 0.4], [0.0, 0.05, 0.95]]
)


def test_the_surest_mistakes_come_first_and_what_is_right_never() -> None:
    assert choose_mistakes(LABELS, WRONG, most=25) == [0, 1, 3, 4]
    assert choose_mistakes(LABELS, WRONG, most=2) == [0, 1]


def test_each_class_has_its_turn() -> None:
    assert choose_mistakes(LABELS, WRONG, most=4, by="class") == [0, 3, 4, 1]


def test_random_ones_are_a_function_of_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for seed in ("0", "0", "1"):
        monkeypatch.setenv("PL_GLOBAL_SEED", seed)
        drawn.append(choose_mistakes(torch.zeros(40, dtype=torch.int64), torch.eye(2)[[1] * 40], most=40, by="random"))
    assert drawn[0] == drawn[1] != drawn[2]
    assert sorted(drawn[2]) == list(range(40))


def explained(folder: Path, *callbacks: Any, model: ImageClassifier | None = None, **options: Any) -> list[Path]:
    gradcam = MisclassifiedGradCAM(**options)
    data = digits(val_fraction=0.006)  # ten images: each picture takes a moment to draw
    fit(model or classifier(), data, *callbacks, gradcam, max_epochs=1, default_root_dir=str(folder))
    return sorted((folder / "figures" / "gradcam").glob("*.png"))


def wrong_in(folder: Path) -> int:
    with (folder / "val_predictions.csv").open() as file:
        return sum(row["true"] != row["predicted"] for row in csv.DictReader(file))


@pytest.mark.slow
def test_as_many_are_drawn_as_are_wrong_up_to_the_number_that_was_asked_for(tmp_path: Path) -> None:
    assert len(explained(tmp_path / "most", images=5)) == 5
    singles = explained(tmp_path / "all", RunSummary(str(tmp_path / "all")), images=1000)
    assert len(singles) == wrong_in(tmp_path / "all") > 5
    with Image.open(tmp_path / "all" / "figures" / "gradcam.png") as picture:
        assert picture.width > 500
    assert explained(tmp_path / "off", images=0) == []


def test_where_nothing_is_wrong_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Oracle(ImageClassifier):
        def logits_of(self, batch: Any) -> torch.Tensor:
            return super().logits_of(batch) * 0 + 9.0 * torch.nn.functional.one_hot(batch[1], 10)

    with caplog.at_level(logging.INFO, logger="lightning_recipes"):
        assert explained(tmp_path, model=Oracle("test_resnet", num_classes=10, pretrained=False)) == []
    assert "none of 10 validation images is misclassified" in caplog.text
    assert not (tmp_path / "figures").exists()


@pytest.mark.filterwarnings("ignore:Encountered `nan` values")
def test_a_training_that_diverged_ends_without_pictures_and_takes_those_of_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert explained(tmp_path, images=3)
    with caplog.at_level(logging.INFO, "lightning_recipes"):
        assert explained(tmp_path, model=classifier(optimizer="sgd", lr=1e30, schedule="constant")) == []
    assert "the network gives no numbers" in caplog.text
    assert not (tmp_path / "figures" / "gradcam.png").exists()


def test_the_best_epochs_weights_are_explained_and_the_training_is_untouched(tmp_path: Path) -> None:
    def train(name: str, *callbacks: Any) -> str:
        folder = tmp_path / name
        best = BestCheckpoint(dirpath=str(folder))
        options: dict[str, Any] = {"max_epochs": 3, "default_root_dir": str(folder), "enable_checkpointing": True}
        return fit(
            classifier(lr=0.3), digits(val_fraction=0.006), RunSummary(str(folder)), *callbacks, best, **options
        )[1]

    assert train("with", MisclassifiedGradCAM(1000)) == train("without")
    drawn = (tmp_path / "with" / "figures" / "gradcam").glob("*.png")
    assert len(list(drawn)) == wrong_in(tmp_path / "with")


def test_the_command_explains_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    recipe = tmp_path / "small.yaml"
    recipe.write_text(
        "data: {root: 'sklearn:digits', val_fraction: 0.05, images_per_class: 4, image_size: 32, batch_size: 10}\n"
        "model: {backbone: test_resnet, pretrained: false}\n"
        "trainer: {max_epochs: 1, logger: false, accelerator: cpu, enable_progress_bar: false}\n"
    )
    assert main(["fit", "--config", str(recipe), "--run_dir", str(run), "--gradcam.images", "3"]) == 0
    assert json.loads((run / "summary.json").read_text())["gradcam"] == "figures/gradcam.png"
    assert len(list((run / "figures" / "gradcam").glob("*.png"))) == 3
    again = ["explain", "--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints" / "best.ckpt")]
    assert main([*again, "--gradcam.images", "4", "--run_dir", str(tmp_path / "other")]) == 0
    assert len(list((tmp_path / "other" / "figures" / "gradcam").glob("*.png"))) == 4
    assert "gradcam.png" in capsys.readouterr().out
    assert main([*again, "--gradcam.layer", "layer9"]) == 2
    assert "layer: the backbone has no 'layer9'; did you mean layer" in capsys.readouterr().err
    fresh = ["fit", "--config", str(recipe), "--run_dir"]
    assert main([*fresh, str(tmp_path / "refused"), "--gradcam.layer", "layer9"]) == 2
    assert "layer: the backbone has no 'layer9'" in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()  # before anything was trained
    assert main([*fresh, str(tmp_path / "no_map"), "--gradcam.layer", "global_pool"]) == 0
    assert "no mistakes are explained: layer: the output of 'global_pool' is no map" in caplog.text
    assert (tmp_path / "no_map" / "report.html").exists()
    assert main(["explain", "--config", str(run / "config.yaml")]) == 2
    assert "ckpt_path: explain needs the weights to use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"images": -1}, r"MisclassifiedGradCAM\.images: -1"), ({"by": "size"}, r"MisclassifiedGradCAM\.by: size")],
)
def test_a_bad_value_is_named(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        MisclassifiedGradCAM(**arguments)
