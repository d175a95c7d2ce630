"""What the site shows is run: each of its commands and each piece of Python, where a reader would stand."""

import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
from PIL import Image
from sphinx.cmd.build import build_main

from lightning_recipes.__main__ import main
from lightning_recipes.cli.help_pages import PAGE_OF, packaged_pages
from lightning_recipes.cli.key_help import OWN_SECTIONS, key_help, keys_of
from tests.pictures import class_folders
from tests.processes import start
from tests.small import SMALL, UNREPORTED

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    path for path in DOCS.rglob("*.md") if path.name != "architecture.md" and path.parent.name != "generated"
)
BLOCK = re.compile(r"^```(python|console|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.(?:py|yaml))\n")
FIGURE = re.compile(r"!\[[^\]]*\]\((?:docs/)?(?:\.\./)*figures/(\w+)/(\w+\.png)\)")
ALONE = re.compile(r"lightning-recipes (?:[^;|&$<>\"]|\"[^\"]*\")*")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")
# Weights that would have to be fetched: what comes along stands in for them.
STAND_IN = {
    "--model.backbone mobilenetv3_large_100.ra_in1k": "--model.backbone test_resnet --model.pretrained embedded:letters"
}
# One epoch of all layers in the place of twenty, and no analysis, where the page does not look at what comes of it.
SHORT = " --trainer.max_epochs 21 " + " ".join(UNREPORTED)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in ``run/``."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "small.yaml").write_text(SMALL)
    assert start(folder, *UNREPORTED).wait() == 0, (folder / "errors.txt").read_text()
    return folder / "run"


def stand_where_a_reader_would(run: Path, *, pictures: int) -> None:
    shutil.copytree(run, "runs/mine")
    class_folders(Path("my_images"), pictures)
    Image.new("RGB", (40, 30), (200, 30, 30)).save("photo.png")


