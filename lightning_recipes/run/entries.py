"""What the files of a run add to its summary."""

import json
from pathlib import Path
from typing import Any

from lightning_recipes.models.snapshot_files import INDEX, find_snapshots
from lightning_recipes.run.reader import RunContents

__all__ = ["entries_of_files"]


def entries_of_files(folder: Path) -> dict[str, Any]:
    """Return rates that were found, snapshots and their ensemble, and pictures, as ``summary.json`` has them."""
    found: dict[str, Any] = {}
    results, snapshots = RunContents(folder).range_tests, folder / "snapshots"
    if results:
        found["lr_found"] = [{"stage": s, "lr": r["lr"], "applied": r["applied"]} for s, r in results.items()]
    if (snapshots / INDEX).exists():
        ensemble = json.loads((snapshots / INDEX).read_text())
        metric = ensemble.get("metric", "accuracy")
        found["snapshots"] = [
            {
                "path": f"snapshots/{s.path.name}",
                "epoch": s.figures["epoch"],
                f"val_{metric}": s.figures.get(f"val_{metric}"),
            }
            for s in find_snapshots(snapshots)
        ]
        if ensemble.get("last"):
            whole = ensemble["last"][-1]
            found |= {f"ensemble_val_{metric}": whole[metric], f"ensemble_val_{metric}_ci95": whole["ci95"]}
    if (folder / "figures" / "gradcam.png").exists():
        found["gradcam"] = "figures/gradcam.png"
    return found
