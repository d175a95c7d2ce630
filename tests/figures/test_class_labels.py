"""Names in pictures: every letter drawn with a font that has it, or else called so that it can be told."""

import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lightning_recipes.figures import fonts
from lightning_recipes.figures.class_labels import class_labels, plain, short
from lightning_recipes.figures.confusion import confusion_figure
from lightning_recipes.figures.gradcam import Mistake, gradcam_figure
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.figures.schedule import PlannedRun, schedule_figure

CAT, DOG = "\u732b", "\u72d7"


@pytest.fixture
def no_other_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system with matplotlib's own fonts alone, as on most servers; what is found is forgotten afterwards."""
    kept = [e for e in font_manager.fontManager.ttflist if e.name.startswith(("DejaVu", "STIX", "cm", "Last Resort"))]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", kept)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    fonts._search.cache_clear()
    fonts._said.clear()
    yield
    fonts._search.cache_clear()
    fonts._said.clear()


def font_with(path: Path, letters: str) -> Path:
    """Write a font that has a black square for each letter."""
    pen = TTGlyphPen(None)
    for number, corner in enumerate(((0, 0), (0, 800), (800, 800), (800, 0))):
        (pen.lineTo if number else pen.moveTo)(corner)
    pen.closePath()
    square, builder = pen.glyph(), FontBuilder(1000, isTTF=True)
    glyphs = [".notdef", *(f"g{number}" for number in range(len(letters)))]
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(letter): f"g{number}" for number, letter in enumerate(letters)})
    builder.setupGlyf(dict.fromkeys(glyphs, square))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    builder.save(path)
    return path


def ticks(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def mistake(predicted: str, true: str) -> Mistake:
    image, heat = np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.float32)
    return Mistake(image, heat, heat, predicted, true, 0.9, 0.1, f"{true}/1.png", (7, 3))


def test_letters_that_no_font_has_are_class_numbers_and_no_boxes(
    no_other_font: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="lightning_recipes")
    matrix = confusion_figure(np.eye(3, dtype=np.int64), [CAT, "bird", DOG])
    save_figure(matrix, tmp_path / "confusion.png")  # a missing glyph is a warning, and a warning an error
    assert ticks(matrix) == ["#0", "bird", "#2"]
    grid = gradcam_figure([mistake(CAT, DOG)], title=f"mistakes in {CAT}")
    save_figure(grid, tmp_path / "gradcam.png")
    assert [axes.get_title() for axes in grid.axes] == ["image", "predicted (90 %)\n#7", "true (10 %)\n#3"]
    assert grid.get_suptitle() == r"mistakes in \u732b"
    assert len(caplog.messages) == 1  # once, not for every figure and letter
    assert CAT in caplog.text
    assert "Noto Sans CJK" in caplog.text


def test_a_font_of_the_system_that_has_the_letters_is_found_and_used(
    no_other_font: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = font_with(tmp_path / "squares.ttf", CAT + DOG)
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    # Installed after matplotlib made its list of fonts.
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / "broken.ttf"), str(path)])
    figure = confusion_figure(np.eye(3, dtype=np.int64), [CAT, "bird", DOG])
    save_figure(figure, tmp_path / "confusion.png")
    assert ticks(figure) == [CAT, "bird", DOG]
    for label in (*figure.axes[0].get_xticklabels(), *figure.axes[0].get_yticklabels()):
        assert label.get_fontfamily()[-1] == "Squares"
    figure = Figure(figsize=(1, 1), dpi=100)
    text = figure.text(0.1, 0.1, CAT, fontsize=40)
    save_figure(figure, tmp_path / "letter.png")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    box = text.get_window_extent()
    shown = np.asarray(canvas.buffer_rgba())[::-1, :, 0]  # type: ignore[no-untyped-call]
    assert (
        shown[int(box.y0) + 3 : int(box.y1) - 3, int(box.x0) + 3 : int(box.x0) + 38] == 0
    ).mean() > 0.75  # below the line is room


def test_names_of_stages_that_cannot_be_drawn_are_counted_and_long_ones_stay_in_their_room(
    no_other_font: None, tmp_path: Path
) -> None:
    epochs = [float(epoch) for epoch in range(40)]
    boundaries = {CAT: 0.0, "a stage whose name is much longer than its few epochs": 10.0, "$x$ for all": 14.0}
    run = PlannedRun(epochs=epochs, rates={"head": [0.1] * 40}, boundaries=boundaries)
    figure = schedule_figure(run)
    save_figure(figure, tmp_path / "schedule.png")
    names = figure.axes[0].texts
    assert names[0].get_text() == "stage 1"
    assert names[2].get_text() == r"\$x\$ for all"
    boxes = [name.get_window_extent() for name in names]
    assert all(one.x1 <= next_.x0 for one, next_ in pairwise(boxes))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("$x^2$ and $y_1$", r"\$x^2\$ and \$y_1\$"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("e\u0301", "\xe9"),  # as macOS writes it
        ("a\u202eb\u200e", "ab"),  # marks of direction would turn what stands behind them
        ("\x07bell \udce9", r"\x07bell \udce9"),
    ],
)
def test_what_is_markup_or_invisible_is_shown_as_text(name: str, shown: str, tmp_path: Path) -> None:
    assert plain(name) == shown
    assert short(name, 40) == shown
    figure = Figure(figsize=(2, 1))
    figure.suptitle(plain(name))
    save_figure(figure, tmp_path / "name.png")


def test_long_names_keep_what_tells_them_apart_and_equal_ones_get_their_number() -> None:
    stem = "a_name_that_goes_on_for_about_sixty_characters_until_it_ends"
    assert class_labels([f"{stem}_1", f"{stem}_2"], 18) == ["a_name_th…t_ends_1", "a_name_th…t_ends_2"]
    assert class_labels([f"{stem}_1_{stem}", f"{stem}_2_{stem}", "x"], 14) == ["#0 a_nam…_ends", "#1 a_nam…_ends", "x"]
    assert short(CAT * 20, 9) == f"{CAT * 2}…{CAT * 2}"  # two columns each


def test_right_to_left_letters_are_drawn_only_where_matplotlib_puts_them_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hebrew = "\u05e9\u05dc\u05d5\u05dd"
    monkeypatch.setattr(fonts, "_reorders", lambda: False)
    fonts._search.cache_clear()
    assert class_labels([hebrew, "x"], 18) == ["#0", "x"]
    monkeypatch.setattr(fonts, "_reorders", lambda: True)
    fonts._search.cache_clear()
    assert class_labels([hebrew, "x"], 18) == [hebrew, "x"]
