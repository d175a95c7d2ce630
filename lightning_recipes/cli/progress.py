"""Progress of a long command: a bar on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_recipes.data.sources.progress import Progress as Told

__all__ = ["telling"]

SECONDS = 20.0


@contextmanager
def telling() -> Iterator[Told]:
    """Give a function that is told what is done, how much of it, and of how much; it prints on standard error."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
    # No thread of its own: processes are forked meanwhile.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        tasks: dict[str, int] = {}

        def tell(does: str, done: int, of: int) -> None:
            task = tasks.setdefault(does, -1)
            if task < 0:
                tasks[does] = task = bar.add_task(does, total=of)
            bar.update(task, completed=done, total=of, refresh=True)  # type: ignore[arg-type]

        yield tell


class _Lines:
    """A line when something begins to take long, and then every so many seconds."""

    def __init__(self) -> None:
        self.since = time.monotonic()

    def __call__(self, does: str, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self.since >= SECONDS:
            self.since = now
            print(f"{does}: {done:,} of {of:,}", file=sys.stderr, flush=True)
