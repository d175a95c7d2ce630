"""Most memory that a process takes in an epoch of ``fit``, against a hand-written loop of the same work.

python benchmarks/memory.py
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path

import throughput
from measuring import paired, show_pair, start


def peak_of(kind: str, stage: str, options: argparse.Namespace) -> float:
    """Megabytes of a process of its own."""
    given = ("root", "backbone", "image_size", "batch_size", "batches")
    words = ["--kind", kind, "--stage", stage, *(f"--{name}={getattr(options, name)}" for name in given)]
    run = subprocess.run([sys.executable, Path(__file__), *words], capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1])


def main() -> None:
    parser = throughput.parser_of(__doc__)
    parser.set_defaults(rounds=3)
    parser.add_argument("--kind", choices=["fit", "by_hand"], help="measure this process, and print the number")
    parser.add_argument("--stage", choices=list(throughput.STAGES), default="unfrozen")
    options = parser.parse_args()
    if options.kind:
        start()
        getattr(throughput, options.kind)(throughput.STAGES[options.stage], options)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)  # kilobytes on Linux
        return
    for stage in throughput.STAGES:
        found = paired(
            options.rounds,
            lambda s=stage: peak_of("fit", s, options),  # type: ignore[misc]
            lambda s=stage: peak_of("by_hand", s, options),  # type: ignore[misc]
        )
        show_pair(f"{stage}: fit, to a loop by hand", found, "MB")


if __name__ == "__main__":
    main()
