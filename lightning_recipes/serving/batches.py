"""Single requests, put together to batches as they come."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

__all__ = ["Batches"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batches(Generic[Item, Answer]):
    """A queue, and a task that computes what is in it, one batch after the other.

    While a batch is computed, the next gathers; only one that has room when its turn comes waits for more.

    Args:
        compute: Gives an answer for each item of a batch; called in the executor.
        executor: Of one thread.
        max_size: Items of a batch, at most.
        wait: Seconds that a batch with room waits for more.
        seen: Is told the size of each batch.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Sequence[Answer]],
        executor: Executor,
        *,
        max_size: int,
        wait: float,
        seen: Callable[[int], None],
    ) -> None:
        self.compute, self.executor, self.max_size, self.wait, self.seen = compute, executor, max_size, wait, seen
        self.queue: asyncio.Queue[tuple[Item, asyncio.Future[Answer]]] = asyncio.Queue()

    async def answer_to(self, item: Item) -> Answer:
        """Return the answer; an item whose caller is cancelled is not computed, if its batch has not begun.

        Raises:
            Exception: What ``compute`` raises for this item alone.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((item, future))
        return await future

    async def run(self) -> None:
        """Compute until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [pair for pair in await self._gather() if not pair[1].done()]
            if not batch:
                continue
            self.seen(len(batch))
            answers = await loop.run_in_executor(self.executor, self._answers, [item for item, _ in batch])
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():  # its caller has gone meanwhile
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    async def _gather(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        """At least one, and what comes while there is room and time."""
        batch = [await self.queue.get()]
        try:
            async with asyncio.timeout(self.wait):
                while len(batch) < self.max_size:
                    batch.append(await self.queue.get())
        except TimeoutError:
            while len(batch) < self.max_size and not self.queue.empty():  # without a wait nothing else takes them
                batch.append(self.queue.get_nowait())
        return batch

    def _answers(self, items: Sequence[Item]) -> Sequence[Answer | Exception]:
        """An answer or an error for each: where a batch fails, the items are tried one by one."""
        try:
            return self.compute(items)
        except Exception as error:
            if len(items) == 1:
                return [error]
            return [answer for item in items for answer in self._answers([item])]
