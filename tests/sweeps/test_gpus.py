"""GPUs are shared out: one a worker, whichever process has it."""

from pathlib import Path

import pytest

from lightning_recipes.errors import UserError
from lightning_recipes.sweeps.gpus import Gpus, visible_gpus


def test_each_worker_has_one_that_no_other_process_has(tmp_path: Path) -> None:
    first = Gpus(tmp_path, ["0", "1", "2"], 1)
    assert first.taken == ["0"]
    rest = Gpus(tmp_path, ["0", "1", "2"], None)  # a lock is its opener's, in one process as in two
    assert rest.taken == ["1", "2"]
    with pytest.raises(
        UserError, match=r"workers: other workers of this sweep have all GPUs of this machine; give --workers 1"
    ):
        Gpus(tmp_path, ["0", "1", "2"], None)
    assert Gpus(tmp_path, ["0", "1", "2"], 4).taken == ["0", "1", "2", "0"], "who asks for more shares them"
    first.release()
    assert Gpus(tmp_path, ["0", "1", "2"], None).taken == ["0"]


def test_they_are_called_as_the_environment_calls_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus(2) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, MIG-abc")
    assert visible_gpus(2) == ["3", "MIG-abc"]
