"""Tasklets and coroutines together, on any asyncio event loop.

A tasklet waits for a coroutine by :func:`await_`; a coroutine waits for tasklets by :func:`receive`,
:func:`send` and :func:`run`::

    async def main():
        pipe = stackless.channel()
        stackless.tasklet(lambda: pipe.send(await_(asyncio.sleep(0.1, "slept"))))()
        print(await receive(pipe))

Exceptions pass from one to the other. Cancellation does too: a tasklet whose future is cancelled gets
``asyncio.CancelledError``, and one that is killed cancels what it waits for; a coroutine that is cancelled ends
the tasklet that it waits for.

Somebody has to run the tasklets beside the loop: :func:`attach` does, and is called by all of these if nobody has.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio import events

import _raddle
from _raddle import Reply, TaskletExit, getcurrent, tasklet

__all__ = ["attach", "await_", "detach", "receive", "run", "send"]

# What runs this thread's tasklets, if it is an asyncio loop.
_here = threading.local()


class _Turns:
    """Tasklets as a reader of a loop: asyncio's own, uvloop or any that has add_reader()."""

    def __init__(self, loop, budget) -> None:
        self.loop, self.budget, self.later = loop, budget, None
        self.descriptor = _raddle.begin_turns()
        try:
            loop.add_reader(self.descriptor, self.turn)
        except BaseException:
            _raddle.end_turns()
            raise

    def turn(self) -> None:
        if self.later is not None:
            self.later.cancel()
            self.later = None
        try:
            due = _raddle.make_turn(self.budget)
        except (SystemExit, KeyboardInterrupt):
            self._again(0)
            raise
        except BaseException as error:
            about = {"message": "A tasklet raised an exception that nobody caught", "exception": error}
            self.loop.call_exception_handler(about)
            due = 0
        self._again(due)

    def _again(self, due) -> None:
        if due is not None and not self.loop.is_closed():
            self.later = self.loop.call_soon(self.turn) if due == 0 else self.loop.call_later(due, self.turn)

    def end(self) -> None:
        if self.later is not None:
            self.later.cancel()
        if not self.loop.is_closed():
            self.loop.remove_reader(self.descriptor)
        _raddle.end_turns()


class _OnContext:
    """Tasklets as a source of the main context on which a GLibEventLoop lives."""

    def __init__(self, loop, budget) -> None:
        import raddle

        self.loop, self._detach = loop, raddle.detach_scheduler
        raddle.attach_scheduler(loop.context, budget=budget)

    def end(self) -> None:
        if _raddle.has_turns():
            self._detach(self.loop.context)


def _turns():
    """What an asyncio loop does here; that of a loop which was closed is over."""
    turns = getattr(_here, "turns", None)
    if turns is not None and (turns.loop.is_closed() or not _raddle.has_turns()):
        detach()
        turns = None
    return turns


def attach(loop=None, *, budget: float = 0.002) -> None:
    """Have an event loop run the tasklets of this thread, on which it runs: the running loop by default.

    In each turn of the loop they run for at most ``budget`` seconds. What one does not catch goes to the loop's
    exception handler (with a :class:`raddle.asyncio.GLibEventLoop`: as `raddle.attach_scheduler` says). It ends by
    `detach`, or when the loop is closed. Raises RuntimeError if another loop or a main context runs them.
    """
    loop = loop or asyncio.get_running_loop()
    turns = _turns()
    if turns is not None and turns.loop is loop:
        detach()
    glib = sys.modules.get("raddle.asyncio")
    on_context = glib is not None and isinstance(loop, glib.GLibEventLoop)
    _here.turns = (_OnContext if on_context else _Turns)(loop, budget)


def detach() -> None:
    """Have this thread's event loop run tasklets no longer: they stay where they are."""
    turns = getattr(_here, "turns", None)
    if turns is not None:
        _here.turns = None
        turns.end()


