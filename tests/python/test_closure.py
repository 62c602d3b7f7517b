"""Handlers in Python on signals: raddle's and unpatched PyGObject's together, on whichever thread."""

import subprocess
import sys

import pytest

pytest.importorskip("gi", reason="no PyGObject (Debian: python3-gi)")

PROLOGUE = """
import gc, sys, threading, weakref
import raddle
from gi.repository import Gio, GLib, GObject
reports = []
sys.unraisablehook = lambda about: reports.append((about.exc_type.__name__, str(about.object)))

class Thing(GObject.Object):
    number = GObject.Property(type=int, default=0)
    @GObject.Signal(return_type=int, arg_types=(int, str))
    def asks(self, number, text): return 0
    @GObject.Signal()
    def plain(self): pass

def on_threads(count, body):
    threads = [threading.Thread(target=body, args=(index,)) for index in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
"""


def run(code):
    command = [sys.executable, "-c", PROLOGUE + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_raddle_and_pygobject_handle_the_same_signal():
    assert run(
        "thing, seen = Thing(), []\n"
        "thing.connect('asks', lambda *given: seen.append(('gi', given[0] is thing, *given[1:])) or 1)\n"
        "id = raddle.connect(thing, 'asks', lambda *given: seen.append(('raddle', given[0] is thing, *given[1:])) or 2)\n"
        "print(thing.emit('asks', 5, 'five'), seen)\n"
        "thing.disconnect(id)\n"
        "thing.handler_disconnect(thing.connect('plain', print))\n"
        "print(thing.handler_is_connected(id), thing.emit('asks', 1, 'x'))\n"
    ) == "2 [('gi', True, 5, 'five'), ('raddle', True, 5, 'five')]\nFalse 1\n"


def test_a_property_is_watched_and_a_wrapper_comes():
    assert run(
        "thing, seen = Thing(), []\n"
        "raddle.connect(thing, 'notify::number', lambda thing, spec: seen.append((thing.number, spec.name, spec.value_type.name)))\n"
        "raddle.connect(thing, 'notify', lambda *_: seen.append('after'), after=True)\n"
        "thing.number = 7\n"
        "print(seen)\n"
    ) == "[(7, 'number', 'gint'), 'after']\n"


def test_what_a_handler_raises_goes_to_the_hook_with_the_signal_s_name():
    assert run(
        "thing = Thing()\n"
        "raddle.connect(thing, 'asks', lambda *_: 1 / 0)\n"
        "raddle.connect(thing, 'asks', lambda *_: 'text')\n"
        "thing.emit('asks', 1, 'x')\n"
        "print([name for name, _ in reports], all('the signal asks of' in about for _, about in reports))\n"
    ) == "['ZeroDivisionError', 'TypeError'] True\n"


def test_a_signal_that_returns_an_error_returns_what_was_raised():
    assert run(
        "class Gate(GObject.Object):\n"
        "    @GObject.Signal(return_type=GLib.Error.__gtype__, arg_types=(GLib.Error.__gtype__,))\n"
        "    def checks(self, error): return None\n"
        "gate, busy = Gate(), GLib.Error('too busy', 'g-io-error-quark', 26)\n"
        "def emit(handler):\n"
        "    id = raddle.connect(gate, 'checks', handler)\n"
        "    error = gate.emit('checks', busy)\n"
        "    raddle.disconnect(gate, id)\n"
        "    print(error)\n"
        "def again(gate, error): raise error\n"
        "def ours(gate, error): raise raddle.GError('ours', error.domain, 1)\n"
        "emit(again)\n"
        "emit(ours)\n"
        "emit(lambda gate, error: error)\n"
        "emit(lambda gate, error: 1 / 0)\n"
        "print(reports)\n"
    ).splitlines() == [
        "g-io-error-quark: too busy (26)",
        "g-io-error-quark: ours (1)",
        "g-io-error-quark: too busy (26)",
        "raddle-error-quark: ZeroDivisionError: division by zero (11)",
        "[]",
    ]


def test_nothing_leaks_when_handlers_and_objects_go():
    assert run(
        "class Handler:\n"
        "    def __call__(self, *_): pass\n"
        "refs, objects = [], []\n"
        "for index in range(200):\n"
        "    thing, handler = Thing(), Handler()\n"
        "    refs.append(weakref.ref(handler))\n"
        "    objects.append(thing.weak_ref())\n"
        "    id = raddle.connect(thing, 'plain', handler)\n"
        "    thing.emit('plain')\n"
        "    if index % 2: raddle.disconnect(thing, id)\n"
        "    del thing, handler\n"
        "gc.collect()\n"
        "print(sum(ref() is not None for ref in refs), sum(ref() is not None for ref in objects))\n"
        "def handler(thing): pass\n"
        "before = sys.getrefcount(handler)\n"
        "thing = Thing()\n"
        "ids = [raddle.connect(thing, 'plain', handler) for _ in range(50)]\n"
        "for id in ids: raddle.disconnect(thing, id)\n"
        "print(sys.getrefcount(handler) - before, thing.__grefcount__)\n"
    ) == "0 0\n0 1\n"


def test_objects_with_handlers_of_both_kinds_die_on_other_threads():
    assert run(
        "ends = []\n"
        "class Handler:\n"
        "    def __call__(self, *_): pass\n"
        "    def __del__(self): ends.append(threading.get_ident())\n"
        "things = []\n"
        "for _ in range(400):\n"
        "    thing = Thing()\n"
        "    thing.connect('plain', Handler())\n"
        "    raddle.connect(thing, 'plain', Handler())\n"
        "    things.append(thing)\n"
        "del thing\n"
        "def drop(index):\n"
        "    for _ in range(50):\n"
        "        thing = things.pop()\n"
        "        thing.emit('plain')\n"
        "        del thing\n"
        "on_threads(8, drop)\n"
        "gc.collect()\n"
        "print(len(ends), len(things))\n"
    ) == "800 0\n"


def test_emissions_and_connects_on_eight_threads_end_where_they_began():
    assert run(
        "thing, lock, calls = Thing(), threading.Lock(), []\n"
        "def storm(index):\n"
        "    for step in range(300):\n"
        "        id = raddle.connect(thing, 'asks', lambda thing, number, text: calls.append(number) or 1)\n"
        "        other = thing.connect('asks', lambda thing, number, text: 2)\n"
        "        thing.emit('asks', step, 'x')\n"
        "        raddle.disconnect(thing, id)\n"
        "        thing.disconnect(other)\n"
        "on_threads(8, storm)\n"
        "print(len(calls) >= 2400, thing.emit('asks', 1, 'x'), reports, thing.__grefcount__)\n"
    ) == "True 0 [] 1\n"


def test_idle_sources_from_threads_reach_pygobject_s_loop():
    assert run(
        "loop, seen, thing = GLib.MainLoop(), [], Thing()\n"
        "raddle.connect(thing, 'plain', lambda thing: seen.append(threading.get_ident()))\n"
        "def tick():\n"
        "    thing.emit('plain')\n"
        "    if len(seen) == 800: loop.quit()\n"
        "def post(index):\n"
        "    for _ in range(100): GLib.idle_add(tick)\n"
        "threads = [threading.Thread(target=post, args=(index,)) for index in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "GLib.timeout_add_seconds(30, loop.quit)\n"
        "loop.run()\n"
        "for thread in threads: thread.join()\n"
        "print(len(seen), set(seen) == {threading.get_ident()})\n"
    ) == "800 True\n"


def test_a_cancellable_is_cancelled_and_tells():
    assert run(
        "from _raddle_glib import cancel\n"
        "cancellable, seen = Gio.Cancellable(), []\n"
        "raddle.connect(cancellable, 'cancelled', lambda cancellable: seen.append(cancellable.is_cancelled()))\n"
        "cancel(cancellable)\n"
        "print(seen, cancellable.is_cancelled())\n"
        "try: cancel(Thing())\n"
        "except TypeError: print('refused')\n"
    ) == "[True] True\nrefused\n"


def test_the_end_of_python_finds_handlers_of_live_objects():
    assert run(
        "kept = [Thing() for _ in range(20)]\n"
        "for thing in kept: raddle.connect(thing, 'plain', lambda thing: None)\n"
        "action = Gio.SimpleAction.new('a', None)\n"
        "raddle.connect(action, 'activate', print)\n"
        "stop = threading.Event()\n"
        "def emit():\n"
        "    while not stop.is_set(): kept[0].emit('plain')\n"
        "thread = threading.Thread(target=emit, daemon=True)\n"
        "thread.start()\n"
        "print('done')\n"
    ) == "done\n"
