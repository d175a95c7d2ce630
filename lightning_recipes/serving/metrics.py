"""What a server counts, in the text format of Prometheus."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Counted", "Metrics"]

PREFIX = "lightning_recipes"
PATHS = ("/predict", "/health", "/metrics")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of one server.

    Args:
        waiting: Gives how many requests are under way.
    """

    def __init__(self, waiting: Callable[[], float]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # memory, seconds of the processor, open files
        self.requests = Counter(
            f"{PREFIX}_requests", "Requests, by address and status", ("path", "status"), registry=registry
        )
        self.seconds = Histogram(
            f"{PREFIX}_request_seconds", "From a request's head to its answer, of /predict", buckets=SECONDS,
            registry=registry,
        )  # fmt: skip
        self.pictures = Counter(f"{PREFIX}_pictures", "Pictures that were classified", registry=registry)
        self.batches = Histogram(
            f"{PREFIX}_batch_size", "Pictures that went through the network together", buckets=SIZES, registry=registry
        )
        gauge = Gauge(f"{PREFIX}_requests_waiting", "Requests for /predict that are under way", registry=registry)
        gauge.set_function(waiting)

    def text(self) -> bytes:
        """Return all of it."""
        return generate_latest(self.registry)

    def saw_batch(self, size: int) -> None:
        """Count a batch of so many pictures."""
        self.batches.observe(size)
        self.pictures.inc(size)


class Counted:
    """Counts the requests of an app.

    Args:
        app: That answers them.
        metrics: Where they are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count it by its status."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, path = time.perf_counter(), scope["path"] if scope["path"] in PATHS else "other"

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.metrics.requests.labels(path, message["status"]).inc()
                if path == "/predict":
                    self.metrics.seconds.observe(time.perf_counter() - begin)
            await send(message)

        await self.app(scope, receive, send_and_count)
