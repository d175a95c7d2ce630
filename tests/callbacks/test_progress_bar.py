"""The progress bar is one line in a terminal of any width."""

import io
from typing import Any

import pytest
import rich
from rich.cells import cell_len
from rich.console import Console

from lightning_recipes.callbacks.progress_bar import OneLineProgressBar
from tests.small import classifier, digits, fit


@pytest.mark.parametrize("width", [44, 80, 120])
def test_the_bar_is_one_line_at_any_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    terminal: dict[str, Any] = {"force_terminal": True, "width": width, "color_system": None}
    monkeypatch.setattr(rich, "_console", Console())  # Lightning changes the console of the process
    bar = OneLineProgressBar(leave=False, console_kwargs={**terminal, "file": io.StringIO()})
    drawn: list[list[str]] = []
    stop = bar._stop_progress

    def look_before_it_stops() -> None:
        if bar.progress is not None:
            screen = Console(file=io.StringIO(), **terminal)
            lines = screen.render_lines(bar.progress.get_renderable(), pad=False)
            drawn.append(["".join(segment.text for segment in line).rstrip() for line in lines])
        stop()

    monkeypatch.setattr(bar, "_stop_progress", look_before_it_stops)
    fit(classifier(), digits(val_fraction=0.2), bar, enable_progress_bar=True, max_epochs=1)
    last = [line for lines in drawn for line in lines if line]
    assert last
    assert all(line.startswith("Epoch") for line in last), last  # a line that wraps goes on without its name
    assert all(cell_len(line) <= width for line in last)
    assert all("/" in line and "val_loss: " in line for line in last), last
