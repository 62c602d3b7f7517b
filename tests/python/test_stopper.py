"""raddle.exit_stopper in children that end in every way, and what it refuses."""

import textwrap
import time

import pytest

import raddle
from support import run_python

PROLOGUE = """
import sys, threading, raddle
def say(*words): print(*words, flush=True)
"""


def run(program, **options):
    return run_python(PROLOGUE + textwrap.dedent(program), **options)


STAGES = """
for stage in ("log", "pools", "completions", "refuse"):
    for age in ("old", "new"):
        raddle.exit_stopper(f"{age} {stage}", lambda words=(stage, age): say(*words), stage=stage)
"""
IN_ORDER = [f"{stage} {age}" for stage in ("refuse", "pools", "completions", "log") for age in ("new", "old")]


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise ZeroDivisionError", 1),
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", 0),
        ("import concurrent.futures as futures; futures.ThreadPoolExecutor(2).submit(abs, 1)", 0),
    ],
)
def test_all_run_in_their_order_however_python_ends(end, status):
    assert run(STAGES + end, status=status).stdout.splitlines() == IN_ORDER


def test_the_first_stage_runs_before_python_joins_its_threads():
    done = run("""
        event = threading.Event()
        def wait():
            event.wait()
            say("woken")
        threading.Thread(target=wait).start()
        raddle.exit_stopper("wake", event.set, stage="refuse")
        raddle.exit_stopper("pools", lambda: say("pools"))
    """)
    assert done.stdout.splitlines() == ["woken", "pools"]


def test_the_first_stage_runs_before_executors_join_their_workers():
    # Their module registers its own call with threading later than raddle, and so before it.
    done = run("""
        event = threading.Event()
        raddle.exit_stopper("wake", event.set, stage="refuse")
        import concurrent.futures
        pool = concurrent.futures.ThreadPoolExecutor(1)
        pool.submit(lambda: (event.wait(), say("woken")))
    """)
    assert done.stdout.splitlines() == ["woken"]


def test_handlers_of_atexit_run_before_the_pools_stop_and_the_gate_is_open_to_both():
    done = run("""
        import atexit
        raddle.exit_stopper("pool", lambda: say("pool", raddle.gate_stats()["entries"] > 0))
        atexit.register(lambda: say("atexit"))
    """)
    assert done.stdout.splitlines() == ["atexit", "pool True"]


def test_the_end_of_a_block_takes_it_back():
    done = run("""
        with raddle.exit_stopper("gone", lambda: say("gone")) as stopper:
            say(stopper)
        say(stopper.remove())
        stopper = raddle.exit_stopper("open")
        with raddle.exit_stopper("left by sys.exit", lambda: say("no")):
            stopper(lambda: say("open"))
            sys.exit()
    """)
    assert done.stdout.splitlines() == ["<raddle.exit_stopper 'gone' in stage 'pools'>", "False", "open"]


def test_a_decorated_function_is_given_back():
    done = run("""
        @raddle.exit_stopper("receiver", timeout=2, stage="completions")
        def stop_receiving():
            say("stopped")
        stop_receiving()
    """)
    assert done.stdout.splitlines() == ["stopped", "stopped"]


def test_what_fails_goes_to_the_hook_by_name_and_the_others_run():
    done = run("""
        hook = sys.unraisablehook
        def see(unraisable):
            say(unraisable.object, repr(unraisable.exc_value))
            hook(unraisable)
        sys.unraisablehook = see
        def fail(): raise OSError("the disk is full")
        raddle.exit_stopper("older", lambda: say("older"))
        raddle.exit_stopper("saver", fail)
        raddle.exit_stopper("leaver", sys.exit)
    """)
    assert done.stdout.splitlines() == [
        "the exit stopper 'leaver' SystemExit()",
        "the exit stopper 'saver' OSError('the disk is full')",
        "older",
    ]
    assert "in fail" in done.stderr and "OSError: the disk is full" in done.stderr


