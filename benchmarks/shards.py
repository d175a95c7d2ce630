"""Images a second, read and decoded in random order, from a folder, a zip and shards of the same pictures.

Side by side in one run. ``cold``: after the system was asked to forget the files' bytes (``posix_fadvise``); what it
keeps of names and inodes it keeps. ``warm``: the same images at once again. ``--gigabytes`` repeats the pictures, each
copy with other bytes behind its end, until each kind is so large; a set that memory cannot hold needs more than the
machine has. ``--names`` measures what it costs to open an index of so many names, in a process of its own.

    python benchmarks/shards.py                                              # 2,000 small pictures, made on the spot
    python benchmarks/shards.py --data clothing.zip --gigabytes 26 --dir big --kinds folder shards --images 5000
    python benchmarks/shards.py --names 1000000
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from measuring import start
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.data.sources.open import open_parts, read_parts
from lightning_recipes.data.sources.picked import Names
from lightning_recipes.data.sources.shard_index import INDEX, PICTURE, ShardIndex, save_index
from lightning_recipes.data.sources.shards import Shards
from lightning_recipes.data.sources.write_shards import SHARD_BYTES, Stored, write_shards

KINDS = {"folder": "folder", "zip": "images.zip", "shards": "shards"}


def made() -> Iterator[tuple[str, bytes]]:
    """Smooth noise of 256 px, as large as a photograph of that size."""
    generator = np.random.default_rng(0)
    for number in range(2000):
        small, file = Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8)), io.BytesIO()
        small.resize((256, 256), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        yield f"{number % 10}/{number:05d}.jpg", file.getvalue()


def of_data(root: str) -> Iterator[tuple[str, bytes]]:
    for split, part in read_parts(root).items():
        for path, label in zip(part.paths, part.labels.tolist(), strict=True):
            with part.tree.open(path) as file:
                yield f"{part.classes[label]}/{split}-{Path(path).name}", file.read()


def repeated(pictures: list[tuple[str, bytes]], gigabytes: float) -> Iterator[Stored]:
    copies = max(1, round(gigabytes * 1e9 / sum(len(data) for _, data in pictures)))
    classes = sorted({name.split("/")[0] for name, _ in pictures})
    for name, data in sorted(pictures):
        label, stem = classes.index(name.split("/")[0]), name.rpartition(".")
        for copy in range(copies):
            yield Stored(f"{stem[0]}-{copy:05d}.{stem[2]}", label, data + copy.to_bytes(8, "big"))


def write(kind: str, pictures: Iterable[Stored], to: Path) -> None:
    if kind == "shards":
        write_shards(pictures, to)
    elif kind == "zip":
        with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:
            for name, _, data in pictures:
                archive.writestr(name, data)
    else:
        for name, _, data in pictures:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes(data)
    os.sync()


def forget(source: FileSource, indices: NDArray[np.int64]) -> None:
    """Ask the system to forget the files that these images lie in."""
    root = Path(source.tree.root)
    if root.is_file():
        paths = [root]
    elif (root / INDEX).exists():
        paths = sorted(root.glob("*.tar"))
    else:
        paths = [root / source.paths[int(i)] for i in indices]
    for path in paths:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Decoded(Dataset[int]):
    def __init__(self, source: FileSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> int:
        return self.source.read(index).shape[0]


def rate(source: FileSource, indices: NDArray[np.int64], workers: int) -> float:
    loader = DataLoader(Decoded(source), batch_size=32, sampler=indices.tolist(), num_workers=workers)
    began, seen = time.perf_counter(), sum(len(batch) for batch in loader)
    return seen / (time.perf_counter() - began)


def compare(options: argparse.Namespace, folder: Path) -> None:
    pictures = list(of_data(options.data) if options.data else made())
    sources: dict[str, FileSource] = {}
    for kind in options.kinds:
        to = folder / KINDS[kind]
        if not to.exists():
            began = time.perf_counter()
            write(kind, repeated(pictures, options.gigabytes), to)
            print(f"{kind}: written in {time.perf_counter() - began:.0f} s", flush=True)
        began = time.perf_counter()
        sources[kind] = read_parts(str(to))["train"]
        print(f"{kind}: {len(sources[kind]):,} images, opened in {time.perf_counter() - began:.2f} s", flush=True)
    found: dict[tuple[str, int, str], list[float]] = {}
    for number in range(options.rounds):
        drawn = np.random.default_rng(number).permutation(len(sources[options.kinds[0]]))
        for workers in (0, 2):
            for kind, source in sources.items():
                indices = drawn[workers * options.images :][: options.images]
                forget(source, indices)
                for state in ("cold", "warm"):
                    found.setdefault((state, workers, kind), []).append(rate(source, indices, workers))
    first = options.kinds[0]
    for (state, workers, kind), rates in sorted(found.items()):
        ratios = [a / b for a, b in zip(rates, found[state, workers, first], strict=True)]
        low, high = min(ratios), max(ratios)
        print(f"{state}, {workers} workers, {kind}: {statistics.median(rates):,.0f} images a second, "
              f"{statistics.median(ratios):.2f} [{low:.2f}..{high:.2f}] of {first}")  # fmt: skip


def open_names(count: int, folder: Path) -> None:
    """Write an index of so many names, with tar files of the sizes it says and nothing in them, and open it."""
    names = [f"train/class_{number % 1000:04d}/image_{number:08d}.jpg" for number in range(count)]
    each = SHARD_BYTES // 16_000
    rows = np.zeros(count, PICTURE)
    rows["shard"], rows["size"] = np.arange(count) // each, 15_000
    rows["offset"] = np.arange(count) % each * 16_000
    shards = tuple(f"train-{number:06d}.tar" for number in range(-(-count // each)))
    for shard in shards:
        with (folder / shard).open("wb") as file:
            file.truncate(SHARD_BYTES)
    index = ShardIndex(Names(sorted(names)), rows, shards, (SHARD_BYTES,) * len(shards), (), {})
    save_index(folder / INDEX, index)
    print(f"index of {count:,} names: {(folder / INDEX).stat().st_size / 1e6:.0f} MB")
    subprocess.run([sys.executable, __file__, "--open", str(folder)], check=True)


def memory(field: str) -> float:
    """MiB of this process by its ``/proc/self/status``."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measured(what: str, do: Callable[[], object]) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the most that it held is counted from here
    before, began = memory("VmRSS"), time.perf_counter()
    kept = do()
    seconds = time.perf_counter() - began
    print(
        f"{what}: {seconds:.2f} s, {memory('VmHWM') - before:.0f} MiB at most, {memory('VmRSS') - before:.0f} after it"
    )
    del kept


def report_opening(folder: str) -> None:
    measured("the index alone", lambda: Shards(folder))
    tree = Shards(folder)
    name = tree.names()[len(tree.names()) // 2]
    began = time.perf_counter()
    for _ in range(1000):
        tree.stamp(name)
    print(f"a name is found in {1000 * (time.perf_counter() - began):.0f} us")
    del tree
    measured("with classes and checks, as a fit", lambda: open_parts(folder, "error"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder or a zip of class folders (default: pictures made on the spot)")
    parser.add_argument("--gigabytes", type=float, default=0.0, help="size of each kind at least")
    parser.add_argument("--dir", help="where they are written, and left (default: a folder that is removed)")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--images", type=int, default=1000, help="read in each of 2 x 2 x rounds turns")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--names", type=int, help="measure an index of so many names in the place of all else")
    parser.add_argument("--open", help=argparse.SUPPRESS)
    options = parser.parse_args()
    start()
    if options.open:
        report_opening(options.open)
        return
    with tempfile.TemporaryDirectory() as made_here:
        folder = Path(options.dir or made_here)
        folder.mkdir(parents=True, exist_ok=True)
        if options.names:
            open_names(options.names, folder)
        else:
            compare(options, folder)


if __name__ == "__main__":
    main()
