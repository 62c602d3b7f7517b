"""Reads a window over AT-SPI, as a screen reader does: `at_spi_reader.py PROGRAM [press NAME]`.

Prints, as JSON, the role and the name of each of its parts but the rows of lists, and null while the program has
no window there; presses the button of a name before that. test_gtk_demo.py runs it.
"""

import json
import sys

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # noqa: E402


def children(node):
    return filter(None, map(node.get_child_at_index, range(node.get_child_count())))


def parts(node):
    yield node
    if node.get_role_name() != "list":
        for child in children(node):
            yield from parts(child)


def press(button):
    for index in range(Atspi.Action.get_n_actions(button)):
        if Atspi.Action.get_action_name(button, index) == "click":
            Atspi.Action.do_action(button, index)


def role(part):
    # Its name in later versions.
    return part.get_role_name().replace("push button", "button")


def look(program, pressed=None):
    for application in children(Atspi.get_desktop(0)):
        if application.get_name() == program:
            found = list(parts(application))
            for part in found:
                if (role(part), part.get_name()) == ("button", pressed):
                    press(part)
            return [[role(part), part.get_name()] for part in found]
    return None


# A loaded machine is late to answer: 10 seconds, and 15 for a program that has just begun.
Atspi.set_timeout(10_000, 15_000)
try:
    print(json.dumps(look(sys.argv[1], *sys.argv[3:])))
except GLib.Error as error:
    # It is busy, or a part has gone meanwhile: look again.
    print(error, file=sys.stderr)
    print("null")
