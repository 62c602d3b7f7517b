"""The semaphore with its asyncio side: the rest of it is native."""

from __future__ import annotations

import _raddle
from raddle._readable import Readable


class Semaphore(_raddle.Semaphore):
    """A counting semaphore that can be stopped and polled.

    ``value`` tokens are in it at the start. As a context manager it takes one and puts it back. After
    :meth:`stop` whoever waits, and whoever comes, takes what is left and then gets :exc:`Stopped`.
    """

    __slots__ = ("_readable",)
    __module__ = "raddle"

    async def get_async(self) -> None:
        """Take a token, waiting for it on the running asyncio loop."""
        while not self.try_get():
            try:
                readable = self._readable
            except AttributeError:
                self._readable = readable = Readable(self.fileno())
            await readable.wait()
