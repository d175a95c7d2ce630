"""``serve`` under load: 2,000 requests of 16 clients, a tenth of them bad; every answer is compared with ``predict``.

Bad requests are no pictures, too large (announced or in chunks), cut off, or so slow that they are given up. Prints
what came back, latencies, requests a second, and the memory of the server along the way. Fails where an answer is lost
or wrong.

python benchmarks/serving.py
python benchmarks/serving.py --ckpt_path runs/mine/checkpoints/best.ckpt --requests 10000
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
from measuring import QUIET, start
from PIL import Image

from lightning_recipes import ImageClassifier, ImageDataModule, load

MEGABYTES, SECONDS = 2.0, 3.0  # limits of the server
STATUS = {"good": 200, "no picture": 400, "cut off": 400, "too large": 413, "too large, in chunks": 413, "slow": 408}
WORDS = ["--accelerator", "cpu", "--port", "0", "--max_megabytes", str(MEGABYTES), "--timeout", str(SECONDS)]


class Request(NamedTuple):
    """One of the load: its kind, and the number of its picture."""

    kind: str
    picture: int


class Seen(NamedTuple):
    """What came of one: its status, the seconds to its answer, and the largest difference of a probability."""

    request: Request
    status: int
    seconds: float
    gap: float = 0.0


def make_checkpoint(folder: Path, backbone: str, image_size: int) -> Path:
    """A network that has learnt a little, so that pictures differ in their probabilities."""
    pl.seed_everything(0, verbose=False)
    data = ImageDataModule("sklearn:digits", image_size=image_size, images_per_class=8, batch_size=20, num_workers=0)
    model = ImageClassifier(backbone, data.num_classes, pretrained=False, lr=1e-3)
    trainer = pl.Trainer(**QUIET, accelerator="cpu", max_epochs=8, num_sanity_val_steps=0, limit_val_batches=1)
    trainer.fit(model, datamodule=data)
    trainer.save_checkpoint(folder / "model.ckpt", weights_only=True)
    return folder / "model.ckpt"


def make_pictures(count: int) -> list[bytes]:
    """JPEGs of 640 x 480, of 60 kB or so."""
    random_numbers, pictures = np.random.default_rng(0), []
    for _ in range(count):
        coarse = Image.fromarray(random_numbers.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((640, 480))
        buffer = io.BytesIO()
        coarse.save(buffer, "JPEG", quality=90)
        pictures.append(buffer.getvalue())
    return pictures


def make_load(requests: int, pictures: int) -> list[Request]:
    """Nine tenths of good ones, and the same number of each bad kind, mixed."""
    bad = [kind for kind in STATUS if kind != "good"]
    kinds = [bad[i % len(bad)] for i in range(requests // 10)]
    kinds += ["good"] * (requests - len(kinds))
    random.Random(0).shuffle(kinds)
    return [Request(kind, i % pictures) for i, kind in enumerate(kinds)]


class Client:
    """Sends requests over one connection, which is made anew where the server has closed it."""

    def __init__(self, port: int, pictures: list[bytes], expected: np.ndarray) -> None:
        self.port, self.pictures, self.expected = port, pictures, expected
        self.connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def send(self, request: Request) -> Seen:
        """Send one, and return what came of it; status 0 where nothing did."""
        begin = time.perf_counter()
        try:
            status, said = self._answer(request)
        except (OSError, HTTPException):
            self.connection.close()
            return Seen(request, 0, time.perf_counter() - begin)
        seconds = time.perf_counter() - begin
        if status != 200:
            return Seen(request, status, seconds)
        found = np.array(list(said["probabilities"].values()))
        return Seen(request, status, seconds, float(np.abs(found - self.expected[request.picture]).max()))

    def _answer(self, request: Request) -> tuple[int, Any]:
        picture, connection = self.pictures[request.picture], self.connection
        if request.kind == "slow":
            connection.putrequest("POST", "/predict")
            connection.putheader("content-length", str(len(picture)))
            connection.endheaders(picture[: len(picture) // 2])  # and no more
        else:
            connection.request("POST", "/predict", self._body(request.kind, picture))
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def _body(self, kind: str, picture: bytes) -> "bytes | Iterator[bytes]":
        large = bytes(int(MEGABYTES * 1_500_000))
        bodies: dict[str, Any] = {
            "good": picture,
            "no picture": b"not a picture " * 100,
            "cut off": picture[: len(picture) // 2],
            "too large": large,
            "too large, in chunks": (large[i : i + 65536] for i in range(0, len(large), 65536)),
        }
        return bodies[kind]  # type: ignore[no-any-return]


def run(port: int, load_of: list[Request], clients: int, pictures: list[bytes], expected: np.ndarray) -> list[Seen]:
    """Send all, each client the next one as soon as it has its answer."""
    own = threading.local()

    def send(request: Request) -> Seen:
        if not hasattr(own, "client"):
            own.client = Client(port, pictures, expected)
        seen: Seen = own.client.send(request)
        return seen

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(send, load_of))


def megabytes_of(process: int) -> tuple[float, int]:
    """Memory and threads of a process (Linux)."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1000, int(lines["Threads"])


