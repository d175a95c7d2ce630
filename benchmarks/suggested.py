"""What suggested recipes reach in the minutes that were asked for, against the fixed recipes of transfer.csv.

Each row of the table (``suggested.csv`` beside this file) is ``lightning-recipes suggest`` and then ``fit`` of what it
wrote, as whole processes that have the machine to themselves. The accuracy to compare is that after the last epoch, as
in transfer.csv; that of the best epoch is beside it.

    python benchmarks/suggested.py --cifar10 cifar10.zip --ants_bees ants_bees.zip --clothing clothing.zip \
        --weights mobilenetv2_100.safetensors [--sets drawn rotated] [--minutes 2 5 15] [--any_size]
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from transfer import add, rows
from transfer_sets import SETS, Sources, prepared

TABLE = Path(__file__).with_name("suggested.csv")
COLUMNS = (
    "set", "minutes", "any_size", "accuracy", "best_accuracy", "expected", "suggest_seconds", "fit_seconds", "steps",
    "image_size", "batch_size",
)  # fmt: skip
COMMAND = [sys.executable, "-m", "lightning_recipes"]
# Chosen, or the benchmark's own. That left and right matter is given where it is so, as to the fixed recipes.
NOT_GIVEN = ("batch_size", "eval_batch_size", "num_workers")


def words(data: dict[str, Any], model: dict[str, Any], *, any_size: bool) -> list[str]:
    """The set's keys as they are typed."""
    left_out = {*NOT_GIVEN, "root", *(["image_size"] if any_size else [])}
    keys = {f"--data.{key}": value for key, value in data.items() if key not in left_out}
    keys |= {f"--model.{key}": value for key, value in model.items()}
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in keys.items()]


def timed(command: list[str]) -> float:
    """Seconds of a whole process, which has to end well."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return round(time.perf_counter() - began, 1)


def measure(name: str, minutes: float, any_size: bool, sources: Sources, folder: Path) -> dict[str, Any] | None:
    """Return a row; None where the set cannot be made."""
    made = prepared(name, sources, folder)
    if made is None:
        return None
    with tempfile.TemporaryDirectory() as kept:
        recipe, run = Path(kept, "recipe.yaml"), Path(kept, "run")
        given = words(*made, any_size=any_size)
        asked = ["--minutes", str(minutes), "--out", str(recipe), *given]
        suggest_seconds = timed([*COMMAND, "suggest", made[0]["root"], *asked])
        fit_seconds = timed([*COMMAND, "fit", "--config", str(recipe), "--run_dir", str(run)])
        summary = json.loads((run / "summary.json").read_text())
        with (run / "metrics.csv").open(newline="") as file:
            judged = [row["val_accuracy"] for row in csv.DictReader(file) if row.get("val_accuracy")]
        text = recipe.read_text()
    said = {key: text.partition(f"\n  {key}: ")[2].partition("\n")[0] for key in ("image_size", "batch_size")}
    return {
        "set": name, "minutes": minutes, "any_size": any_size, "accuracy": round(float(judged[-1]), 4),
        "best_accuracy": round(summary["val_accuracy"], 4),
        "expected": " ".join(text.split("\n# ")).partition("val_accuracy about ")[2].partition(" %")[0],
        "suggest_seconds": suggest_seconds, "fit_seconds": fit_seconds, "steps": summary["global_step"], **said,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Sources.add_arguments(parser)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--minutes", nargs="*", type=float, default=[2, 5, 15])
    parser.add_argument("--any_size", action="store_true", help="let the size of the images be chosen, too")
    options = parser.parse_args()
    sources = Sources.of(options)
    for minutes in options.minutes:
        for name in options.sets:
            known = {(row["set"], float(row["minutes"]), row["any_size"]) for row in rows(options.table)}
            if (name, minutes, str(options.any_size)) in known:
                continue
            row = measure(name, minutes, options.any_size, sources, options.folder)
            if row is not None:
                add(options.table, row, COLUMNS)
                print(*row.values(), flush=True)


if __name__ == "__main__":
    main()
