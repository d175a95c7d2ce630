"""The addresses of a server: ``POST /predict``, ``GET /health`` and ``GET /metrics``."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from torch import Tensor

from lightning_recipes.serving.admission import Admission
from lightning_recipes.serving.answer import answer_of, top_of
from lightning_recipes.serving.batches import Batches
from lightning_recipes.serving.body import picture_in, read_body, unless_gone
from lightning_recipes.serving.limits import Limits
from lightning_recipes.serving.linger import Linger
from lightning_recipes.serving.metrics import Counted, Metrics
from lightning_recipes.serving.network import Network
from lightning_recipes.serving.refusal import Refused, answer_refusal, answer_unforeseen
from lightning_recipes.serving.threads import decoding_threads, network_thread

__all__ = ["App"]


class App:
    """Takes requests, has pictures decoded and put through the network in batches, and answers.

    Args:
        network: Loaded.
        limits: Of what is under way at once.
        about: What ``/health`` says of the model.

    Attributes:
        admission: Lets requests in; closed when the server is to end.
        asgi: What a server runs.
    """

    def __init__(self, network: Network, limits: Limits, about: Mapping[str, Any]) -> None:
        self.network, self.limits, self.about = network, limits, dict(about)
        self.admission = Admission(limits.max_waiting)
        self.metrics = Metrics(lambda: self.admission.taken)
        self.decoding, self.computing = decoding_threads(), network_thread()
        self.batches: Batches[list[Tensor], Tensor] = Batches(
            network.probabilities_of, self.computing, max_size=limits.max_batch_size,
            wait=limits.batch_wait_ms / 1000, seen=self.metrics.saw_batch,
        )  # fmt: skip
        routes = [
            Route("/predict", self.predict, methods=["POST"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/metrics", self.counted, methods=["GET"]),
        ]
        known = dict.fromkeys((Refused, HTTPException, ClientDisconnect), answer_refusal)
        handlers: dict[Any, Any] = {**known, Exception: answer_unforeseen}
        app = Starlette(routes=routes, exception_handlers=handlers, lifespan=self.running)
        self.asgi: ASGIApp = Counted(Linger(app), self.metrics)

    async def predict(self, request: Request) -> Response:
        """Answer with label and probabilities of the picture in the body."""
        top, seconds = top_of(request.query_params.get("top")), self.limits.timeout
        slow = Refused(408, f"the body did not come within {seconds:g} seconds; send it faster, or a smaller picture")
        late = Refused(503, f"there was no answer within {seconds:g} seconds; ask again later")
        with self.admission.place():
            async with self.admission.within(seconds, slow):
                body = await read_body(request, self.limits.max_bytes)
            async with self.admission.within(seconds, late):
                work = self.probabilities_of(body, request.headers.get("content-type", ""))
                probabilities = await unless_gone(request.receive, work)
        return JSONResponse(answer_of(probabilities, self.network.model, top))

    async def probabilities_of(self, body: bytes, content_type: str) -> Tensor:
        """Return the probabilities (C,) of the picture in a body."""

        def decode() -> list[Tensor]:
            return self.network.inputs_of(picture_in(body, content_type))

        inputs = await asyncio.get_running_loop().run_in_executor(self.decoding, decode)
        return await self.batches.answer_to(inputs)

    async def health(self, request: Request) -> Response:
        """Say that the model is there, and which it is."""
        return JSONResponse({"status": "closing" if self.admission.closed else "ok", **self.about})

    async def counted(self, request: Request) -> Response:
        """Say what was counted."""
        return Response(self.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @asynccontextmanager
    async def running(self, _: Starlette) -> AsyncIterator[None]:
        """Compute batches while the server runs, and end the threads afterwards."""
        task = asyncio.create_task(self.batches.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            for threads in (self.decoding, self.computing):
                threads.shutdown(cancel_futures=True)
