"""What an inspection found, in sentences with a number and an advice, the most important first."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.evaluation.percent import percent, percent_range

__all__ = ["Finding", "findings"]

UNEVEN = 3.0  # times as many images
CUT = 0.15  # share of a picture that is thrown away
NOISY = 0.02  # share of the labels of a class
KINDS_IN_SHORT = 8
TRAINED = ("train", "extra")
"""Splits that are trained on."""

Report = Mapping[str, Any]


class Finding(NamedTuple):
    """Something found.

    Attributes:
        what: In a sentence without its full stop.
        number: That it is read off.
        advice: What to do, likewise a sentence.
        weight: The larger the more important: from 100, what makes every figure wrong, to 0, what is good to know.
    """

    what: str
    number: str
    advice: str
    weight: int


def findings(report: Report) -> list[Finding]:
    """Return all that is worth saying, the most important first.

    Args:
        report: What ``inspect.json`` holds.
    """
    makers = (
        _leaks, _corrupt, _conflicts, _groups, _shortcuts, _twice, _noise, _uneven, _crop, _suspicious, _outliers,
        _close, _downsampling,
    )  # fmt: skip
    return sorted((one for make in makers for one in make(report)), key=lambda one: -one.weight)


def _leaks(report: Report) -> Iterator[Finding]:
    held_out = [name for name in report["splits"] if name not in TRAINED]
    for split, trained in ((split, trained) for split in held_out for trained in TRAINED):
        leaked, of = _shared(report, split, trained), report["splits"][split]
        if leaked:
            low, high = wilson_interval(leaked, of)
            yield Finding(
                f"{leaked:,} of the {of:,} images of {split} are in {trained} too",
                f"{percent(leaked / of)} of {split} (95 %: {percent_range(low, high)})",
                f"Remove them from {trained}, or from {split}: an accuracy there counts what was learnt by heart; "
                "inspect.json lists them under leaks",
                100,
            )
    copies, of = _shared(report, "extra", "train"), report["splits"].get("extra", 0)
    if copies and not held_out:
        yield Finding(
            f"{copies:,} of the {of:,} extra pictures are in the data too, which bring no validation images",
            f"{percent(copies / of)} of extra",
            "Remove them from extra: those that become validation would be trained on; inspect.json lists them under "
            "leaks",
            99,
        )


def _shared(report: Report, split: str, other: str) -> int:
    """How many images of a split are in another one too."""
    found = (leak for leak in report["leaks"] if other in leak["splits"])
    pairs = (pair for leak in found for pair in zip(leak["paths"], leak["splits"], strict=True))
    return len({path for path, where in pairs if where == split})


def _corrupt(report: Report) -> Iterator[Finding]:
    bad = report["corrupt"]
    if bad:
        some = ", ".join(f"{count} {what}" for what, count in Counter(one["what"] for one in bad).most_common(3))
        yield Finding(
            f"{len(bad):,} file{'s' * (len(bad) > 1)} cannot be read, such as {bad[0]['path']}",
            some,
            "Replace or remove them; --data.on_bad_image skip leaves them out",
            95,
        )


def _conflicts(report: Report) -> Iterator[Finding]:
    found = report["label_conflicts"]
    if found:
        first = found[0]
        yield Finding(
            f"{len(found):,} pair{'s' * (len(found) > 1)} of the same picture {'have' if len(found) > 1 else 'has'} "
            "different labels",
            f"such as {first['paths'][0]} ({first['classes'][0]}) and {first['paths'][1]} ({first['classes'][1]})",
            "One of the two is wrong, or the classes overlap: look at them, mend the labels, or remove both",
            90,
        )


def _groups(report: Report) -> Iterator[Finding]:
    groups = report["groups"]
    if not groups or not groups["torn"]:
        return
    by = "the split of the data tears apart" if groups["given"] else "a random fifth for validation would tear apart"
    like = "look alike" if groups["look_alike"] else "do not look more alike than others do"
    yield Finding(
        f"Names form {groups['groups']:,} groups, such as {groups['example']}, of which {by} {groups['torn']:,}",
        f"{groups['images']:,} images share a group; its pictures {like} (cosine {groups['alike']:+.2f})",
        ("Split the data anew" if groups["given"] else "Keep each group on one side")
        + f" with --data.group {shlex.quote(groups['expression'])}, if groups are films, patients or things",
        85 if groups["look_alike"] else 48,
    )


def _shortcuts(report: Report) -> Iterator[Finding]:
    for cue in (one for one in report["shortcuts"] if one["warned"]):
        advice = {
            "order of file names": "No network sees names, but classes that were recorded one after another "
            "share their light, camera and place: look at them, and validate on images of another day",
            "file size": "Classes were compressed differently: save all in one way, and look at compression artefacts",
            "width and height": "Classes came from different sources: scale and crop all in one way before training",
            "file format": "Classes came from different sources: convert all in one way",
            "brightness": "Classes differ in exposure: mend it, or vary brightness in data.augment",
            "corner pixels": "Classes differ in background or border: crop it, or validate on other backgrounds",
        }
        yield Finding(
            f"The {cue['cue']} alone tells the class",
            f"{percent(cue['accuracy'])} right (95 %: {percent_range(cue['low'], cue['high'])}), by chance "
            f"{percent(cue['chance'])}",
            advice[cue["cue"]],
            80,
        )


def _twice(report: Report) -> Iterator[Finding]:
    exact, near = report["exact_duplicates"], report["near_duplicates"]
    copies = sum(len(group["paths"]) - 1 for group in exact)
    if not copies and not near:
        return
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in Counter(pair["kind"] for pair in near).most_common())
    said = []
    if copies:
        what = "images are exact copies of others" if copies > 1 else "image is an exact copy of another"
        said.append(f"{copies:,} {what}")
    if near:
        said.append(f"{len(near):,} pair{'s of images are' if len(near) > 1 else ' of images is'} nearly the same")
    alone = set(report["splits"]) <= set(TRAINED)
    advice = "Keep one of each" + (
        ": a random split would put copies on both sides" if alone else ": copies count several times"
    )
    limit = "" if report["duplicates_complete"] else " at least; the pictures are all alike"
    yield Finding(
        ", ".join(said),
        (kinds or f"{len(exact):,} groups of equal pixels") + limit,
        advice,
        88 if alone else 70,
    )


def _noise(report: Report) -> Iterator[Finding]:
    found = report["disputed_labels"]
    if found:
        worst = report["label_noise"][0]
        yield Finding(
            f"{len(found):,} label{'s are' if len(found) > 1 else ' is'} disputed by the pictures that look most alike",
            f"of '{worst['name']}' {percent(worst['share'])} (95 %: {percent_range(worst['low'], worst['high'])})",
            "Look at them in inspect.html: mend labels, or join classes that overlap",
            75 if worst["low"] > NOISY else 42,
        )


def _uneven(report: Report) -> Iterator[Finding]:
    counts = sorted((one.get("train", 0), one["name"]) for one in report["classes"])
    (fewest, rare), (most, common) = counts[0], counts[-1]
    if fewest and most >= UNEVEN * fewest:
        total = sum(count for count, _ in counts)
        yield Finding(
            f"'{common}' has {most / fewest:.1f} times as many images as '{rare}'",
            f"{most:,} and {fewest:,} in train; always '{common}' is right in {percent(most / total)}",
            "Judge by the recall of each class, not by accuracy; --data.balance true draws rare classes more often",
            50,
        )


def _crop(report: Report) -> Iterator[Finding]:
    cut = report["centre_crop"].get("median", 0.0)
    if cut >= CUT:
        yield Finding(
            "A centre crop throws much of the pictures away",
            f"{percent(cut)} of half of them or more",
            "--data.fit pad or squish shows all of a picture, if what matters is not always in the middle",
            45,
        )


def _suspicious(report: Report) -> Iterator[Finding]:
    kinds = Counter(one["kind"] for one in report["suspicious"])
    files = len({one["path"] for one in report["suspicious"]})
    if kinds:
        yield Finding(
            f"{files:,} files are unusual" if files > 1 else "1 file is unusual",
            ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common(KINDS_IN_SHORT)),
            "Each is named in inspect.json under suspicious; look at those of few kinds first",
            40,
        )


def _outliers(report: Report) -> Iterator[Finding]:
    if report["outliers"]:
        far = report["outliers"][0]
        yield Finding(
            f"The picture that is least like all others is {far['path']}",
            f"{far['times']:.1f} times as far from its neighbours as the median picture",
            "Look at the farthest in inspect.html; remove what does not belong",
            35,
        )


def _close(report: Report) -> Iterator[Finding]:
    if report["close_classes"] and len(report["classes"]) > 2:
        pair = report["close_classes"][0]
        yield Finding(
            f"'{pair['classes'][0]}' and '{pair['classes'][1]}' are the closest classes",
            f"{percent(pair['share'])} of the neighbours of one are of the other",
            "Expect most confusions there; more images of both help most",
            30,
        )


def _downsampling(report: Report) -> Iterator[Finding]:
    probes = report["linear_probe"]
    enough = next((one for one in probes if one["enough"]), None)
    if enough is not None and len(probes) > 1:
        best, size = probes[-1], enough["size"]
        less = probes[-2] if enough is best else enough
        yield Finding(
            f"Images of less than {size} px lose accuracy" if enough is best else f"{size} px are enough",
            f"{percent(less['accuracy'])} right by frozen features of {less['size']} px, {percent(best['accuracy'])} "
            f"of {best['size']} px",
            f"Begin with --data.image_size {size}; a network that is trained may gain from more",
            20,
        )
