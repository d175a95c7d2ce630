"""The notebooks run from the first cell to the last, and show what they talk of."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def outputs(notebook: Any, kind: str) -> list[Any]:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [output for cell in cells for output in cell.outputs if output.output_type == kind]


def text(notebook: Any) -> str:
    return "".join(output.text for output in outputs(notebook, "stream"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_the_same_pictures(path: Path, tmp_path: Path) -> None:
    committed = nbformat.read(path, 4)
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "Error" not in text(notebook)
    assert len(outputs(notebook, "display_data")) == len(outputs(committed, "display_data")) > 0
    first = [line for line in text(notebook).splitlines() if line.startswith("first loss")]
    assert first == ["first loss 2.303, ln(10) = 2.303"]
    assert (tmp_path / "runs" / "notebook" / "figures" / "gradcam.png").exists()
