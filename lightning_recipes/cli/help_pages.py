"""Pages of the documentation by name, for ``lightning-recipes help resume``, and which page explains a key.

Imports nothing that is slow: help is answered in an instant.
"""

import re
import sys
from pathlib import Path

from lightning_recipes.cli.commands import COMMANDS
from lightning_recipes.cli.key_help import OWN_SECTIONS, SECTIONS, key_help, keys_of, used_most
from lightning_recipes.cli.packaged import packaged_files
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["PAGE_OF", "help_on", "packaged_pages", "with_page"]

LEFT_OUT = ("index", "architecture", "generated")
"""A list of links, a page for those who change the code, and what is made of keys and classes, which have help."""
PAGE_OF = {
    "accelerator": "serve",
    "against_first": "compare",
    "batch_wait_ms": "serve",
    "best_checkpoint.monitor": "thresholds",
    "ckpt_path": "resume",
    "classes": "made_images",
    "conflicts": "clean_your_data",
    "data.balance": "uneven_classes",
    "data.cache": "speed",
    "data.channels": "pictures",
    "data.extra": "made_images",
    "data.fit": "pictures",
    "data.fold": "small_data",
    "data.folds": "small_data",
    "data.group": "pictures",
    "data.image_backend": "speed",
    "data.on_bad_image": "pictures",
    "data.predict_root": "predict",
    "data.root": "pictures",
    "data.unlabelled": "learn_without_labels",
    "data.val_fraction": "pictures",
    "duplicates": "clean_your_data",
    "ErrorAnalysis.costs": "thresholds",
    "folds": "sweep",
    "generate": "made_images",
    "group": "clean_your_data",
    "host": "serve",
    "inspection": "clean_your_data",
    "int8": "export",
    "label_issues": "wrong_labels",
    "max_batch_size": "serve",
    "max_gap": "export",
    "max_loss": "export",
    "max_megabytes": "serve",
    "max_megapixels": "serve",
    "max_other_labels": "export",
    "max_waiting": "serve",
    "min_epochs": "sweep",
    "model.coordinates": "techniques",
    "model.head": "loss_and_head",
    "model.loss": "loss_and_head",
    "model.method": "learn_without_labels",
    "model.metrics": "thresholds",
    "model.neighbours": "learn_without_labels",
    "model.reject_below": "thresholds",
    "model.schedule": "learning_rate",
    "model.task": "several_labels",
    "on_bad_image": "clean_your_data",
    "one_at_a_time": "sweep",
    "page": "export",
    "port": "serve",
    "prove": "export",
    "prune": "sweep",
    "reduction": "sweep",
    "repo": "export",
    "run_dir": "run_folder",
    "sampler": "sweep",
    "search": "sweep",
    "search_seed": "sweep",
    "seeds": "sweep",
    "serve": "serve",
    "split": "clean_your_data",
    "stage": "stages",
    "stages": "stages",
    "storage": "sweep",
    "study": "sweep",
    "sweep": "sweep",
    "temperature": "export",
    "test_fraction": "clean_your_data",
    "timeout": "serve",
    "to": "export",
    "trainer.devices": "several_gpus",
    "trainer.num_nodes": "several_gpus",
    "trainer.strategy": "several_gpus",
    "trials": "sweep",
    "val_fraction": "clean_your_data",
    "views": "views",
    "wandb": "trackers",
    "workers": "sweep",
}
"""Key, or the section or list that it is in, and the page that explains it."""


def packaged_pages() -> dict[str, Path]:
    """Return name and file of every page: of the installed package, or of the checkout that is installed editable."""
    found = packaged_files("docs", "*.md").items()
    return {file.stem: file for name, file in found if name.partition("/")[0] not in LEFT_OUT}


def with_page(error: str) -> str:
    """Return an error with the page that explains the key that it opens with, where there is one.

    Example:
        >>> with_page("data.root: 'imgs' does not exist; give a folder")
        "data.root: 'imgs' does not exist; give a folder (lightning-recipes help pictures)"
        >>> with_page("stage 'head', lr: -1 is not a learning rate >= 0")
        "stage 'head', lr: -1 is not a learning rate >= 0 (lightning-recipes help stages)"
        >>> with_page("model.lr: -1 is not a number > 0")
        'model.lr: -1 is not a number > 0'
    """
    key = re.split(r"[\s:\[]", error, maxsplit=1)[0]
    while key not in PAGE_OF and "." in key:
        key = key.rpartition(".")[0]
    return f"{error} (lightning-recipes help {PAGE_OF[key]})" if key in PAGE_OF else error


def help_on(name: str) -> int:
    """Print a page, or the help on a key, a class or a value, and return the exit code.

    Args:
        name: As in ``resume``, ``model.loss``, ``EMA`` or ``squish``; ``pages`` lists the pages.
    """
    pages = packaged_pages()
    page = name.lower().replace(" ", "_")
    if page == "pages":
        print("".join(f"  {one:<24} {_title(file)}\n" for one, file in sorted(pages.items())), end="")
        return 0
    if page in pages:
        _print_page(pages[page].read_text(encoding="utf-8"))
        return 0
    unknown = ""
    for command in (one for one in COMMANDS if used_most(one)):
        try:
            print(key_help(command, name), end="")
            return 0
        except UserError as error:
            unknown = unknown or f"{error}; help pages lists the pages".replace("--help all", "fit --help all")
    if keys := _that_speak_of(name):
        print("".join(keys), end="")
        return 0
    near = did_you_mean(page, pages)
    print(f"lightning-recipes: {f'{name}: there is no such page{near}' if near else unknown}", file=sys.stderr)
    return 2


def _that_speak_of(word: str) -> list[str]:
    """Help on the keys that are called so in their section, or whose text has a word, such as the name of a value."""
    if not re.fullmatch(r"\w{2,}", word):
        return []
    # Not the trainer's, whose texts are Lightning's; where two commands have a key, it is a fit's.
    commands = (("pretrain", OWN_SECTIONS["pretrain"]), ("fit", SECTIONS))
    sections = [(command, one) for command, known in commands for one in known if one != "trainer"]
    keys = {name: (command, key.text) for command, one in sections for name, key in keys_of(command, one).items()}
    called = [name for name in keys if name.endswith(f".{word}")]
    whole = re.compile(rf"(?<![\w.]){word}(?!\w)")
    speak = called or [name for name, (_, text) in keys.items() if whole.search(text)]
    return [key_help(keys[name][0], name) for name in speak]


def _title(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return next(line for line in lines if line.startswith("# ")).removeprefix("# ").strip()


def _print_page(text: str) -> None:
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(text, hyperlinks=False), width=min(console.width, 110))
