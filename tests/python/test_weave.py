"""raddle.weave: what native destructors do on threads that Python made, and what the wrapper says.

tests/rust/weave.rs and tests/c/ft_weave.c have the threads that Python did not make.
"""

import ctypes
import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

import _raddle
import raddle
from raddle import weave

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def probe_path(tmp_path_factory):
    """weave_probe.c as a shared library."""
    library = tmp_path_factory.mktemp("weave") / "weave_probe.so"
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-shared", "-fPIC", "-pthread", "-o", library, HERE / "weave_probe.c"], check=True)
    return library


@pytest.fixture
def probe(probe_path):
    library = ctypes.CDLL(str(probe_path))
    library.call_value.restype = ctypes.c_void_p
    library.first.argtypes = [ctypes.c_void_p]
    library.forget_calls()
    yield library
    library.set_closed(0)


@pytest.fixture
def enabled():
    raddle.ENABLE_EXPERIMENTAL = True
    yield
    raddle.ENABLE_EXPERIMENTAL = False


def address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


def calls(probe):
    return [(probe.call_destructor(number), probe.call_value(number)) for number in range(probe.calls())]


def started(body):
    thread = threading.Thread(target=body)
    thread.start()
    return thread


def run_python(*args, **options):
    """A child with this interpreter's path: what it printed, if it ended well."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    child = subprocess.run([sys.executable, *args], env=env, capture_output=True, text=True, timeout=60, **options)
    assert child.returncode == 0, child.stderr
    return child.stdout


def test_raddle_does_what_ft_utils_was_seen_to_do(probe_path):
    seen = run_python(HERE / "weave_oracle.py", "raddle", probe_path)
    assert seen.splitlines() == (HERE / "weave_oracle.txt").read_text().splitlines()


@pytest.mark.skipif(
    importlib.util.find_spec("ft_utils") is None, reason="ft_utils is not installed beside this Python"
)
def test_raddle_does_what_the_installed_ft_utils_does(probe_path):
    oracle = run_python(HERE / "weave_oracle.py", "ft_utils", probe_path)
    assert run_python(HERE / "weave_oracle.py", "raddle", probe_path) == oracle


def test_destructors_run_after_python_is_done_with_the_thread(probe, enabled):
    class Finalized:
        def __del__(self):
            probe.first(None)

    def body():
        local.value = Finalized()
        weave.register_native_destructor(ctypes.addressof(box), address(probe.second))

    local, box = threading.local(), ctypes.c_void_p(7)
    assert weave.join(started(body))
    assert calls(probe) == [(1, None), (2, 7)]


def test_every_thread_runs_its_destructors_once(probe, enabled):
    def body(box):
        for _ in range(3):
            weave.register_native_destructor(ctypes.addressof(box), address(probe.first))

    boxes = [ctypes.c_void_p(number) for number in range(1, 101)]
    threads = [started(lambda box=box: body(box)) for box in boxes]
    assert all(weave.join(thread) for thread in threads)
    assert sorted(calls(probe)) == [(1, number) for number in range(1, 101) for _ in range(3)]


def test_nothing_runs_on_the_main_thread(probe_path):
    program = """if True:
        import ctypes, os, raddle, sys
        from raddle import weave
        raddle.ENABLE_EXPERIMENTAL = True
        probe = ctypes.CDLL(sys.argv[1])
        box = ctypes.c_void_p(0)
        # Called, it would end the process by a signal.
        weave.register_native_destructor(ctypes.addressof(box), ctypes.cast(probe.abort, ctypes.c_void_p).value)
        print("registered")
    """
    assert run_python("-c", program, probe_path) == "registered\n"


def test_join_waits_for_destructors_that_take_their_time(probe, enabled):
    def body():
        weave.register_native_destructor(ctypes.addressof(box), address(probe.patient))

    box = ctypes.c_void_p(9)
    probe.set_closed(1)
    thread = started(body)
    probe.await_waiting()  # ctypes gives Python up around the call
    assert not _raddle.wait_for_native_destructors(thread.ident, thread.native_id, 0.0)
    assert not _raddle.wait_for_native_destructors(thread.ident, thread.native_id, 0.01)
    opener = started(lambda: probe.set_closed(0))
    assert weave.join(thread)
    assert calls(probe) == [(3, 9)]
    assert weave.join(thread, timeout=0)
    opener.join()


def test_join_gives_up_on_a_thread_that_goes_on(enabled):
    go_on = threading.Event()
    thread = started(go_on.wait)
    assert not weave.join(thread, timeout=0.01)
    go_on.set()
    assert weave.join(thread, timeout=60)


def test_join_of_a_thread_without_destructors_does_not_wait():
    assert weave.join(started(lambda: None))


def test_join_refuses_what_thread_join_refuses():
    with pytest.raises(RuntimeError, match="cannot join current thread"):
        weave.join(threading.current_thread())
    with pytest.raises(RuntimeError, match="before it is started"):
        weave.join(threading.Thread())


def test_a_signal_ends_the_wait_for_destructors(probe, enabled):
    def body():
        weave.register_native_destructor(ctypes.addressof(box), address(probe.patient))

    box = ctypes.c_void_p(9)
    probe.set_closed(1)
    thread = started(body)
    probe.await_waiting()
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            _raddle.wait_for_native_destructors(thread.ident, thread.native_id, -1.0)
    finally:
        signal.signal(signal.SIGALRM, before)
        probe.set_closed(0)
    assert weave.join(thread)


def test_registrations_outlive_the_module(probe, enabled):
    def body():
        weave.register_native_destructor(ctypes.addressof(box), address(probe.first))
        weave.register_native_destructor(ctypes.addressof(other), address(probe.second))
        fresh = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(fresh)
        answers.append(fresh.unregister_native_destructor(ctypes.addressof(box)))

    box, other, answers = ctypes.c_void_p(1), ctypes.c_void_p(2), []
    spec = importlib.util.find_spec("raddle.weave")
    assert weave.join(started(body))
    assert answers == [True]
    assert calls(probe) == [(2, 2)]


def test_a_child_of_fork_runs_the_forking_threads_destructors_only(probe_path):
    program = """if True:
        import ctypes, os, sys, threading, raddle
        from raddle import weave
        raddle.ENABLE_EXPERIMENTAL = True
        probe = ctypes.CDLL(sys.argv[1])
        first = ctypes.cast(probe.first, ctypes.c_void_p).value
        boxes = [ctypes.c_void_p(number) for number in (1, 2)]
        inside, go_on = threading.Event(), threading.Event()
        def stay():
            weave.register_native_destructor(ctypes.addressof(boxes[0]), first)
            inside.set()
            go_on.wait()
        def fork():
            weave.register_native_destructor(ctypes.addressof(boxes[1]), first)
            child = os.fork()
            if child == 0:
                # A thread of the child's own: the list of its only thread is no other thread's.
                thread = threading.Thread(target=lambda: weave.register_native_destructor(
                    ctypes.addressof(boxes[0]), first))
                thread.start()
                joined = weave.join(thread, 30)
                mine = weave.unregister_native_destructor(ctypes.addressof(boxes[1]))
                others = weave.unregister_native_destructor(ctypes.addressof(boxes[0]))
                gone = weave._raddle.wait_for_native_destructors(stayer.ident, stayer.native_id, 30.0)
                os._exit(0 if (joined, mine, others, gone, probe.calls()) == (True, True, False, True, 1) else 1)
            statuses.append(os.waitpid(child, 0)[1])
        statuses = []
        stayer = threading.Thread(target=stay)
        stayer.start()
        inside.wait()
        forker = threading.Thread(target=fork)
        forker.start()
        weave.join(forker)
        print(statuses, probe.calls())
        go_on.set()
        weave.join(stayer)
        print(probe.calls())
    """
    assert run_python("-W", "ignore::DeprecationWarning", "-c", program, probe_path) == "[0] 1\n2\n"


FT_UTILS = """if True:
    import sys, threading
    for name in [name for name in sys.modules if name.split(".")[0] == "ft_utils"]:
        del sys.modules[name]
    # What this interpreter has installed does not count here, but argv's folders do.
    sys.path[:] = [*sys.argv[1:], *(folder for folder in sys.path if not folder.endswith("-packages"))]
    import raddle
    from raddle import weave