def _attach_if_nobody_has(loop) -> None:
    _turns()
    if not _raddle.has_turns():
        attach(loop)


def _loop_here(awaitable):
    """The loop for what a tasklet waits for."""
    if asyncio.isfuture(awaitable):
        return awaitable.get_loop()
    running = events._get_running_loop()
    if running is not None:
        return running
    turns = _turns()
    if turns is not None:
        return turns.loop
    glib = sys.modules.get("raddle.asyncio")
    loop = glib and glib.loop_here()
    if not loop:
        raise RuntimeError("no event loop runs the tasklets of this thread: attach one, or pass loop=")
    return loop


def await_(awaitable, *, loop=None, timeout: float | None = None):
    """In a tasklet: what a coroutine returns or a future is set to; other tasklets and the loop go on meanwhile.

    A coroutine becomes a task of ``loop``: by default the running one, or the one that runs this thread's tasklets.
    A loop that runs on another thread does as well. TimeoutError after so many seconds, if ``timeout`` is given;
    then, and if the tasklet is killed or thrown at, what it waits for is cancelled.
    """
    if getcurrent().is_main:
        if asyncio.iscoroutine(awaitable):
            awaitable.close()
        raise RuntimeError("await_() is for tasklets: the main tasklet is the one that the loop runs in")
    loop = loop or _loop_here(awaitable)
    elsewhere = getattr(loop, "_thread_id", None) not in (None, threading.get_ident())
    if elsewhere:
        future = asyncio.run_coroutine_threadsafe(_wait_for(awaitable), loop)
    else:
        _attach_if_nobody_has(loop)
        future = loop.create_task(awaitable) if asyncio.iscoroutine(awaitable) else awaitable
        if not asyncio.isfuture(future):
            future = loop.create_task(_wait_for(awaitable))
    reply = Reply()
    if not future.done():
        future.add_done_callback(reply)
        try:
            reply.wait(timeout)
        except BaseException:
            future.remove_done_callback(reply) if not elsewhere else None
            future.cancel()
            raise
    return future.result()


async def _wait_for(awaitable):
    return await awaitable


async def run(function, /, *args, **kwargs):
    """In a coroutine: run a function as a tasklet, and wait for what it returns. Cancelled, it kills the tasklet."""
    return await _as_tasklet(lambda: function(*args, **kwargs), None)


async def receive(channel):
    """In a coroutine: receive from a channel, while the loop and the tasklets go on.

    If it is cancelled after a value was handed over, but before it got to see it, the value is sent again.
    """
    return await _as_tasklet(channel.receive, channel.send)


async def send(channel, value) -> None:
    """In a coroutine: send a value on a channel, while the loop and the tasklets go on. Cancelled, it sends nothing,
    unless somebody has received the value already."""
    await _as_tasklet(lambda: channel.send(value), None)


async def _as_tasklet(function, give_back):
    loop = asyncio.get_running_loop()
    _attach_if_nobody_has(loop)
    future = loop.create_future()

    def body() -> None:
        try:
            result = function()
        except TaskletExit:
            future.cancel()
        except (SystemExit, KeyboardInterrupt):
            future.cancel()
            raise
        except BaseException as error:
            if not future.done():
                future.set_exception(_settable(error))
        else:
            if not future.done():
                future.set_result(result)
            elif give_back is not None:
                give_back(result)

    task = tasklet(body)()
    try:
        return await future
    except asyncio.CancelledError:
        if not future.done() or future.cancelled():
            if task.blocked or give_back is None:
                task.kill(pending=True)
        elif give_back is not None and future.exception() is None:
            tasklet(give_back)(future.result())
        raise


def _settable(error):
    if not isinstance(error, StopIteration):
        return error
    # A future refuses it, as it would end the coroutine that waits.
    wrapped = RuntimeError("a tasklet raised StopIteration")
    wrapped.__cause__ = error
    return wrapped