def watch(process: int, memory: list[tuple[float, int]], done: threading.Event) -> None:
    """Note memory and threads ten times a second."""
    while not done.wait(0.1):
        memory.append(megabytes_of(process))


def report(seen: list[Seen], seconds: float, memory: list[tuple[float, int]]) -> bool:
    """Print it, and return whether all is as it should be."""
    for kind, status in STATUS.items():
        statuses = Counter(one.status for one in seen if one.request.kind == kind)
        print(f"{kind}: {statuses.total()} requests, {dict(statuses)}, expected {status}")
    good = [one for one in seen if one.request.kind == "good"]
    for name, some in (("good", good), ("quick bad", [s for s in seen if s.request.kind not in ("good", "slow")])):
        p50, p95, p99 = np.percentile([1000 * one.seconds for one in some], (50, 95, 99))
        print(f"latency of {name} requests: 50 % {p50:.0f} ms, 95 % {p95:.0f} ms, 99 % {p99:.0f} ms")
    print(f"{len(seen)} requests in {seconds:.1f} s: {len(seen) / seconds:.0f} a second")
    gap = max(one.gap for one in good)
    print(f"largest difference of a probability from predict: {gap:.1e}")
    tenths = np.array_split(np.array([mb for mb, _ in memory]), 10)
    print(f"memory of the server, means over tenths of the time, MB: {' '.join(f'{t.mean():.0f}' for t in tenths)}")
    print(f"its threads: {memory[0][1]} at first, {max(count for _, count in memory)} at most")
    return gap < 1e-5 and all(one.status == STATUS[one.request.kind] for one in seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path", type=Path, help="of a model; default: one that is made here")
    parser.add_argument("--backbone", default="resnet18", help="of the one that is made")
    parser.add_argument("--image_size", type=int, default=128, help="likewise")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1, help="of the whole load, against one server")
    options = parser.parse_args()
    start()
    with tempfile.TemporaryDirectory() as folder:
        path = options.ckpt_path or make_checkpoint(Path(folder), options.backbone, options.image_size)
        pictures = make_pictures(64)
        expected = np.stack([found.probabilities for found in load(path).predict(pictures)])
        print(f"probabilities of two pictures differ by {np.abs(np.diff(expected, axis=0)).max(axis=1).mean():.3f}")
        command = [sys.executable, "-m", "lightning_recipes", "serve", "--ckpt_path", str(path), *WORDS]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as server:
            try:
                right = _rounds(server, options, pictures, expected)
            finally:
                server.terminate()
                begin = time.perf_counter()
                print(f"ended with code {server.wait(30)} within {time.perf_counter() - begin:.1f} s of SIGTERM")
    if not right:
        raise SystemExit("answers were lost or wrong")


def _rounds(
    server: "subprocess.Popen[str]", options: argparse.Namespace, pictures: list[bytes], expected: np.ndarray
) -> bool:
    assert server.stdout is not None
    port = int(server.stdout.readline().partition("127.0.0.1:")[2].partition(";")[0])
    load_of, right = make_load(options.requests, len(pictures)), True
    for number in range(options.rounds):
        memory, done = [megabytes_of(server.pid)], threading.Event()
        watching = threading.Thread(target=watch, args=(server.pid, memory, done))
        watching.start()
        begin = time.perf_counter()
        seen = run(port, load_of, options.clients, pictures, expected)
        seconds = time.perf_counter() - begin
        done.set()
        watching.join()
        print(f"\nround {number + 1}")
        right = report(seen, seconds, memory) and right
    return right


if __name__ == "__main__":
    main()
