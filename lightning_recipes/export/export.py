"""A model, as a file that needs none of us: traced, compared picture by picture, timed, and only then written."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_recipes.atomic_io import refuse_taken_folder, whole_file, whole_folder, write_json
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.engine.predictions import names_of
from lightning_recipes.errors import UserError
from lightning_recipes.evaluation.calibration import cooled
from lightning_recipes.export.int8 import Judged, judge_int8, to_int8
from lightning_recipes.export.latency import Form, Latency, eager, latencies
from lightning_recipes.export.onnx_file import OnnxSession, of_one, require_onnx, to_onnx
from lightning_recipes.export.page import refuse_no_runtime, write_page
from lightning_recipes.export.proof import Proof, Runs, entries_of, prove
from lightning_recipes.export.traced import read_back, saved, trace
from lightning_recipes.export.whole_model import WholeModel
from lightning_recipes.modules.evaluator import Evaluator
from lightning_recipes.modules.tta import MultiViewClassifier

__all__ = ["Exported", "Limits", "NotProven", "export"]

Kind = Literal["onnx", "torch"]
NAMES = {"onnx": "model.onnx", "int8": "model_int8.onnx", "torch": "model.pt2"}


class NotProven(Exception):  # noqa: N818  # no error of anybody's: an answer
    """The file says something else of pictures than the framework does; nothing was written."""


@dataclass(frozen=True)
class Limits:
    """How far a file may be from the framework.

    Attributes:
        max_gap: Largest difference of a probability, over all pictures and classes.
        max_other_labels: Share of pictures that may get another label.
        max_loss: Share of labels that eight bits may have wrong beyond those that floats have wrong.
    """

    max_gap: float = 0.01
    max_other_labels: float = 0.001
    max_loss: float = 0.01


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        file: The model.
        proof: What the comparison said; None where there was nothing to compare on.
        int8: What eight bits cost; None where there are none.
        latencies: How long a picture takes; empty where there was none to measure on.
        entries: Of ``export.json``.
    """

    file: Path
    proof: Proof | None
    int8: Judged | None
    latencies: Sequence[Latency]
    entries: Mapping[str, Any]


def refuse_unproven(proof: Proof, limits: Limits) -> None:
    """Refuse a file that says something else.

    Raises:
        NotProven: It does.
    """
    if not proof.holds(limits.max_gap, limits.max_other_labels):
        raise NotProven(proof.refusal(limits.max_gap, limits.max_other_labels))


