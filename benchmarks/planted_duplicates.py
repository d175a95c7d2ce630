"""How many planted duplicates, leaks and wrong labels ``inspect`` finds, and what else it takes for such.

Of a set of small pictures some thousand are taken, and 500 of them are put in again: 100 as they are, recompressed,
resized, cropped by 12 % of each side anywhere, and mirrored; every other one in the other split. One label in twenty is
given to another class. Precision counts pairs that were planted among those that are found; pairs that the set itself
holds count against it, so they are counted once more without any planted, and ``--out`` keeps the contact sheets.

    python benchmarks/planted_duplicates.py cifar10.zip --backbone mobilenetv2_100 --pretrained weights.safetensors
"""

import argparse
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.inspection.inspect import inspect

EACH = 100
CROPPED = 0.12
FLIPPED = 0.05

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def cut(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    width, height = (round(side * (1 - CROPPED)) for side in picture.size)
    left, top = (int(generator.integers(0, a - b + 1)) for a, b in zip(picture.size, (width, height), strict=True))
    return picture.crop((left, top, left + width, top + height))


CHANGES: dict[str, tuple[Change | None, int]] = {  # and the quality of the JPEG
    "exact": (None, 0),
    "recompressed": (lambda picture, _: picture, 40),
    "resized": (lambda picture, _: picture.resize([max(8, 5 * side // 8) for side in picture.size]), 90),
    "cropped by 12 %": (cut, 75),
    "mirrored": (lambda picture, _: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 75),
}


def plant(
    source: zipfile.ZipFile, names: list[str], root: Path, generator: np.random.Generator, *, plants: bool
) -> dict[str, str]:
    """Write the set; return what was planted where: the new path, and how and of what it was made."""
    classes = sorted({name.split("/")[-2] for name in names})
    planted: dict[str, str] = {}
    where: list[Path] = []
    for number, name in enumerate(names):
        label = name.split("/")[-2]
        if plants and generator.random() < FLIPPED:
            label = str(generator.choice([other for other in classes if other != label]))
            planted[f"label {number:05d}"] = name.split("/")[-2]
        path = Path("val" if number % 4 == 0 else "train", label, f"{number:05d}.jpg")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(source.read(name))
        where.append(path)
    chosen = generator.permutation(len(names))[: EACH * len(CHANGES)] if plants else []
    for number, place in enumerate(chosen):
        kind = list(CHANGES)[number % len(CHANGES)]
        change, quality = CHANGES[kind]
        split, label, file = where[place].parts
        if number // len(CHANGES) % 2:
            split = "val" if split == "train" else "train"
        to = Path(split, label, f"copy-{file}")
        data = (root / where[place]).read_bytes()
        if change is not None:
            buffer = io.BytesIO()
            change(Image.open(io.BytesIO(data)).convert("RGB"), generator).save(buffer, "JPEG", quality=quality)
            data = buffer.getvalue()
        (root / to).write_bytes(data)
        planted[to.as_posix()] = f"{kind}\n{where[place].as_posix()}"
    return planted


def pairs_of(report: dict[str, list[dict[str, list[str]]]], *keys: str) -> set[frozenset[str]]:
    return {frozenset(one["paths"]) for key in keys for one in report[key]}


def shown(name: str, found: int, of: int) -> None:
    low, high = wilson_interval(found, of) if of else (0.0, 0.0)
    print(f"{name:<34} {found:>5} of {of:<5} {100 * found / max(1, of):6.1f} %  ({100 * low:.1f} to {100 * high:.1f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", help="a .zip of class folders")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backbone")
    parser.add_argument("--pretrained", default=True)
    parser.add_argument("--image_size", type=int)
    parser.add_argument("--out", help="keep the inspection here")
    options = parser.parse_args()
    generator = np.random.default_rng(options.seed)
    source = zipfile.ZipFile(options.archive)
    pictures = [name for name in source.namelist() if name.lower().endswith((".jpg", ".png"))]
    names = [pictures[i] for i in np.sort(generator.permutation(len(pictures))[: options.images])]
    with tempfile.TemporaryDirectory() as folder:
        plain, root = Path(folder, "plain"), Path(folder, "planted")
        plant(source, names, plain, np.random.default_rng(1), plants=False)
        planted = plant(source, names, root, np.random.default_rng(1), plants=True)
        own = inspect(str(plain), str(Path(folder, "plain-out"))).report
        seen = {"backbone": options.backbone, "pretrained": options.pretrained, "image_size": options.image_size}
        out = options.out or str(Path(folder, "out"))
        report = inspect(str(root), out, **seen, embedded_images=10 * options.images).report
    numbers = {
        frozenset(Path(path).name for path in pair) for pair in pairs_of(own, "exact_duplicates", "near_duplicates")
    }
    judge(report, planted, numbers)
    if options.out:
        Path(options.out, "planted.json").write_text(json.dumps(planted, indent=1))


def judge(report: dict[str, list], planted: dict[str, str], numbers: set[frozenset[str]]) -> None:  # type: ignore[type-arg]
    """Print recall of each kind, and precision: of all pairs, and of those that the set itself does not hold."""
    found = pairs_of(report, "exact_duplicates", "near_duplicates")
    truth = {frozenset((to, said.split("\n")[1])): said.split("\n")[0] for to, said in planted.items() if "/" in to}
    print(f"{'recall':<34}")
    for kind in CHANGES:
        of = [pair for pair, how in truth.items() if how == kind]
        shown(f"  {kind}", sum(pair in found for pair in of), len(of))
    leaked = [pair for pair in truth if len({path.split("/")[0] for path in pair}) == 2]
    shown("  across splits, under leaks", sum(pair in pairs_of(report, "leaks") for pair in leaked), len(leaked))
    own = {pair for pair in found if frozenset(Path(p).name.removeprefix("copy-") for p in pair) in numbers}
    print("precision")
    shown("  planted among the pairs found", len(found & set(truth)), len(found))
    shown("  ... or in the set before", len(found & (set(truth) | own)), len(found))
    wrong = {key.removeprefix("label "): true for key, true in planted.items() if key.startswith("label ")}
    doubted = [one for one in report["disputed_labels"] if not Path(one["path"]).name.startswith("copy-")]
    if report["disputed_labels"]:
        hits = [one for one in doubted if Path(one["path"]).stem in wrong]
        shown("flipped labels that are disputed", len(hits), len(wrong))
        shown("... among all that are disputed", len(hits), len(doubted))
        right = sum(one["neighbours"] == wrong[Path(one["path"]).stem] for one in hits)
        shown("... with the right suggestion", right, len(hits))


if __name__ == "__main__":
    main()
