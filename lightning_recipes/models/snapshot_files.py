"""Snapshots on the disk: weights as ``.safetensors``, what they reached as ``.json`` beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lightning_recipes.atomic_io import whole_file, write_json
from lightning_recipes.errors import UserError

__all__ = ["INDEX", "Snapshot", "find_snapshots", "save_snapshot"]

INDEX = "ensemble.json"
HEADER = "checkpoint"


@dataclass(frozen=True)
class Snapshot:
    """The weights at the end of a cycle.

    Attributes:
        path: The file.
    """

    path: Path

    @property
    def figures(self) -> dict[str, Any]:
        """What the sidecar says: cycle, stage, epoch, val_accuracy, val_loss."""
        sidecar = self.path.with_suffix(".json")
        loaded: dict[str, Any] = json.loads(sidecar.read_text()) if sidecar.exists() else {}
        return loaded

    def checkpoint(self) -> dict[str, Any]:
        """Return it as a checkpoint, without the state of a fit.

        Raises:
            UserError: The file cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(self.path), framework="pt") as opened:
                header = json.loads((opened.metadata() or {}).get(HEADER, "{}"))
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
        except (OSError, SafetensorError) as error:
            raise UserError(f"ckpt_path: '{self.path}' cannot be read as a snapshot ({error})") from error
        return {**header, "state_dict": tensors}


def save_snapshot(
    path: Path, state: Mapping[str, Tensor], header: Mapping[str, Any], figures: Mapping[str, Any]
) -> None:
    """Write weights and figures; each file is replaced only when the new one is whole."""
    from safetensors.torch import save_file

    # Clones: safetensors refuses tensors that share memory.
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    with whole_file(path) as part:
        save_file(tensors, str(part), metadata={HEADER: json.dumps(header, default=str)})
        part.chmod(0o644)  # safetensors writes for the owner alone
    write_json(path.with_suffix(".json"), figures)


def find_snapshots(folder: Path) -> list[Snapshot]:
    """Return the snapshots of a folder in the order of their making: those of its index, else all.

    Raises:
        UserError: There is none.
    """
    index = folder / INDEX
    names = json.loads(index.read_text())["members"] if index.exists() else []
    paths = [folder / name for name in names] or sorted(folder.glob("*.safetensors"))
    missing = [path.name for path in paths if not path.is_file()]
    if missing or not paths:
        what = f"lacks {', '.join(missing)}" if missing else "holds no snapshots (.safetensors)"
        raise UserError(f"ckpt_path: '{folder}' {what}; give the snapshots folder of a run, or a checkpoint file")
    return [Snapshot(path) for path in paths]
