"""A page that runs an ONNX file in the browser, from any file server and without asking anybody."""

import shutil
from pathlib import Path

from lightning_recipes.errors import UserError

__all__ = ["refuse_no_runtime", "write_page"]

RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""Of the package onnxruntime-web, which is JavaScript's and so none that Python installs."""


def refuse_no_runtime(folder: Path) -> None:
    """Refuse a folder that is not that of onnxruntime-web.

    Raises:
        UserError: Names what is missing and how it is had.
    """
    missing = [name for name in RUNTIME if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"page: '{folder}' has no {missing[0]}; npm install onnxruntime-web, and give "
            "node_modules/onnxruntime-web/dist"
        )


def write_page(folder: Path, runtime: Path) -> None:
    """Write ``index.html`` beside a model, and what runs it into ``ort/``.

    Args:
        folder: Has ``model.onnx`` and ``export.json``.
        runtime: The folder ``dist`` of onnxruntime-web.
    """
    (folder / "ort").mkdir()
    for name in RUNTIME:
        shutil.copyfile(runtime / name, folder / "ort" / name)
    shutil.copyfile(Path(__file__).with_name("page.html"), folder / "index.html")
