"""The pages of the site that are made: commands, keys, classes, recipes with their heads, and what is taken over."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from lightning_recipes.cli.commands import COMMANDS
from lightning_recipes.cli.key_help import OWN_SECTIONS, SECTIONS, Key, command_help, keys_of, used_most

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
GROUPS = {
    "callbacks": ("Callbacks", lambda home: home.startswith("callbacks.")),
    "modules": ("Modules, data and stages", lambda home: not home.startswith("callbacks.")),
}
FUNCTIONS = {
    "compare": "comparison.compare.compare",
    "generate": "generation.generate.generate",
    "inspect": "inspection.inspect.inspect",
    "prepare": "preparation.prepare.prepare",
    "serve": "serving.serve.serve",
}
"""Of the commands that take no recipe."""
FAMILIES = {
    "decay": "Classical decays of the learning rate, each one line away from `decay/constant`.",
    "gan": "Networks that make images, for [more of them](../how_to/made_images.md).",
    "ablations": "Each technique on its own, one line away from `ablations/baseline`.",
    "pretrain": "Backbones that learn without labels, by `pretrain`.",
}


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    classes = {name: _classes(title, list(_public(wanted))) for name, (title, wanted) in GROUPS.items()}
    measured = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    return {"commands": _commands(), "keys": _keys(), "recipes": _recipes(), "measured": measured, **classes}


def write(folder: Path) -> None:
    """Write the pages, those alone that changed, so that the rest is not built again."""
    folder.mkdir(exist_ok=True)
    made = {f"{name}.md": text for name, text in pages().items()}
    made |= {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "notebooks").glob("*.ipynb")}
    for name, text in made.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def _commands() -> str:
    lines = [
        "# Commands\n",
        "What `lightning-recipes COMMAND --help` prints. [Every key](keys.md) is on a page.\n",
    ]
    for name, row in COMMANDS.items():
        lines.append(f"## {name.replace('_', '-')}\n\n{row.help}\n")
        if used_most(name):
            usage, _, rest = command_help(name).partition("\n")
            keys = rest.partition("Keys used most:\n")[2].partition("\nThe rest:")[0]
            lines.append(f"```text\n{usage}\n\n{keys.rstrip()}\n```\n")
        else:
            lines.append(_documented("function", FUNCTIONS[name]))
    return "\n".join(lines)


def _keys() -> str:
    lines = [
        "# Keys\n",
        "Every key of a recipe, as it is typed; `lightning-recipes help model.loss` prints one of them. What stands in "
        "`trainer.callbacks` has the arguments of [the callbacks](callbacks.md).\n",
        "## The run\n",
        *_rows(keys_of("fit", "")),
    ]
    for section, kind in SECTIONS.items():
        lines += [f"## {section}\n", f"Of `{kind}`.\n", *_rows(keys_of("fit", section))]
    for section, kind in OWN_SECTIONS["pretrain"].items():
        known = keys_of("fit", section)
        own = {key: one for key, one in keys_of("pretrain", section).items() if known.get(key) != one}
        lines += [f"## {section} of pretrain\n", f"Of `{kind}`; the others are as above.\n", *_rows(own)]
    return "\n".join(lines)


def _rows(keys: dict[str, Key]) -> Iterator[str]:
    for key, one in keys.items():
        said = one.said.replace("<", "\\<").replace("*", "\\*").replace("_", "\\_")
        yield f"`{key}`\n: {said or 'Not described.'}\n"


def _public(wanted) -> Iterator[str]:  # type: ignore[no-untyped-def]
    stub = ast.parse((ROOT / "lightning_recipes" / "__init__.pyi").read_text(encoding="utf-8"))
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and wanted(node.module):
            yield node.names[0].name


def _classes(title: str, names: list[str]) -> str:
    lines = [f"# {title}\n"]
    for name in sorted(names):
        kind = "class" if name[0].isupper() else "function"
        if name.endswith("Error"):
            kind = "exception"
        lines += [f"## {name}\n", _documented(kind, name)]
    return "\n".join(lines)


def _documented(kind: str, name: str) -> str:
    return f"```{{eval-rst}}\n.. auto{kind}:: lightning_recipes.{name}\n```\n"


def _recipes() -> str:
    lines = [
        "# Recipes\n",
        "They come with the package, by name: `fit --config quickstart`. What is expected of each was measured, or the "
        "line says that it was not.\n",
    ]
    for file in sorted(CONFIGS.glob("*.yaml")):
        said, recipe = _head(file)
        lines += [f"## {file.stem}\n", *(f"{line}\n" for line in said), f"```yaml\n{recipe}```\n"]
    for family, title in FAMILIES.items():
        lines += [f"## {family}\n", f"{title}\n", "| recipe | what it is |", "| --- | --- |"]
        lines += [
            f"| `{family}/{file.stem}` | {_head(file)[0][0]} |" for file in sorted((CONFIGS / family).glob("*.yaml"))
        ]
        lines.append("")
    return "\n".join(lines)


def _head(file: Path) -> tuple[list[str], str]:
    """Return the comment that a recipe opens with, a paragraph for each thing said, and the recipe."""
    text = file.read_text(encoding="utf-8")
    comment = re.match(r"(?:#.*\n)+", text)
    assert comment is not None, f"{file} has no head"
    said: list[str] = []
    for line in comment[0].splitlines():
        line = line.removeprefix("#").strip()
        if line.startswith(("lightning-recipes ", "python ")):
            said.append(f"`{line}`")
        elif said and not re.match(r"(Sources?|Expected|Read off it|Time|Where|One of a family|\d )", line):
            said[-1] += f" {line}"
        else:
            said.append(line)
    return said, text[comment.end() :]
