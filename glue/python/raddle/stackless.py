"""Tasklets and channels: Stackless Python's, on stock CPython.

A program written for Stackless needs one line before its imports::

    import sys, raddle.stackless
    sys.modules["stackless"] = raddle.stackless

What differs from Stackless 3.8 is in docs/design/tasklets.md.
"""

from __future__ import annotations

import sys
from types import ModuleType

import _raddle
from _raddle import (
    TaskletExit,
    atomic,
    bomb,
    channel,
    enable_softswitch,
    expect_others,
    get_channel_callback,
    get_schedule_callback,
    get_stack_size,
    get_thread_info,
    getcurrent,
    getcurrentid,
    getmain,
    getruncount,
    getthreads,
    kill_all,
    leaked_tasklets,
    run,
    run_for,
    run_n_tasklets,
    schedule,
    schedule_remove,
    set_channel_callback,
    set_error_handler,
    set_schedule_callback,
    set_stack_size,
    set_timing,
    switch_trap,
    tasklet,
    tasklet_stats,
    unblock_all,
)

__all__ = [
    "TaskletExit",
    "atomic",
    "bomb",
    "buffered_channel",
    "channel",
    "current",
    "enable_softswitch",
    "expect_others",
    "get_channel_callback",
    "get_schedule_callback",
    "get_stack_size",
    "get_thread_info",
    "getcurrent",
    "getcurrentid",
    "getmain",
    "getruncount",
    "getthreads",
    "kill_all",
    "leaked_tasklets",
    "main",
    "pickle_flags",
    "pickle_flags_default",
    "run",
    "run_for",
    "run_n_tasklets",
    "run_watchdog",
    "runcount",
    "schedule",
    "schedule_remove",
    "set_channel_callback",
    "set_error_handler",
    "set_schedule_callback",
    "set_stack_size",
    "set_timing",
    "switch_trap",
    "tasklet",
    "tasklet_stats",
    "threads",
    "unblock_all",
]

# For the extras that Stackless has no name for, see their docstrings.
PICKLEFLAGS_PRESERVE_TRACING_STATE = 1
PICKLEFLAGS_PRESERVE_AG_FINALIZER = 2
PICKLEFLAGS_RESET_AG_FINALIZER = 4
PICKLEFLAGS_PICKLE_CONTEXT = 8

#: The older name of run().
run_watchdog = run


class buffered_channel:
    """A channel that holds values back: a sender waits only when `size` of them are held.

    >>> pipe = buffered_channel(2)
    >>> pipe.send("a"); pipe.send("b")
    >>> pipe.receive(), len(pipe)
    ('a', 1)
    """

    def __init__(self, size: int = 0) -> None:
        if size < 0:
            raise ValueError("size must not be negative")
        self._size = size
        self._held: list = []
        self._channel = channel()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self):
        return self

    def __next__(self):
        if self.closing and not self._held and self._channel.balance <= 0:
            raise StopIteration
        return self.receive()

    @property
    def size(self) -> int:
        """How many values are held back at most."""
        return self._size

    @property
    def balance(self) -> int:
        """How many values can be received, or (negative) how many tasklets wait for one."""
        return len(self._held) + self._channel.balance

    @property
    def closing(self) -> bool:
        """Whether it was closed."""
        return self._channel.closing

    @property
    def closed(self) -> bool:
        """Whether it was closed, is empty, and nobody waits."""
        return self._channel.closed and not self._held

    def close(self) -> None:
        """Let nobody wait any more; what is held can still be received."""
        self._channel.close()

    def open(self) -> None:
        """Undo close()."""
        self._channel.open()

    def send(self, value) -> None:
        """Hold the value back, or give it to one who receives; wait if there is no room."""
        if self._channel.balance >= 0 and len(self._held) < self._size and not self.closing:
            self._held.append(value)
        else:
            self._channel.send(value)

    def receive(self):
        """The oldest value, waiting for one."""
        if not self._held:
            return self._channel.receive()
        value = self._held.pop(0)
        if self._channel.balance > 0:
            self._held.append(self._channel.receive())
        return value

    def clear(self) -> None:
        """Forget what is held, and let all who wait go on."""
        self._held.clear()
        self._channel.clear()


class _Stackless(ModuleType):
    """The module itself: some of its names are what is true at the moment."""

    @property
    def main(self) -> tasklet:
        """The main tasklet of this thread."""
        return getmain()

    @property
    def current(self) -> tasklet:
        """The tasklet that runs."""
        return getcurrent()

    @property
    def runcount(self) -> int:
        """How many tasklets can run, with the current one."""
        return getruncount()

    @property
    def threads(self) -> list[int]:
        """The identities of the threads, the main one first."""
        return getthreads()

    @property
    def pickle_flags(self) -> int:
        """Flags for pickling, which change nothing here."""
        return _raddle.pickle_flags()

    @pickle_flags.setter
    def pickle_flags(self, flags: int) -> None:
        _raddle.pickle_flags(flags)

    @property
    def pickle_flags_default(self) -> int:
        """The flags that a thread begins with: none."""
        return 0

    def __reduce__(self):
        return (__import__, (self.__name__, None, None, ("run",)))


sys.modules[__name__].__class__ = _Stackless
