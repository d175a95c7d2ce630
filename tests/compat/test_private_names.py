"""Private names of other libraries are in one room."""

import ast
import inspect
import pkgutil
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import lightning_recipes

ROOT = Path(lightning_recipes.__file__).parent
ROOMS = ("compat", "cli")  # where they may be
NAMED_TUPLE = {"_replace", "_fields", "_asdict", "_make"}  # documented in spite of their names
UNDOCUMENTED = {
    "configure_ddp",
    "epoch_loop",
    "epoch_progress",
    "fit_loop",
    "is_oom_error",
    "reload_dataloaders_every_n_epochs",
    "val_check_batch",
}
"""Names without an underscore that the library's documentation does not have."""
LOOKUPS = ("getattr", "hasattr", "setattr", "delattr")


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLE


def files() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] not in ROOMS:
            yield path


def found_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if (is_private(node.attr) and not own) or node.attr in UNDOCUMENTED:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LOOKUPS:
            of, name = node.args[:2]
            own = isinstance(of, ast.Name) and of.id in ("self", "cls")
            private = isinstance(name, ast.Constant) and (is_private(str(name.value)) or name.value in UNDOCUMENTED)
            if private and not own:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = [f"{module}.{alias.name}" if module else alias.name for alias in node.names]
            if "lightning_recipes.compat." not in f"{module}.":
                yield from ((node.lineno, n) for n in names if any(is_private(part) for part in n.split(".")))


def test_no_file_uses_a_private_name_of_another_object() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in files()
        for line, text in found_in(ast.parse(path.read_text(encoding="utf-8")))
        if "lightning_recipes._version" not in text
    ]
    assert not found, "private names belong into lightning_recipes/compat:\n" + "\n".join(found)


def own_names(kind: type) -> set[str]:
    """Private names that a class has, or gives to ``self``."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):  # made at run time, or not in Python
        return {name for name in vars(kind) if is_private(name)}
    on_self = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    }
    return {name for name in {*on_self, *vars(kind)} if is_private(name)}


def is_ours(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "lightning_recipes"


def is_foreign(kind: type) -> bool:
    return not is_ours(kind) and kind.__module__.split(".")[0] not in sys.stdlib_module_names


def test_no_class_uses_a_private_name_of_its_foreign_base() -> None:
    for module in pkgutil.walk_packages([str(ROOT)], "lightning_recipes."):
        if module.name.split(".")[1] not in (*ROOMS, "__main__") and not module.name.endswith("__main__"):
            import_module(module.name)
    kinds = {
        kind
        for name, module_ in list(sys.modules.items())
        if name.startswith("lightning_recipes.") and name.split(".")[1] not in ROOMS
        for kind in vars(module_).values()
        if isinstance(kind, type) and is_ours(kind) and kind.__module__ == name
    }
    found = set()
    for kind in kinds:
        foreign = [
            base for base in kind.__mro__ if not is_ours(base) and base.__module__ not in sys.stdlib_module_names
        ]
        theirs = set().union(*(own_names(base) for base in foreign))
        added_by_abc = {"_abc_impl"}
        found |= {f"{kind.__module__}.{kind.__name__}: {name}" for name in (own_names(kind) & theirs) - added_by_abc}
    assert not found, "private names of a base belong into lightning_recipes/compat:\n" + "\n".join(sorted(found))


def test_a_private_name_is_found_however_it_is_asked_for() -> None:
    code = (
        "import timm.models._manipulate\nfrom torch import _foreach_add_\nmodule._trainer\ngetattr(x, '_y')\nself._own"
    )
    assert [line for line, _ in found_in(ast.parse(code))] == [1, 2, 3, 4]
