"""What a server takes, and how long it waits: bounds of its memory and of a client's patience."""

import math
from dataclasses import dataclass

from lightning_recipes.errors import UserError

__all__ = ["Limits"]

MEGA = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Bounds of what is under way at once.

    Attributes:
        max_batch_size: Pictures that go through the network together, at most; >= 1.
        batch_wait_ms: Milliseconds that a batch with room waits for more pictures; >= 0.
        max_megabytes: Of a request's body, in 10^6 bytes; > 0.
        max_megapixels: Of a picture, in 10^6; > 0.
        timeout: Seconds within which a body has to have come, and then its answer; > 0.
        max_waiting: Requests that are under way at once, from their first byte to the answer; >= 1.

    Raises:
        UserError: A value is outside of its range; names the key.
    """

    max_batch_size: int = 16
    batch_wait_ms: float = 5.0
    max_megabytes: float = 20.0
    max_megapixels: float = 60.0
    timeout: float = 10.0
    max_waiting: int = 64

    def __post_init__(self) -> None:
        for key, right, what in (
            ("max_batch_size", self.max_batch_size >= 1, "a number of pictures >= 1"),
            ("batch_wait_ms", 0 <= self.batch_wait_ms < math.inf, "a number of milliseconds >= 0"),
            ("max_megabytes", 0 < self.max_megabytes < math.inf, "a number of megabytes > 0"),
            ("max_megapixels", 0 < self.max_megapixels < math.inf, "a number of megapixels > 0"),
            ("timeout", 0 < self.timeout < math.inf, "a number of seconds > 0"),
            ("max_waiting", self.max_waiting >= 1, "a number of requests >= 1"),
        ):
            if not right:
                raise UserError(f"{key}: {getattr(self, key)} is not {what}")

    @property
    def max_bytes(self) -> int:
        """Of a request's body."""
        return int(self.max_megabytes * MEGA)

    @property
    def max_pixels(self) -> int:
        """Of a picture."""
        return int(self.max_megapixels * MEGA)
