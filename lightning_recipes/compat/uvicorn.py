"""What is used of uvicorn beside its documentation."""

import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from typing_extensions import override

__all__ = ["EndableServer"]


class EndableServer(uvicorn.Server):
    """A server that tells when it begins to end, and which signal ended it.

    uvicorn tells an app only once the last connection has ended (lifespan), by which time there is nobody left to be
    told to hurry; and it raises the signal again at the end, so that the process would end by it and not with a code.

    Args:
        config: Of uvicorn.
        ending: Is called as soon as no connection is taken any more.

    Attributes:
        ended_by: The signal, else None.
    """

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self.ending = ending
        self.ended_by: int | None = None

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal; a second Ctrl-C does not wait."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        self.ended_by = self.ended_by or sig

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell, wait for those who are answered, and end."""
        self.ending()
        await super().shutdown(sockets)
