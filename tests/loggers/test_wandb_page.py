"""What W&B is given of a run's folder."""

import json
from pathlib import Path

from lightning_recipes.loggers.wandb_page import tables_of
from lightning_recipes.run.reader import RunContents


def test_tables_put_the_surest_mistakes_first_and_keep_to_their_size(tmp_path: Path) -> None:
    rows = ["a.png,cat,cat,0.9", "b.png,cat,dog,0.6", "c.png,dog,cat,0.8"]
    (tmp_path / "val_predictions.csv").write_text("\n".join(["path,true,predicted,probability", *rows]) + "\n")
    some = {"value": 0.5, "low": 0.1, "high": 0.9}
    classes = [{"name": n, "images": 2, "recall": some, "precision": None, "f1": some} for n in ("cat", "dog")]
    (tmp_path / "errors.json").write_text(json.dumps({"classes": classes, "confusion_matrix": [[1, 1], [1, 0]]}))
    tables = tables_of(RunContents(tmp_path), most_rows=2)
    assert [row[0] for row in tables["predictions"][1]] == ["c.png", "b.png"]
    assert tables["confusion_matrix"][1] == [["cat", "cat", 1], ["cat", "dog", 1]]
    assert tables["classes"][0][:4] == ["class", "images", "recall", "recall_low"]
    assert tables["classes"][1][0] == ["cat", 2, 0.5, 0.1, 0.9, None, None, None, 0.5, 0.1, 0.9]
    assert "label_issues" not in tables


def test_of_several_labels_the_wrong_images_come_first_with_every_probability(tmp_path: Path) -> None:
    head = "path,true,predicted,log_loss,red,blue,sha256"
    rows = [head, "a.png,red|blue,red|blue,0.1643,0.9,0.8,f00", "b.png,,blue,0.6547,0.1,0.7,f01"]
    (tmp_path / "val_predictions.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "summary.json").write_text('{"val_map": 0.9}')
    tables = tables_of(RunContents(tmp_path), most_rows=9)
    assert tables["predictions"][0] == ["path", "true", "predicted", "correct", "red", "blue"]
    assert tables["predictions"][1] == [
        ["b.png", "", "blue", False, 0.1, 0.7],
        ["a.png", "red|blue", "red|blue", True, 0.9, 0.8],
    ]
    assert "confusion_matrix" not in tables
