"""What the command line prints when it is done."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lightning_recipes.report.parts import finding, percent
from lightning_recipes.run_contents import RunContents
from lightning_recipes.whole_files import write_csv

__all__ = [
    "print_evaluation",
    "print_explanation",
    "print_gain",
    "print_range_test",
    "print_stopped",
    "print_summary",
    "write_predictions",
]


def print_summary(folder: Path) -> None:
    """Print what a run reached, with its interval, and where it lies."""
    run = RunContents(folder)
    summary = run.summary
    table = Table(
        title=f"{summary['recipe']}: {summary['epochs']} epochs in {summary['seconds']:.0f} s", title_justify="left"
    )
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    interval = summary["val_accuracy_ci95"]
    between = "" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"
    table.add_row(f"val_accuracy ({summary['val_images']} images)", percent(summary["val_accuracy"]), between)
    if summary["val_loss"] is not None:
        table.add_row("val_loss", f"{summary['val_loss']:.4f}", "")
    if "ensemble_val_accuracy" in summary:
        low, high = summary["ensemble_val_accuracy_ci95"]
        name = f"ensemble of {len(summary['snapshots'])} snapshots"
        table.add_row(name, percent(summary["ensemble_val_accuracy"]), f"{percent(low)} to {percent(high)}")
    for stage in summary["stages"]:
        speed = stage["images_per_second"]
        table.add_row(f"stage {stage['name']}", "-" if speed is None else f"{speed:.0f} images/s", "")
    console = Console()
    console.print(table)
    if run.errors:
        console.print(_findings(run.errors["diagnosis"]))
    best = summary["best_epoch"]
    said = "No epoch was validated" if best is None else f"Best of {summary['epochs']} epochs: epoch {best}"
    console.print(
        f"{said}. Everything is in {folder}; {folder / 'report.html'} shows it.",
        soft_wrap=True,
    )


def print_stopped(folder: Path) -> None:
    """Print how a run that was interrupted goes on."""
    if not (folder / "checkpoints" / "last.ckpt").exists():
        text = f"Stopped before the first checkpoint; {folder} can be removed."
    else:
        text = (
            f"Stopped after {RunContents(folder).summary['epochs']} epochs, which {folder} holds. It goes on with\n"
            f"  lightning-recipes fit --config {folder / 'config.yaml'} --run_dir {folder} --ckpt_path last"
        )
    Console().print(text, soft_wrap=True, highlight=False)


def _findings(diagnosis: Sequence[Mapping[str, str]]) -> Table:
    """What to try next: what the figures say, what to do, and the number that says so."""
    table = Table.grid(padding=(0, 1))
    for said in diagnosis:
        part = finding(**said)
        table.add_row("*", Text(f"{part['what']}.", style="bold"))
        table.add_row("", Text(f"{part['advice']}."))
        table.add_row("", Text(f"Read off: {part['number']}.", style="dim"))
    return table


def print_range_test(folder: Path) -> None:
    """Print what the range test suggests, and where it lies."""
    console = Console()
    for stage, result in RunContents(folder).range_tests.items():
        table = Table(title=f"Range test of stage '{stage}' (recipe: {result['recipe_lr']:.3g})", title_justify="left")
        for name in ("suggestion", "learning rate", "over the data orders"):
            table.add_column(name, justify="left" if name == "suggestion" else "right")
        for rule, found in result["suggestions"].items():
            mark = " *" if rule == result["suggestion"] else ""
            table.add_row(rule + mark, f"{found['lr']:.2g}", f"{found['low']:.2g} to {found['high']:.2g}")
        console.print(table)
        if result["problem"]:
            console.print(f"No rate can be advised: {result['problem']}.", soft_wrap=True)
    console.print(f"The recipe's choice is marked *. Figure and curves are in {folder}", soft_wrap=True)


def print_evaluation(command: str, results: Sequence[Mapping[str, float]]) -> None:
    """Print the metrics of ``validate`` or ``test``."""
    table = Table(title=command, title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for metrics in results:
        for name, value in metrics.items():
            table.add_row(name, f"{value:.4f}")
    Console().print(table)


def print_gain(gain: float, half: float, images: int) -> None:
    """Print what several views add to the accuracy."""
    Console().print(f"The views add {gain:+.1%} ± {half:.1%} to the accuracy (paired over {images} images, 95 %)")


def print_explanation(folder: Path) -> None:
    """Say where the pictures of what is wrong lie, if anything is wrong."""
    path = folder / "figures" / "gradcam.png"
    if path.exists():
        Console().print(
            f"What it gets wrong is in {path}, each image on its own in {path.with_suffix('')}", soft_wrap=True
        )


def write_predictions(path: Path, predictions: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Write one row an image: path, predicted, and the probability of each class.

    Args:
        path: The file.
        predictions: ``paths``, predicted ``labels`` and ``probabilities`` (N, C).
        classes: Their names, in the order of the probabilities.
    """
    parts = zip(*(predictions[name] for name in ("paths", "labels", "probabilities")), strict=True)
    rows = ([name, label, *(f"{p:.6f}" for p in probabilities.tolist())] for name, label, probabilities in parts)
    write_csv(path, ["path", "predicted", *classes], rows)
    Console().print(f"Predictions are in {path}", soft_wrap=True)
