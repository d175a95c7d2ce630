"""What a sweep shows: a line an event, and on a terminal a table of what runs."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from lightning_recipes.comparison.compare import Compared
from lightning_recipes.comparison.words import points
from lightning_recipes.evaluation.percent import percent
from lightning_recipes.sweeps.claims import Attempt
from lightning_recipes.sweeps.page import chosen_in_words, without_effect_in_words
from lightning_recipes.sweeps.plan import SweepPlan
from lightning_recipes.sweeps.report import ranked, shown_interval, shown_metric
from lightning_recipes.sweeps.shown import shown_values
from lightning_recipes.sweeps.work import Listener

__all__ = ["print_ablation", "print_sweep", "sweep_screen"]

BEST = 5
"""Rows of the table at the end."""


class _Lines:
    """Where nobody watches: a line an event."""

    def say(self, line: str) -> None:
        print(line, flush=True)

    def show(self, latest: Mapping[int, Attempt]) -> None:
        """Nothing: what ran before is in the lines."""


class _Live(_Lines):
    """On a terminal: the lines go by above a table of what runs."""

    def __init__(self, live: Live, plan: SweepPlan) -> None:
        self.live, self.plan = live, plan

    def say(self, line: str) -> None:
        self.live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, latest: Mapping[int, Attempt]) -> None:
        running = [one for one in latest.values() if one.state == "running"]
        done = sum(one.done for one in latest.values())
        table = Table(box=box.SIMPLE, title=f"{done} of {self.plan.trials} trials", title_justify="left")
        for name in ("trial", "state", "epoch", self.plan.metric, "values"):
            table.add_column(name)
        for one in running[: max(1, shutil.get_terminal_size().lines // 2)]:
            epochs = one.trial.intermediate_values
            last = max(epochs, default=None)
            so_far = "-" if last is None else shown_metric(self.plan.metric, epochs[last])
            table.add_row(str(one.number), one.state, str(last or "-"), so_far, shown_values(one.values))
        self.live.update(table, refresh=True)


@contextmanager
def sweep_screen(plan: SweepPlan) -> Iterator[Listener]:
    """Give what the loop tells its events to."""
    console = Console(markup=False)
    if not console.is_terminal:
        yield _Lines()
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:  # no thread: processes are forked meanwhile
        yield _Live(live, plan)


def print_ablation(plan: SweepPlan, report: Mapping[str, Any], compared: Compared | None) -> None:
    """Print what the recipe loses without each of its techniques."""
    if compared is not None:
        first = compared.pairs[0]
        images, whole = first["images"], first["groups"]["a"]["accuracy"]
        title = f"{first['a']}: {percent(whole['value'])} of {images:,} images"
        table = Table(title=title, title_justify="left")
        for name in ("", "accuracy", "points, 95 % interval", "p, Holm", "shown"):
            table.add_column(name, justify="left" if not name else "right", overflow="fold", no_wrap=bool(name))
        for pair in sorted(compared.pairs, key=lambda pair: -pair["difference"]):
            better = {"a": "worse", "b": "better", "not shown": "no"}[pair["verdict"]]
            share = percent(pair["groups"]["b"]["accuracy"]["value"])
            less = points(pair["difference"], pair["ci95"], turned=True)
            table.add_row(pair["b"], share, less, f"{pair['p_adjusted']:.2g}", better)
        Console(markup=False).print(table)
    print(_counted(report["trials"]))
    page = "" if compared is None else f"; {compared.folder / 'compare.html'} shows it"
    print(f"Everything is in {plan.out}{page}.")


def print_sweep(plan: SweepPlan, report: Mapping[str, Any], analysis: Mapping[str, Any]) -> None:
    """Print the best trials, what the best one is worth on other images and reached on the test images, and where."""
    best = ranked(report["trials"], plan.mode)[:BEST]
    console = Console(markup=False)
    if best:
        console.print(_table(plan, report, best))
    print(_counted(report["trials"]))
    if best:
        print(chosen_in_words(plan, analysis))
        if said := without_effect_in_words(analysis):
            print(said)
    if tested := _tested(report.get("test")):
        print(tested)
    if best:
        print(f"The best one's recipe: lightning-recipes fit --config {plan.out / 'best.yaml'}")
    print(f"Everything is in {plan.out}; {plan.out / 'sweep.html'} shows it.")


def _table(plan: SweepPlan, report: Mapping[str, Any], best: Sequence[Mapping[str, Any]]) -> Table:
    title = f"{plan.metric} of the best {len(best)} of {len(report['trials'])} trials"
    table = Table(title=title, title_justify="left")
    for name in ("trial", plan.metric, "95 % interval", "values"):
        table.add_column(name)
    for entry in best:
        shown, interval = shown_metric(plan.metric, entry["metric"]), shown_interval(plan.metric, entry["ci95"])
        table.add_row(str(entry["number"]), shown, interval or "-", shown_values(entry["values"]))
    return table


def _counted(entries: Sequence[Mapping[str, Any]]) -> str:
    states = [entry["state"] for entry in entries]
    counts = ((state, states.count(state)) for state in ("complete", "pruned", "failed", "running"))
    return "Trials: " + (", ".join(f"{count} {state}" for state, count in counts if count) or "none yet") + "."


def _tested(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    name = next((one for one in ("test_accuracy", "test_map", "test_loss") if one in found), None)
    if name is None:
        return ""
    value, interval = found[name]["value"], shown_interval(name, found[name]["ci95"])
    return f"On {found['images']} test images, trial {found['trial']}: {name} {shown_metric(name, value)}" + (
        f" (95 % interval {interval})." if interval else "."
    )
