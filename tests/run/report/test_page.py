"""The page of a run: whole in itself, with every name escaped, and right where files are missing."""

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lightning_recipes.run.report import report_html, write_report

HOSTILE = '<script>alert("x")</script>'
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What a browser would make of it: tags, attributes and text; refuses tags that are not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def figures_of(value: float) -> dict[str, float]:
    return {"value": value, "low": value / 2, "high": (1 + value) / 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run whose every name is an attack."""
    run = tmp_path / "0"
    (run / "figures" / "gradcam").mkdir(parents=True)
    for name in ("curves", "gradcam", "gradcam/00", "lr_finder_head"):
        (run / "figures" / f"{name}.png").write_bytes(PIXEL)
    summary: dict[str, Any] = {
        "recipe": HOSTILE, "seed": 0, "epochs": 3, "global_step": 1200, "seconds": 75.2, "val_loss": 0.5,
        "val_accuracy": 0.75, "val_accuracy_ci95": [0.6, 0.9], "val_images": 40, "best_epoch": 2, "train_images": 1000,
        "classes": ["cat", HOSTILE], "train_images_per_second": 512.0, "weights_sha256": "ab" * 32, "finished": True,
        "stages": [{"name": HOSTILE, "epochs": 3, "base_lr": 1e-3, "images_per_second": None}],
        "snapshots": [{"path": "snapshots/cycle_01.safetensors", "epoch": 2, "val_accuracy": 0.7}],
        "ensemble_val_accuracy": 0.8, "ensemble_val_accuracy_ci95": [0.65, 0.9],
    }  # fmt: skip
    errors = {
        "images": 40, "correct": 30, "confusion_matrix": [[20, 5], [5, 10]],
        "diagnosis": [{"what": "It overfits", "number": "loss 0.1, then 0.2", "advice": "stop earlier"}],
        "most_confused": [{"true": HOSTILE, "predicted": "cat", "images": 5, "share": 0.25}],
        "classes": [
            {"name": name, "images": 20, **{figure: figures_of(0.5) for figure in ("recall", "precision", "f1")}}
            for name in ("cat", HOSTILE)
        ],
        "calibration": {"error": 0.05, "temperature": 1.5, "error_with_temperature": 0.02},
        "highest_losses": [{"path": f"{HOSTILE}.png", "true": "cat", "predicted": HOSTILE, "loss": 9.0}],
    }  # fmt: skip
    found = {"lr": 1e-3, "low": 5e-4, "high": 2e-3}
    result = {"lr": 1e-3, "applied": True, "suggestion": "steep", "suggestions": {"steep": found}, "problem": None}
    finder = {HOSTILE: result | {"figure": "lr_finder_head"}}
    for name, value in (("summary", summary), ("errors", errors), ("lr_finder", finder)):
        (run / f"{name}.json").write_text(json.dumps(value))
    (run / "config.yaml").write_text(f"model: {{backbone: '{HOSTILE}'}}\ndata: {{root: '{HOSTILE}'}}\n")
    (run / "figures" / "gradcam" / "mistakes.csv").write_text(
        f"file,path,true,predicted,p_true,p_predicted\n00.png,{HOSTILE.replace(chr(34), '')},cat,dog,0.1,0.9\n"
    )
    (run / "label_issues.csv").write_text(
        f"split,path,given,suggested,margin,confident\nval,{HOSTILE.replace(chr(34), '')},cat,dog,-0.9,true\n"
    )
    return run


def test_every_name_is_escaped_and_nothing_comes_from_outside(folder: Path) -> None:
    html = write_report(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert "<script" not in html
    assert page.text.count(HOSTILE) >= 8
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object")
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in html
    assert "@import" not in html


def test_it_says_what_was_reached_what_to_try_and_shows_each_picture(folder: Path) -> None:
    page = Page(report_html(folder))
    for words in (
        "75.0 %", "95 %: 60.0 to 90.0 %", "80.0 %", "It overfits.", "Stop earlier.", "Read off: loss 0.1, then 0.2.",
        "1,000 training and 40 validation images of 2 classes", "1,200 optimizer steps, 1 min 15 s",
        "50.0 % (25.0 to 75.0)", "cat (10.0 %) taken for dog (90.0 %)", "snapshots/cycle_01.safetensors",
    ):  # fmt: skip
        assert words in page.text, words
    assert page.count("img") == 3
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert links == {f"#{attributes['id']}" for tag, attributes in page.tags if tag == "section"}


def test_a_run_that_has_only_begun_has_a_page(tmp_path: Path) -> None:
    page = Page(report_html(tmp_path))
    assert '<p class="soft"></p>' in report_html(tmp_path)  # no half of a sentence
    assert page.count("section") == 0
    assert page.count("h1") == 1


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_run_that_was_ended_says_by_what_and_how_it_goes_on(folder: Path) -> None:
    stages = [{"name": "head", "epochs": 3, "planned_epochs": 30, "base_lr": 1e-3, "images_per_second": None}]
    changed(folder / "summary.json", finished=False, stopped_by="max_time", stages=stages)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    page = Page(report_html(folder))
    assert page.text.count("Ended by trainer.max_time after 3 of 30 epochs.") == 2
    assert "3 of 30" in page.text
    assert "--ckpt_path last --trainer.max_time null" in page.text


def test_values_that_are_null_leave_a_page(folder: Path) -> None:
    nothing = dict.fromkeys(("val_loss", "val_accuracy", "val_accuracy_ci95", "val_images", "best_epoch"))
    stages = [{"name": "all", "epochs": 3, "planned_epochs": 3, "base_lr": None, "images_per_second": None}]
    changed(folder / "summary.json", **nothing, stages=stages)
    lost = {"path": "a.png", "true": "cat", "predicted": "dog", "loss": None}
    calibration = {"error": None, "temperature": None, "error_with_temperature": None}
    changed(folder / "errors.json", highest_losses=[lost], calibration=calibration)
    page = Page(report_html(folder))
    assert "None" not in page.text
    assert "nan" not in page.text
    assert "Validation accuracy" not in page.text


def test_errors_of_another_epoch_than_the_best_are_said_to_be(folder: Path) -> None:
    words = "The errors are those of epoch 1"
    changed(folder / "errors.json", best_epoch=1)
    page = Page(report_html(folder))
    assert page.text.count(words) == 2  # at what to try next, and at what it gets wrong
    assert "of 40 validation images, of epoch 1" in page.text
    changed(folder / "errors.json", best_epoch=2)
    assert words not in Page(report_html(folder)).text
