"""``lightning-recipes export``: a checkpoint as a file that others run, proven on the validation images."""

import sys
from pathlib import Path
from typing import Any, Literal

from typing_extensions import override

from lightning_recipes.atomic_io import refuse_taken_folder
from lightning_recipes.cli.commands.evaluation import Evaluation
from lightning_recipes.cli.config_checks import check_folder
from lightning_recipes.cli.console import print_export
from lightning_recipes.cli.progress import telling
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.engine.predictions import names_of
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.export.export import Limits, NotProven, export
from lightning_recipes.export.for_timm import export_for_timm
from lightning_recipes.export.hub import push, refuse_bad_repo
from lightning_recipes.export.model_card import model_card
from lightning_recipes.export.page import refuse_no_runtime
from lightning_recipes.models.fingerprint import weights_sha256
from lightning_recipes.modules.classification import refuse_other_classes
from lightning_recipes.run.reader import RunContents

__all__ = ["Export"]


class Export(Evaluation):
    """Write a checkpoint in another form; the data is used for nothing but to compare."""

    name = "export"
    needs = "--ckpt_path CHECKPOINT --out DIR"
    used_most = (
        "ckpt_path", "out", "to", "repo", "int8", "batch", "views", "temperature", "page",
        "prove", "max_gap", "max_other_labels", "max_loss", "data.root",
    )  # fmt: skip
    needs_labels = False

    @override
    def resolve(self) -> None:
        """As of any evaluation; what cannot be written to is refused before anything is computed."""
        super().resolve()
        own = self.config
        if own.out is None:
            raise UserError("out: export needs a new folder to write to; give --out DIR")
        refuse_taken_folder("out", Path(own.out))
        check_folder("out", str(Path(own.out).parent))
        refuse_bad_values(
            "export",
            ("max_gap", own.max_gap, 0 <= own.max_gap <= 1, "a probability from 0 to 1"),
            ("max_other_labels", own.max_other_labels, 0 <= own.max_other_labels <= 1, "a share from 0 to 1"),
            (
                "temperature",
                own.temperature,
                own.temperature == "fitted" or own.temperature > 0,
                "fitted or a number > 0",
            ),
            ("max_loss", own.max_loss, 0 <= own.max_loss <= 1, "a share from 0 to 1"),
        )
        if own.page is not None:
            refuse_no_runtime(Path(own.page))
            if own.to != "onnx":
                raise UserError("page: a browser runs an ONNX file; leave out --to torch")
        if own.to == "hub":
            refuse_bad_repo(own.repo)
        if own.to in ("safetensors", "hub") and (own.batch or own.views or own.temperature != 1):
            raise UserError("to: a folder of timm's has no batch, views or temperature; leave them out, or give onnx")
        if own.int8 and (own.to != "onnx" or not own.prove):
            raise UserError(
                "int8: eight bits are of an ONNX file that is judged; leave out --to torch and --prove false"
            )

    def run(
        self,
        ckpt_path: str | None = None,
        out: str | None = None,
        to: Literal["onnx", "torch", "safetensors", "hub"] = "onnx",
        repo: str | None = None,
        private: bool = True,
        batch: bool = False,
        int8: bool = False,
        temperature: float | Literal["fitted"] = 1.0,
        page: str | None = None,
        prove: bool = True,
        max_gap: float = 0.01,
        max_other_labels: float = 0.001,
        max_loss: float = 0.01,
        license: str | None = None,  # noqa: A002 - as model cards call it
        weights_only: bool | None = None,
    ) -> int:
        """Trace, compare on the validation images, time and write.

        Args:
            ckpt_path: Checkpoint to export, or a folder of snapshots, whose mean becomes one file.
            out: New folder: the model, export.json, and predict.py, which reads an ONNX file without this package.
            to: onnx, torch for a program of torch.export, safetensors for a folder that timm reads, or hub to put that
                into a repository of the Hugging Face hub as well.
            repo: Of the hub, OWNER/NAME; made where it is not there.
            private: Whether a repository that is made is for its owner alone.
            batch: Let an ONNX file take pictures (N, H, W, 3) of one size, in place of one (H, W, 3).
            int8: Write an ONNX file too whose network computes in eight bits, calibrated on training images.
            temperature: Divides the logits in the end; fitted takes the one of the run's errors.json.
            page: Folder dist of the JavaScript package onnxruntime-web, for an index.html that runs an ONNX file.
            prove: Compare the file with the framework on every validation image; false needs no data.
            max_gap: Largest difference of a probability that the file may have.
            max_other_labels: Share of images that the file may give another label.
            max_loss: Share of labels that eight bits may have wrong beyond those that floats have wrong.
            license: Of the weights, kept in the file, such as apache-2.0.
            weights_only: Not used; a run's own config.yaml has it.
        """
        assert ckpt_path is not None
        assert out is not None
        data = self.datamodule
        if prove and not isinstance(data, ImageDataModule):
            raise UserError("prove: the pictures to compare on are those of an ImageDataModule; give --prove false")
        splits = data.opened.splits if prove and isinstance(data, ImageDataModule) else None
        if int8 and isinstance(data, ImageDataModule):
            of_model = self.model.num_classes, self.model.class_names
            refuse_other_classes(*of_model, num_classes=data.num_classes, class_names=data.classes)
        origin = {"checkpoint": Path(ckpt_path).name, "weights_sha256": weights_sha256(self.model), "license": license}
        limits, source = Limits(max_gap, max_other_labels, max_loss), splits.val if splits else None
        try:
            with telling() as progress:
                shared: dict[str, Any] = {"source": source, "limits": limits, "origin": origin, "progress": progress}
                if to == "safetensors" or to == "hub":
                    card = self._card(out, repo if to == "hub" else None, license)
                    done = export_for_timm(self.model, Path(out), card=card, **shared)
                else:
                    done = export(
                        self.model, Path(out), to=to, calibrate_on=splits.train if splits and int8 else None,
                        views=self.config.views, batch=batch, page=None if page is None else Path(page),
                        temperature=self._fitted() if temperature == "fitted" else temperature, **shared,
                    )  # fmt: skip
        except NotProven as refusal:
            print(f"lightning-recipes: {refusal}", file=sys.stderr)
            return 1
        print_export(done)
        if to == "hub":
            print(push(Path(out), str(repo), private=private))
        return 0

    def _card(self, out: str, repo: str | None, license: str | None) -> str:  # noqa: A002
        """What the folder says of itself, with what the run has reached."""
        where = f"local-dir:{out}" if repo is None else f"hf-hub:{repo}"
        name = Path(repo or out).name
        return model_card(name, where, names_of(self.model), RunContents(self.run_folder), license)

    def _fitted(self) -> float:
        """The temperature that the analysis of the run has fitted on its validation images."""
        found = RunContents(self.run_folder).errors.get("calibration", {}).get("temperature")
        if found is None:
            raise UserError(f"temperature: {self.run_folder} has no errors.json with one; give a number")
        return float(found)
