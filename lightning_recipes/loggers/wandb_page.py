"""What a run's folder holds, as tables and artifacts of W&B."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_recipes.run.reader import RunContents

__all__ = ["Table", "log_artifacts", "log_tables", "tables_of"]

Table = tuple[list[str], list[list[Any]]]
OF_CLASSES = (
    *("roc_auc", "average_precision", "recall", "precision", "specificity", "f1"),
    *("sensitivity_with_threshold", "specificity_with_threshold"),
)
"""What is said of each class, with its interval."""


def tables_of(contents: RunContents, *, most_rows: int) -> dict[str, Table]:
    """Return columns and rows of each table by its name; what is not there has none.

    Args:
        contents: Of the run.
        most_rows: Of each table; of predictions the wrong ones come first, the surest before the others.
    """
    tables = {
        "predictions": _predictions(contents),
        "confusion_matrix": _confusion(contents),
        "classes": _classes(contents),
        "coverage": _as_they_are(contents.errors.get("coverage", [])),
        "label_issues": _as_they_are(contents.label_issues),
        "symptoms": _as_they_are(contents.symptoms),
    }
    return {name: (columns, rows[:most_rows]) for name, (columns, rows) in tables.items() if rows}


def _predictions(contents: RunContents) -> Table:
    if "val_map" in contents.summary:
        return _predictions_of_several(contents.predictions)
    rows: list[list[Any]] = [
        [row["path"], row["true"], row["predicted"], float(row["probability"]), row["true"] == row["predicted"]]
        for row in contents.predictions
    ]
    rows.sort(key=lambda row: (row[4], -row[3]))
    return ["path", "true", "predicted", "probability", "correct"], rows


def _predictions_of_several(predictions: Sequence[Mapping[str, str]]) -> Table:
    """With a probability a class, as the file has them."""
    own, for_comparisons = ("path", "true", "predicted"), ("log_loss", "sha256")
    classes = [name for name in (predictions[0] if predictions else ()) if name not in own + for_comparisons]
    rows = [
        [*(row[name] for name in own), row["true"] == row["predicted"], *(float(row[name]) for name in classes)]
        for row in predictions
    ]
    return [*own, "correct", *classes], sorted(rows, key=lambda row: bool(row[3]))


def _confusion(contents: RunContents) -> Table:
    matrix = contents.errors.get("confusion_matrix", [])
    if not matrix:  # of several labels an image
        return [], []
    names = [figures["name"] for figures in contents.errors["classes"]]
    cells = [
        [true, predicted, count]
        for true, counts in zip(names, matrix, strict=True)
        for predicted, count in zip(names, counts, strict=True)
        if count
    ]
    return ["true", "predicted", "images"], cells


def _classes(contents: RunContents) -> Table:
    rows: list[dict[str, Any]] = []
    for figures in contents.errors.get("classes", []):
        row = {"class": figures["name"], "images": figures["images"]}
        for name in (n for n in OF_CLASSES if n in figures):
            known = figures[name] or {}
            row |= {name: known.get("value"), f"{name}_low": known.get("low"), f"{name}_high": known.get("high")}
        rows.append(row)
    return _as_they_are(rows)


def _as_they_are(rows: list[dict[str, Any]]) -> Table:
    if not rows:
        return [], []
    return list(rows[0]), [list(row.values()) for row in rows]


def log_tables(run: Any, contents: RunContents, *, step: int, most_rows: int) -> None:
    """Log the tables, the mistakes with their GradCAM, and the summary.

    Args:
        run: Of W&B.
        contents: Of the run's folder.
        step: Optimizer steps of the run.
        most_rows: Of a table.
    """
    import wandb

    row: dict[str, Any] = {
        name: wandb.Table(columns=list(columns), data=rows, allow_mixed_types=True)
        for name, (columns, rows) in tables_of(contents, most_rows=most_rows).items()
    }
    if contents.mistakes:
        folder = contents.folder / "figures" / "gradcam"
        columns = [name for name in contents.mistakes[0] if name != "file"]
        mistakes = [[wandb.Image(str(folder / m["file"])), *(m[name] for name in columns)] for m in contents.mistakes]
        row["gradcam_mistakes"] = wandb.Table(columns=["image", *columns], data=mistakes, allow_mixed_types=True)
    run.log({**row, "trainer/global_step": step})
    skipped = ("stages", "snapshots")
    run.summary.update({f"run/{name}": value for name, value in contents.summary.items() if name not in skipped})
    for symptom in contents.symptoms:
        where = f"epoch {symptom['epoch']}, step {symptom['step']}"
        run.summary[f"symptoms/{symptom['name']}"] = f"{symptom['what']} ({where}): {symptom['number']}"
    for name, area in contents.errors.get("macro", {}).items():
        run.summary.update({f"macro/{name}": area["value"], f"macro/{name}_low": area["low"]})
        run.summary[f"macro/{name}_high"] = area["high"]
    for name in ("rejected", "costs"):
        if name in contents.errors:
            run.summary[name] = contents.errors[name]
    for finding in contents.errors.get("diagnosis", []):
        run.summary[f"diagnosis/{finding['what']}"] = f"{finding['number']}: {finding['advice']}"


def log_artifacts(run: Any, contents: RunContents, best: Path | None = None) -> None:
    """Track the best checkpoint and the snapshots, where they lie: W&B makes no copy of them.

    Aliases: ``best`` and ``epoch-<n>`` of the checkpoint, ``snapshot-<k>`` of the snapshots, ``last-snapshot`` too.

    Args:
        run: Of W&B.
        contents: Of the run's folder.
        best: The best checkpoint, where the folder has no ``checkpoints/best.ckpt``.
    """
    summary, own = contents.summary, contents.folder / "checkpoints" / "best.ckpt"
    best = own if own.exists() else best
    if best is not None and best.exists():
        aliases = ["best", *([f"epoch-{summary['best_epoch']}"] if "best_epoch" in summary else [])]
        numbers = {name: summary.get(name) for name in ("val_loss", "best_epoch")}
        for one in contents.measured:
            numbers |= {one.name: one.value, f"{one.name}_ci95": one.ci95}
        _track(run, best, f"{run.id}-best", aliases, numbers)
    snapshots = summary.get("snapshots", [])
    for number, snapshot in enumerate(snapshots, start=1):
        aliases = [f"snapshot-{number}", *(["last-snapshot"] if number == len(snapshots) else [])]
        _track(run, contents.folder / snapshot["path"], f"{run.id}-snapshots", aliases, dict(snapshot))


def _track(run: Any, path: Path, name: str, aliases: list[str], metadata: dict[str, Any]) -> None:
    import wandb

    artifact = wandb.Artifact(name, type="model", metadata=metadata)
    artifact.add_file(str(path), policy="immutable", skip_cache=True)
    run.log_artifact(artifact, aliases=aliases)
