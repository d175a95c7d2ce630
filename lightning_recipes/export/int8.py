"""An ONNX file in eight bits: calibrated on training pictures, judged on validation pictures against the one in floats.

Source: Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference"; onnxruntime's static quantisation, a scale for each channel of the weights. Dynamic quantisation breaks
MobileNets altogether.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_recipes.data.sources.labels import label_tensor
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.evaluation.intervals import paired_difference
from lightning_recipes.export.onnx_file import PICTURES, is_of_input
from lightning_recipes.export.proof import Runs
from lightning_recipes.modules.tasks import Task

if TYPE_CHECKING:
    import onnx

__all__ = ["Judged", "judge_int8", "to_int8"]

CALIBRATED = 200  # training pictures, evenly over the set


class Judged(NamedTuple):
    """What eight bits cost, over the same pictures.

    Attributes:
        images: That were judged.
        right_in_floats: Share of labels that the file in floats has right.
        right: That the one in eight bits has.
        difference: The latter less the former.
        ci95: 95 % interval of the difference, paired.
        same_label: Share of images of which both say the same.
    """

    images: int
    right_in_floats: float
    right: float
    difference: float
    ci95: tuple[float, float]
    same_label: float

    def refusal(self, max_loss: float) -> str:
        """Say why the file was not kept, of which so much may be lost."""
        low, high = (f"{100 * bound:+.1f}" for bound in self.ci95)
        return (
            f"export: nothing was written: in eight bits {self.right:.1%} of {self.images} labels are right, in floats "
            f"{self.right_in_floats:.1%} ({low} to {high} points, 95 %); max_loss allows {max_loss:.1%}"
        )


def to_int8(model: "onnx.ModelProto", train: ImageSource, least: int) -> "onnx.ModelProto":
    """Return a model whose network computes in eight bits; what makes inputs of pictures stays as it is.

    Args:
        model: Of :func:`~lightning_recipes.export.onnx_file.to_onnx`.
        train: Pictures to calibrate on.
        least: Shorter side, in pixels, down to which they may be read.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    count = min(len(train), CALIBRATED)
    pictures = (train.read(number * len(train) // count, least)[None] for number in range(count))

    class Pictures(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            picture = next(pictures, None)
            return None if picture is None else {PICTURES: picture}

    with tempfile.TemporaryDirectory() as folder:
        floats, shaped, path = (str(Path(folder) / name) for name in ("floats.onnx", "shaped.onnx", "int8.onnx"))
        onnx.save(model, floats)  # a file, since of what is in memory it would move the weights out
        quant_pre_process(floats, shaped, skip_symbolic_shape=True)
        quantize_static(
            shaped, path, Pictures(),
            # Seven bits, with which no processor's sums saturate, cost a MobileNetV2 four points.
            per_channel=True, reduce_range=False,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in model.graph.node if is_of_input(node)],
        )  # fmt: skip
        return onnx.load(path)


def judge_int8(
    floats: Runs,
    int8: Runs,
    source: ImageSource,
    task: Task,
    least: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Judged:
    """Compare both files on the labels of a source.

    Args:
        floats: The file in floats.
        int8: That in eight bits.
        source: Of the pictures, with labels.
        task: Says what is right.
        least: Shorter side, in pixels, down to which pictures may be read.
        progress: Called with how many pictures are done.
    """
    labels, rights, same = label_tensor(source.labels), [], []
    for index in range(len(source)):
        picture = source.read(index, least)
        both = [torch.from_numpy(np.asarray(run(picture)))[None] for run in (floats, int8)]
        rights.append([float(task.share_right(one, labels[index : index + 1])) for one in both])
        same.append(torch.equal(*(task.predicted(one) for one in both)))
        progress(index + 1)
    found = np.array(rights)
    difference, half = paired_difference(found[:, 1] - found[:, 0])
    before, after = (float(column.mean()) for column in found.T)
    return Judged(len(found), before, after, difference, (difference - half, difference + half), float(np.mean(same)))
