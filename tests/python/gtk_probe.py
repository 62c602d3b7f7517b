"""A plugin for the GTK demo that tells where things are and what they say, into $GTK_PROBE as JSON.

It is how test_gtk_demo.py knows where to click: the demo itself has nothing in it for tests.
"""

import itertools
import json
import os

from gi.repository import GLib, Graphene, Gtk

TITLE = "Probe"

numbers = itertools.count()


def index(path, data):
    return None


def pane():
    # Behind frames: telling takes Python, for which others are in the queue.
    GLib.timeout_add(100, tell, priority=GLib.PRIORITY_LOW)
    domain = GLib.Variant("a{sv}", {"MESSAGE": GLib.Variant("s", "said by g_log")})
    GLib.log_variant("probe", GLib.LogLevelFlags.LEVEL_MESSAGE, domain)
    return Gtk.Label(label="probe")


def widgets(widget):
    yield widget
    child = widget.get_first_child()
    while child:
        yield from widgets(child)
        child = child.get_next_sibling()


def center(widget, window):
    """The middle of a widget, in pixels of the X window."""
    there, point = widget.compute_point(
        window, Graphene.Point().init(widget.get_width() / 2, widget.get_height() / 2)
    )
    x, y = window.get_surface_transform()
    return [round(point.x + x), round(point.y + y)] if there else None


def tell():
    for window in Gtk.Window.list_toplevels():
        if not isinstance(window, Gtk.ApplicationWindow):
            continue
        places, log, arrows = {}, "", {}
        for widget in widgets(window):
            if isinstance(widget, Gtk.Label) and widget.get_mapped():
                places.setdefault(widget.get_text(), []).append(center(widget, window))
            if widget.get_css_name() == "sort-indicator":
                arrows[widget.get_prev_sibling().get_text()] = widget.get_css_classes()
            if isinstance(widget, Gtk.TextView):
                buffer = widget.get_buffer()
                log = buffer.get_text(*buffer.get_bounds(), False)
        told = {"number": next(numbers), "labels": list(places), "places": places, "log": log, "arrows": arrows}
        path = os.environ["GTK_PROBE"]
        with open(path + ".new", "w") as file:
            json.dump(told, file)
        os.replace(path + ".new", path)
    return True
