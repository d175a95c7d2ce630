"""``configs/world_class.yaml`` against fastai's ``fine_tune`` (four epochs: one frozen, three not), in turns.

Both start from the same weights on the same images, and both times are those of the whole process.

    uv venv fastai && uv pip install --python fastai/bin/python fastai timm safetensors "setuptools<81"
    python benchmarks/peers/world_class.py ants_bees.zip mobilenetv2_100.safetensors --fastai fastai/bin/python
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
RECIPE = HERE.parents[1] / "configs" / "world_class.yaml"


def ours(archive: Path, weights: Path, seed: int, folder: Path) -> dict[str, float]:
    """Accuracy and seconds of the recipe."""
    command = [
        sys.executable, "-m", "lightning_recipes", "fit", "--config", str(RECIPE), "--run_dir", str(folder),
        "--data.root", str(archive), "--model.backbone", "mobilenetv2_100", "--model.pretrained", str(weights),
        "--model.backbone_kwargs.pad_type", "same", "--seed_everything", str(seed),
    ]  # fmt: skip
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    summary = json.loads((folder / "summary.json").read_text())
    rows = (folder / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("val_accuracy")
    last = [float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column]][-1]
    return {"accuracy": summary["val_accuracy"], "last": last, "seconds": seconds}


def theirs(python: Path, images: Path, weights: Path, seed: int) -> dict[str, float]:
    """Accuracy and seconds of fastai."""
    command = [
        str(python),
        str(HERE / "fastai_fine_tune.py"),
        str(images),
        "--weights",
        str(weights),
        "--seed",
        str(seed),
    ]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**result, "last": result["accuracy"], "seconds": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--fastai", type=Path, required=True, help="python of an environment that has fastai")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {"world_class": [], "fastai": []}
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        with zipfile.ZipFile(options.archive) as opened:
            opened.extractall(images)
        root = next(path.parent for path in sorted(images.rglob("train")) if path.is_dir())
        for seed in range(options.seeds):
            results["world_class"].append(ours(options.archive, options.weights, seed, Path(folder) / str(seed)))
            results["fastai"].append(theirs(options.fastai, root, options.weights, seed))
            for name, runs in results.items():
                run = runs[-1]
                print(
                    f"seed {seed}, {name}: accuracy {run['accuracy']:.4f} (last epoch {run['last']:.4f}), "
                    f"{run['seconds']:.0f} s",
                    flush=True,
                )
    for name, runs in results.items():
        accuracy, seconds = (statistics.fmean(run[key] for run in runs) for key in ("accuracy", "seconds"))
        print(f"{name}: mean accuracy {accuracy:.4f}, mean time {seconds:.0f} s")


if __name__ == "__main__":
    main()