def show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning, as outside of pytest, which keeps it."""
    print(warnings.formatwarning(message, category, filename, lineno, line), file=file or sys.stderr)


def say(command: str, capfd: pytest.CaptureFixture[str]) -> str:
    """What a shell prints, in which ``lightning-recipes`` is this one; without a shell where nothing is asked of it."""
    for fetched, ours_instead in STAND_IN.items():
        command = command.replace(fetched, ours_instead)
    if ALONE.fullmatch(command) and "--trainer.devices" not in command:  # processes start with the words of this one
        logging.getLogger("lightning_recipes").handlers.clear()  # which write to another test's output
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = show
            code = main(shlex.split(command)[1:])
        return "".join(capfd.readouterr()) + ("went wrong" if code else "")
    ours = f'exec 2>&1; lightning-recipes() {{ {shlex.quote(sys.executable)} -m lightning_recipes "$@"; }}\n'
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path.cwd())])}
    asked = command if "echo $?" in command else f"{command} || echo went wrong"
    return subprocess.run(["bash", "-c", ours + asked], stdout=subprocess.PIPE, text=True, env=env).stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
@pytest.mark.filterwarnings("ignore")
def test_what_a_page_shows_works(page: Path, run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stand_where_a_reader_would(run, pictures=40 if page.stem == "tutorial" else 5)
    names: dict[str, object] = {}
    figures = FIGURE.findall(page.read_text(encoding="utf-8"))
    looks = figures or page.stem in ("read_the_report", "thresholds", "uneven_classes", "wrong_labels")
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if file := FILE.match(text):
            Path(file[1]).write_text(text)
            sys.modules.pop(file[1].removesuffix(".py"), None)  # of another page
        if kind == "python":
            exec(compile(text, str(page), "exec"), names)
        if kind != "console":
            continue
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            whole = looks or "fit --config quickstart" not in command or "trainer.max_" in command
            said = say(command if whole or not ALONE.fullmatch(command) else command + SHORT, capfd)
            assert "went wrong" not in said, said
            assert shown in said
    for folder, name in figures:
        (drawn,) = Path("runs").glob(f"*/0/figures/{name}")
        assert alike(DOCS / "figures" / folder / name, drawn)


def alike(shown: Path, drawn: Path) -> bool:
    """Whether a figure is the one that was drawn, but for fewer colours and the last digits of a machine.

    Pictures that are sorted by how sure the model is come in another order where the processor rounds otherwise:
    of them the colours are compared, however they lie (0.9 between a processor of AVX2 and one of AVX-512; 5.0 to 7.6
    without the maps' colours or with others).
    """
    one, other = (np.asarray(Image.open(path).convert("RGB"), dtype=float) for path in (shown, drawn))
    if one.shape != other.shape:
        return False
    if shown.name == "gradcam.png":
        one, other = (np.sort(pixels.reshape(-1, 3), axis=0) for pixels in (one, other))
        return float(np.abs(one - other).mean()) < 3.0
    return float(np.abs(one - other).mean()) < 12.0


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
    in_pretrain = key.startswith(tuple(OWN_SECTIONS["pretrain"])) and key in keys_of("pretrain", key.partition(".")[0])
    assert key_help("pretrain" if in_pretrain else "fit", key)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():  # Sphinx's own of what it means to change
        warnings.simplefilter("ignore")
        code = build_main(["-q", "-W", "--keep-going", str(DOCS), str(tmp_path / "site")])
    assert code == 0, capfd.readouterr().err
    for page in ("how_to/serve", "generated/keys", "generated/callbacks", "generated/02_learning_rate_and_snapshots"):
        assert (tmp_path / "site" / f"{page}.html").exists()
    classes = (tmp_path / "site" / "generated" / "callbacks.html").read_text()
    assert 'id="lightning_recipes.EMA"' in classes
    assert "0.999 averages over about the last 1000 steps" in classes


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md"])
def test_what_a_file_links_to_is_there(file: str) -> None:
    for link in LINK.findall((ROOT / file).read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 100


def test_each_page_is_shown_in_the_terminal_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "pages"]) == 0
    listed = capsys.readouterr().out
    names = [page.stem for page in PAGES if page.name != "index.md"]
    assert sorted(names) == sorted(set(names)) == sorted(packaged_pages())
    for page in packaged_pages():
        assert f"  {page} " in listed
    assert main(["help", "resume"]) == 0
    assert capsys.readouterr().out == (DOCS / "how_to" / "resume.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("key", "page"), PAGE_OF.items())
def test_an_error_names_a_page_that_says_something_of_its_key(key: str, page: str) -> None:
    assert key.rpartition(".")[2] in packaged_pages()[page].read_text(encoding="utf-8")


def test_a_key_a_class_and_a_command_are_explained_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> str:
        assert main(words) == 0
        return capsys.readouterr().out

    assert said("help", "model.loss") == said("fit", "--help", "model.loss")
    assert said("help", "EMA") == said("fit", "--help", "EMA")
    assert said("help", "fit") == said("fit", "--help")
    assert said("help") == said("--help")
    assert said("help", "Train longer") == said("help", "train_longer")
    assert said("help", "squish") == said("help", "data.fit")
    assert "--model.schedule" not in said("help", "focal")
    assert said("help", "minutes") == said("suggest", "--help", "minutes")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.los", "model.los: there is no such key; did you mean model.loss"),
        ("resum", "resum: there is no such page; did you mean resume?"),
        ("train longe", "train longe: there is no such page; did you mean train_longer?"),
        ("qqqqqq", "qqqqqq: there is no such key; fit --help all lists them; help pages lists the pages"),
    ],
)
def test_what_cannot_be_explained_is_answered_with_the_nearest(
    name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["help", name]) == 2
    assert said in capsys.readouterr().err


def test_an_error_ends_with_the_page_that_explains_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "quickstart", "--data.root", "not_there"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("lightning-recipes: data.root: 'not_there' does not exist")
    assert error.endswith("(lightning-recipes help pictures)\n")