def predicted(judge: Evaluator, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Return the probabilities (N, C) that the framework gives pictures."""
    return torch.from_numpy(np.stack([one.probabilities for one in judge.predict(list(pictures))]))


def export(
    model: Evaluator,
    folder: Path,
    *,
    to: Kind = "onnx",
    source: ImageSource | None,
    calibrate_on: ImageSource | None = None,
    views: str | None = None,
    temperature: float = 1.0,
    batch: bool = False,
    page: Path | None = None,
    limits: Limits = Limits(),
    origin: Mapping[str, Any] | None = None,
    progress: Callable[[str, int, int], None] = lambda does, done, of: None,
) -> Exported:
    """Write a model with everything between a picture and its probabilities, if it can be shown to say the same.

    Args:
        model: A classifier or an ensemble; on the CPU, in eval mode.
        folder: To make: the model, ``export.json``, and of ONNX ``predict.py``, which reads it without us.
        to: ``onnx``, or ``torch`` for a program of ``torch.export``.
        source: Pictures to compare on, such as those of validation; None: nothing is compared.
        calibrate_on: Pictures such as those of training, to make a second ONNX file of, whose network computes in eight
            bits; it is judged by the labels of ``source``.
        views: Averaged with the picture itself, as of ``predict``.
        temperature: Divides the logits in the end, such as the one that mends the calibration; 1 changes nothing.
        batch: An ONNX file takes pictures (N, H, W, 3) of one size in place of one (H, W, 3); ``torch`` always does.
        page: The folder ``dist`` of onnxruntime-web, to have a page that runs the ONNX file in a browser.
        limits: How far the files may be from the framework.
        origin: Where the model came from, kept in the file.
        progress: Told what is done, how much of it, and of how much.

    Raises:
        UserError: The folder is taken, the views cannot be had, or the network cannot be traced.
        NotProven: A file says something else; nothing is written.
    """
    refuse_taken_folder("out", folder)
    if to == "onnx":
        require_onnx()
    if page is not None:
        refuse_no_runtime(page)
    whole = WholeModel(model, views, temperature).eval()
    judge = model if views is None else MultiViewClassifier(model, views)  # type: ignore[arg-type]
    known, least = {**_described(model, whole, views), **(origin or {})}, whole.reading_size
    if page is not None and known["channels"] != 3:
        raise UserError("page: a browser has pictures of red, green and blue, and the model takes others")
    program = trace(whole, known["channels"])
    batches: dict[str, Any] = {to: saved(program) if to == "torch" else to_onnx(program, _as_metadata(known))}
    if calibrate_on is not None:
        batches["int8"] = to_int8(batches["onnx"], calibrate_on, least)
    written = batches if batch or to == "torch" else {name: of_one(form) for name, form in batches.items()}
    proof = judged = None
    times: list[Latency] = []
    if source is not None:
        runs = {name: _one(form, takes_batches=written is batches) for name, form in written.items()}
        proof, judged = _compared(runs, whole, judge, source, limits, progress)
        forms: dict[str, Form] = {name: _form(form) for name, form in batches.items()}
        times = latencies({**forms, "eager": eager(judge)}, np.array(source.read(0, least)))
    entries = {
        **entries_of(proof),
        **({} if judged is None else {"int8": judged._asdict()}),
        "latency": [row._asdict() for row in times],
        **known,
    }
    return Exported(folder / NAMES[to], proof, judged, times, _write(folder, written, entries, page))


def _compared(
    runs: Mapping[str, Runs],
    whole: WholeModel,
    judge: Evaluator,
    source: ImageSource,
    limits: Limits,
    progress: Callable[[str, int, int], None],
) -> tuple[Proof, Judged | None]:
    """Compare the first file with the framework, and eight bits with it."""
    of, first, task, least = len(source), next(iter(runs.values())), whole.task, whole.reading_size

    def between(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = whole(torch.from_numpy(np.array(picture))[None])[0].numpy()
        return found

    def expects(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        found = predicted(judge, pictures)
        return found if whole.temperature == 1 else cooled(found, whole.temperature).float()

    told = lambda done: progress("Comparing", done, of)  # noqa: E731
    proof = prove(first, between, expects, source, task=task, least=least, progress=told)
    refuse_unproven(proof, limits)
    if "int8" not in runs:
        return proof, None
    said = lambda done: progress("Judging eight bits", done, of)  # noqa: E731
    judged = judge_int8(first, runs["int8"], source, task, least, said)
    if judged.difference < -limits.max_loss:
        raise NotProven(judged.refusal(limits.max_loss))
    return proof, judged


def reader() -> str:
    """Return the script that reads an ONNX file with onnxruntime, NumPy and Pillow alone."""
    return Path(__file__).with_name("predict_onnx.py").read_text(encoding="utf-8")


def _described(model: Evaluator, whole: WholeModel, views: str | None) -> dict[str, Any]:
    """What a reader has to know, and a person wants to."""
    return {
        "classes": names_of(model),
        "task": model.task.name,
        "input": [asdict(given) for given in whole.given],
        "reading_size": whole.reading_size,
        "channels": len(whole.given[0].mean),
        "views": views,
        "temperature": whole.temperature,
        "reject_below": model.reject_below,
    }


def _as_metadata(known: Mapping[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in known.items()}


def _write(
    folder: Path, written: Mapping[str, Any], entries: Mapping[str, Any], page: Path | None
) -> Mapping[str, Any]:
    """Write everything or nothing; return what ``export.json`` says."""
    with whole_folder(folder) as aside:
        for name, form in written.items():
            data = form if isinstance(form, bytes) else form.SerializeToString()
            with whole_file(aside / NAMES[name]) as part:
                part.write_bytes(data)
        if "onnx" in written and entries["channels"] in (1, 3):  # Pillow reads no others
            (aside / "predict.py").write_text(reader(), encoding="utf-8")
        sizes = {NAMES[name]: (aside / NAMES[name]).stat().st_size for name in written}
        said = {**entries, "file_bytes": next(iter(sizes.values())), "files": sizes}
        write_json(aside / "export.json", said)
        if page is not None:
            write_page(aside, page)
    return said


def _form(form: Any) -> Form:
    """Batches through a file, for a number of threads."""
    if not isinstance(form, bytes):
        return partial(OnnxSession, form)
    module = read_back(form).module()

    def run(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = module(torch.from_numpy(pictures)).numpy()
        return found

    return lambda threads: run


def _one(form: Any, *, takes_batches: bool) -> Runs:
    """One picture through a file."""
    run: Callable[[NDArray[np.uint8]], Any] = _form(form)(0)
    return (lambda picture: run(np.array(picture)[None])[0]) if takes_batches else run
