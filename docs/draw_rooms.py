"""Draw the rooms of the package from its imports: ``python docs/draw_rooms.py``.

Writes ``docs/architecture.svg``, and the table of rooms in ``docs/architecture.md``. Rooms are what lies directly in
the package, floors are the layers that import-linter holds the whole package to, in ``pyproject.toml``.

Longer than other files, so that it runs by its path and imports nothing of its own.
"""

import ast
import random
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

__all__ = ["COMMAND", "Rooms", "arrows_in", "read_rooms", "rewritten"]

HOME = Path(__file__).resolve().parents[1]
PACKAGE = "lightning_recipes"
PAGE, PICTURE = HOME / "docs" / "architecture.md", HOME / "docs" / "architecture.svg"
COMMAND = "python docs/draw_rooms.py"
HEAD = "| Room | What lives there | Libraries at home there | Floor | Imports of our own now |"
BEGIN, END = f"<!-- rooms: written by {COMMAND}; the second and third column are yours -->", "<!-- end of rooms -->"

Arrow = tuple[str, str]


@dataclass(frozen=True)
class Rooms:
    """The rooms of the package and what they import of each other.

    Attributes:
        floors: Rooms of each floor, the highest first.
        imports: For each pair of rooms, how many modules of the second the first imports, counted once an importer.
        modules: Of each room.
        lines: Of each room, those that are not blank.
        sentences: First line of each room's docstring.
    """

    floors: list[list[str]]
    imports: Mapping[Arrow, int]
    modules: Mapping[str, int]
    lines: Mapping[str, int]
    sentences: Mapping[str, str]

    def floor_of(self, room: str) -> int:
        """Return the floor of a room; 1 is the lowest."""
        return next(len(self.floors) - i for i, floor in enumerate(self.floors) if room in floor)

    def of(self, room: str) -> list[str]:
        """Return the rooms that a room imports, the highest first."""
        return [other for floor in self.floors for other in floor if (room, other) in self.imports]

    def below(self, room: str) -> set[str]:
        """Return the rooms that a room imports, directly or by another."""
        direct = set(self.of(room))
        return direct.union(*(self.below(other) for other in direct))

    def arrows(self) -> list[Arrow]:
        """Return the imports that no others imply."""
        return sorted(
            (a, b) for a, b in self.imports if not any(b in self.below(other) for other in self.of(a) if other != b)
        )


def read_rooms() -> Rooms:
    """Return the rooms as they are now."""
    import grimp

    if str(HOME) not in sys.path:
        sys.path.insert(0, str(HOME))
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    names = sorted(name.split(".")[1] for name in graph.find_children(PACKAGE))
    imports: Counter[Arrow] = Counter()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            a, b = (f"{name}.".split(".")[1] for name in (importer, imported))
            if a and b and a != b:
                imports[a, b] += 1
    files = {name: _files(name) for name in names}
    lines = {name: sum(map(_lines, files[name])) for name in names}
    sentences = {name: (ast.get_docstring(ast.parse(_text(files[name][0]))) or "").partition("\n")[0] for name in names}
    return Rooms(_floors(names), imports, {name: len(files[name]) for name in names}, lines, sentences)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _lines(file: Path) -> int:
    return sum(bool(line.strip()) for line in _text(file).splitlines())


def _files(room: str) -> list[Path]:
    single = HOME / PACKAGE / f"{room}.py"
    return [single] if single.is_file() else sorted((HOME / PACKAGE / room).rglob("*.py"))


def _floors(rooms: Sequence[str]) -> list[list[str]]:
    """Read the layers; a room that no layer names stands on a floor of its own at the top, to be seen."""
    contracts = tomllib.loads(_text(HOME / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers" and c["containers"] == [PACKAGE])
    floors = [[name for name in re.findall(r"\w+", layer) if name in rooms] for layer in layers]
    homeless = sorted(set(rooms) - {name for floor in floors for name in floor})
    return [floor for floor in [homeless, *floors] if floor]


# The table in the page.


def rewritten(page: str, rooms: Rooms) -> str:
    """Return the page with its table of rooms as they are now; what a person wrote of a room stays."""
    before, _, rest = page.partition(BEGIN)
    table, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE}: put the lines '{BEGIN}' and '{END}' where the table is to stand")
    cells = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines() if "`" in line)
    written = {row[0].strip("`"): row[1:3] for row in cells}
    rows = [HEAD, "|---|---|---|---|---|"]
    for floor in rooms.floors:
        for room in floor:
            what, library = written.get(room, [rooms.sentences[room], "none"])
            own = ", ".join(f"`{other}`" for other in rooms.of(room)) or "nothing"
            rows.append(f"| `{room}` | {what} | {library} | {rooms.floor_of(room)} | {own} |")
    return f"{before}{BEGIN}\n" + "\n".join(rows) + f"\n{END}{after}"


