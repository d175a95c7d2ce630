"""Takes the figures that pages show from a run of what the page types: ``python docs/take_figures.py``."""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parent
SHOWN = re.compile(r"!\[[^\]]*\]\((?:docs/)?(?:\.\./)*(figures/(\w+)/([\w.]+))\)")
COMMAND = re.compile(r"^```console\n\$ lightning-recipes ((?:fit|check) .*)\n", re.MULTILINE)


def shown(page: Path) -> list[tuple[Path, str]]:
    """Return file and name of each figure that a page shows."""
    return [(DOCS / found[0], found[2]) for found in SHOWN.findall(page.read_text(encoding="utf-8"))]


def take(page: Path, *others: Path) -> None:
    """Run the first training or check of a page, and copy what it drew under the names that are shown there."""
    command = COMMAND.search(page.read_text(encoding="utf-8"))
    assert command is not None, f"{page} shows figures of no command"
    with tempfile.TemporaryDirectory() as folder:
        words = [*shlex.split(command[1]), "--run_dir", str(Path(folder, "run"))]
        subprocess.run([sys.executable, "-m", "lightning_recipes", *words], check=True, cwd=folder)
        for file, name in (one for each in (page, *others) for one in shown(each)):
            file.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(Path(folder, "run", "figures", name)) as drawn:
                drawn.convert("RGB").quantize(128).save(file, optimize=True)


if __name__ == "__main__":
    take(DOCS / "start.md", DOCS.parent / "README.md")
    take(DOCS / "how_to" / "check_the_pipeline.md")
