"""Destructors that run when a thread dies, after Python is done with it.

The two functions are meant for native code: their arguments are addresses, as integers. They are
those of ``ft_utils.weave`` and behave like them, on every Python that raddle runs on. They work once
``raddle.ENABLE_EXPERIMENTAL`` is true. The first call that is let in replaces the function here by
the native one, which looks at the flag no more and takes no keywords.
"""

from __future__ import annotations

import threading
import time

import _raddle
import raddle

__all__ = ["answer_for_ft_utils", "join", "register_native_destructor", "unregister_native_destructor"]


def _admit(name: str):
    if not raddle.ENABLE_EXPERIMENTAL:
        raise RuntimeError("Experimental support not enabled for raddle")
    native = globals()[name] = getattr(_raddle, name)
    return native


def register_native_destructor(var: int, destructor: int) -> None:
    """Call ``destructor(*var)`` when the calling thread dies.

    ``var`` is the address of a ``void *``, ``destructor`` that of a ``void (*)(void *)``. Each
    registration runs once, in the order of registration; on the main thread none runs. The
    destructor must not call into Python.
    """
    return _admit("register_native_destructor")(var, destructor)


def unregister_native_destructor(var: int) -> bool:
    """Take back every destructor of the calling thread for ``var``; say whether there were any."""
    return _admit("unregister_native_destructor")(var)


def join(thread: threading.Thread, timeout: float | None = None) -> bool:
    """Join a thread and wait until its native destructors have run; say whether that is so.

    ``Thread.join`` alone does this from Python 3.13 on. Before, it returns when Python is done with
    the thread, which is while its destructors are still to run. ``timeout`` is in seconds and covers
    both waits. Raises what ``Thread.join`` raises.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    thread.join(timeout)
    if thread.is_alive():
        return False
    left = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
    return _raddle.wait_for_native_destructors(thread.ident, thread.native_id, left)


def answer_for_ft_utils() -> None:
    """From now on, let ``import ft_utils.weave`` find this module if no ``ft_utils`` is installed.

    ``ft_utils.ENABLE_EXPERIMENTAL`` is then another name of ``raddle.ENABLE_EXPERIMENTAL``. The
    other modules of ``ft_utils`` are not there.
    """
    from raddle import _ft_utils

    _ft_utils.install()
