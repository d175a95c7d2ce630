"""Checkpoints that are whole or not there, and the one before."""

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from typing_extensions import override

from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from lightning_recipes.engine.checkpoint_io import WholeCheckpointIO
from lightning_recipes.errors import UserError
from lightning_recipes.run.resume.last_checkpoint import last_checkpoint
from tests.small import classifier, digits, fit, two_stages


def train(folder: Path, *callbacks: pl.Callback, **options: Any) -> tuple[pl.Trainer, str]:
    kept = (LastCheckpoint(), *callbacks)
    defaults = {"enable_checkpointing": True, "max_epochs": 2, "default_root_dir": str(folder)}
    return fit(classifier(), digits(), two_stages(), *kept, **{**defaults, **options})


def step_of(path: Path) -> int:
    return int(torch.load(path, weights_only=True, mmap=True)["global_step"])


def test_every_checkpoint_is_written_beside_its_place_and_flushed_before_it_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no such folder"))  # nothing can be written there
    done: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def seen_fsync(number: int) -> None:
        fsync(number)
        done.append(("flushed", Path(os.readlink(f"/proc/self/fd/{number}")).name))

    def seen_replace(old: Any, new: Any) -> None:
        replace(old, new)
        done.append(("renamed", Path(new).name))

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "replace", seen_replace)
    train(tmp_path, ModelCheckpoint(str(tmp_path / "own"), filename="own"), max_epochs=1)
    assert (tmp_path / "own" / "own.ckpt").is_file()
    for folder, name in (("own", "own.ckpt"), ("checkpoints", "last.ckpt")):
        at = done.index(("renamed", name))
        assert done[at - 1] == ("flushed", f"{name}.tmp")
        assert done[at + 1] == ("flushed", folder)


def test_a_checkpoint_plugin_of_ones_own_stays(tmp_path: Path) -> None:
    class Own(TorchCheckpointIO):
        saved = 0

        @override
        def save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
            self.saved += 1
            super().save_checkpoint(*args, **kwargs)

    own = Own()
    trainer, _ = train(tmp_path, plugins=[own])
    assert trainer.strategy.checkpoint_io is own
    assert own.saved == 2
    trainer, _ = train(tmp_path / "ours")
    assert type(trainer.strategy.checkpoint_io) is WholeCheckpointIO


def test_the_checkpoint_before_the_last_is_kept_and_gone_on_from_where_the_last_is_damaged(tmp_path: Path) -> None:
    _, whole = train(tmp_path, max_epochs=3)
    last, previous = (tmp_path / "checkpoints" / name for name in ("last.ckpt", "previous.ckpt"))
    assert (step_of(last), step_of(previous)) == (12, 8)
    good = last.read_bytes()
    middle = len(good) // 2
    weights = io.BytesIO()
    torch.save({"state_dict": classifier().state_dict()}, weights)
    damages = {
        "it is empty": b"",
        "it is cut short": good[:middle],
        "is damaged": good[:middle] + bytes(4096) + good[middle + 4096 :],  # as a power failure leaves a file
        "weights alone": weights.getvalue(),
        "no checkpoint": b"some other file",
    }
    for problem, content in damages.items():
        last.write_bytes(content)
        path, said = last_checkpoint(tmp_path)
        assert path == previous
        assert len(said) == 2
        assert str(last) in said[0]
        assert problem in said[0]
        assert f"Goes on from {previous}: 2 epochs done, step 8." in said[1]
    _, sha = train(tmp_path, max_epochs=3, ckpt_path=previous)
    assert sha == whole
    assert (step_of(last), step_of(previous)) == (12, 8)  # the damaged one has not taken the good one's place


def test_where_none_can_be_used_that_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in ("last.ckpt", "previous.ckpt"):
        (tmp_path / "checkpoints" / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"ckpt_path: .*last.ckpt cannot be used.*previous.ckpt cannot.*Begin anew"):
        last_checkpoint(tmp_path)


def test_a_stop_inside_an_epoch_is_told_by_its_batches(tmp_path: Path) -> None:
    class StopAt(pl.Callback):
        @override
        def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if trainer.global_step == 6:
                raise KeyError

    with pytest.raises(KeyError):
        fit(
            classifier(), digits(), two_stages(), StopAt(), LastCheckpoint(every_n_train_steps=1),
            enable_checkpointing=True, max_epochs=3, default_root_dir=str(tmp_path),
        )  # fmt: skip
    path, said = last_checkpoint(tmp_path)
    assert path is not None
    assert said == [f"Goes on from {path}: 1 epoch and 2 batches of the next done, step 6."]
