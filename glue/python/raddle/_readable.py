"""Waiting for a descriptor on an asyncio loop: by the loop's own poll, for any number of coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future


class Readable:
    """A descriptor that coroutines wait for until it is readable.

    A loop knows one reader for a descriptor, so those who wait on one loop share it. All of them are
    woken, the one that came first is first, and whoever finds nothing waits again.
    """

    __slots__ = ("_fileno", "_waiting")

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno
        self._waiting: dict[AbstractEventLoop, list[Future[None]]] = {}

    async def wait(self) -> None:
        """Return when the descriptor is readable, or was a moment ago."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        future = loop.create_future()
        waiting = self._waiting.get(loop)
        if waiting is None:
            self._waiting[loop] = waiting = []
            loop.add_reader(self._fileno, self._wake, loop)
        waiting.append(future)
        try:
            await future
        finally:
            # Still there if this coroutine was cancelled.
            if self._waiting.get(loop) is waiting and future in waiting:
                waiting.remove(future)
                if not waiting:
                    self._forget(loop)

    def _wake(self, loop: AbstractEventLoop) -> None:
        for future in self._forget(loop):
            if not future.done():
                future.set_result(None)

    def _forget(self, loop: AbstractEventLoop) -> list[Future[None]]:
        waiting = self._waiting.pop(loop, [])
        if not loop.is_closed():
            loop.remove_reader(self._fileno)
        return waiting
