"""Help on keys in an instant: read off signatures and docstrings in the source, without importing what they are of."""

import ast
import functools
import inspect
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning_recipes.cli.commands import COMMANDS
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["OWN_SECTIONS", "SECTIONS", "Key", "command_help", "key_help", "keys_of", "sections_of", "used_most"]

ROLE = re.compile(r":\w+:`~?(?:[\w]+\.)*(\w+)`")
"""A link of Sphinx's, which a terminal shows as the name alone."""
PACKAGE = Path(__file__).parents[1]
SECTIONS = {
    "data": "ImageDataModule",
    "model": "ImageClassifier",
    "trainer": "Trainer",
    "best_checkpoint": "BestCheckpoint",
    "last_checkpoint": "LastCheckpoint",
    "errors": "ErrorAnalysis",
    "gradcam": "MisclassifiedGradCAM",
    "wandb": "WandbTracker",
}
"""Keys of the top level that have keys below them, and the classes that take these."""
OWN_SECTIONS = {"pretrain": {"data": "PretrainingDataModule", "model": "PretrainingModule"}}
"""Of a command: what is of another class there."""
OF_THE_RUN = {
    "config": "Recipe: a YAML file, or the name of one that comes with the package, such as quickstart.",
    "seed_everything": "Seed of the run (default: 0).",
    "recipe": "Name of the run (default: the file's).",
    "run_dir": "Folder of the run (default: runs/<recipe>/<number>).",
    "views": "Views of each image whose probabilities validate, test and predict average (default: the image alone).",
}
BRIEFLY = {
    "trainer.accelerator": "auto, cpu, gpu or mps (default: auto).",
    "trainer.callbacks": "Stages, EarlyStopping, EMA and more, each by class_path and init_args.",
    "trainer.devices": "Number of devices, or auto (default: auto).",
    "trainer.fast_dev_run": "true: try the recipe on one batch and write nothing (default: false).",
    "trainer.max_epochs": "Epochs at most (default: those of the stages).",
    "trainer.precision": "16-mixed or bf16-mixed for mixed precision (default: 32-true).",
}
"""What Lightning says at length."""
MORE = """
The rest:
  {command} --help KEY   One key or section, such as model.lr or trainer, or a class, such as Stages.
  {command} --help all   Every key of every class; takes some seconds.
"""


@dataclass(frozen=True)
class Key:
    """What the source says of a key.

    Attributes:
        text: Of the docstring.
        default: As Python writes it; None: it has to be given.
    """

    text: str
    default: str | None

    @property
    def said(self) -> str:
        """The text, with the default where it does not say it itself."""
        if "default" in self.text.lower() or self.default == "None":
            return self.text
        said = "has to be given" if self.default is None else f"default: {_as_yaml(self.default)}"
        return f"{self.text.removesuffix('.')} ({said})."


def used_most(command: str) -> tuple[str, ...]:
    """Return the keys that a command's short help shows; none for a command that takes no recipe.

    Args:
        command: As a Python name: ``lr_find``.
    """
    return tuple(_said(_command(command), "used_most"))


def command_help(command: str) -> str:
    """Return the short help of a command: what it does, and the keys that are used most."""
    typed, needs = command.replace("_", "-"), _said(_command(command), "needs")
    keys = {key: keys_of(command, key.rpartition(".")[0])[key] for key in used_most(command)}
    rows = [_row(f"--{key}", Key(_first_of(BRIEFLY.get(key, one.text)), one.default)) for key, one in keys.items()]
    usage = f"Usage: lightning-recipes {typed} {needs} [--key value ...]"
    return f"{usage}\n\n{COMMANDS[command].help}\n\nKeys used most:\n{''.join(rows)}{MORE.format(command=typed)}"


def key_help(command: str, name: str) -> str:
    """Return the help on a key, a section of keys or a class of ours, with its default.

    Args:
        command: As a Python name.
        name: ``model.lr``, ``--model.lr``, ``model``, ``Stages`` or ``lightning_recipes.Stages``.

    Raises:
        UserError: There is none of that name.
    """
    name = name.lstrip("-").replace(".init_args", "")
    kind = sections_of(command).get(name) or name.removeprefix("lightning_recipes.")
    if kind in (*_homes(), "Trainer") and (kind[0].isupper()):
        node = _class(kind)
        first = (ast.get_docstring(node) or "").partition("\n\nArgs:")[0].partition("\n\nAttributes:")[0]
        prefix = f"--{name}." if name in SECTIONS else ""
        return f"{first}\n\n" + "".join(_row(f"{prefix}{key}", one) for key, one in _of_class(kind).items())
    keys = keys_of(command, name.rpartition(".")[0])
    if name not in keys:
        known = [
            *keys,
            *OF_THE_RUN,
            *SECTIONS,
            *(f"{one}.{key}" for one in SECTIONS for key in _of_section(command, one)),
        ]
        near = did_you_mean(name, dict.fromkeys(known))
        raise UserError(f"{name}: there is no such key{near or '; --help all lists them'}")
    return _row(f"--{name}", keys[name])


