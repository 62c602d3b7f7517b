"""GIO and asyncio: cancellables tied to tasks, GIO's asynchronous calls awaited, coroutines that a host starts."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import weakref

import _raddle_glib

#: G_IO_ERROR_CANCELLED, which needs no GIO to be known by.
_CANCELLED = ("g-io-error-quark", 19)


def _loop_of(future):
    loop = future.get_loop()
    # Another loop has no main context to be told on.
    if not hasattr(loop, "context"):
        raise TypeError("only a task or future of a GLibEventLoop can be tied to a GCancellable")
    return loop


def cancel_together(future: asyncio.Future, cancellable=None):
    """Tie a task, or another future, and a GCancellable; a new one if none is given. Gives the cancellable.

    If the cancellable is cancelled, on whichever thread, the future's ``cancel()`` is called once, on the thread
    that runs the loop; if it was cancelled already, now. If the future ends as a cancelled one, the cancellable
    is cancelled. A future that is done otherwise leaves the cancellable alone, and is left alone by it.
    """
    loop = _loop_of(future)
    if cancellable is None:
        cancellable = _raddle_glib.new_cancellable()
    # The cancellable is native: a reference from it to the future would be a cycle that nobody sees.
    of = weakref.ref(future)
    asked = False

    def cancel() -> None:
        nonlocal asked
        future = of()
        if not (asked or future is None or future.done() or loop.is_closed()):
            asked = True
            future.cancel()

    handler = _raddle_glib.on_cancelled(cancellable, loop.context, cancel)

    def done(future) -> None:
        _raddle_glib.disconnect(cancellable, handler)
        if future.cancelled():
            _raddle_glib.cancel(cancellable)

    future.add_done_callback(done)
    if _raddle_glib.is_cancelled(cancellable):
        cancel()
    return cancellable


class _Call(asyncio.Future):
    """What awaits a call of GIO's: it is cancelled by way of the cancellable, and done when the call is."""

    def __init__(self, loop, cancellable) -> None:
        super().__init__(loop=loop)
        self._cancellable = cancellable
        self._asked = None

    def cancel(self, msg=None) -> bool:
        if self.done():
            return False
        self._asked = (msg,)
        _raddle_glib.cancel(self._cancellable)
        return True

    def end(self, finish, source, result) -> None:
        """Take what the call came to."""
        if self.done() or self.get_loop().is_closed():
            return
        try:
            value = finish(source)(result)
        except Exception as error:
            if (getattr(error, "domain", None), getattr(error, "code", None)) != _CANCELLED:
                self.set_exception(error)
                return
            self._asked = self._asked or (None,)
        if self._asked:
            super().cancel(*self._asked)
        else:
            self.set_result(value)


def _finish_of(begin, source):
    """The function that gives the result of ``begin``, found by its name: the object's, or the module's."""
    name = begin.__name__.removesuffix("_async") + "_finish"
    for holder in (source, sys.modules.get(begin.__module__)):
        finish = getattr(holder, name, None)
        if finish is not None:
            return finish
    raise TypeError(f"there is no {name} beside {begin.__name__}: pass finish=")


async def gio_call(begin, *arguments, finish=None, cancellable=None):
    """Await an asynchronous call of GIO's: ``await gio_call(file.load_contents_async)``.

    ``begin`` is called with the arguments, the cancellable (a new one if none is given) and a callback, as
    PyGObject wants them; what ``finish`` gives, which is found by its name, is the result.

    If the task is cancelled, the cancellable is, and the task goes on when the call has ended: what it works on
    is not touched any more then. If the call says that it was cancelled, whoever cancelled it, CancelledError is
    raised.
    """
    loop = asyncio.get_running_loop()
    if cancellable is None:
        cancellable = _raddle_glib.new_cancellable()
    call = _Call(loop, cancellable)
    context = _loop_of(call).context

    def find(source):
        return finish or _finish_of(begin, source)

    def ready(source, result, *_):
        call.end(find, source, result)

    # The callback comes on the context that is the thread's default one now.
    context.call_as_default(functools.partial(begin, *arguments, cancellable, ready))
    return await call


def start(loop, function, cancellable, done) -> None:
    """For a host: call ``function`` inside the loop, await what it returns, and give ``done`` the task."""

    async def work():
        result = function()
        return await result if inspect.isawaitable(result) else result

    def begin() -> None:
        task = loop.create_task(work())
        if cancellable is not None:
            cancel_together(task, cancellable)
        task.add_done_callback(done)

    loop.call_soon_threadsafe(begin)