# The picture: rooms on floors, an arrow that passes a floor goes between its rooms.


@dataclass(eq=False)
class _Place:
    """A room on its floor, or where an arrow passes one."""

    row: int
    room: str = ""
    x: float = 0.0
    above: list["_Place"] = field(default_factory=list)
    under: list["_Place"] = field(default_factory=list)

    @property
    def width(self) -> float:
        return BOX[0] + 0.35 if self.room else 0.3


BOX = (1.62, 0.62)  # of a room
ROW = 1.12  # from floor to floor
INK = "#3a4048"
COLOURS = ("#1b6ca8", "#b5522b", "#3d7d3f", "#7b4fa3", "#8a6d1c", "#a8376b", "#2b7f86", "#5b6470")


def _placed(rooms: Rooms, arrows: Iterable[Arrow]) -> tuple[list[list[_Place]], dict[Arrow, list[_Place]]]:
    """Return the places of each floor from left to right, and those that each arrow goes along."""
    places = {room: _Place(row, room) for row, floor in enumerate(rooms.floors) for room in floor}
    ways: dict[Arrow, list[_Place]] = {}
    rows: list[list[_Place]] = [[places[room] for room in floor] for floor in rooms.floors]
    for a, b in arrows:
        passed = [_Place(row) for row in range(places[a].row + 1, places[b].row)]
        ways[a, b] = [places[a], *passed, places[b]]
        for one in passed:
            rows[one.row].append(one)
        for upper, lower in pairwise(ways[a, b]):
            upper.under.append(lower)
            lower.above.append(upper)
    draw = random.Random(0)  # a fixed seed: the same picture every time
    best: list[list[_Place]] = rows
    for attempt in range(300):
        tried = [draw.sample(row, len(row)) if attempt else list(row) for row in rows]
        for _ in range(6):
            _order(tried, range(1, len(tried)), lambda place: place.above)
            _order(tried, range(len(tried) - 2, -1, -1), lambda place: place.under)
        if attempt == 0 or _cost(tried) < _cost(best):
            best = tried
    _spread(best)
    return best, ways


def _order(rows: list[list[_Place]], numbers: Iterable[int], neighbours: Callable[[_Place], list[_Place]]) -> None:
    """Order each floor by the middle of what its places are joined to (Sugiyama et al. 1981)."""
    at = {place: i / max(1, len(row) - 1) for row in rows for i, place in enumerate(row)}
    for number in numbers:
        row = rows[number]
        middle = {p: sum(at[n] for n in neighbours(p)) / len(neighbours(p)) if neighbours(p) else at[p] for p in row}
        row.sort(key=lambda place: middle[place])
        at |= {place: i / max(1, len(row) - 1) for i, place in enumerate(row)}


def _cost(rows: list[list[_Place]]) -> tuple[int, float]:
    """Return the crossings, then how far arrows go sideways."""
    at = {place: i for row in rows for i, place in enumerate(row)}
    crossings = 0
    for row in rows:
        lines = [(at[p], at[q]) for p in row for q in p.under]
        crossings += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(lines) for c, d in lines[:i])
    _spread(rows, rounds=4)
    return crossings, round(sum(abs(p.x - q.x) for row in rows for p in row for q in p.under), 6)


def _spread(rows: list[list[_Place]], rounds: int = 60) -> None:
    """Give each place an x near what it is joined to, in the order of its floor and without overlap."""
    for row in rows:
        for i, place in enumerate(row):
            place.x = (i - (len(row) - 1) / 2) * 1.6
    for turn in range(rounds):
        for row in rows if turn % 2 else rows[::-1]:
            wanted = []
            for place in row:
                near = [*place.above, *place.under]
                wanted.append(sum(n.x for n in near) / len(near) if near else place.x)
            for place, x in zip(row, _apart(row, wanted), strict=True):
                place.x = x


