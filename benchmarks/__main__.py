"""What the framework costs and what bounds it, in one command; a page of what the scripts said, with each command.

Those of techniques and peers, such as ``snapshot_ensemble.py``, ``transfer.py`` and ``peers/``, take hours or other
packages, and are called by themselves.

python -m benchmarks                                  # quick, six minutes on two cores
python -m benchmarks --full --images ants_bees.zip --weights mobilenetv2_100.safetensors --out benchmarks.md
"""

import argparse
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch

HERE = Path(__file__).parent
SCRIPTS = [
    *("throughput.py", "callback_cost.py", "startup.py", "memory.py", "evaluation.py", "gradcam.py", "growth.py"),
    *("image_path.py", "serving.py", "gpu.py"),
]


class Benchmark(NamedTuple):
    """A script and its words.

    Attributes:
        title: What it measures.
        words: The script with those of every run.
        quick: Words of a quick one.
        full: Words of a full one.
    """

    title: str
    words: str
    quick: str = ""
    full: str = ""


def benchmarks(images: str | None, weights: str | None) -> list[Benchmark]:
    """Return them in their order; some need photographs."""
    found = [
        Benchmark("Steps against a hand-written loop", "throughput.py", "--rounds 3", "--rounds 9"),
        Benchmark("Callbacks", "callback_cost.py", "--rounds 1 --batches 20", "--rounds 3 --batches 30"),
        Benchmark("From the command to the first step", "startup.py", "--rounds 2", "--rounds 5"),
        Benchmark("Memory", "memory.py", "--rounds 1 --batches 5", "--rounds 3"),
        Benchmark("What is judged, predicted and explained", "evaluation.py", "--rounds 2", "--rounds 5"),
        Benchmark("Heat maps in batches", "gradcam.py", "--rounds 2", "--rounds 5"),
        Benchmark(
            "What grows",
            "growth.py",
            "--rounds 1 --images 1000 10000 --sizes 32 128",
            "--rounds 3 --images 1000 10000 100000 1000000",
        ),
    ]
    found.append(Benchmark("A server under load", "serving.py", "--requests 500", "--rounds 2"))
    if images:
        path = f"image_path.py {shlex.quote(images)}"
        found += [
            Benchmark("From files to images", path, "--rounds 3", "--rounds 9"),
            Benchmark("From large files to images", f"{path} --enlarged 8", "--rounds 1", "--rounds 3"),
        ]
    if images and weights and torch.cuda.is_available():
        given = f"--images {shlex.quote(images)} --weights {shlex.quote(weights)}"
        found.append(Benchmark("On a GPU", f"gpu.py {given}", "--parts step callbacks"))
    return found


def run(benchmark: Benchmark, *, full: bool) -> tuple[str, bool]:
    """Return its part of the page, which is printed line by line as it comes, and whether it failed."""
    words = shlex.split(f"{benchmark.words} {benchmark.full if full else benchmark.quick}")
    print(f"\n## {benchmark.title}\n\n`python benchmarks/{shlex.join(words)}`\n", flush=True)
    begin, lines = time.perf_counter(), []
    command = [sys.executable, str(HERE / words[0]), *words[1:]]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
        if process.wait():
            errors.seek(0)
            lines.append(f"failed with {process.returncode}: {errors.read().strip().splitlines()[-1:]}")
            print(lines[-1], flush=True)
    body = "\n".join(lines)
    command_line = f"python benchmarks/{shlex.join(words)}"
    head = f"## {benchmark.title}\n\n`{command_line}`, {time.perf_counter() - begin:.0f} s:"
    return f"{head}\n\n```text\n{body}\n```\n", process.returncode != 0


def machine() -> str:
    """Say where this is."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{torch.get_num_threads()} threads, {device}, Python {platform.python_version()}, torch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--full", action="store_true", help="more rounds, and larger sets")
    parser.add_argument("--images", help="a folder or zip of photographs in classes")
    parser.add_argument("--weights", help="of mobilenetv2_100, normalised by 0.5")
    parser.add_argument("--only", nargs="*", default=[], choices=SCRIPTS, help="scripts to run (default: all)")
    parser.add_argument("--out", type=Path, help="where the page goes")
    options = parser.parse_args()
    print(machine())
    parts, failed = [f"# Benchmarks\n\n{machine()}\n"], 0
    for benchmark in benchmarks(options.images, options.weights):
        if not options.only or benchmark.words.split()[0] in options.only:
            part, wrong = run(benchmark, full=options.full)
            failed += wrong
            parts.append(part)
            if options.out:
                options.out.write_text("\n".join(parts))
    if failed:
        raise SystemExit(f"{failed} of them failed")


if __name__ == "__main__":
    main()
