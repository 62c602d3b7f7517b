"""asyncio on a GLib main context, whoever runs the context.

A :class:`GLibEventLoop` is asyncio's own selector loop: its callbacks, transports and subprocesses are
asyncio's code. What is ours is when a turn is made: one native source watches the loop's epoll descriptor
on the main context, so tasks run inside ``g_main_loop_run`` of a native host, inside ``GApplication`` or
PyGObject's ``MainLoop``, or, by ``asyncio.run(..., loop_factory=GLibEventLoop)``, inside the loop's own run.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import contextlib
import functools
import gc
import selectors
import sys
import threading
import weakref
from asyncio import events

try:
    import _raddle_glib
except ImportError as error:
    raise ImportError("raddle.asyncio needs a raddle that was built with GLib: libraddle") from error

from raddle._gio import cancel_together, gio_call
from raddle._scheduler import known_context
from raddle.coroutine import await_, receive, send

__all__ = [
    "GLibEventLoop",
    "MainContext",
    "await_",
    "cancel_together",
    "get_priority",
    "gio_call",
    "receive",
    "send",
    "set_priority",
]

MainContext = _raddle_glib.MainContext

# By the address of a context that cannot be freed while its loop lives.
_loops: weakref.WeakValueDictionary[int, GLibEventLoop] = weakref.WeakValueDictionary()
_kept: dict[int, GLibEventLoop] = {}
_lock = threading.RLock()

#: The tasks that have a priority of their own.
_priorities: weakref.WeakKeyDictionary[asyncio.Task, int] = weakref.WeakKeyDictionary()


def _context_of(context) -> MainContext:
    """raddle's object for a context of raddle's or PyGObject's, or for this thread's own."""
    known = known_context(context)
    if known is not None:
        return known
    own = MainContext.thread_default()
    if own is None and threading.current_thread() is threading.main_thread():
        own = MainContext.default()
    # The process's context is another thread's to run.
    return own or MainContext()


def _refuse_foreign(context: MainContext) -> None:
    """Raise RuntimeError if an asyncio loop of PyGObject's has the context."""
    foreign = sys.modules.get("gi.events")
    if foreign is None:
        return
    for loop in gc.get_objects():
        if isinstance(loop, foreign.GLibEventLoop) and not loop.is_closed() and hash(loop._context) == hash(context):
            raise RuntimeError(f"{loop!r} has this main context already: a context can have one asyncio loop")


class GLibEventLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop that lives on a GLib main context.

    ``context`` is a :class:`MainContext`, a ``GLib.MainContext`` of PyGObject's, or None for the thread's
    default context; a thread other than the main one that has none gets a new one. Raises RuntimeError if
    another asyncio loop has the context.
    """

    def __init__(self, context=None) -> None:
        self._source = None
        self._closed = True  # There is nothing to close until all is made.
        self._context = context = _context_of(context)
        self._quits = []
        self._error = None
        self._levels = {}
        with _lock:
            other = _loops.get(context.address)
            if other is not None and not other.is_closed():
                raise RuntimeError(f"{other!r} has this main context already: a context can have one asyncio loop")
            _refuse_foreign(context)
            selector = selectors.EpollSelector()
            super().__init__(selector)
            self._source = source = _raddle_glib.LoopSource(
                self, context, selector.fileno(), self._ready, super()._run_once, self._hosted, selector._fd_to_key
            )
            # asyncio asks for what is ready; waiting is the main context's business.
            selector.select = source.select
            _loops[context.address] = self
        source.attach()

    @classmethod
    def for_context(cls, context=None) -> GLibEventLoop:
        """The loop that lives on a context, made if there is none, and kept until it is closed.

        For a context that somebody else runs: no call drives the loop, and nobody else need hold it.
        """
        context = _context_of(context)
        with _lock:
            loop = _loops.get(context.address)
            if loop is None or loop.is_closed():
                loop = cls(context)
            _kept[context.address] = loop
            return loop

    @property
    def context(self) -> MainContext:
        """The main context that the loop lives on."""
        return self._context

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} context={self._context.address:#x} running={self.is_running()} "
            f"closed={self.is_closed()} debug={self.get_debug()}>"
        )

    def close(self) -> None:
        """Close the loop, and take it off its context."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self._source is not None:
            for level, _ in self._levels.values():
                level.destroy()
            self._levels.clear()
            self._source.destroy()
            with _lock:
                if _loops.get(self._context.address) is self:
                    del _loops[self._context.address]
                if _kept.get(self._context.address) is self:
                    del _kept[self._context.address]
        super().close()

    # Running

    def _run_once(self) -> None:
        # run_forever calls this again and again until it is told to stop; one native run does it all.
        self._source.run()

    def stop(self) -> None:
        """Stop the run after this turn; where a host runs the context, ask it to quit."""
        super().stop()
        self._source.stop()
        if self._quits:
            self._quits[-1]()

    def _hosted(self) -> None:
        """Make a turn inside a loop that somebody else runs."""
        with self.inside():
            self._run_turn()

    def _run_turn(self) -> None:
        try:
            self._source.turn()
        except BaseException as error:
            if not self._quits:
                raise
            # Inside running(), which raises it again.
            self._error = error
            self.stop()
        finally:
            if not self._quits:
                self._stopping = False

    def inside(self) -> _Inside:
        """A context manager in which this is the running loop: for handlers that a host calls.

        In it ``asyncio.get_running_loop()``, ``asyncio.create_task()`` and what stands on them work, on the
        thread that runs the context.
        """
        return _Inside(self)

    def wrap(self, function):
        """Make a handler for a host to call, on the thread that runs the context.

        It runs ``function`` inside the loop; of a coroutine function it makes a task, and returns that.
        """

        @functools.wraps(function)
        def handler(*args, **kwargs):
            with self.inside():
                result = function(*args, **kwargs)
                return self.create_task(result) if asyncio.iscoroutine(result) else result

        return handler

    # What PyGObject asks for where it runs or iterates a context itself

    @contextlib.contextmanager
    def running(self, quit_func):
        """Mark the loop as running while somebody else runs its context; stop() calls ``quit_func``."""
        if not self._source.acquire():
            raise RuntimeError("another thread runs this loop's main context")
        self._quits.append(quit_func)
        try:
            if self.is_running():
                yield
            else:
                self._check_closed()
                self._set_coroutine_origin_tracking(self._debug)
                try:
                    with self.inside():
                        yield
                finally:
                    self._set_coroutine_origin_tracking(False)
        finally:
            self._quits.pop()
            self._source.release()
            if self._stopping:
                if self._quits:
                    self._quits[-1]()
                elif not self.is_running():
                    self._stopping = False
            if not self._quits and self._error is not None:
                error, self._error = self._error, None
                raise error

    @contextlib.contextmanager
    def paused(self):
        """Leave the loop out while somebody iterates its context."""
        before = self._source.set_paused(True)
        try:
            yield
        finally:
            self._source.set_paused(before)

    # Priorities

    def _sort(self) -> None:
        """Move the handles of tasks that have a priority of their own to their level's source."""
        if not _priorities:
            self._source.set_sorter(None)
        others = collections.deque()
        ready = self._ready
        for _ in range(len(ready)):
            handle = ready.popleft()
            task = getattr(handle._callback, "__self__", None)
            priority = _priorities.get(task) if isinstance(task, asyncio.Task) else None
            if priority:
                self._level(priority).append(handle)
            else:
                others.append(handle)
        ready.extendleft(reversed(others))

    def _level(self, priority: int) -> collections.deque:
        if priority not in self._levels:
            handles = collections.deque()
            level = self._source.level(priority, handles, functools.partial(_run_level, weakref.ref(self), handles))
            self._levels[priority] = level, handles
            level.attach()
        return self._levels[priority][1]


