"""Counts functions and imports, and shows the longest functions in a pane of its own."""

import ast
import heapq
import threading
import warnings

from gi.repository import GLib, Gtk, Pango

TITLE = "Longest functions"
SHOWN = 5
EVERY = 200  # files, until the pane is brought up to date

NOT_PYTHON = (SyntaxError, ValueError, LookupError, RecursionError, MemoryError, OverflowError)
warnings.simplefilter("ignore", SyntaxWarning)
warnings.simplefilter("ignore", DeprecationWarning)

lock = threading.Lock()
longest = []  # (lines, name, file), the shortest of them first
files = 0
rows = None


def index(path, data):
    """Called by native workers, several at once."""
    global files
    try:
        tree = ast.parse(data)
    except NOT_PYTHON:
        return {"errors": 1}
    functions = imports = 0
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions += 1
            found.append((node.end_lineno - node.lineno + 1, node.name, path))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            imports += 1
    with lock:
        longest[:] = heapq.nlargest(SHOWN, longest + found)
        files += 1
        due = files % EVERY == 0
    if due:
        GLib.idle_add(refresh)  # widgets are the main thread's
    return {"functions": functions, "imports": imports}


def finish():
    """Called by the window's thread, when the work has ended."""
    refresh()


class Row(Gtk.Box):
    """A function: a bar as long as it, its name, its lines."""

    def __init__(self):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        line = Gtk.Box(spacing=8)
        self.name = Gtk.Label(xalign=0, hexpand=True, ellipsize=Pango.EllipsizeMode.MIDDLE)
        self.lines = Gtk.Label(xalign=1, css_classes=["faint", "numeric"])
        self.bar = Gtk.LevelBar()
        for name in Gtk.LEVEL_BAR_OFFSET_LOW, Gtk.LEVEL_BAR_OFFSET_HIGH, Gtk.LEVEL_BAR_OFFSET_FULL:
            self.bar.remove_offset_value(name)
        line.append(self.name)
        line.append(self.lines)
        self.append(line)
        self.append(self.bar)

    def show_function(self, lines, name, path, most):
        self.name.set_text(f"{name}()")
        self.name.set_tooltip_text(path)
        self.lines.set_text(f"{lines} lines")
        self.bar.set_value(lines / most)


def pane():
    """Called once, by the window's thread: the widget that the window is to show."""
    global rows
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=7)
    rows = [Row() for _ in range(SHOWN)]
    for row in rows:
        row.set_opacity(0)
        box.append(row)
    button = Gtk.Button(label="Refresh now", halign=Gtk.Align.END, margin_top=4)
    button.connect("clicked", lambda _: refresh())
    box.append(button)
    return box


def refresh():
    with lock:
        known = sorted(longest, reverse=True)
    for row, function in zip(rows or (), known):
        row.show_function(*function, known[0][0])
        row.set_opacity(1)
    return GLib.SOURCE_REMOVE
