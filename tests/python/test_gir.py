"""gi imports Raddle from its typelib, and what it calls is the raddle that serves this Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BUILD = Path(os.environ["RADDLE_BUILD"])
pytest.importorskip("gi", reason="no PyGObject (Debian: python3-gi)")
if not (BUILD / "Raddle-0.typelib").exists():
    pytest.skip("no typelib (Debian: gobject-introspection)", allow_module_level=True)


def run(code):
    environment = {**os.environ, "GI_TYPELIB_PATH": str(BUILD)}
    libraries = [str(BUILD), os.environ.get("LD_LIBRARY_PATH", "")]
    environment["LD_LIBRARY_PATH"] = ":".join(filter(None, libraries))
    prologue = "import raddle, gi\ngi.require_version('Raddle', '0')\nfrom gi.repository import GLib, Raddle\n"
    command = [sys.executable, "-c", prologue + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_constants_are_there():
    assert run(
        "print(int(Raddle.Status.CLOSED), Raddle.status_name(Raddle.Status.CLOSED), int(Raddle.Hold.TURN))\n"
        "print(GLib.quark_to_string(Raddle.error_quark()), Raddle.python_abi() == raddle.python_abi)\n"
    ) == "5 RADDLE_STATUS_CLOSED 1\nraddle-error-quark True\n"


def test_the_types_are_gobject_s():
    # gi gives Python up around each call, so what wants it held answers that it is not.
    assert run(
        "print(Raddle.Runtime.__gtype__.name, Raddle.Status.__gtype__.name, Raddle.Hold.__gtype__.name)\n"
        "print(Raddle.is_held(), Raddle.leave() == Raddle.Status.WRONG_ORDER)\n"
    ) == "RaddleRuntime RaddleStatus RaddleHold\nFalse True\n"


def test_a_context_is_attached_and_detached_once():
    assert run(
        "context = GLib.MainContext.new()\n"
        "print(Raddle.main_context_attach(context, Raddle.Hold.CALLBACK, None) == Raddle.Status.OK)\n"
        "print(Raddle.main_context_detach(context) == Raddle.Status.OK)\n"
        "print(Raddle.main_context_detach(context) == Raddle.Status.WRONG_ORDER)\n"
        "print(Raddle.last_error_message() != '')\n"
    ) == "True\nTrue\nTrue\nTrue\n"


def test_a_loop_is_run_with_python_s_signals():
    assert run(
        "import os, signal, threading\n"
        "loop = GLib.MainLoop.new(None, False)\n"
        "seen = []\n"
        "signal.signal(signal.SIGUSR1, lambda *_: (seen.append('handled'), loop.quit()))\n"
        "GLib.idle_add(lambda: os.kill(os.getpid(), signal.SIGUSR1))\n"
        "GLib.timeout_add_seconds(20, loop.quit)\n"
        "print(Raddle.main_loop_run(loop) == Raddle.Status.OK, seen)\n"
    ) == "True ['handled']\n"
