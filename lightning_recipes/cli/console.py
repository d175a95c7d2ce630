"""What the command line prints when it is done."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lightning_recipes.checks.check import Check
from lightning_recipes.comparison.compare import Compared
from lightning_recipes.errors import first_few
from lightning_recipes.evaluation.percent import percent, percent_range
from lightning_recipes.run.reader import RunContents
from lightning_recipes.run.report.ending import command_to_go_on, ending
from lightning_recipes.run.report.parts import finding, number
from lightning_recipes.run.report.sections import analysed_before, by_metric
from lightning_recipes.suggest.choices import Suggestion

if TYPE_CHECKING:
    from lightning_recipes.export.export import Exported

__all__ = [
    "print_check",
    "print_checks",
    "print_comparison",
    "print_evaluation",
    "print_explanation",
    "print_export",
    "print_gain",
    "print_inspection",
    "print_predictions",
    "print_range_test",
    "print_stopped",
    "print_suggestion",
    "print_summary",
]

MOST_KEYS = 6


def print_summary(folder: Path) -> None:
    """Print what a run reached, with its interval, what ended it, how it goes on, and where it lies."""
    run = RunContents(folder)
    summary = run.summary
    title = f"{summary['recipe']}: {summary['epochs']} epochs in {summary['seconds']:.0f} s"
    console = Console()
    console.print(_table(title, ("metric", "value", "95 % interval"), _rows(run)))
    if said := analysed_before(run):
        _say(f"{said}.")
    if run.errors:
        console.print(_findings(run.errors["diagnosis"]))
    best = summary["best_epoch"]
    said = (
        "No epoch was validated"
        if best is None
        else f"Best of {summary['epochs']} epochs{by_metric(summary)}: epoch {best}, counted from 0"
    )
    _say(f"{said}. Everything is in {folder}; {folder / 'report.html'} shows it.")
    if said := ending(summary):
        command = command_to_go_on(folder, summary)
        _say(f"{said}." + (f" It goes on with\n  {command}" if command else ""))


def _say(text: str) -> None:
    """Print a text as it is: names and paths are no markup, and a command is copied as one line."""
    Console().print(text, soft_wrap=True, markup=False, highlight=False)


def _rows(run: RunContents) -> list[tuple[str, str, str]]:
    """What was reached: name, value, interval."""
    summary, measured = run.summary, run.measured
    of = "" if summary["val_images"] is None else f" ({summary['val_images']} images)"
    own = [one for one in measured if not one.name.startswith("ensemble")]
    rows = [(f"{one.name}{of}", percent(one.value), _between(one.ci95)) for one in own]
    if measured or summary.get("monitor") is None:  # else what is judged by has no such loss
        rows.append(("val_loss", number(summary["val_loss"], ".4f"), ""))
    if (monitor := summary.get("monitor")) is not None and monitor not in [name.split(" ")[0] for name, *_ in rows]:
        rows.append((monitor, number(summary["best_score"], ".4f"), ""))
    ensemble = f"ensemble of {len(summary.get('snapshots', []))} snapshots"
    rows += [(ensemble, percent(one.value), _between(one.ci95)) for one in measured[len(own) :]]
    for stage in summary["stages"]:
        name = " ".join(f"stage {stage['name']} (images/s)".split())
        rows.append((name, number(stage["images_per_second"], ",.0f"), ""))
    return rows


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table whose numbers stay whole in a narrow terminal, where names are wrapped."""
    table = Table(title=Text(title), title_justify="left")
    for column, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=column > 0, justify="right" if column else "left")
    for name, *values in rows:
        table.add_row(Text(name), *values)  # names of stages are no markup
    return table


def _between(interval: Sequence[float] | None) -> str:
    return "" if interval is None else percent_range(*interval)


def print_stopped(folder: Path, signal: str = "") -> None:
    """Print how a run that was interrupted goes on.

    Args:
        folder: The run's.
        signal: What stopped it, such as ``SIGTERM``.
    """
    stopped, summary = f"Stopped by {signal}" if signal else "Stopped", RunContents(folder).summary
    if not summary:
        text = f"{stopped} before the first step: nothing is lost."
    elif not (folder / "checkpoints" / "last.ckpt").exists():
        text = f"{stopped} before the first checkpoint; {folder} can be removed."
    else:
        text = (
            f"{stopped} after {summary['epochs']} epochs, at step {summary['global_step']}."
            f" {folder} holds what is done; it goes on with\n  {command_to_go_on(folder, summary)}"
        )
    Console().print(text, soft_wrap=True, highlight=False)


