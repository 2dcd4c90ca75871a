"""Requests that arrive within a short time run through the networks together, in one thread of their own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class TooMany(Exception):
    """More requests are waiting than allowed."""


class Batches(Generic[Q, A]):
    """Collects requests and answers them together.

    Args:
        answer: Answers several requests, in order; runs in a thread, one call at a time.
        most: Requests in one call.
        wait_s: How long the first request of a call waits for others (seconds).
        most_waiting: Requests that may wait at the same time.
        on_batch: Told the number of requests in every call.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Q]], Sequence[A | Exception]],
        *,
        most: int,
        wait_s: float,
        most_waiting: int,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._answer, self._on_batch = answer, on_batch
        self._most, self._wait_s, self._most_waiting = most, wait_s, most_waiting
        self._queue: asyncio.Queue[tuple[Q, asyncio.Future[A]]] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Requests that no call has taken yet."""
        return self._queue.qsize()

    async def start(self) -> None:
        """Begin to answer."""
        self._worker = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Answer nothing any more; requests that wait are cancelled."""
        assert self._worker is not None
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait()[1].cancel()
        self._thread.shutdown()

    async def ask(self, request: Q) -> A:
        """Return the answer to a request.

        Raises:
            TooMany: As many are waiting as may.
            Exception: What `answer` returned for it, or raised.
        """
        if self.waiting >= self._most_waiting:
            raise TooMany
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((request, future))
        return await future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            until = loop.time() + self._wait_s
            while len(batch) < self._most:
                try:
                    batch.append(await asyncio.wait_for(self._queue.get(), until - loop.time()))
                except TimeoutError:
                    break
            # Whoever has given up is not answered.
            asked = [(request, future) for request, future in batch if not future.done()]
            if asked:
                self._on_batch(len(asked))
                await self._run(asked)

    async def _run(self, asked: Sequence[tuple[Q, "asyncio.Future[A]"]]) -> None:
        requests = [request for request, _ in asked]
        answers: Sequence[A | Exception]
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, requests)
        except Exception as error:  # whatever it is, the requests get it, and the next ones are answered
            answers = [error] * len(asked)
        for (_, future), answer in zip(asked, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
