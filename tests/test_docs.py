"""What the site shows is run: each of its commands and each piece of Python, where a reader would stand."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lightning_recipes.cli.key_help import key_help
from tests.pictures import class_folders
from tests.processes import start
from tests.small import SMALL, UNREPORTED

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.name != "architecture.md")
BLOCK = re.compile(r"^```(python|console|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.(?:py|yaml))\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in ``run/``."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "small.yaml").write_text(SMALL)
    assert start(folder, *UNREPORTED).wait() == 0, (folder / "errors.txt").read_text()
    return folder / "run"


def stand_where_a_reader_would(run: Path) -> None:
    shutil.copytree(run, "runs/mine")
    class_folders(Path("my_images"))
    Image.new("RGB", (40, 30), (200, 30, 30)).save("photo.png")


def say(commands: str) -> str:
    """What a shell prints, in which ``lightning-recipes`` is this one."""
    ours = f'exec 2>&1; lightning-recipes() {{ {shlex.quote(sys.executable)} -m lightning_recipes "$@"; }}\n'
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path.cwd())])}
    return subprocess.run(["bash", "-c", ours + commands], stdout=subprocess.PIPE, text=True, env=env).stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_what_a_page_shows_works(page: Path, run: Path) -> None:
    stand_where_a_reader_would(run)
    names: dict[str, object] = {}
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if file := FILE.match(text):
            Path(file[1]).write_text(text)
        if kind == "python":
            exec(compile(text, str(page), "exec"), names)
        if kind != "console":
            continue
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            said = say(command if "echo $?" in command else f"{command} || echo went wrong")
            assert "went wrong" not in said, said
            assert shown in said


KEYS = sorted(
    {
        key
        for page in PAGES
        for key in re.findall(
            r"`(?:--)?((?:model|data|trainer)\.[a-z_]+)(?!\()\b", BLOCK.sub("", page.read_text(encoding="utf-8"))
        )
    }
)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_a_page_names_is_there(key: str) -> None:
    assert key_help("fit", key)


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", str(DOCS), str(tmp_path / "site")]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "how_to" / "serve.html").exists()
