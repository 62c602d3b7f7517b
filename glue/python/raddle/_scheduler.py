"""Tasklets on a GLib main context: attach_scheduler() and what it takes for a context."""

from __future__ import annotations

import sys

import _raddle_glib

MainContext = _raddle_glib.MainContext


def known_context(context) -> MainContext | None:
    """raddle's object for a context of raddle's or PyGObject's; None for None."""
    if context is None or isinstance(context, MainContext):
        return context
    gi = sys.modules.get("gi.repository.GLib")
    if gi is not None and isinstance(context, gi.MainContext):
        return _raddle_glib.main_context_at(hash(context))
    raise TypeError(f"a main context is raddle's, PyGObject's or None, not {context!r}")


def _of_thread(context) -> MainContext:
    return known_context(context) or MainContext.thread_default() or MainContext.default()


def attach_scheduler(context=None, *, budget: float = 0.002, priority: int = 0, on_error=None) -> None:
    """Have a main context run the tasklets of this thread, which is the one that iterates the context.

    ``context`` is a raddle or PyGObject main context, or None for the thread's default one. In each turn
    tasklets run for at most ``budget`` seconds; whoever has more to do then lets sources of lower priority be
    first. While no tasklet can run, nothing happens.

    ``on_error(exception)`` is called with what a tasklet does not catch; without it ``sys.unraisablehook`` is,
    and KeyboardInterrupt and SystemExit end the innermost loop that raddle runs on this thread.

    A context that has this thread's tasklets already is changed. Raises RuntimeError if it has those of
    another thread, or another context has these.
    """
    _raddle_glib.attach_scheduler(_of_thread(context), budget, priority, on_error)


def detach_scheduler(context=None) -> None:
    """Have a main context run tasklets no longer: they stay where they are. RuntimeError if it has none."""
    _raddle_glib.detach_scheduler(_of_thread(context))
