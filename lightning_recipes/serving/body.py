"""The bytes of a picture out of a request: of its body, or of the file in a form."""

import asyncio
import email.message
from collections.abc import Awaitable
from typing import TypeVar

from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from lightning_recipes.serving.refusal import Refused

__all__ = ["picture_in", "read_body", "unless_gone"]

T = TypeVar("T")
FORM = "multipart/form-data"
MAX_PARTS = 16
"""Of a form: 300,000 tiny ones in a body of 20 MB would be read for ten seconds, in Python."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the whole body, of which no more is read than may be there.

    Raises:
        Refused: It is larger, by its header or by what came, or empty.
        ClientDisconnect: The client went away.
    """
    too_large = Refused(413, f"the body has more than {max_bytes:,} bytes (max_megabytes); send a smaller picture")
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        if len(body) + len(part) > max_bytes:
            raise too_large
        body += part
    if not body:
        raise Refused(400, "the body is empty; send the bytes of a picture, as in curl --data-binary @photo.jpg")
    return bytes(body)


def picture_in(body: bytes, content_type: str) -> bytes:
    """Return the bytes of a picture: the body itself, or the one file of a form.

    Args:
        body: As it came.
        content_type: Its header.

    Raises:
        Refused: It is a form without a file, with several, or damaged.
    """
    header = email.message.Message()
    header["content-type"] = content_type
    if header.get_content_maintype() != "multipart":
        return body
    boundary = (header.get_boundary() or "").encode("latin-1", "ignore")
    if header.get_content_type() != FORM or not boundary:
        raise Refused(
            400, "of multipart bodies form-data with a boundary is taken; send the picture itself as the body"
        )
    if body.count(b"--" + boundary) > MAX_PARTS:
        raise Refused(400, f"the form has more than {MAX_PARTS} parts; send the picture itself as the body")
    files: list[bytes] = []

    def keep(file: object) -> None:
        stored = file.file_object  # type: ignore[attr-defined]
        stored.seek(0)
        files.append(stored.read())

    config = {"MAX_MEMORY_FILE_SIZE": len(body) + 1}  # a larger one would go by way of the disk
    try:
        form = FormParser(FORM, None, keep, boundary=boundary, config=config)
        form.write(body)
        form.finalize()
    except FormParserError as error:
        raise Refused(400, f"the form cannot be read ({error}); send the picture itself as the body") from None
    if len(files) != 1:
        raise Refused(400, f"the form has {len(files)} files; give one, as in curl -F file=@photo.jpg")
    return files[0]


async def unless_gone(receive: Receive, work: Awaitable[T]) -> T:
    """Return what work gives; it is cancelled where the client goes away meanwhile.

    Args:
        receive: Of a request whose body was read.
        work: For it.

    Raises:
        ClientDisconnect: It went away.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
