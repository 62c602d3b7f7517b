"""Native logs in :mod:`logging`, and the other way.

Native threads push records without waiting for Python; a worker hands them to :mod:`logging` as
records with the thread, time and place of the push. It starts with the first record.

A record that came from native code has ``raddle_native`` set to true, and ``raddle_native_id``: the
kernel's number of the thread. The handlers here do not send it back.
"""

from __future__ import annotations

import logging
import sys

import _raddle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _raddle import LogStats

__all__ = ["GLibHandler", "TracingHandler", "flush", "start", "stats", "stop", "write"]


def start() -> None:
    """Start the worker, if it is not there. The first native record does so by itself."""
    _raddle.log_start()


def stop(timeout: float | None = 5.0) -> bool:
    """Hand over what is waiting and end the worker; say whether all was handed over in time.

    From then on native records go to stderr, one line each, until ``start()``. ``timeout`` is in
    seconds; ``None`` is for as long as it takes.
    """
    return _raddle.log_stop(timeout)


def flush(timeout: float | None = None) -> bool:
    """Wait until every native record that was pushed before is handed over; say whether it is.

    A record that was dropped because the ring was full is not waited for: see ``stats()``.
    """
    return _raddle.log_flush(timeout)


def stats() -> LogStats:
    """What became of the native records of this process so far.

    ``handed`` to a logger, ``errors`` of these with which something raised, ``waiting``, ``looped``
    (made by a handler of the worker's, and refused), ``elsewhere`` (written to stderr), ``lost``, and
    ``dropped``: a dict of the records that found the ring full, by level.
    """
    return _raddle.log_stats()


def write(level: int, message: str, /, *, target: str = "", stacklevel: int = 1, **fields: object) -> None:
    """Push a record as native code does: for code that must not wait for handlers.

    ``target`` is the logger's name, and the keywords become the record's ``extra``.
    """
    frame = sys._getframe(stacklevel)
    code = frame.f_code
    _raddle.log_write(level, target, message, code.co_filename, frame.f_lineno, code.co_name, fields)


_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "raddle_native",
    "raddle_native_id",
}


class _SinkHandler(logging.Handler):
    """Sends records to a log of the host's."""

    _sink: str
    _advice: str

    def __init__(self, level: int = logging.NOTSET) -> None:
        if not _raddle.log_has_sink(self._sink):
            raise RuntimeError(self._advice)
        super().__init__(level)

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "raddle_native", False):
            return
        try:
            extra = {name: value for name, value in vars(record).items() if name not in _KNOWN}
            _raddle.log_send(
                self._sink,
                record.levelno,
                record.name,
                self.format(record),
                record.pathname,
                record.lineno,
                record.funcName or "",
                record.threadName or "",
                extra,
            )
        except Exception:
            self.handleError(record)


class GLibHandler(_SinkHandler):
    """Writes records to GLib's log, structured, with CODE_FILE, CODE_LINE, CODE_FUNC and PRIORITY.

    ``GLIB_DOMAIN`` is the logger's name; the fields of ``extra`` are sent in upper case.
    """

    _sink = "glib"
    _advice = "this host's raddle has no GLib in it"


class TracingHandler(_SinkHandler):
    """Writes records as events of Rust's ``tracing``, where the host offers it by ``raddle-tracing``."""

    _sink = "tracing"
    _advice = "this host offers no tracing: it must call raddle_tracing::offer_to_python()"
