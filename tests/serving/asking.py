"""Real servers, in a thread or in a process of its own, and clients that behave as they like."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from lightning_recipes.serving.app import App
from lightning_recipes.serving.limits import Limits
from lightning_recipes.serving.network import Network
from lightning_recipes.serving.server import bind, make_server

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0  # seconds


class Answer(NamedTuple):
    """Status, headers, and the body, as JSON where it is."""

    status: int
    headers: dict[str, str]
    said: Any


class Asked:
    """A server by its port, and how it is asked."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str = "/predict", body: Any = None, method: str | None = None, **headers: str) -> Answer:
        """Send a request over a connection of its own; an iterable body is sent in chunks."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, given)
            return answered(connection.getresponse())
        finally:
            connection.close()

    def begin(self, length: int, part: bytes = b"") -> HTTPConnection:
        """Announce a body, send a part of it, and stop."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.putrequest("POST", "/predict")
        connection.putheader("content-length", str(length))
        connection.endheaders(part)
        return connection

    def end_of(self, connection: HTTPConnection, rest: bytes = b"") -> Answer:
        """Send what is left of a body that was begun, and return the answer."""
        try:
            if rest:
                connection.send(rest)
            return answered(connection.getresponse())
        finally:
            connection.close()

    def raw(self, text: bytes) -> bytes:
        """Send bytes as they are, and return all that comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(text)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)

    def count(self, name: str) -> float:
        """A number of ``/metrics``; 0 where it is not there yet."""
        lines = self.ask("/metrics").said.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def wait_for(self, name: str, value: float) -> None:
        """Wait until a number of ``/metrics`` is this one."""
        end = time.monotonic() + PATIENCE
        while (found := self.count(name)) != value:
            assert time.monotonic() < end, f"{name} is {found}"
            time.sleep(0.02)


def answered(response: HTTPResponse) -> Answer:
    text = response.read()
    heads = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, heads, json.loads(text) if "json" in heads["content-type"] else text.decode())


class InThread(Asked):
    """A server in a thread of this process."""

    def __init__(
        self, checkpoint: Path, views: str | None = None, reject_below: float | None = None, **limits: Any
    ) -> None:
        given = Limits(**limits)
        network = Network(str(checkpoint), torch.device("cpu"), views, reject_below, given.max_pixels)
        bound = bind("127.0.0.1", 0)
        bound.listen()
        super().__init__(bound.getsockname()[1])
        self.app = App(network, given, {"about": "it"})
        self.server = make_server(self.app)
        self.thread = threading.Thread(target=self.server.run, args=([bound],))

    def __enter__(self) -> "InThread":
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.should_exit = True
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


class InProcess(Asked):
    """A server of the command line."""

    def __init__(self, process: "subprocess.Popen[str]", line: str, log: Path) -> None:
        super().__init__(int(line.partition("127.0.0.1:")[2].partition(";")[0]))
        self.process, self.line, self.log = process, line, log

    def end(self, sign: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(sign)
        return self.process.wait(PATIENCE)

    def megabytes(self) -> float:
        """Of memory that it has."""
        return self.count("process_resident_memory_bytes") / 1e6


@contextmanager
def command(checkpoint: Path, *words: str) -> Iterator[InProcess]:
    """Begin ``serve`` on a port that is free, and end it in any case."""
    log = checkpoint.parent / f"log-{time.monotonic_ns()}.txt"
    typed = [sys.executable, "-m", "lightning_recipes", "serve", "--ckpt_path", str(checkpoint), "--port", "0"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*typed, "--accelerator", "cpu", *words],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            cwd=checkpoint.parent, stdout=subprocess.PIPE, stderr=errors, text=True, preexec_fn=_hear_interrupts,
        ) as process,
    ):  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert " answers on http://127.0.0.1:" in line, line + log.read_text()
            yield InProcess(process, line, log)
        finally:
            process.kill()


def _hear_interrupts() -> None:
    """A shell's background jobs, and with them the tests' own processes, are deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture's file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(number: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A picture that is like no other."""
    values = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size)
