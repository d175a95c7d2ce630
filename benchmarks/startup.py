"""Seconds from the command until the first training step begins, and is done, against the bare imports and the model.

All are whole processes, by turns: ``fit`` of all layers on scikit-learn's digits with all that it does by default (W&B
without network, figures, checks), which is ended there; and a line that imports Lightning's command
line, torchvision and timm and builds the network.

python benchmarks/startup.py
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import paired, show_pair

HERE = Path(__file__).parent
READY = "ready"
BARE = "import lightning.pytorch.cli, torchvision, timm; timm.create_model({backbone!r}); print({ready!r}, flush=True)"

WORDS = [
    *("--data.root", "sklearn:digits", "--data.image_size", "32", "--model.pretrained", "false"),
    *("--trainer.max_epochs", "1", "--trainer.callbacks+=first_step.FirstStep"),
]


def seconds_until_ready(command: list[str]) -> float:
    """Seconds until a process says so; it is ended then."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]), "WANDB_MODE": "offline"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    begin = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        ready = any(READY in line.decode() for line in process.stdout)
        seconds = time.perf_counter() - begin
        process.kill()
    if not ready:
        raise SystemExit(f"{' '.join(command)}: ended before it was ready")
    return seconds


def fit(backbone: str, when: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lightning_recipes", "fit", "--run_dir", f"{folder}/run", *WORDS]
        return seconds_until_ready([*command, "--model.backbone", backbone, "--trainer.callbacks.when", when])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    bare = [sys.executable, "-c", BARE.format(backbone=options.backbone, ready=READY)]
    for when in ("begins", "done"):
        found = paired(options.rounds, lambda w=when: fit(options.backbone, w), lambda: seconds_until_ready(bare))  # type: ignore[misc]
        show_pair(f"fit until its first step {when}, to bare imports and the model", found, "s")


if __name__ == "__main__":
    main()
