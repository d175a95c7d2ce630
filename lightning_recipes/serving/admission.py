"""Who is let in, and how long each may take."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from lightning_recipes.serving.refusal import Refused

__all__ = ["Admission"]

GRACE = 4.0
"""Seconds that those who are in have, once nobody is let in any more."""
CLOSED = "the server is shutting down; ask again later"


class Admission:
    """Places for requests, each from its first byte to its answer; they bound the memory of bodies and pictures.

    Args:
        places: How many there are.

    Attributes:
        taken: Places that are taken now.
        closed: Whether nobody is let in any more.
    """

    def __init__(self, places: int) -> None:
        self.places, self.taken, self.closed = places, 0, False
        self._limits: set[asyncio.Timeout] = set()
        self._end = float("inf")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place.

        Raises:
            Refused: There is none.
        """
        if self.closed:
            raise Refused(503, CLOSED)
        if self.taken >= self.places:
            raise Refused(503, f"{self.taken} requests are under way, as many as max_waiting; ask again in a second")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    @asynccontextmanager
    async def within(self, seconds: float, refusal: Refused) -> AsyncIterator[None]:
        """Limit what is done inside to so many seconds, or to what is left of the grace.

        Raises:
            Refused: It took longer: ``refusal``, or that the server is shutting down.
        """
        end = min(asyncio.get_running_loop().time() + seconds, self._end)
        limit = asyncio.timeout_at(end)
        self._limits.add(limit)
        try:
            async with limit:
                yield
        except TimeoutError:
            raise (Refused(503, CLOSED) if self.closed else refusal) from None
        finally:
            self._limits.discard(limit)

    def close(self) -> None:
        """Let nobody in any more, and those who are in end soon."""
        self.closed, self._end = True, asyncio.get_running_loop().time() + GRACE
        for limit in self._limits:
            if (when := limit.when()) is not None:
                limit.reschedule(min(when, self._end))
