"""What all Python tests have: their order, those of tasklets first, and a display.

A thread whose tasklets all wait learns of a deadlock only where nobody could wake it, and any other
thread that Python knows could. Tests of loops, pools and PyGObject leave such threads behind: a pool
keeps its idle threads, and each of them the state with which it enters again. That they count is meant
(docs/design/tasklets.md, "Who could end a deadlock?"): nothing tells who is done from who comes back.
"""

import os
import subprocess

import pytest
from support import DEADLINE


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.path.name.startswith("test_stackless"))


@pytest.fixture(scope="module")
def display():
    """A display that no other window is on, with a pointer and a keyboard of its own."""
    ours, theirs = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(theirs), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"],
        pass_fds=[theirs],
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    with open(ours) as answer:
        number = answer.readline().strip()
    assert number, "Xvfb does not start"
    yield f":{number}"
    server.terminate()
    server.wait(DEADLINE)
