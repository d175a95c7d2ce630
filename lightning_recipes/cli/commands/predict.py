"""``lightning-recipes predict``: what a checkpoint says of any number of pictures, a row each."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar
from typing_extensions import override

from lightning_recipes.atomic_io import refuse_taken_folder, write_csv
from lightning_recipes.cli.commands.evaluation import Evaluation, given_on_the_command_line
from lightning_recipes.cli.config_checks import check_folder
from lightning_recipes.cli.console import print_predictions
from lightning_recipes.cli.progress import telling
from lightning_recipes.cli.typed_options import split_words, typed_options
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.engine.predictions import names_of
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.evaluation.prediction import Prediction
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.prediction_files.least_sure import least_sure, least_sure_sheet
from lightning_recipes.prediction_files.rows import PredictedRows, RowWriter
from lightning_recipes.prediction_files.sorted_copies import copy_sorted
from lightning_recipes.prediction_files.table import refuse_no_parquet, write_table

__all__ = ["Predict"]

STANDARD_INPUT = "-"
LIST_OF_MAIN_PROCESS = "LIGHTNING_RECIPES_LIST"
"""Where processes that Lightning starts find what the first has read from standard input."""


class Predict(Evaluation):
    """Write a table of predictions; the images need no labels, and those that cannot be read end nothing."""

    name = "predict"
    needs = "PICTURES --ckpt_path CHECKPOINT"
    used_most = (
        "ckpt_path", "config", "data.predict_root", "data.eval_batch_size", "views", "format", "top_k", "sort_into",
        "least_sure", "trainer.accelerator", "trainer.devices", "trainer.precision",
    )  # fmt: skip
    needs_labels = False

    @override
    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Take words that belong to no option for pictures: files, folders, zips, lists, and - for standard input."""
        pictures, others = split_words(words)
        if not pictures:
            return super().main(words)
        if any(name.endswith("predict_root") for name, _ in typed_options(others)):
            return _refused("data.predict_root: pictures are named twice; name all of them right after predict")
        with ExitStack() as held:
            if STANDARD_INPUT in pictures:
                listed = held.enter_context(_standard_input())
                if listed is None:
                    return _refused("standard input names no pictures; give a path a line")
                pictures = [listed if one == STANDARD_INPUT else one for one in pictures]
            # A list, also of one: a folder may be called null.
            value = json.dumps(pictures)
            return super().main([*others, f"--data.predict_root={value}"])

    @override
    def resolve(self) -> None:
        """As of any evaluation; what cannot be written is refused before anything is computed."""
        super().resolve()
        own = self.config
        refuse_bad_values(
            "predict",
            ("top_k", own.top_k, own.top_k is None or own.top_k >= 1, "a number of classes, 1 or more"),
            ("least_sure", own.least_sure, own.least_sure >= 0, "a number of pictures, 0 or more"),
        )
        if own.format == "parquet":
            refuse_no_parquet()
        if own.sort_into is not None:
            refuse_taken_folder("sort_into", Path(own.sort_into))
            check_folder("sort_into", str(Path(own.sort_into).parent))

    def run(
        self,
        ckpt_path: str | None = None,
        format: Literal["csv", "json", "jsonl", "parquet"] = "csv",  # noqa: A002 - as users call it
        top_k: int | None = None,
        sort_into: str | None = None,
        least_sure: int = 0,
        weights_only: bool | None = None,
    ) -> None:
        """Predict and write.

        Args:
            ckpt_path: Checkpoint to predict with, or a folder of snapshots.
            format: Of the table: csv, json, jsonl (an object a line) or parquet (needs pyarrow).
            top_k: Name the most probable classes alone, with their probabilities (default: the probability of each).
            sort_into: New folder for copies of the pictures, in a folder for each class.
            least_sure: Pictures of the lowest probability to draw, in figures/least_sure.png.
            weights_only: Not used; a run's own config.yaml has it.
        """
        data = self._data()
        if sort_into is not None:
            _refuse_copies(sort_into, data)
        names = names_of(self.model)
        with telling() as progress:
            writer = RowWriter(self.run_folder, len(names), progress)
            trainer = self._trainer([*self._without_bar(), writer], len(data.predict_source))
            trainer.predict(self.with_views(), datamodule=data, return_predictions=False)
        trainer.strategy.barrier()
        if not trainer.is_global_zero:
            return
        try:
            parts = [writer.path(rank) for rank in range(trainer.world_size)]
            rows = PredictedRows(parts, len(names), self.model.prediction)
            if rows.count and rows.without_numbers == rows.count:
                raise UserError("ckpt_path: its weights diverged, and give no numbers; take another checkpoint")
            self._write(rows, data.predict_source, names)
        finally:
            writer.remove(trainer.world_size)

    def _data(self) -> ImageDataModule:
        data = self.datamodule
        if not isinstance(data, ImageDataModule):
            raise UserError("data: predict names the pictures of an ImageDataModule; from Python, trainer.predict")
        data.reads_on = "data.on_bad_image" not in given_on_the_command_line(self.words)
        return data

    def _trainer(self, callbacks: Sequence[pl.Callback], images: int) -> pl.Trainer:
        trainer = self.make_trainer(callbacks, enable_progress_bar=False)
        if trainer.world_size <= images:
            return trainer
        # Lightning has no process without an image, and a picture on a machine of eight GPUs is no mistake.
        return self.make_trainer(callbacks, enable_progress_bar=False, devices=1, num_nodes=1)

    def _without_bar(self) -> list[pl.Callback]:
        return [callback for callback in self.callbacks() if not isinstance(callback, ProgressBar)]

    def _write(self, rows: PredictedRows, source: ImageSource, names: Sequence[str]) -> None:
        own, paths = self.made, source.paths
        unreadable = [(paths[index], _reason(source, index)) for index in rows.unreadable]
        table, bad = self.run_folder / f"predictions.{own.format}", self.run_folder / "unreadable.csv"
        sheet = self.run_folder / "figures" / "least_sure.png"
        for old in (bad, sheet):  # of other predictions
            old.unlink(missing_ok=True)
        if unreadable:
            write_csv(bad, ["path", "reason"], unreadable)
        if not rows.count:
            raise UserError(
                f"data.predict_root: of {len(unreadable)} none can be read: {unreadable[0][0]} ({unreadable[0][1]}); "
                "give pictures"
            )

        def named() -> Iterator[tuple[str, Prediction]]:
            return ((paths[index], found) for index, found in rows)

        write_table(table, named(), names, top_k=None if own.top_k is None else min(own.top_k, len(names)))
        written = [table]
        if own.least_sure:
            written.append(sheet)
            save_figure(least_sure_sheet(source, least_sure(rows, own.least_sure), rows.count), sheet)
        if own.sort_into is not None:
            written.append(Path(own.sort_into))
            copy_sorted(written[-1], cast(FileSource, source), ((index, found.label) for index, found in rows))
        print_predictions(written, rows.count, unreadable, bad)