def _apart(row: Sequence[_Place], wanted: Sequence[float]) -> list[float]:
    """Return the nearest positions that keep the order and the distances (pool adjacent violators)."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (left.width + right.width) / 2)
    blocks: list[list[float]] = []
    for x, offset in zip(wanted, offsets, strict=True):
        blocks.append([x - offset])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    levels = [_mean(block) for block in blocks for _ in block]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def draw(rooms: Rooms) -> Any:
    """Return the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path as Curve

    arrows = rooms.arrows()
    rows, ways = _placed(rooms, arrows)
    every = [place for row in rows for place in row]
    left, right = min(p.x for p in every) - 1.5, max(p.x for p in every) + 1.2
    figure = plt.figure(figsize=((right - left) * 0.95, (len(rows) * ROW + 0.6) * 0.95))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(-(len(rows) - 0.4) * ROW - 0.35, 0.55 * ROW))
    axes.set_axis_off()
    height = {place: -place.row * ROW for place in every}
    for row in range(len(rows)):
        shade = "#f3f4f6" if row % 2 else "#fafafa"
        axes.axhspan(-(row + 0.5) * ROW, -(row - 0.5) * ROW, color=shade, linewidth=0, zorder=0)
        axes.text(left + 0.15, -row * ROW, str(len(rows) - row), color="#9aa0a8", fontsize=13, va="center")
    colours = {room: COLOURS[i % len(COLOURS)] for i, room in enumerate(sorted({a for a, _ in arrows}))}
    for arrow in arrows:
        points = list(_points(ways[arrow], height))
        codes = [Curve.MOVETO] + [Curve.CURVE4] * (len(points) - 1)
        line = FancyArrowPatch(
            path=Curve(points, codes),
            arrowstyle="-|>",
            mutation_scale=11,
            linewidth=0.8 + 0.45 * rooms.imports[arrow] ** 0.5,
            color=colours[arrow[0]],
            alpha=0.85,
            joinstyle="round",
            zorder=2,
        )
        line.set_gid("arrow." + ".".join(arrow))
        axes.add_patch(line)
    for place in (place for place in every if place.room):
        y, room = height[place], place.room
        corner = (place.x - BOX[0] / 2, y - BOX[1] / 2)
        box = FancyBboxPatch(corner, *BOX, boxstyle="round,pad=0,rounding_size=0.08", fc="white", ec=INK, zorder=3)
        box.set_gid(f"room.{rooms.floor_of(room)}.{room}")
        axes.add_patch(box)
        axes.text(place.x, y + 0.12, room, ha="center", va="center", fontsize=11, fontweight="bold", zorder=4)
        size = f"{float(f'{rooms.lines[room]:.2g}'):,.0f} line" + "s" * (rooms.lines[room] != 1)
        many = "" if rooms.modules[room] == 1 else f"{rooms.modules[room]} modules, "
        axes.text(place.x, y - 0.14, many + size, ha="center", va="center", fontsize=8, color=INK, zorder=4)
    note = "An arrow: imports. Left out where other arrows imply it. Wider: more imports. Lines: not blank, rounded."
    axes.text(left + 0.15, -(len(rows) - 0.4) * ROW - 0.12, note, fontsize=9, color=INK, va="center")
    return figure


def _points(way: Sequence[_Place], height: Mapping[_Place, float]) -> Iterator[tuple[float, float]]:
    """Yield a smooth curve, from under the first box to above the last, upright through every place that it passes."""
    first, last = way[0], way[-1]
    stops = [(_port(first, way[1], first.under), height[first] - BOX[1] / 2)]
    for place in way[1:-1]:
        stops += [(place.x, height[place] + BOX[1] / 2), (place.x, height[place] - BOX[1] / 2)]
    stops.append((_port(last, way[-2], last.above), height[last] + BOX[1] / 2))
    yield stops[0]
    for (x0, y0), (x1, y1) in pairwise(stops):
        yield from ((x0, y0 + (y1 - y0) * 0.5), (x1, y1 - (y1 - y0) * 0.5), (x1, y1))


def _port(place: _Place, towards: _Place, side: Sequence[_Place]) -> float:
    """Return where at the edge of a box an arrow begins or ends: side by side, in the order of where they go."""
    order = sorted(side, key=lambda other: other.x)
    step = min(0.3, (BOX[0] - 0.3) / max(1, len(order)))
    return place.x + (order.index(towards) - (len(order) - 1) / 2) * step


def arrows_in(picture: str) -> tuple[set[tuple[int, str]], set[Arrow]]:
    """Return the rooms with their floors, and the arrows, of a picture that this script has drawn."""
    rooms = {(int(floor), room) for floor, room in re.findall(r'id="room\.(\d+)\.(\w+)"', picture)}
    return rooms, {(a, b) for a, b in re.findall(r'id="arrow\.(\w+)\.(\w+)"', picture)}


def main() -> None:
    """Write the picture and the table."""
    import matplotlib

    rooms = read_rooms()
    PAGE.write_text(rewritten(_text(PAGE), rooms), encoding="utf-8")
    with matplotlib.rc_context({"svg.hashsalt": PACKAGE, "svg.fonttype": "none", "font.family": "DejaVu Sans"}):
        figure = draw(rooms)
        figure.savefig(PICTURE, metadata={"Date": None, "Creator": None})
        if len(sys.argv) > 1:  # to look at, such as picture.png
            figure.savefig(sys.argv[1], dpi=110)
    PICTURE.write_text("\n".join(line.rstrip() for line in _text(PICTURE).splitlines()) + "\n", encoding="utf-8")
    print(f"{PICTURE.name}: {sum(map(len, rooms.floors))} rooms, {len(rooms.arrows())} of {len(rooms.imports)} arrows")


if __name__ == "__main__":
    main()
