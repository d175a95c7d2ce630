"""Answers that come before the request has ended, as to a body that is too large."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Linger"]

LINGER = 2.0
"""Seconds that a client may go on sending: a connection that is closed on it at once takes the answer with it."""


class Linger:
    """Answers at once, lets the client end what it is sending, unread, and closes the connection.

    Args:
        app: That answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what is not of HTTP goes through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        ended = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        waits = "expect" in headers  # to be asked for its body, by the first receive

        async def receive_and_note() -> Message:
            nonlocal ended, waits
            waits = False
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def send_and_linger(message: Message) -> None:
            if ended:
                await send(message)
            elif message["type"] == "http.response.start":
                MutableHeaders(scope=message)["connection"] = "close"
                await send(message)
            elif message.get("more_body", False):
                await send(message)
            else:
                await send({**message, "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(LINGER):
                        while not (ended or waits):
                            await receive_and_note()
                await send({"type": "http.response.body"})

        await self.app(scope, receive_and_note, send_and_linger)
