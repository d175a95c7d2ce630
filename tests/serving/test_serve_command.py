"""The command: begun, ended by a signal, and refused in one line."""

import builtins
import http.client
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lightning_recipes import load
from lightning_recipes.__main__ import main
from lightning_recipes.models.fingerprint import weights_sha256
from tests.serving.asking import ROOT, InProcess, command, encoded, noise
from tests.serving.conftest import NAMES


def ask_until_it_ends(served: InProcess) -> list[int]:
    """Statuses, up to where there is nobody."""
    found: list[int] = []
    try:
        while True:
            found.append(served.ask(body=encoded(noise(len(found)))).status)
    except (ConnectionError, http.client.HTTPException):
        return found


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_every_request_answered(checkpoint: Path, sign: signal.Signals, code: int) -> None:
    with command(checkpoint, "--log_requests", "true") as served, ThreadPoolExecutor(4) as clients:
        assert served.line.startswith("tiny.ckpt answers on http://127.0.0.1:")
        assert served.line.endswith(f"ask by curl --data-binary @photo.jpg http://127.0.0.1:{served.port}/predict\n")
        health = served.ask("/health").said
        assert health == {
            "status": "ok", "classes": NAMES, "image_size": 32, "reject_below": None, "device": "cpu",
            "weights_sha256": weights_sha256(load(checkpoint)),
        }  # fmt: skip
        assert "\nprocess_resident_memory_bytes " in served.ask("/metrics").said
        asking = [clients.submit(ask_until_it_ends, served) for _ in range(4)]
        time.sleep(0.5)
        begin = time.monotonic()
        assert served.end(sign) == code
        assert time.monotonic() - begin < 8
        found = [status for client in asking for status in client.result()]
        assert len(found) > 4
        assert set(found) <= {200, 503}
        assert served.log.read_text() == ""
        assert served.process.stdout is not None
        assert served.process.stdout.read().count('"POST /predict HTTP/1.1" 200') == found.count(200)


@pytest.mark.slow
def test_memory_of_a_large_picture_is_given_back(checkpoint: Path) -> None:
    large = encoded(Image.new("RGB", (8000, 7000), (200, 30, 30)))
    with command(checkpoint) as served:
        before = served.count("process_resident_memory_bytes")
        for _ in range(3):
            assert served.ask(body=large).status == 200
        assert served.count("process_resident_memory_bytes") < before + 100e6


@pytest.mark.slow
def test_under_load_nothing_is_lost_and_memory_is_flat() -> None:
    words = ["--backbone", "test_resnet", "--image_size", "32", "--requests", "500", "--rounds", "2"]
    run = subprocess.run([sys.executable, ROOT / "benchmarks" / "serving.py", *words], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("good: 450 requests, {200: 450}, expected 200") == 2
    assert run.stdout.count("slow: 10 requests, {408: 10}, expected 408") == 2
    tenths = [float(mb) for mb in run.stdout.rpartition("tenths of the time, MB: ")[2].split("\n")[0].split()]
    assert max(tenths) < min(tenths) + 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "70000"], "port: 70000 is not a number from 0 to 65535"),
        (["--port", "x"], "port: 'x' is not of type int"),
        (["--host", "no such host"], "host: 'no such host' is no name or address"),
        (["--max_batch_size", "0"], "max_batch_size: 0 is not a number of pictures >= 1"),
        (["--batch_wait_ms", "-1"], "batch_wait_ms: -1.0 is not a number of milliseconds >= 0"),
        (["--max_megabytes", "0"], "max_megabytes: 0.0 is not a number of megabytes > 0"),
        (["--max_megapixels", ".nan"], "max_megapixels: nan is not a number of megapixels > 0"),
        (["--timeout", ".inf"], "timeout: inf is not a number of seconds > 0"),
        (["--max_waiting", "0"], "max_waiting: 0 is not a number of requests >= 1"),
        (["--accelerator", "tpu"], "accelerator: 'tpu' is not one of auto, cpu, gpu"),
        (["--views", "flop"], "views: 'flop' is not one of flip, crops, flip_crops"),
        (["--views", "augment"], "views: augment needs the data of a run; give flip, crops or flip_crops"),
        (["--ckpt_path", "nowhere.ckpt"], "nowhere.ckpt"),
        (["--bach_size", "3"], "bach_size: there is no such option"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(
    words: list[str], said: str, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--ckpt_path", str(checkpoint), "--port", "0", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_checkpoint_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve"]) == 2
    assert "ckpt_path: not given; give --ckpt_path RUN/checkpoints/best.ckpt" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--ckpt_path", str(checkpoint), "--port", str(port)]) == 2
    said = f"lightning-recipes: port: {port} on 127.0.0.1 is taken; give another, as in --port {port + 1}"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "prometheus_client", "python_multipart"])
def test_without_the_extra_it_says_what_to_install(
    package: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = builtins.__import__

    def refusing(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refusing)
    assert main(["serve", "--ckpt_path", str(checkpoint)]) == 2
    needs = f"serve: needs the package {package}; install it with pip install 'lightning-recipes[serve]'"
    assert needs in capsys.readouterr().err
