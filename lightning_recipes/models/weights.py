"""Weights from a file: what is in it, what it was made for, and whether it fits."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_recipes.atomic_io import whole_file
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import Fit

__all__ = ["Weights", "describe_misfit", "read_weights", "save_weights"]

KEY = "model.pretrained"
ASSETS = Path(__file__).parents[1] / "assets"
EMBEDDED = "embedded:"
CONFIG_KEYS = ("mean", "std", "input_size", "interpolation", "crop_pct")


@dataclass
class Weights:
    """Weights as they came from a file.

    Attributes:
        path: The file.
        tensors: Of the backbone, in timm's names.
        head: Of a run's head, whatever its shape, by its own names; None where they are not a run's.
        num_classes: Of the run.
        class_names: What it told apart, where the file says so.
        architecture: What the file says it is for, or None.
        config: mean, std, input_size (channels, height, width), interpolation and crop_pct, where the file says so.
        backbone_kwargs: Arguments of the architecture that the file asks for.
        fit: How a run made its pictures square.
    """

    path: Path
    tensors: dict[str, Tensor]
    head: dict[str, Tensor] | None = None
    num_classes: int | None = None
    class_names: list[str] | None = None
    architecture: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    backbone_kwargs: dict[str, Any] = field(default_factory=dict)
    fit: Fit = "crop"

    @property
    def channels(self) -> int:
        """Of the images that they were made for; three, where the file does not say."""
        return len(self.config.get("mean", (0,) * 3))


def read_weights(path: str) -> Weights:
    """Read ``.safetensors``, ``.pth``, ``.pt``, ``.bin``, a run's ``.ckpt``, or ``embedded:`` weights of this package.

    The configuration comes from the header of a ``.safetensors`` file, from a ``config.json`` in the hub's format
    beside it, or from the checkpoint.

    Raises:
        UserError: The file is not there, or holds no weights.
    """
    file = ASSETS / f"{path.removeprefix(EMBEDDED)}.safetensors" if path.startswith(EMBEDDED) else Path(path)
    if not file.is_file():
        raise UserError(f"{KEY}: '{path}' does not exist; give true, false, a weights file or hf-hub:...")
    try:
        return _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    except UserError:
        raise
    except Exception as error:  # truncated and foreign files fail in every way there is
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{KEY}: '{path}' cannot be read as weights ({reason}); is the file whole?") from error


def _read_safetensors(file: Path) -> Weights:
    from safetensors import safe_open

    with safe_open(str(file), framework="pt") as opened:
        header = dict(opened.metadata() or {})
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    weights = Weights(file, _as_float32(tensors))
    beside = file.with_name("config.json")
    if beside.is_file():
        hub = json.loads(beside.read_text())
        weights.architecture = hub.get("architecture")
        weights.config = {k: v for k, v in hub.get("pretrained_cfg", {}).items() if k in CONFIG_KEYS}
        weights.backbone_kwargs = dict(hub.get("model_args", {}))
    weights.architecture = header.get("architecture", weights.architecture)
    weights.config |= {key: _number_or_word(header[key]) for key in CONFIG_KEYS if key in header}
    weights.backbone_kwargs |= json.loads(header.get("backbone_kwargs", "{}"))
    if "pad_type" in header:
        weights.backbone_kwargs["pad_type"] = header["pad_type"]
    return weights


def _number_or_word(text: str) -> Any:
    """Read ``0.5,0.5,0.5``, ``0.9`` or ``bicubic``."""
    try:
        numbers = tuple(float(part) if "." in part else int(part) for part in text.strip("()[]").split(","))
    except ValueError:
        return text
    return numbers if len(numbers) > 1 else numbers[0]


def _read_torch(file: Path) -> Weights:
    from timm.models import clean_state_dict

    loaded = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(loaded, Mapping):
        raise UserError(f"{KEY}: '{file}' holds a {type(loaded).__name__}, not weights by name")
    if "pytorch-lightning_version" in loaded:
        return _from_run(file, loaded)
    for key in ("state_dict_ema", "model_ema", "state_dict", "model"):
        if isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    tensors = {name: value for name, value in clean_state_dict(dict(loaded)).items() if isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"{KEY}: '{file}' holds no tensors by name; give a state dict")
    return Weights(file, _as_float32(tensors))


def _from_run(file: Path, checkpoint: Mapping[str, Any]) -> Weights:
    """Weights of a Lightning checkpoint of ours, in two parts without their prefixes."""
    state = checkpoint["state_dict"]
    tensors, head = (
        {name.removeprefix(part): value for name, value in state.items() if name.startswith(part)}
        for part in ("backbone.", "head.")
    )
    if not tensors:
        raise UserError(f"{KEY}: '{file}' is a checkpoint without a backbone; give one of an ImageClassifier")
    saved, config = checkpoint.get("hyper_parameters", {}), dict(checkpoint.get("input_config", {}))
    if "image_size" in config:
        config["input_size"] = (len(config["mean"]), config["image_size"], config["image_size"])
    return Weights(
        file,
        _as_float32(tensors),
        head=_as_float32(head),
        num_classes=saved.get("num_classes"),
        class_names=saved.get("class_names"),
        architecture=saved.get("backbone"),
        config={key: config[key] for key in CONFIG_KEYS if key in config},
        backbone_kwargs=dict(saved.get("backbone_kwargs") or {}),
        fit=config.get("fit", "crop"),
    )


def _as_float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def describe_misfit(path: Path, backbone: str, error: str) -> str:
    """Turn PyTorch's list of every tensor that does not fit into one line with their numbers."""
    parts = []
    for word, pattern in (
        ("missing", r"Missing key\(s\) in state_dict: (.*?)\.\s*(?:\n|$)"),
        ("unexpected", r"Unexpected key\(s\) in state_dict: (.*?)\.\s*(?:\n|$)"),
    ):
        found = re.search(pattern, error, re.DOTALL)
        names = re.findall(r'"([^"]+)"', found[1]) if found else []
        if names:
            parts.append(f"{len(names)} tensors are {word} (such as {names[0]})")
    shapes = re.findall(r"size mismatch for ([^:]+):", error)
    if shapes:
        parts.append(f"{len(shapes)} are of another shape (such as {shapes[0]})")
    what = ", ".join(parts) or " ".join(error.split())[:200]
    return f"{KEY}: '{path}' does not fit {backbone}: {what}; give the backbone that the weights were made for"


def save_weights(path: Path, weights: Weights, *, half: bool = False, **notes: str) -> None:
    """Write a backbone as ``.safetensors`` whose header tells :func:`read_weights` what it was made for.

    Args:
        path: The file; replaced only when the new one is whole.
        weights: As read from a run's checkpoint; the head is left out.
        half: Store floats in 16 bits.
        notes: Further entries of the header.
    """
    from safetensors.torch import save_file

    def text(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)

    tensors = {
        name: (t.half() if half and t.is_floating_point() else t).contiguous() for name, t in weights.tensors.items()
    }
    header = {name: text(value) for name, value in weights.config.items()} | notes
    header["backbone_kwargs"] = json.dumps(weights.backbone_kwargs)
    if weights.architecture:
        header["architecture"] = weights.architecture
    with whole_file(path) as part:
        save_file(tensors, str(part), metadata=header)
        part.chmod(0o644)  # safetensors writes for the owner alone