class _Inside:
    """The running loop, its thread and asyncio's hooks for asynchronous generators, set and set back."""

    __slots__ = ("_hooks", "_loop", "_outer", "_task")

    def __init__(self, loop: GLibEventLoop) -> None:
        self._loop = loop

    def __enter__(self) -> GLibEventLoop:
        loop = self._loop
        self._outer = outer = events._get_running_loop()
        if outer is loop:
            return loop
        loop._check_closed()
        self._task = None
        if outer is not None:
            self._task = _swap_task(outer, None)
            events._set_running_loop(None)
        self._hooks = sys.get_asyncgen_hooks()
        loop._thread_id = threading.get_ident()
        sys.set_asyncgen_hooks(firstiter=loop._asyncgen_firstiter_hook, finalizer=loop._asyncgen_finalizer_hook)
        events._set_running_loop(loop)
        return loop

    def __exit__(self, *exception) -> None:
        loop = self._loop
        if self._outer is loop:
            return
        events._set_running_loop(self._outer)
        if self._task is not None:
            _swap_task(self._outer, self._task)
        loop._thread_id = None
        sys.set_asyncgen_hooks(*self._hooks)


def _swap_task(loop, task):
    """Make another task the current one of a loop, and give the former; only where tasks are per thread."""
    swap = getattr(asyncio.tasks, "_swap_current_task", None)
    return swap(loop, task) if swap is not None else None


def _run_level(of, handles) -> None:
    """Run what is ready at a level once."""
    loop = of()
    if loop is None or loop.is_closed():
        return
    with loop.inside(), loop.paused():
        for _ in range(len(handles)):
            handle = handles.popleft()
            if not handle._cancelled:
                handle._run()


def loop_here() -> GLibEventLoop | None:
    """The loop of this thread's default context, if there is one."""
    loop = _loops.get((MainContext.thread_default() or MainContext.default()).address)
    return None if loop is None or loop.is_closed() else loop


def set_priority(task: asyncio.Task, priority: int) -> None:
    """Have the steps of a task run at a priority of GLib's: -100 is high, 0 the default, 200 for idle times.

    The task is one of a :class:`GLibEventLoop`; the steps that are due already keep their priority.
    """
    loop = task.get_loop()
    if not isinstance(loop, GLibEventLoop):
        raise TypeError("only tasks of a GLibEventLoop have a priority")
    if priority:
        _priorities[task] = priority
    else:
        _priorities.pop(task, None)
    loop._source.set_sorter(loop._sort)


def get_priority(task: asyncio.Task) -> int:
    """The priority that was set, or 0."""
    return _priorities.get(task, 0)


@atexit.register
def _end() -> None:
    """Take every loop off its context: the context outlives this Python, and the loops do not."""
    with _lock:
        for loop in list(_loops.values()):
            loop._source.destroy()
        _loops.clear()
        _kept.clear()
