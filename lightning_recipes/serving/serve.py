"""``serve``: a checkpoint behind an HTTP address."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from lightning_recipes.engine.predictions import names_of
from lightning_recipes.errors import UserError
from lightning_recipes.models.fingerprint import weights_sha256
from lightning_recipes.modules.evaluator import Evaluator
from lightning_recipes.serving.limits import Limits

__all__ = ["serve"]


def serve(
    ckpt_path: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    accelerator: Literal["auto", "cpu", "gpu"] = "auto",
    views: str | None = None,
    reject_below: float | None = None,
    max_batch_size: int = 16,
    batch_wait_ms: float = 5.0,
    max_megabytes: float = 20.0,
    max_megapixels: float = 60.0,
    timeout: float = 10.0,
    max_waiting: int = 64,
    log_requests: bool = False,
    say: Callable[[str], None] = print,
) -> int | None:
    """Answer ``POST /predict`` with label and probabilities of the picture in the body, until a signal comes.

    One process and one thread of the network, whose batches are what has come meanwhile. The picture is seen as
    evaluation sees it, and the probabilities are those of ``predict``. Nobody is asked who they are: what is to be
    reached from outside stands behind a server that does, and that speaks TLS.

    Args:
        ckpt_path: A checkpoint, a snapshot, a folder of snapshots, or a run's folder.
        host: Address to listen on; 0.0.0.0 is every address of this machine.
        port: To listen on; 0 takes one that is free.
        accelerator: ``auto`` is the GPU where there is one.
        views: Views of each picture whose probabilities are averaged: flip, crops or flip_crops (default: the picture
            alone).
        reject_below: Probability below which the label is null, in (0, 1] (default: as the checkpoint has it).
        max_batch_size: Pictures that go through the network together, at most.
        batch_wait_ms: Milliseconds that a batch with room waits for more pictures.
        max_megabytes: Of a request's body, in 10^6 bytes.
        max_megapixels: Of a picture, in 10^6.
        timeout: Seconds within which a body has to have come, and then its answer.
        max_waiting: Requests that are under way at once, from their first byte to the answer; further ones are
            refused with status 503.
        log_requests: Print a line for each request.
        say: Is told the address, once requests are taken.

    Returns:
        The signal that ended it.

    Raises:
        UserError: The extra is not installed, a value is out of range, the port is taken, or the checkpoint cannot be
            loaded.
    """
    limits = Limits(max_batch_size, batch_wait_ms, max_megabytes, max_megapixels, timeout, max_waiting)
    _require_extra()
    from lightning_recipes.serving.app import App
    from lightning_recipes.serving.network import Network, device_of
    from lightning_recipes.serving.server import bind, make_server

    with bind(host, port) as bound:
        network = Network(ckpt_path, device_of(accelerator), views, reject_below, limits.max_pixels)
        network.warm_up()
        app = App(network, limits, _about(network.model))
        bound.listen()
        say(_said(host, bound.getsockname()[1], ckpt_path))
        server = make_server(app, log_requests=log_requests)
        server.run([bound])
        return server.ended_by


def _require_extra() -> None:
    try:
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"serve: needs the package {error.name}; install it with pip install 'lightning-recipes[serve]'"
        ) from error


def _about(model: Evaluator) -> dict[str, Any]:
    return {
        "classes": names_of(model),
        "image_size": model.input_judged.image_size,
        "reject_below": model.reject_below,
        "device": str(model.device),
        "weights_sha256": weights_sha256(model),
    }


def _said(host: str, port: int, ckpt_path: str) -> str:
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    return f"{Path(ckpt_path).name} answers on {address}; ask by curl --data-binary @photo.jpg {address}/predict"
