"""A whole model as an ONNX file, and the session that runs one."""

from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from lightning_recipes.errors import UserError

if TYPE_CHECKING:
    import onnx

__all__ = ["OPSET", "PICTURES", "OnnxSession", "is_of_input", "of_one", "require_onnx", "to_onnx"]

OPSET = 18
LARGEST = 2 * 1024**3 - 1  # bytes of a protocol buffer
PICTURE, PICTURES, FOUND = "picture", "pictures", "probabilities"


def require_onnx() -> None:
    """Refuse to begin where the packages are not there.

    Raises:
        UserError: Names the extra to install.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"to: onnx needs the package {error.name}; install it with pip install 'lightning-recipes[export]'"
        ) from error


def to_onnx(program: ExportedProgram, metadata: Mapping[str, str]) -> "onnx.ModelProto":
    """Return a program as ONNX: takes ``pictures`` (N, H, W, 3), gives ``probabilities`` (N, C).

    Args:
        program: Of :func:`~lightning_recipes.export.traced.trace`.
        metadata: Kept in the file, by name.

    Raises:
        UserError: The network does something that ONNX has no word for, or is larger than a file may be.
    """
    size = sum(value.numel() * value.element_size() for value in program.state_dict.values())
    if size > LARGEST:
        raise UserError(
            f"to: onnx holds no more than 2 GB in a file, and the weights are {size / 1e9:.1f} GB; give torch"
        )
    try:
        with redirect_stdout(StringIO()):  # it tells of every step
            found = torch.onnx.export(
                program, dynamo=True, input_names=[PICTURES], output_names=[FOUND], opset_version=OPSET, verbose=False,
                external_data=False,
            )  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise UserError(f"to: the network cannot be said in ONNX ({reason}); give torch") from error
    assert found is not None
    model = found.model_proto
    for name, value in metadata.items():
        model.metadata_props.add(key=name, value=value)
    return model


def of_one(batches: "onnx.ModelProto") -> "onnx.ModelProto":
    """Return a model that takes one ``picture`` (H, W, 3) and gives its ``probabilities`` (C,).

    Args:
        batches: Of :func:`to_onnx`; not changed.
    """
    from onnx import ModelProto, TensorProto, helper

    model, axis = ModelProto(), "first_axis"
    model.CopyFrom(batches)
    graph = model.graph
    taken, given = graph.input[0], graph.output[0]
    found = f"{given.name}_of_one"
    for node in graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == given.name:
                    names[position] = found
    graph.initializer.append(helper.make_tensor(axis, TensorProto.INT64, [1], [0]))
    graph.node.insert(0, helper.make_node("Unsqueeze", [PICTURE, axis], [taken.name]))
    graph.node.append(helper.make_node("Squeeze", [found, axis], [given.name]))
    taken.name = PICTURE
    for value in (taken, given):
        del value.type.tensor_type.shape.dim[0]
    return model


def is_of_input(node: "onnx.NodeProto") -> bool:
    """Tell whether a node makes an input of a picture, and is no part of the network."""
    return any(part.key == "namespace" and "PictureInput" in part.value for part in node.metadata_props)


class OnnxSession:
    """Runs a model in onnxruntime on the CPU.

    Args:
        model: Of :func:`to_onnx`.
        threads: Of an operation; 0: as many as there are cores.
    """

    def __init__(self, model: "onnx.ModelProto", threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._name = self._session.get_inputs()[0].name

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities, of a picture or of pictures as the model takes them."""
        found: NDArray[np.float32] = self._session.run(None, {self._name: pictures})[0]
        return found
