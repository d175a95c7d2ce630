"""What ``prepare`` prints: what becomes of the images, by split and by class, before anything is written."""

from collections import Counter
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lightning_recipes.data.sources.folders import SPLIT_ORDER
from lightning_recipes.preparation.images import Decision, writable
from lightning_recipes.preparation.plan import Plan
from lightning_recipes.preparation.prepare import Prepared

__all__ = ["print_plan", "print_prepared"]

EXAMPLES = 3
CLASSES = 12

KINDS: dict[str, Callable[[Decision], bool]] = {
    "kept as it is": lambda one: one.done == "kept",
    "relabelled": lambda one: one.done == "relabelled",
    "repaired": lambda one: one.done == "repaired",
    "dropped: unreadable": lambda one: one.cause == "unreadable",
    "dropped: wrong label": lambda one: one.cause == "label",
    "dropped: label conflict": lambda one: one.cause == "conflict",
    "dropped: copy": lambda one: one.cause == "duplicate",
}
"""What may become of an image, and which ones it is; each image is one of them."""


def print_plan(plan: Plan) -> None:
    """Print what will be done, by reason and split, and the images of each class before and after."""
    console = Console()
    console.print(_by_reason(plan))
    if changed := _by_class(plan):
        console.print(changed)
    for text in (*_examples(plan), *plan.notes):
        _say(text)


def print_prepared(done: Prepared, out: str, *, dry_run: bool) -> None:
    """Print how it ended.

    Args:
        done: How many images.
        out: The folder.
        dry_run: Whether nothing was written.
    """
    repaired = f", {done.repaired} repaired" if done.repaired else ""
    _say(
        f"{done.kept} images kept as they are, {done.relabelled} relabelled, {done.dropped} dropped, "
        f"{done.skipped} unreadable{repaired}"
    )
    if dry_run:
        _say(f"Nothing was written; {out}/prepared.csv will list every image and why")
    else:
        _say(f"{out}/prepared.csv lists every image and why")
        _say(f"{out} and {out}/manifest.csv can be data.root")


def _say(text: str) -> None:
    """Print a text as it is, a name in one line whatever is in it."""
    shown = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in writable(text))
    Console().print(shown, soft_wrap=True, markup=False, highlight=False)


def _by_reason(plan: Plan) -> Table:
    """Count the images of each split of the data by what becomes of them."""
    splits = list(plan.splits) or [""]
    kinds = {kind: [one for one in plan.decisions if is_one(one)] for kind, is_one in KINDS.items()}
    moved = {
        f"of these {'moved to' if plan.splits else 'in'} {split}": [
            one for one in plan.decisions if one.done != "dropped" and one.split == split != _came_from(plan, one)
        ]
        for split in SPLIT_ORDER
    }
    left = {kind: some for kind, some in kinds.items() if not kind.startswith("dropped")}
    counted = {**left, **moved, **{kind: some for kind, some in kinds.items() if kind not in left}}
    rows = [
        (kind, [sum(_came_from(plan, one) == split for one in some) for split in splits])
        for kind, some in counted.items()
        if some
    ]
    rows.append(("in all", [sum(_came_from(plan, one) == split for one in plan.decisions) for split in splits]))
    headings = ["what is done", *(f"of {split}" if split else "images" for split in splits)]
    return _table(headings, [[kind, *(f"{count:,}" if count else "-" for count in counts)] for kind, counts in rows])


def _came_from(plan: Plan, one: Decision) -> str:
    """The split that the data have an image in; empty where they have none."""
    return one.image.split if plan.splits else ""


def _by_class(plan: Plan) -> Table | None:
    """Images of each class before and after, of those classes in which that differs."""
    before = Counter((one.image.label, _came_from(plan, one)) for one in plan.decisions)
    after = Counter((one.label, one.split) for one in plan.decisions if one.done != "dropped")
    if before == after:
        return None
    splits = [split for split in SPLIT_ORDER if any(key[1] == split for key in (*before, *after))]
    in_all = [
        Counter({name: sum(of[name, split] for split in ("", *SPLIT_ORDER)) for name in plan.classes})
        for of in (before, after)
    ]

    def row(shown: str, names: Sequence[str]) -> list[str]:
        counts = [[sum(of[name] for name in names) for of in in_all]]
        counts += [[sum(of[name, split] for name in names) for of in (before, after)] for split in splits]
        return [shown, *(_change(*pair) for pair in counts)]

    def change(name: str) -> int:
        return sum(abs(before[name, split] - after[name, split]) for split in ("", *SPLIT_ORDER))

    changed = sorted((name for name in plan.classes if change(name)), key=change, reverse=True)
    rows = [row(writable(name), [name]) for name in changed]
    if len(rows) > CLASSES:
        rows = [*rows[: CLASSES - 1], row(f"{len(rows) - CLASSES + 1} more", changed[CLASSES - 1 :])]
    return _table(["images of class", "all", *splits], [*rows, row("all classes", plan.classes)])


def _change(before: int, after: int) -> str:
    return f"{after:,}" if before in (0, after) else f"{before:,} → {after:,}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for column, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=column > 0, justify="right" if column else "left")
    for name, *values in rows:
        table.add_row(Text(name), *values)
    return table


def _examples(plan: Plan) -> list[str]:
    """The first few of each kind but those that stay as they are, a line each."""
    lines = []
    for kind, is_one in KINDS.items():
        of_kind = [one for one in plan.decisions if is_one(one)] if kind != "kept as it is" else []
        if of_kind:
            lines += [kind, *(f"  {one.image.path}: {one.reason}" for one in of_kind[:EXAMPLES])]
        if len(of_kind) > EXAMPLES:
            lines.append(f"  and {len(of_kind) - EXAMPLES:,} more")
    return lines