def test_one_that_hangs_is_named_and_the_end_comes():
    began = time.monotonic()
    done = run("""
        import time
        raddle.exit_stopper("older", lambda: say("older"))
        raddle.exit_stopper("the hanging one", lambda: time.sleep(600), timeout=0.2)
    """)
    assert done.stdout.splitlines() == ["older"]
    lines = done.stderr.splitlines()
    assert lines[0] == "raddle: the exit stopper 'the hanging one' has not ended after 200ms and is left behind"
    # It is inside Python, and waited for like anybody inside: up to ten seconds.
    assert "although these threads are inside: stop the hangin" in lines[1]
    assert time.monotonic() - began < 40


def test_one_may_add_remove_and_enter():
    done = run("""
        older = raddle.exit_stopper("older", lambda: say("older"))
        def add():
            say(older.remove(), older.remove())
            raddle.exit_stopper("log", lambda: say("log"), stage="log")
            for stage in ("refuse", "pools"):
                try:
                    raddle.exit_stopper("late", print, stage=stage)
                except RuntimeError as error:
                    say(error)
            thread = threading.Thread(target=say, args=("a thread",))
            try:
                thread.start()
                thread.join()
            except RuntimeError:  # from 3.12 on
                say("a thread")
        raddle.exit_stopper("adder", add)
    """)
    assert done.stdout.splitlines() == [
        "True False",
        "too late for an exit stopper: the stage 'refuse' has begun",
        "too late for an exit stopper: the stage 'pools' has begun",
        "a thread",
        "log",
    ]


def test_a_child_of_fork_begins_with_none():
    done = run("""
        import os, warnings
        warnings.simplefilter("ignore")
        stopper = raddle.exit_stopper("parent's", lambda: say("parent's"))
        child = os.fork()
        if child == 0:
            say("removed:", stopper.remove())
            raddle.exit_stopper("child's", lambda: say("child's"))
            sys.exit(0)
        say(os.waitpid(child, 0)[1])
    """)
    assert done.stdout.splitlines() == ["removed: False", "child's", "0", "parent's"]


def test_a_subinterpreter_has_none():
    done = run("""
        try:
            import _interpreters as interpreters
            made = interpreters.create("legacy")
        except ImportError:
            import _xxsubinterpreters as interpreters
            made = interpreters.create()
        interpreters.run_string(made, '''if True:
            import _raddle
            try:
                _raddle.add_exit_stopper("inner", print)
            except RuntimeError as error:
                print(error, flush=True)''')
        interpreters.destroy(made)
    """)
    line = "exit stoppers belong to the main interpreter: raddle serves no other"
    assert done.stdout.splitlines() == [line]


def test_threads_that_add_and_remove_at_the_end_disturb_nothing():
    done = run("""
        def churn():
            try:
                while True:
                    with raddle.exit_stopper("churn", lambda: None, stage="log"):
                        pass
            except RuntimeError as error:
                assert "has begun" in str(error) or "stopping" in str(error), error
        for _ in range(4):
            threading.Thread(target=churn, daemon=True).start()
        raddle.exit_stopper("last", lambda: say("last"), stage="log")
    """)
    assert done.stdout.splitlines() == ["last"]


@pytest.mark.parametrize(
    ("arguments", "keywords", "kind"),
    [
        ((7, print), {}, TypeError),
        (("", print), {}, ValueError),
        (("x", 7), {}, TypeError),
        (("x", print), {"timeout": None}, ValueError),
        (("x", print), {"timeout": 0}, ValueError),
        (("x", print), {"timeout": -1}, ValueError),
        (("x", print), {"timeout": float("nan")}, ValueError),
        (("x", print), {"timeout": "soon"}, TypeError),
        (("x", print), {"stage": "whenever"}, ValueError),
        (("x", print), {"stage": 3}, TypeError),
    ],
)
def test_bad_arguments_raise(arguments, keywords, kind):
    with pytest.raises(kind):
        raddle.exit_stopper(*arguments, **keywords)


def test_one_stopper_has_one_function():
    with raddle.exit_stopper("one", print, timeout=float("inf")) as stopper:
        with pytest.raises(RuntimeError, match="make another one"):
            stopper(print)
        assert stopper.remove()
        stopper(print)
    assert not stopper.remove()
