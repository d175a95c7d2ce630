"""``inspect.html``: an inspection as one page, in the style of a run's report."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_recipes._version import __version__
from lightning_recipes.atomic_io import whole_file
from lightning_recipes.evaluation.percent import percent
from lightning_recipes.run.report.page import page_html
from lightning_recipes.run.report.parts import Part, Section, Tile, figure, finding, heading, table, text

__all__ = ["inspection_html", "write_page"]

MOST_ROWS = 15
Report = Mapping[str, Any]


def write_page(folder: Path, report: Report) -> Path:
    """Write ``inspect.html`` and return its path."""
    path = folder / "inspect.html"
    with whole_file(path) as part:
        part.write_text(inspection_html(folder, report), encoding="utf-8", errors="replace")
    return path


def inspection_html(folder: Path, report: Report) -> str:
    """Return the page.

    Args:
        folder: With ``figures``.
        report: What ``inspect.json`` holds.
    """
    figures = {path.stem: path for path in sorted((folder / "figures").glob("*.png"))}
    makers = (_findings, _what_there_is, _files, _twice, _cues, _groups, _backbone)
    return page_html(
        title=f"Inspection of {Path(report['data']).name}",
        lead=_lead(report),
        tiles=_tiles(report),
        sections=[section for section in (make(report) for make in makers) if section.parts],
        figures=figures,
        footer=f"Written by lightning-recipes {__version__}; inspect.json names every image that was found.",
    )


def _lead(report: Report) -> str:
    splits = ", ".join(f"{count:,} in {name}" for name, count in report["splits"].items())
    return f"{report['data']}: {report['images']:,} images of {len(report['classes']):,} classes; {splits}."


def _tiles(report: Report) -> list[Tile]:
    counts = {
        "Unreadable files": "corrupt", "Unusual files": "suspicious", "Exact copies": "exact_duplicates",
        "Nearly the same": "near_duplicates", "Across splits": "leaks", "Across classes": "label_conflicts",
        "Farthest from others": "outliers",
    }  # fmt: skip
    notes = {"exact_duplicates": "groups", "near_duplicates": "pairs", "leaks": "pairs", "label_conflicts": "pairs"}
    tiles = [
        Tile(name, f"{len(report[key]):,}", notes.get(key, ""))
        for name, key in counts.items()
        if key != "outliers" or report["embedded_images"]
    ]
    warned = sum(cue["warned"] for cue in report["shortcuts"])
    return [Tile("Images", f"{report['images']:,}", f"{len(report['classes']):,} classes"), *tiles,
            Tile("Shortcuts", f"{warned:,}", f"of {len(report['shortcuts'])} looked for")]  # fmt: skip


def _findings(report: Report) -> Section:
    said = [finding(one["what"], one["number"], one["advice"]) for one in report["findings"]]
    return Section("findings", "Findings", said or [text("Nothing was found that needs a hand.")])


def _what_there_is(report: Report) -> Section:
    splits = list(report["splits"])
    classes = sorted(report["classes"], key=lambda one: -one["images"])
    shown = classes if len(classes) <= 2 * MOST_ROWS else [*classes[:MOST_ROWS], *classes[-MOST_ROWS:]]
    parts = [
        figure("classes", "A sample of each class, evenly spaced in the order of the files."),
        heading("Images of each class, most first"),
        table(
            ["class", "images#", *(f"{split}#" for split in splits)],
            [(one["name"], f"{one['images']:,}", *(f"{one[split]:,}" for split in splits)) for one in shown],
        ),
    ]
    if len(shown) < len(classes):
        parts.append(text(f"{len(classes) - len(shown):,} classes between them are in inspect.json."))
    return Section("what", "What there is", parts)


def _files(report: Report) -> Section:
    names = {
        "width": "width, px", "height": "height, px", "shorter_side": "shorter side, px",
        "aspect_ratio": "width / height", "bytes": "bytes a file",
    }  # fmt: skip
    rows = [(names[key], *(f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}" for value in of.values()))
            for key, of in report["sizes"].items() if of]  # fmt: skip
    if report["centre_crop"]:
        rows.append(("thrown away by a centre crop", *(percent(value) for value in report["centre_crop"].values())))
    parts = [heading("Sizes"), table(["", "least#", "5 %#", "median#", "95 %#", "most#"], rows)]
    kinds = (("format", "formats"), ("mode", "modes"), ("bits a channel", "bits"))
    parts += [
        text(f"{name}: " + ", ".join(f"{kind} ({count:,})" for kind, count in report[key].items()) + ".")
        for name, key in kinds
        if report[key]
    ]
    often = Counter(one["kind"] for one in report["suspicious"])  # few of a kind come first
    for key, title, kind in (("corrupt", "Cannot be read", None), ("suspicious", "Unusual", "kind")):
        found = sorted(report[key], key=lambda one: often[one["kind"]]) if kind else report[key]
        if found:
            columns = ["image~", "split", "class", *(["kind"] if kind else []), "what~"]
            cells = ([one["path"], one["split"], one["class"], *([one["kind"]] if kind else []), one["what"]]
                     for one in found[:MOST_ROWS])  # fmt: skip
            parts += [heading(f"{title}: {len(found):,}"), table(columns, cells), *_more(len(found), key)]
    return Section("files", "Files", parts)


def _more(count: int, key: str) -> list[Part]:
    return [text(f"{count - MOST_ROWS:,} more are in inspect.json under {key}.")] if count > MOST_ROWS else []


def _twice(report: Report) -> Section:
    captions = {
        "leaks": ("Across splits", "An accuracy on such images is that of what was learnt by heart."),
        "label_conflicts": ("Across classes", "At least one of the two labels is wrong, or the classes overlap."),
        "exact_duplicates": ("Equal to the pixel", "The first two of each group."),
        "near_duplicates": ("Nearly the same", "Recompressed or resized (same), cropped, or mirrored; of each kind "
                            "from the most alike to the least."),
    }  # fmt: skip
    parts: list[Part] = []
    for key, (title, caption) in captions.items():
        found = report[key]
        if found:
            cells = [
                (one["paths"][0], one["paths"][1], " / ".join(dict.fromkeys(one["classes"])),
                 f"{one['kind']}, {one['correlation']:.3f}" if "kind" in one else f"{len(one['paths'])} images")
                for one in found[:MOST_ROWS]
            ]  # fmt: skip
            parts += [heading(f"{title}: {len(found):,}"), figure(key, caption)]
            parts += [table(["image~", "is also~", "class", "how"], cells), *_more(len(found), key)]
    if not report["duplicates_complete"]:
        parts.append(text("The pictures are so alike that only the most alike pairs were compared."))
    return Section("twice", "There twice", parts)


def _cues(report: Report) -> Section:
    rows = [
        (one["cue"], percent(one["accuracy"]), f"{100 * one['low']:.1f} to {100 * one['high']:.1f}",
         percent(one["chance"]), "yes" if one["warned"] else "no")
        for one in report["shortcuts"]
    ]  # fmt: skip
    said = (
        "How well each of these alone tells the class of images that it was not fitted on: mean recall of the classes, "
        "five folds. Warned of is what is above chance by three tenths of the way to certainty, by the lower end of "
        "the interval; less is common, as of sky behind aeroplanes."
    )
    columns = ["cue", "right#", "95 %#", "chance#", "warned of"]
    return Section("shortcuts", "Shortcuts", [text(said), table(columns, rows)] if rows else [])


def _groups(report: Report) -> Section:
    found = report["groups"]
    if not found:
        return Section("groups", "Groups in names")
    does = "are in several splits" if found["given"] else "would be torn apart by a random fifth for validation"
    rows = [
        ("expression for --data.group", found["expression"]), ("finds", found["what"]), ("such as", found["example"]),
        ("groups", f"{found['groups']:,}, the largest of {found['largest']:,} images"), (does, f"{found['torn']:,}"),
        ("likeness within groups", f"{found['alike']:+.3f} above others of the class (from {found['alike_low']:+.3f})"),
    ]  # fmt: skip
    return Section("groups", "Groups in names", [table(["", "~"], rows)])


def _backbone(report: Report) -> Section:
    if not report["embedded_images"]:
        return Section("backbone", "What a backbone sees")
    parts = [text(f"{report['backbone']}, of {report['embedded_images']:,} images.")]
    if report["outliers"]:
        parts.append(figure("outliers", "Farthest from their neighbours: times the distance of the median image."))
    if noise := [one for one in report["label_noise"] if one["disputed"]]:
        rows = [(one["name"], f"{one['disputed']:,} of {one['images']:,}", percent(one["share"]),
                 f"{100 * one['low']:.1f} to {100 * one['high']:.1f}") for one in noise[:MOST_ROWS]]  # fmt: skip
        parts += [heading("Labels that the nearest neighbours dispute"), figure("disputed_labels", "To be looked at.")]
        parts.append(table(["class", "disputed#", "share#", "95 %#"], rows))
    if report["close_classes"]:
        close = [(*one["classes"], percent(one["share"])) for one in report["close_classes"][:MOST_ROWS]]
        parts += [heading("Close classes"), table(["class", "and", "neighbours of the other#"], close)]
    if report["linear_probe"]:
        probed = [(f"{one['size']} px", percent(one["accuracy"]), f"{100 * one['low']:.1f} to {100 * one['high']:.1f}")
                  for one in report["linear_probe"]]  # fmt: skip
        parts += [heading("A linear classifier on frozen features"), table(["images of", "right#", "95 %#"], probed)]
    if report["look_alikes"]:
        parts += [heading("Alike to the backbone"), figure("look_alikes", "Each the nearest of the other.")]
    return Section("backbone", "What a backbone sees", parts)
