"""The notebooks run from the first cell to the last, and show what they talk of."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
RUNS = {"01_finetune_and_explain": "notebook", "02_learning_rate_and_snapshots": "snapshots"}


def outputs(notebook: Any, kind: str) -> list[Any]:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [output for cell in cells for output in cell.outputs if output.output_type == kind]


def text(notebook: Any) -> str:
    return "".join(output.text for output in outputs(notebook, "stream"))


def said(notebook: Any, pattern: str) -> list[float]:
    return [float(number) for number in re.findall(pattern, text(notebook))]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_the_same_pictures(path: Path, tmp_path: Path) -> None:
    committed = nbformat.read(path, 4)
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "Error" not in text(notebook)
    assert len(outputs(notebook, "display_data")) == len(outputs(committed, "display_data")) > 0
    if path.stem in RUNS:
        assert (tmp_path / "runs" / RUNS[path.stem] / "figures" / "curves.png").exists()
    if path.stem.startswith("01"):
        assert "first loss 2.303, ln(10) = 2.303" in text(notebook)
    if path.stem.startswith("03"):
        distances = next(line for line in text(notebook).splitlines() if line.startswith("distance"))
        moved = [float(one) for one in distances.partition(":")[2].split()]
        assert moved[2] < moved[-1] / 2  # little while the decoder trains alone
        sure, doubtful = said(notebook, r"mean probability of what it says (\d\.\d+)")
        assert sure > doubtful
