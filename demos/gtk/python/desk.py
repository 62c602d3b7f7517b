"""desk.py: the window's side of Python: its log pane gets what is logged, and what nobody caught."""

import logging
import sys
import threading
import types

import _window

try:
    import gi
except ImportError:
    logging.getLogger("window").warning("no PyGObject, so plugins have no panes (Debian: python3-gi)")
else:
    gi.require_version("Gtk", "4.0")

#: How long others may go on while the window's thread waits for Python, in seconds. The default, 5 ms,
#: is a third of a frame.
SWITCH_INTERVAL = 0.001


class Overdue(BaseException):
    """Raised where a plugin was, when it did not come back in time."""

    def __str__(self):
        return "it took too long"


class Pane(logging.Handler):
    """Hands records to the log pane: runs on the log worker's thread, and on those of plugins."""

    def emit(self, record):
        try:
            text = self.format(record)
            if record.name not in ("root", "window", "window.work"):
                text = f"{record.name}: {text}"
            _window.log(record.levelno, record.created, record.threadName or "", text.replace("\0", "?"))
        except Exception:
            self.handleError(record)


def begin():
    """Send everything to the pane, and what is wrong to stderr too."""
    root = logging.getLogger()
    root.addHandler(Pane())
    stderr = logging.StreamHandler()
    stderr.setLevel(logging.WARNING)
    stderr.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    root.addHandler(stderr)
    root.setLevel(logging.INFO)
    # PyGObject gives what a callback raises to sys.excepthook, raddle to sys.unraisablehook.
    sys.excepthook = lambda kind, value, traceback: report("a callback", kind, value, traceback)
    sys.unraisablehook = lambda about: report(
        describe(about.object), about.exc_type, about.exc_value, about.exc_traceback
    )
    threading.excepthook = lambda about: report(
        about.thread, about.exc_type, about.exc_value, about.exc_traceback
    )
    sys.setswitchinterval(SWITCH_INTERVAL)


def describe(thing):
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    return getattr(thing, "__qualname__", None) or str(thing)


def report(where, kind, value, traceback):
    """Log an exception in one line, with the place where it was raised."""
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    place = ""
    if traceback:
        place = f" ({traceback.tb_frame.f_code.co_filename}, line {traceback.tb_lineno})"
    text = str(value) if value is not None else ""
    logging.getLogger("window.python").error("%s: %s: %s%s", where, kind.__name__, text, place)


def where(thread):
    """Say which Python code a thread is in, or return None if it is in none."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        return None
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}, {frame.f_code.co_name}()"
