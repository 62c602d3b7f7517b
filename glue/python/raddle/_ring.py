"""The ring with its asyncio side: the rest of it is native."""

from __future__ import annotations

from collections.abc import AsyncIterator
from queue import Empty, Full
from typing import TypeVar

import _raddle
from raddle._readable import Readable

T = TypeVar("T")

#: After so many items that were there already, ``async for`` lets the loop have a turn.
TURN = 64


class Ring(_raddle.Ring[T]):
    """A bounded queue of objects between threads.

    ``for item in ring`` takes items out, waiting for each, until the ring is stopped and empty;
    ``async for`` does so on the running asyncio loop.
    """

    __slots__ = ("_items", "_room")
    __module__ = "raddle"

    def _readable_items(self) -> Readable:
        try:
            return self._items
        except AttributeError:
            self._items = Readable(self.fileno())
            return self._items

    async def pop_async(self) -> T:
        """Take the oldest item out, waiting for one on the running asyncio loop."""
        while True:
            try:
                return self.try_pop()
            except Empty:
                await self._readable_items().wait()

    async def push_async(self, item: T) -> None:
        """Add an item, waiting for room on the running asyncio loop."""
        while True:
            try:
                return self.try_push(item)
            except Full:
                try:
                    room = self._room
                except AttributeError:
                    self._room = room = Readable(self.room_fileno())
                await room.wait()

    async def __aiter__(self) -> AsyncIterator[T]:
        from asyncio import sleep

        taken = 0
        while True:
            try:
                item = self.try_pop()
            except Empty:
                await self._readable_items().wait()
                taken = 0
                continue
            except _raddle.Stopped:
                return
            yield item
            taken += 1
            if taken % TURN == 0:
                await sleep(0)
