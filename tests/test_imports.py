"""What is imported when: help without the seconds that torch takes, and what is slow only where it is used."""

import json
import subprocess
import sys
from typing import Any

import pytest

HELP = {  # words, and what the answer has in it
    "--help": "Usage: lightning-recipes COMMAND",
    "--version": "lightning-recipes ",
    "fit --help": "Usage: lightning-recipes fit",
    "fit -h trainer": "--trainer.max_epochs ",
    "lr-find --help=model.lr": "--model.lr ",
}
TRANSFORMS, CLI = "lightning_recipes.data.transforms.image_transforms", "lightning_recipes.cli.commands.fit"
PROGRAM = """
import contextlib, importlib, io, json, sys
from lightning_recipes.__main__ import main

said, imported = {}, {}
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as answer:
        assert main(words.split()) == 0
    said[words] = answer.getvalue()
imported["help"] = sorted(sys.modules)
for name in json.loads(sys.argv[2]):
    importlib.import_module(name)
    imported[name] = sorted(sys.modules)
print(json.dumps({"said": said, "imported": imported}))
"""


@pytest.fixture(scope="module")
def process() -> dict[str, Any]:
    """One process that answers for help and then imports more and more, and tells; to begin one takes seconds."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(list(HELP)), json.dumps([TRANSFORMS, CLI])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("words", HELP)
def test_help_and_version_are_answered(words: str, process: dict[str, Any]) -> None:
    assert HELP[words] in process["said"][words]


@pytest.mark.parametrize(
    ("after", "module"),
    [
        *(("help", name) for name in ("torch", "lightning", "timm", "jsonargparse")),
        *((TRANSFORMS, name) for name in ("albumentations", "cv2")),
        *((CLI, name) for name in ("albumentations", "cv2", "sklearn", "captum")),
    ],
)
def test_what_is_slow_to_import_is_imported_only_when_it_is_used(
    after: str, module: str, process: dict[str, Any]
) -> None:
    assert module not in process["imported"][after]
