"""``docs/architecture.md`` says what is: the picture, the table, every link and every name in it."""

import ast
import re
import runpy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGE = (DOCS / "architecture.md").read_text(encoding="utf-8")
PICTURE = (DOCS / "architecture.svg").read_text(encoding="utf-8")
PACKAGE = ROOT / "lightning_recipes"
RUN = "is not what the imports are now; run `python docs/draw_rooms.py`"
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
LINKS = re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", PROSE)
SPANS = [span for span in re.findall(r"`([^`\n]+)`", PROSE) if re.fullmatch(r"[A-Za-z_][\w.]*", span)]
FILE_ENDINGS = {"ckpt", "csv", "json", "md", "png", "py", "svg", "toml", "yaml", "zip"}


@pytest.fixture(scope="module")
def drawing() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "draw_rooms.py"))


@pytest.fixture(scope="module")
def rooms(drawing: dict[str, Any]) -> Any:
    return drawing["read_rooms"]()


def test_the_picture_has_the_rooms_and_arrows_of_the_imports(drawing: dict[str, Any], rooms: Any) -> None:
    drawn_rooms, drawn_arrows = drawing["arrows_in"](PICTURE)
    assert drawn_rooms == {(rooms.floor_of(room), room) for floor in rooms.floors for room in floor}, (
        f"docs/architecture.svg {RUN}"
    )
    assert drawn_arrows == set(rooms.arrows()), f"docs/architecture.svg {RUN}"


def test_the_table_has_every_room_and_what_it_imports(drawing: dict[str, Any], rooms: Any) -> None:
    assert drawing["rewritten"](PAGE, rooms) == PAGE, f"the table in docs/architecture.md {RUN}"
    for room in (name for floor in rooms.floors for name in floor):
        assert re.search(rf"^\| `{room}` \| .*\w.* \| .*\w.* \|", PAGE, re.MULTILINE), f"say what lives in {room}"


def test_arrows_go_downwards_and_none_is_implied_by_others(rooms: Any) -> None:
    arrows = set(rooms.arrows())
    assert arrows <= set(rooms.imports)
    assert all(rooms.floor_of(a) > rooms.floor_of(b) for a, b in rooms.imports)
    for left_out in set(rooms.imports) - arrows:
        assert left_out[1] in _reached(left_out[0], arrows)


def _reached(room: str, arrows: set[tuple[str, str]]) -> set[str]:
    direct = {b for a, b in arrows if a == room}
    return direct.union(*(_reached(other, arrows) for other in direct))


def test_what_is_linked_exists() -> None:
    assert [target for _, target in LINKS if "://" not in target and not (DOCS / target).exists()] == []


def test_a_name_that_is_linked_is_defined_in_that_file() -> None:
    named = sorted({(text.strip("`"), (DOCS / to).resolve()) for text, to in LINKS if text.startswith("`")})
    wrong = [(name, file.name) for name, file in named if name not in {file.name, *_defined_in(file)}]
    assert len(named) > 80
    assert wrong == []


def test_a_name_in_code_font_is_one_of_the_package() -> None:
    plain = {span for span in SPANS if span.split(".")[-1] not in FILE_ENDINGS}
    assert [span for span in plain if span.startswith("lightning_recipes.") and span not in _dotted()] == []
    linked = {text.strip("`") for text, _ in LINKS}  # those of the tests are no names of the package
    assert [span for span in plain - linked if not set(span.split(".")) <= _words()] == []


def _defined_in(file: Path) -> Iterator[str]:
    """Yield what a module defines, and ``Class.member``."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        for name in _names(node):
            yield name
            if isinstance(node, ast.ClassDef):
                yield from (f"{name}.{member}" for inner in node.body for member in _names(inner))


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


@cache
def _dotted() -> frozenset[str]:
    """Everything that the package defines, by its full path, and the modules."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found |= {module, *(f"{module}.{name}" for name in _defined_in(file))}
    return frozenset(found)


@cache
def _words() -> frozenset[str]:
    """Every word that the code of the package uses: names, attributes, arguments, modules, and words in strings."""
    words = {name for file in PACKAGE.rglob("*.py") for name in (file.stem, file.parent.name)}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for field in ("id", "attr", "arg", "name", "asname"):
                if isinstance(value := getattr(node, field, None), str):
                    words |= set(value.split("."))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 80:
                words |= set(re.findall(r"\w+", node.value))
    return frozenset(words)