"""


def test_ft_utils_is_not_there_unless_asked_for():
    program = FT_UTILS + """
    try:
        import ft_utils.weave
    except ModuleNotFoundError as error:
        print(error)
    """
    assert run_python("-c", program) == "No module named 'ft_utils'\n"


def test_ft_utils_weave_is_answered_for():
    program = FT_UTILS + """
    weave.answer_for_ft_utils()
    weave.answer_for_ft_utils()
    import ft_utils, ft_utils.weave as theirs
    from ft_utils.weave import unregister_native_destructor as early
    print(ft_utils.ENABLE_EXPERIMENTAL)
    try:
        theirs.register_native_destructor(0, 0)
    except RuntimeError as error:
        print(error)
    ft_utils.ENABLE_EXPERIMENTAL = True
    print(raddle.ENABLE_EXPERIMENTAL)
    print(theirs.register_native_destructor(0, 0), weave.unregister_native_destructor(0), early(0))
    print(theirs.register_native_destructor is weave.register_native_destructor)
    print("register_native_destructor" in dir(theirs), hasattr(theirs, "join"))
    try:
        import ft_utils.concurrency
    except ModuleNotFoundError as error:
        print(error)
    """
    assert run_python("-c", program).splitlines() == [
        "False",
        "Experimental support not enabled for raddle",
        "True",
        "None True False",
        "True",
        "True False",
        "No module named 'ft_utils.concurrency'",
    ]


def test_an_installed_ft_utils_wins(tmp_path):
    (tmp_path / "ft_utils").mkdir()
    (tmp_path / "ft_utils" / "__init__.py").write_text("ENABLE_EXPERIMENTAL = 'theirs'\n")
    program = FT_UTILS + """
    weave.answer_for_ft_utils()
    import ft_utils
    print(ft_utils.ENABLE_EXPERIMENTAL)
    try:
        import ft_utils.weave
    except ModuleNotFoundError as error:
        print(error)
    """
    assert run_python("-c", program, tmp_path).splitlines() == ["theirs", "No module named 'ft_utils.weave'"]


@pytest.mark.parametrize(
    "language", [["-xc", "-std=c11"], ["-xc", "-std=c11", "-DPy_LIMITED_API=0x030b0000"], ["-xc++", "-std=c++17"]]
)
def test_ft_weave_h_compiles_on_its_own(language, tmp_path):
    source = tmp_path / "ft_weave"
    source.write_text("#include <raddle/ft_weave.h>\nextern weave_local void *value;\n")
    headers = HERE.parents[1] / "glue" / "capi" / "include"
    compiler = os.environ.get("CC", "cc").split()
    flags = ["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{headers}"]
    python = ["-isystem", sysconfig.get_path("include")]
    subprocess.run([*compiler, *language, *flags, *python, source], check=True)
