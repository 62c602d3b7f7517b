"""What the log's worker calls: native records become records of :mod:`logging`."""

from __future__ import annotations

import logging
import sys
import threading
import traceback

import _raddle
from raddle._boot import stop_earlier

#: A threshold that lets every record through, so that the logger itself is asked.
ASK = -(2**31)
#: A threshold that no record reaches.
OFF = 2**31 - 1

#: What a LogRecord has itself: a field of such a name gets a "_" behind it.
_RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "raddle_native"}


def threshold(name: str) -> int:
    """The lowest level that the logger wants."""
    try:
        logger = logging.getLogger(name)
        if type(logger).isEnabledFor is not logging.Logger.isEnabledFor:
            return ASK
        if logger.disabled:
            return OFF
        return max(logger.getEffectiveLevel(), logger.manager.disable + 1)
    except Exception:
        # A logger that cannot say, which is nothing that another logger's setLevel() should raise.
        return ASK


def _thread_name(ident: int, native_id: int, name: str) -> str:
    # Python's own name of the thread, unless Python does not know it or the number is another's now.
    thread = getattr(threading, "_active", {}).get(ident)
    if thread is None or isinstance(thread, threading._DummyThread):
        return name
    return thread.name if thread.native_id in (native_id, None) else name


def _made(logger, level, message, file, line, function, fields) -> logging.LogRecord:
    extra = fields and {name + "_" if name in _RESERVED else name: fields[name] for name in fields}
    try:
        return logger.makeRecord(
            logger.name, level, file or "(unknown file)", line, message, (), None, function or None, extra
        )
    except KeyError:
        # A record factory that adds attributes of its own, of which a field has the name.
        extra = {name + "_": fields[name] for name in fields}
        return logger.makeRecord(
            logger.name, level, file or "(unknown file)", line, message, (), None, function or None, extra
        )


def _handled(logger, record) -> bool:
    try:
        logger.handle(record)
        return True
    except BaseException:
        return _failed()


def _failed() -> bool:
    # As logging.Handler.handleError does, for what did not come to it.
    if logging.raiseExceptions and sys.stderr is not None:
        try:
            sys.stderr.write("--- Logging error (of a native record) ---\n")
            traceback.print_exc(file=sys.stderr)
        except Exception:
            pass
    return False


def hand(
    name: str,
    level: int,
    ask: bool,
    message: str,
    time_ns: int,
    ident: int,
    native_id: int,
    thread_name: str,
    file: str,
    line: int,
    function: str,
    fields: dict[str, object] | None,
) -> bool:
    """Hand one record over; say whether nothing raised."""
    try:
        logger = logging.getLogger(name)
        if ask and not logger.isEnabledFor(level):
            return True
        record = _made(logger, level, message, file, line, function, fields)
        made = record.created
        record.created = time_ns / 1e9
        record.msecs = float(time_ns // 1_000_000 % 1000)
        record.relativeCreated += (record.created - made) * 1000
        if logging.logThreads:
            record.thread = ident
            record.threadName = _thread_name(ident, native_id, thread_name)
        record.raddle_native = True
        record.raddle_native_id = native_id
    except BaseException:
        return _failed()
    return _handled(logger, record)


def report(message: str, total: int, counts: tuple[int, ...]) -> bool:
    """Log that records were dropped."""
    try:
        logger = logging.getLogger("raddle.log")
        if not logger.isEnabledFor(logging.WARNING):
            return True
        extra = {"dropped": total, "dropped_by_level": dict(zip(LEVELS, counts))}
        record = logger.makeRecord(
            logger.name, logging.WARNING, "(raddle)", 0, message, (), None, None, extra
        )
        record.raddle_native = True
    except BaseException:
        return _failed()
    return _handled(logger, record)


#: The bands that drops are counted by.
LEVELS = ("trace", "debug", "info", "warning", "error", "critical")


def refresh() -> None:
    """Tell native code the level of each of its loggers."""
    _raddle.log_refresh(threshold)


def _hook() -> bool:
    """Have `refresh` called when logging drops its own cached levels; say whether that works.

    `Manager._clear_cache` is private: it is called by setLevel() and disable(). Where it is not, the
    worker looks at the levels from time to time.
    """
    manager = logging.Logger.manager
    clear = getattr(manager, "_clear_cache", None)
    if clear is None:
        return False
    if getattr(clear, "of_raddle", False):
        return True
    calls = 0

    def clear_and_refresh() -> None:
        nonlocal calls
        calls += 1
        clear()
        refresh()

    clear_and_refresh.of_raddle = True
    try:
        manager._clear_cache = clear_and_refresh
    except AttributeError:
        return False
    # A logger that nobody else knows.
    logging.Logger("raddle.probe").setLevel(logging.DEBUG)
    return calls == 1


def begin() -> bool:
    """Run once, before the first record; say whether changes of levels are noticed at once."""
    # Before logging closes its handlers, which it does at exit if it was imported by now.
    stop_earlier()
    return _hook()
