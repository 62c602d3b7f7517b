"""What the tests of the scheduler on a main context share."""

import sys
import time

import pytest

import raddle
from raddle import stackless

of_glib = pytest.importorskip("raddle.asyncio", reason="this raddle was built without GLib")
MainContext, GLibEventLoop = of_glib.MainContext, of_glib.GLibEventLoop


@pytest.fixture
def context():
    """A context of its own that runs this thread's tasklets."""
    context = MainContext()
    raddle.attach_scheduler(context)
    yield context
    raddle.detach_scheduler(context)


@pytest.fixture
def hooked(monkeypatch):
    """Has what sys.unraisablehook is told put into a list; called in the test, since pytest hooks it before."""

    def begin():
        seen = []
        monkeypatch.setattr(sys, "unraisablehook", lambda about: seen.append((about.exc_type, str(about.exc_value))))
        return seen

    return begin


def iterate_until(context, is_so, seconds=20):
    """Turns the context until something is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came to that"
        context.iteration(True)


def spawn(function, *args):
    return stackless.tasklet(function)(*args)