def _refuse_copies(folder: str, data: ImageDataModule) -> None:
    """Refuse copies of images that are no files, and copies that the next ``predict`` would find."""
    if not isinstance(data.predict_source, FileSource):
        raise UserError("sort_into: copies files, and these images are none of their own; name pictures to predict")
    roots = data.hparams["predict_root"]
    for root in [roots] if isinstance(roots, str) else roots or []:
        if os.path.isdir(root) and Path(folder).resolve().is_relative_to(Path(root).resolve()):
            raise UserError(f"sort_into: '{folder}' is inside of '{root}', which is predicted; give a folder beside it")


def _reason(source: ImageSource, index: int) -> str:
    try:
        source.read(index)
    except UserError as error:
        return str(error).rpartition(";")[0].partition(f"{source.paths[index]}: ")[2]
    return "could not be read at first"


def _refused(text: str) -> int:
    print(f"lightning-recipes: {text}", file=sys.stderr)
    return 2


@contextmanager
def _standard_input() -> Iterator[str | None]:
    """Give the file of what standard input lists, to this process and to those that Lightning starts; None: nothing."""
    if "LOCAL_RANK" in os.environ and LIST_OF_MAIN_PROCESS in os.environ:
        yield os.environ[LIST_OF_MAIN_PROCESS]
        return
    with tempfile.NamedTemporaryFile(prefix="pictures-", suffix=".txt") as file:
        given = b"" if sys.stdin is None else sys.stdin.buffer.read()
        file.write(given)
        file.flush()
        if not given.strip():
            yield None
            return
        os.environ[LIST_OF_MAIN_PROCESS] = file.name
        try:
            yield file.name
        finally:
            del os.environ[LIST_OF_MAIN_PROCESS]
