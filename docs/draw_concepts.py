"""Draws the three ideas: ``python docs/draw_concepts.py`` writes ``docs/concepts/*.svg``."""

from pathlib import Path

OUT = Path(__file__).parent / "concepts"
BLUE, ORANGE, GREEN, INK, SOFT = "#4477aa", "#ee7733", "#228833", "#222222", "#555555"
PALE = {BLUE: "#eef3f8", ORANGE: "#fdf1ea", GREEN: "#edf6ee"}
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif">
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 8 4 0 8z" fill="#555555"/></marker></defs>
<rect width="{width}" height="{height}" rx="10" fill="#ffffff"/>
"""


def drawing(width: int, height: int, *parts: str) -> str:
    return HEAD.format(width=width, height=height) + "".join(parts) + "</svg>\n"


def text(
    x: float, y: float, said: str, *, size: int = 15, at: str = "start", ink: str = INK, bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{at}" fill="{ink}"{weight}>{said}</text>\n'


def box(x: float, y: float, width: float, height: float, first: str, *more: str, colour: str = BLUE) -> str:
    lines = [text(x + width / 2, y + height / 2 + 5 - 9.5 * len(more), first, at="middle", bold=bool(more))]
    for number, line in enumerate(more, 1):
        lines.append(
            text(
                x + width / 2, y + height / 2 + 5 - 9.5 * len(more) + 19 * number, line, size=13, at="middle", ink=SOFT
            )
        )
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect {place} rx="7" fill="{PALE[colour]}" stroke="{colour}" stroke-width="1.5"/>\n' + "".join(lines)


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="{SOFT}" stroke-width="1.6" marker-end="url(#tip)"/>\n'


def bar(x: float, y: float, width: float, colour: str, opacity: float = 1.0) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="30" rx="4" fill="{colour}" fill-opacity="{opacity:.2f}"/>\n'


def plan() -> str:
    """Each layer group's rate over the epochs of two stages."""
    left, top, epoch, row = 120, 70, 70, 34
    parts = [
        text(left + epoch * (e + 0.5), top + row * 6 + 22, str(e), size=13, at="middle", ink=SOFT) for e in range(8)
    ]
    parts.append(text(left + epoch * 4, top + row * 6 + 44, "epoch", at="middle", ink=SOFT))
    parts.append(text(left + epoch, top - 14, "stage head", at="middle", bold=True))
    parts.append(text(left + epoch * 5, top - 14, "stage all, lr_decay 0.7", at="middle", bold=True))
    for number, group in enumerate(("head", "layer 4", "layer 3", "layer 2", "layer 1", "stem")):
        y, share, is_head = top + row * number, 0.7**number, group == "head"
        parts.append(text(left - 12, y + 22, group, size=14, at="end"))
        parts.append(bar(left, y + 2, 2 * epoch - 4, BLUE if is_head else "#eeeeee"))
        parts.append(bar(left + 2 * epoch + 4, y + 2, 6 * epoch - 4, ORANGE, 0.15 + 0.85 * share))
        first = ("lr", "#ffffff") if is_head else ("frozen", SOFT)
        parts.append(text(left + epoch, y + 22, first[0], size=13, at="middle", ink=first[1]))
        said = "lr" if is_head else f"{share:.2f} x lr"
        parts.append(text(left + 5 * epoch, y + 22, said, size=13, at="middle"))
    return drawing(720, 340, *parts)


def randomness() -> str:
    """From keys to draws."""
    parts = [text(30, 40, "key", bold=True), text(322, 40, "draw", bold=True), text(596, 40, "the same", bold=True)]
    for number, (key, draw, whoever) in enumerate(
        [
            ("seed, epoch 3", "order of the images", "with 0, 1 or 8 workers"),
            ("seed, epoch 3, image 17", "crop, flip, colour of image 17", "in a run that was resumed"),
            ("seed, step 420", "dropout, partners of mixup", "with a finder or a logger more"),
        ]
    ):
        y = 60 + 74 * number
        parts += [box(30, y, 215, 54, key), arrow(245, y + 27, 318, y + 27), box(322, y, 250, 54, draw, colour=ORANGE)]
        parts.append(text(596, y + 32, whoever))
    return drawing(850, 290, *parts)


def judge() -> str:
    """From validation to one file, and from the file to every number."""
    parts = [box(20, 90, 170, 64, "validation", "of each epoch"), arrow(190, 122, 238, 122)]
    parts += [box(242, 90, 150, 64, "one judge", "best so far?"), arrow(392, 122, 440, 122)]
    parts.append(box(444, 70, 190, 104, "best.ckpt", "weights, head, classes,", "size, crop, mean, std", colour=ORANGE))
    for number, file in enumerate(
        (
            "summary.json",
            "val_predictions.csv",
            "errors.json, calibration",
            "GradCAM, report, W&amp;B",
            "validate, test, predict",
            "load(...).predict",
        )
    ):
        y = 20 + 36 * number
        parts += [box(734, y, 200, 28, file, colour=GREEN), arrow(634, 122, 730, y + 14)]
    return drawing(954, 244, *parts)


if __name__ == "__main__":
    for make in (plan, randomness, judge):
        (OUT / f"{make.__name__}.svg").write_text(make(), encoding="utf-8")
