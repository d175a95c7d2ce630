"""A server on an address: bound, run, and ended by a signal."""

import errno
import logging
import socket
import sys

import uvicorn

from lightning_recipes.compat.uvicorn import EndableServer
from lightning_recipes.errors import UserError
from lightning_recipes.serving.admission import GRACE
from lightning_recipes.serving.app import App

__all__ = ["bind", "make_server"]

BACKLOG = 512  # connections that wait to be taken


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address and takes no connection yet.

    Args:
        host: A name or an address of this machine; 0.0.0.0 or :: are all of them.
        port: 0 takes one that is free.

    Raises:
        UserError: The port is taken or not to be had, or the host is none of this machine.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"port: {port} is not a number from 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise UserError(f"host: '{host}' is no name or address; give one of this machine, as 127.0.0.1") from None
    bound = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # where it would let two servers take one port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _unbound(host, port, error) from None
    return bound


def _unbound(host: str, port: int, error: OSError) -> UserError:
    if error.errno == errno.EADDRINUSE:
        return UserError(f"port: {port} on {host} is taken; give another, as in --port {min(port + 1, 65535)}")
    if error.errno == errno.EACCES:
        return UserError(f"port: {port} is not for everybody; give one of 1024 or more")
    return UserError(f"host: '{host}' cannot be listened on ({error.strerror}); give an address of this machine")


def make_server(app: App, *, log_requests: bool = False) -> EndableServer:
    """Return a server whose ``run`` answers until a signal comes, on sockets of :func:`bind`.

    From the signal on the app lets nobody in, and those who are in are waited for.

    Args:
        app: Answers.
        log_requests: Print a line for each request on standard output.
    """
    if log_requests:
        log = logging.getLogger("uvicorn.access")
        log.setLevel(logging.INFO)
        log.addHandler(logging.StreamHandler(sys.stdout))
    config = uvicorn.Config(
        app.asgi, http="h11", ws="none", loop="asyncio", lifespan="on", log_config=None, access_log=log_requests,
        server_header=False, proxy_headers=False, backlog=BACKLOG, timeout_graceful_shutdown=int(GRACE) + 2,
    )  # fmt: skip
    return EndableServer(config, app.admission.close)