def _findings(diagnosis: Sequence[Mapping[str, str]]) -> Table:
    """What to try next: what the numbers say, what to do, and the number that says so."""
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
        title = f"Range test of stage '{stage}' (recipe: {number(result['recipe_lr'], '.3g')})"
        rows = [
            (
                rule + (" *" if rule == result["suggestion"] else ""),
                f"{s['lr']:.2g}",
                f"{s['low']:.2g} to {s['high']:.2g}",
            )
            for rule, s in result["suggestions"].items()
        ]
        console.print(_table(title, ("suggestion", "learning\nrate", "over the\ndata orders"), rows))
        if result["problem"]:
            _say(f"No rate can be advised: {result['problem']}.")
    _say(f"The recipe's choice is marked *. Figure and curves are in {folder}")


def print_evaluation(command: str, results: Sequence[Mapping[str, float]]) -> None:
    """Print the metrics of ``validate`` or ``test``."""
    rows = [(name, f"{value:.4f}") for metrics in results for name, value in metrics.items()]
    Console().print(_table(command, ("metric", "value"), rows))


def print_gain(gain: float, half: float, images: int, *, of: str = "accuracy") -> None:
    """Print what several views add to the accuracy, or to what ``of`` names."""
    Console().print(
        f"The views add {100 * gain:+.1f} ± {100 * half:.1f} points to the {of} (paired over {images} images, 95 %)"
    )


def print_suggestion(path: str, suggestion: Suggestion) -> None:
    """Print what a suggested recipe is expected to take and to reach, and how it is run."""
    middle, low, high = suggestion.accuracy
    rows = [
        ("minutes", f"{suggestion.length.seconds / 60:.2g}", ""),
        ("steps of all layers", f"{suggestion.length.steps:,}", ""),
        ("val_accuracy", percent(middle), percent_range(low, high)),
    ]
    Console().print(_table(f"{path}: what to expect", ("", "expected", "half of the\nmeasured sets"), rows))
    _say(f"{suggestion.outlook} Each choice has its reason in the file. Train it with")
    _say(f"  lightning-recipes fit --config {shlex.quote(path)}")


def print_check(check: Check) -> None:
    """Print what a check has found, as soon as it has; what was expected and what to do only where it did not pass."""
    style = {"passed": "green", "warned": "yellow", "failed": "bold red"}[check.status]
    line = Table.grid(padding=(0, 1))
    line.add_column(width=6)
    line.add_column(min_width=min(22, len(check.name)), no_wrap=True)
    line.add_column()
    said = Text(check.measured)
    if check.status != "passed":
        said.append(f"\nexpected: {check.expected}", style="dim")
        said.append(f"\n{check.advice[:1].upper()}{check.advice[1:]}.")
    line.add_row(Text(check.status, style=style), Text(f"{check.name:<22}"), said)
    Console().print(line)


def print_checks(folder: Path, checks: Sequence[Check]) -> None:
    """Print how many checks there were, and where they lie."""
    count = {status: sum(one.status == status for one in checks) for status in ("passed", "warned", "failed")}
    _say(", ".join(f"{many} {status}" for status, many in count.items()) + f". All of it is in {folder}")


def print_comparison(done: Compared) -> None:
    """Print what each recipe reaches and costs, which is better, and what else to mind."""
    groups = {pair[side]: pair["groups"][side] for pair in done.pairs for side in ("a", "b")}
    rows = [
        (name, f"{len(one['runs'])}", percent(one["accuracy"]["value"]), _between(one["accuracy"]["ci95"]),
         number(one["log_loss"] and one["log_loss"]["value"], ".4f"), number(one["seconds"], ",.0f"))
        for name, one in groups.items()
    ]  # fmt: skip
    title = f"{len(groups)} recipes on the same {done.pairs[0]['images']:,} images"
    headings = ("", "runs", "accuracy", "95 % interval", "log loss", "seconds\na run")
    Console().print(_table(title, headings, rows))
    Console().print(_findings(done.said))
    for pair in done.pairs:
        keys = ", ".join(one["key"] for one in pair["recipe"][:MOST_KEYS])
        more = ", ..." if len(pair["recipe"]) > MOST_KEYS else ""
        told = f"{pair['a']} and {pair['b']} differ in {keys}{more}. " if keys else ""
        _say(told + (f"{pair['warning']}." if pair["warning"] else ""))
    _say(f"Everything is in {done.folder}; {done.folder / 'compare.html'} shows it")


