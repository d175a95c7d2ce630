"""The same job three ways: an epoch of the head on frozen layers, then some of all layers, from the same weights.

Ours by the command line with all that it does by default; fastai's ``fine_tune``; a script as one writes it with timm.
Same network, images, size, batch and number of epochs; whole processes by turns, and images trained on for each second
of them.

    uv venv fastai && uv pip install --python fastai/bin/python fastai timm safetensors "setuptools<81"
    python benchmarks/peers/same_job.py ants_bees.zip mobilenetv2_100.safetensors --fastai fastai/bin/python
    python benchmarks/peers/same_job.py cifar10.zip mobilenetv2_100.safetensors --size 64 --per_class 100 --epochs 5
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
RECIPE = """
data:
  root: {root}
  image_size: {size}
  batch_size: 32
  num_workers: 0
model:
  backbone: mobilenetv2_100
  pretrained: {weights}
  backbone_kwargs: {{pad_type: same}}
  freeze_norm_stats: true
trainer:
  callbacks:
    - class_path: lightning_recipes.Stages
      init_args:
        stages:
          - {{name: head, epochs: 1, train: head, lr: 1.0e-2, cache_features: true}}
          - {{name: all, epochs: {epochs}, lr: 1.0e-3, lr_decay: 0.8, schedule: one_cycle}}
"""
Result = dict[str, float]


def ours(root: Path, options: argparse.Namespace, seed: int, folder: Path) -> Result:
    """By ``fit``."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        RECIPE.format(root=root, size=options.size, weights=options.weights.resolve(), epochs=options.epochs)
    )
    command = [sys.executable, "-m", "lightning_recipes", "fit", "--config", str(recipe), "--run_dir", f"{folder}/run"]
    subprocess.run([*command, "--seed_everything", str(seed)], check=True, capture_output=True)
    found = json.loads((folder / "run" / "summary.json").read_text())
    return {"accuracy": found["val_accuracy"], "images": 32 * found["global_step"]}


def unpack(archive: Path, folder: Path, per_class: int | None) -> int:
    """Lay out ``train/CLASS`` and ``val/CLASS``, of each class at most so many; return the number to train on."""
    wanted: dict[tuple[str, str], int] = {}
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.lower().endswith((".jpg", ".jpeg", ".png")))
        splits = {Path(name).parts[-3] for name in names}
        judged = next(split for split in ("val", "validation", "valid", "test") if split in splits)
        for name in names:
            split, label, file = Path(name).parts[-3:]
            key = ({"train": "train", judged: "val"}.get(split, ""), label)
            if not key[0] or wanted.get(key, 0) == per_class:
                continue
            wanted[key] = wanted.get(key, 0) + 1
            path = folder.joinpath(*key, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(opened.read(name))
    return sum(count for (split, _), count in wanted.items() if split == "train")


def script(python: Path, name: str, root: Path, options: argparse.Namespace, seed: int) -> Result:
    """By a script of this folder, which prints what came out."""
    command = [str(python), str(HERE / name), str(root), "--weights", str(options.weights), "--seed", str(seed)]
    command += ["--epochs", str(options.epochs), "--size", str(options.size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--fastai", type=Path, help="python of an environment that has fastai (default: left out)")
    parser.add_argument("--epochs", type=int, default=3, help="of all layers")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--per_class", type=int, help="images of each class, of either split, at most (default: all)")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = folder / "images"
        images = unpack(options.archive, root, options.per_class) // 32 * 32 * (1 + options.epochs)
        for seed in range(options.seeds):
            own = folder / str(seed)
            own.mkdir()
            ways: dict[str, Callable[[], Result]] = {
                "ours": lambda s=seed, f=own: ours(root, options, s, f),  # type: ignore[misc]
                "timm": lambda s=seed: script(Path(sys.executable), "timm_script.py", root, options, s),  # type: ignore[misc]
            }
            if options.fastai:
                ways["fastai"] = lambda s=seed: script(options.fastai, "fastai_fine_tune.py", root, options, s)  # type: ignore[misc]
            for way, run in ways.items():
                begin = time.perf_counter()
                result = run()
                seconds = time.perf_counter() - begin
                rate = result.get("images", images) / seconds
                found.setdefault(way, []).append({**result, "seconds": seconds, "rate": rate})
                print(
                    f"seed {seed}, {way}: accuracy {result['accuracy']:.4f}, {seconds:.0f} s, {rate:.1f} images/s",
                    flush=True,
                )
    for way, runs in found.items():
        ratios = sorted(first["rate"] / run["rate"] for first, run in zip(found["ours"], runs, strict=True))
        accuracy, seconds = (statistics.median(run[key] for run in runs) for key in ("accuracy", "seconds"))
        print(
            f"{way}: median accuracy {accuracy:.4f}, {seconds:.0f} s; ours does {statistics.median(ratios):.2f} "
            f"[{ratios[0]:.2f}..{ratios[-1]:.2f}] of its images a second"
        )


if __name__ == "__main__":
    main()