def keys_of(command: str, section: str) -> dict[str, Key]:
    """Return keys as they are typed: of one section, or of the top level.

    Args:
        command: As a Python name.
        section: One of :data:`SECTIONS`; empty: the top level.
    """
    if section:
        known = _of_section(command, section) if section in SECTIONS else {}
        return {f"{section}.{key}": one for key, one in known.items()}
    top = {key: Key(text, "None") for key, text in OF_THE_RUN.items()}
    top |= next((found for node in _command(command) if (found := _arguments(node, "run"))), {})
    return {key: one for key, one in top.items() if not one.text.startswith("Not used")}


def sections_of(command: str) -> dict[str, str]:
    """Return the keys of the top level that have keys below them, and the classes that take these in a command."""
    return {**SECTIONS, **OWN_SECTIONS.get(command, {})}


def _of_section(command: str, section: str) -> dict[str, Key]:
    return _of_class(sections_of(command)[section])


def _of_class(kind: str) -> dict[str, Key]:
    """Return the arguments of a class; where it hands others on, its parent's too."""
    node = _class(kind)
    made = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    parents = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id in _homes()]
    handed_on = made is not None and made.args.kwarg is not None
    theirs = [_of_class(parent) for parent in parents] if handed_on else []
    return {key: one for keys in (*theirs, _arguments(node)) for key, one in keys.items()}


def _command(name: str) -> list[ast.ClassDef]:
    """Return the class of a command, and those of its bases that lie beside it."""
    module, _, kind = COMMANDS[name].place.partition(":")
    found = find_spec(module)
    assert found is not None
    assert found.origin is not None
    return _lineage(Path(found.origin), kind)


def _lineage(path: Path, kind: str) -> list[ast.ClassDef]:
    node = _in_file(path, kind)
    files: dict[str, Path] = {}
    for one in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(one, ast.ImportFrom) and one.module:
            files |= {name.name: path.with_name(one.module.rpartition(".")[2] + ".py") for name in one.names}
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    above = [_lineage(files[base], base) for base in bases if base in files and files[base].is_file()]
    return [node, *(one for line in above for one in line)]


def _said(lineage: Sequence[ast.ClassDef], attribute: str) -> Any:
    """Return what a command has for an attribute, written down as it is; an empty text where it says nothing."""
    for one in (statement for node in lineage for statement in node.body):
        targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
        said = one.value if isinstance(one, (ast.Assign, ast.AnnAssign)) else None
        if said is not None and any(isinstance(target, ast.Name) and target.id == attribute for target in targets):
            return ast.literal_eval(said)
    return ""


def _class(name: str) -> ast.ClassDef:
    if name == "Trainer":
        lightning = find_spec("lightning")  # the package's root alone: what is below would import it
        assert lightning is not None
        assert lightning.submodule_search_locations
        return _in_file(Path(lightning.submodule_search_locations[0], "pytorch", "trainer", "trainer.py"), name)
    return _in_file(PACKAGE.joinpath(*_homes()[name].split(".")).with_suffix(".py"), name)


def _in_file(path: Path, name: str) -> ast.ClassDef:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return next(node for node in body if isinstance(node, ast.ClassDef) and node.name == name)


def _arguments(node: ast.ClassDef, method: str = "__init__") -> dict[str, Key]:
    """Return the arguments of a method of a class, or the fields of a dataclass, with what the docstring says."""
    texts = dict(_described(ast.get_docstring(node) or ""))
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name == method:
            texts |= dict(_described(ast.get_docstring(one) or ""))
            return {key: Key(texts.get(key, ""), default) for key, default in _defaults(one.args)}
    fields = [one for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]
    return {
        f.target.id: Key(texts.get(f.target.id, ""), ast.unparse(f.value) if f.value else None)  # type: ignore[union-attr]
        for f in fields
    }


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, str | None]]:
    by_place = arguments.args[1:]
    lacking: list[ast.expr | None] = [None] * (len(by_place) - len(arguments.defaults))
    given = [*lacking, *arguments.defaults][-len(by_place) :] if by_place else []
    for argument, default in [
        *zip(by_place, given, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]:
        yield argument.arg, None if default is None else ast.unparse(default)


def _described(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield names and texts of the sections ``Args`` and ``Attributes`` of a Google docstring."""
    for part in re.findall(
        r"^(?:Args|Attributes):\n((?:    .*\n|\n)+)", inspect.cleandoc(docstring) + "\n", re.MULTILINE
    ):
        for name, said in re.findall(r"^    (\w+): ((?:.*\n)(?:     +.*\n|\n)*)", part, re.MULTILINE):
            yield name, ROLE.sub(r"\1", " ".join(said.split()).replace("``", ""))


def _row(key: str, one: Key) -> str:
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
    return textwrap.fill(one.said, max(width, 60), initial_indent=f"  {key:<24} ", subsequent_indent=" " * 27) + "\n"


def _first_of(text: str) -> str:
    """The first sentence, or what stands before its semicolon; what is in brackets stays whole."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and (letter == ";" or text[place : place + 2] == ". "):
            return text[:place] + "."
    return text


@functools.cache
def _homes() -> dict[str, str]:
    """The module of each public name, without the package's own."""
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    found = (node for node in stub.body if isinstance(node, ast.ImportFrom))
    return {name.name: str(node.module) for node in found for name in node.names}


def _as_yaml(default: str) -> str:
    return {"True": "true", "False": "false"}.get(default, default.strip("'"))
