"""Counts names, in plain Python for as long as it takes, and shows the commonest when it is asked."""

import collections
import re
import threading

from gi.repository import Gtk

TITLE = "Names"
SHOWN = 24

NAME = re.compile(rb"[A-Za-z_][A-Za-z_0-9]*")
NOT_WORTH_IT = frozenset(b"self if in not and or is def for return import from as None True False the".split())

lock = threading.Lock()
names = collections.Counter()
grid = None


def index(path, data):
    """Called by native workers, several at once."""
    here = collections.Counter()
    count = 0
    for match in NAME.finditer(data):
        count += 1
        name = match.group()
        if len(name) > 2 and name not in NOT_WORTH_IT:
            here[name] += 1
    with lock:
        names.update(here)
    return {"names": count}


def pane():
    """Called once, by the window's thread: the widget that the window is to show."""
    global grid
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8)
    grid = Gtk.FlowBox(selection_mode=Gtk.SelectionMode.NONE, max_children_per_line=3, homogeneous=True)
    button = Gtk.Button(label="Count names now", halign=Gtk.Align.START)
    button.connect("clicked", refresh)
    box.append(button)
    box.append(grid)
    return box


def refresh(button):
    with lock:
        known = names.most_common(SHOWN)
    while child := grid.get_first_child():
        grid.remove(child)
    for name, count in known:
        grid.append(Gtk.Label(label=f"{name.decode()} {count:,}", xalign=0, css_classes=["numeric"]))
    button.set_label(f"Count names again ({sum(names.values()):,} so far)")
