"""A plain interpreter that loads libraddle is adopted, and its end is noticed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import run_python

TESTS = Path(__file__).resolve().parent
LIBRARY = Path(os.environ["RADDLE_BUILD"]) / "libraddle.so.0"

PROLOGUE = f"""
import ctypes, sys, threading
held = ctypes.PyDLL({str(LIBRARY)!r})
free = ctypes.CDLL({str(LIBRARY)!r})
runtime = ctypes.c_void_p()
status = held.raddle_runtime_adopt(ctypes.byref(runtime))
assert status == 0, (status, ctypes.string_at(held.raddle_last_error_message()))
"""


def run(code):
    command = [sys.executable, "-I", "-c", PROLOGUE + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_an_adopted_interpreter_has_the_package():
    done = run(
        "import raddle, raddle.weave\n"
        "print(raddle.__version__, raddle.python_abi, raddle.__spec__.origin)\n"
        "assert held.raddle_enter() == 0 and held.raddle_leave() == 0\n"
        "assert raddle.gate_stats()['entries'] >= 0\n"
    )
    assert done.returncode == 0, done.stderr
    version, abi, origin = done.stdout.split()
    assert abi == "%d.%d%s" % (*sys.version_info[:2], sys.abiflags)
    assert origin == "<libraddle>/raddle/__init__.py"


@pytest.mark.parametrize("module", ["_raddle", "_raddle_glib"])
def test_the_stubs_say_what_the_library_s_modules_have(module):
    stub = TESTS.parents[1] / f"glue/python/{module}.pyi"
    done = subprocess.run([sys.executable, TESTS / "stubs.py", stub], capture_output=True, text=True, timeout=60)
    assert done.stdout == "the same\n", done.stderr


ABSENT_OR_OLD = """
import sys, types

def import_beside(module):
    sys.modules["_raddle_glib"] = module
    sys.modules.pop("raddle", None)
    import raddle
    return raddle

assert not hasattr(import_beside(None), "GObject")
try:
    import_beside(types.ModuleType("_raddle_glib"))
except ImportError as error:
    assert "'_raddle_glib'" in str(error), error
else:
    raise AssertionError("an old module was taken for none")
"""


def test_a_library_without_names_is_told_from_one_without_glib():
    run_python(ABSENT_OR_OLD)


def test_threads_of_python_nest_on_the_state_that_python_gave_them():
    done = run(
        "def work():\n"
        "    for _ in range(100):\n"
        "        for depth in range(3): assert held.raddle_enter() == 0\n"
        "        for depth in range(3): assert held.raddle_leave() == 0\n"
        "        assert held.raddle_leave() == 7\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "import raddle\n"
        "print(raddle.gate_stats()['nested'])\n"
    )
    assert (done.returncode, done.stdout) == (0, "1200\n"), done.stderr


def test_the_gate_is_closed_when_the_interpreter_ends():
    # Registered before the adoption, this handler runs after raddle's.
    code = (
        "import atexit\n"
        "atexit.register(lambda: print('late', held.raddle_runtime_is_open(runtime)))\n"
    ) + PROLOGUE + "print('open', held.raddle_runtime_is_open(runtime))\n"
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["open", "1", "late", "0"]


def test_a_second_start_is_refused_with_advice():
    done = run(
        "again = ctypes.c_void_p()\n"
        "assert free.raddle_runtime_new(None, ctypes.byref(again)) == 4\n"
        "held.raddle_last_error_message.restype = ctypes.c_char_p\n"
        "print(held.raddle_last_error_message().decode())\n"
    )
    assert done.returncode == 0, done.stderr
    assert "started already" in done.stdout