def print_explanation(folder: Path) -> None:
    """Say where the pictures of what is wrong lie, if anything is wrong."""
    path = folder / "figures" / "gradcam.png"
    if path.exists():
        _say(f"What it gets wrong is in {path}, each image on its own in {path.with_suffix('')}")


def print_export(done: "Exported") -> None:
    """Print what the comparison said, how long a picture takes in each form, and where the file lies."""
    size = done.entries["file_bytes"] / 1e6
    if done.proof is None:
        _say(f"{done.file} ({size:.1f} MB) was compared with nothing; export.json says what is in it")
        return
    proof, rows = done.proof, dict[tuple[int, int], dict[str, float]]()
    for row in done.latencies:
        rows.setdefault((row.batch, row.threads), {})[row.form] = row.milliseconds
    forms = list(dict.fromkeys(row.form for row in done.latencies))
    headings = ("milliseconds a picture", *forms)
    cells = [
        (f"{_count(batch, 'picture')} at once, {_count(threads, 'thread')}", *(f"{times[form]:.2f}" for form in forms))
        for (batch, threads), times in rows.items()
    ]
    if cells:
        Console().print(_table(f"{done.file} ({size:.1f} MB)", headings, cells))
    else:
        _say(f"{done.file} ({size:.1f} MB)")
    _say(
        f"The same label as the framework for {proof.images - proof.other_label} of {proof.images} pictures; "
        f"probabilities differ by {proof.largest_gap:.1e} at most."
    )
    if done.int8 is not None:
        low, high = (f"{100 * bound:+.1f}" for bound in done.int8.ci95)
        _say(
            f"In eight bits {percent(done.int8.right)} of the labels are right, in floats "
            f"{percent(done.int8.right_in_floats)}: {100 * done.int8.difference:+.1f} points ({low} to {high}, 95 %)."
        )
    if proof.full_size_gap is not None:
        _say(
            f"Large JPEGs were read at a half or less, as in training; read at full size, "
            f"probabilities differ by up to {proof.full_size_gap:.4f}."
        )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def print_inspection(folder: Path, report: Mapping[str, Any], reused: int) -> None:
    """Print what an inspection found, the most important first, each with its number and what to do.

    Args:
        folder: Where it lies.
        report: What ``inspect.json`` holds.
        reused: Files that were known from before.
    """
    splits = ", ".join(f"{count:,} {name}" for name, count in report["splits"].items())
    said = f"{report['images']:,} images ({splits}) of {len(report['classes']):,} classes"
    known = f", {reused:,} known from before" if reused else ""
    _say(f"{said} in {report['seconds']:,.0f} s{known}")
    if report["findings"]:
        found = Table(box=box.SIMPLE_HEAD, show_lines=True, padding=(0, 1))
        found.add_column("found and what to do", overflow="fold", ratio=3)
        found.add_column("number", overflow="fold", ratio=2)
        for one in report["findings"]:
            found.add_row(Text.assemble((f"{one['what']}.", "bold"), f"\n{one['advice']}."), Text(one["number"]))
        Console().print(found)
    else:
        _say("Nothing was found that needs a hand.")
    if report["backbone"] is None:
        _say("Left out: outliers, wrong labels, close classes (--backbone resnet18 looks)")
    _say(f"Everything is in {folder}; {folder / 'inspect.html'} shows it")


def print_predictions(written: Sequence[Path], count: int, unreadable: Sequence[tuple[str, str]], bad: Path) -> None:
    """Print where predictions are, and which pictures have none.

    Args:
        written: Files and folders.
        count: Pictures that were read.
        unreadable: Paths and reasons of those that could not be.
        bad: The file that names them.
    """
    _say(f"{_count(count, 'picture')}: {', '.join(map(str, written))}")
    if unreadable:
        some = first_few([f"{name} ({reason})" for name, reason in unreadable], 3)
        _say(f"{_count(len(unreadable), 'picture')} could not be read: {some}; {bad} has them all")
