"""Native threads and Python, kept apart: the Python side of raddle.

In a host that started Python with raddle this package is carried by the library.
"""

from __future__ import annotations

from _raddle import Completions, Reply, Stopped, __version__, gate_stats, python_abi, sleep, wait_fd
from _raddle import _C_API as _C_API
from raddle._ring import Ring
from raddle._semaphore import Semaphore
from raddle._stopper import exit_stopper

__all__ = [
    "ENABLE_EXPERIMENTAL",
    "Completions",
    "Reply",
    "Ring",
    "Semaphore",
    "Stopped",
    "__version__",
    "exit_stopper",
    "gate_stats",
    "python_abi",
    "sleep",
    "wait_fd",
]

try:
    from _raddle_glib import (
        GObject,
        GValue,
        cancel,
        connect,
        disconnect,
        is_cancelled,
        new_cancellable,
        wrap_object,
    )
except ModuleNotFoundError as error:
    # A host in Rust without the crate raddle-glib has nothing of what knows GLib.
    if error.name != "_raddle_glib":
        raise
else:
    from raddle._error import GError
    from raddle._scheduler import attach_scheduler, detach_scheduler

    __all__ += ["attach_scheduler", "detach_scheduler"]
    __all__ += ["GError", "GObject", "GValue", "cancel", "connect", "disconnect"]
    __all__ += ["is_cancelled", "new_cancellable", "wrap_object"]

#: Whether :mod:`raddle.weave` may be used. What it offers may still change.
ENABLE_EXPERIMENTAL: bool = False
