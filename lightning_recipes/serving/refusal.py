"""Requests that are refused: a status, and one line that says what to do."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

__all__ = ["ADDRESSES", "Refused", "answer_refusal", "answer_unforeseen"]

ADDRESSES = "give POST /predict, GET /health or GET /metrics"
RETRY_AFTER = "1"  # seconds: a queue that is full has moved on by then
CLIENT_GONE = 499
"""What nginx logs for a client that closed the connection; nobody is there to be told it."""


class Refused(Exception):  # noqa: N818  # nothing failed
    """A request that gets no prediction.

    Args:
        status: Of HTTP.
        text: One line that says what to do.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def answer_refusal(request: Request, error: Exception) -> Response:
    """Say why, where we refused or Starlette's router did."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=CLIENT_GONE)
    if isinstance(error, Refused):
        return _answer(error.status, str(error), {"retry-after": RETRY_AFTER} if error.status == 503 else None)
    assert isinstance(error, HTTPException)
    texts = {
        404: f"there is no such address; {ADDRESSES}",
        405: f"{request.method} is not taken here; {ADDRESSES}",
    }
    return _answer(error.status_code, texts.get(error.status_code, error.detail), error.headers)


def answer_unforeseen(request: Request, error: Exception) -> Response:
    """Say no more than that it went wrong: the traceback is in the server's log."""
    return _answer(500, "something went wrong here; the server's log says what")


def _answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": text}, status, headers)
