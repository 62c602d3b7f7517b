"""Tasklets on a GLib main context: turns, errors, several threads, nested loops, ends."""

import contextlib
import gc
import pathlib
import threading
import time

import pytest

import raddle
from raddle import stackless
from scheduler_support import GLibEventLoop, MainContext, context, hooked, iterate_until, spawn  # noqa: F401
from stackless_support import nothing_is_left, run_python  # noqa: F401


def test_tasklets_run_when_the_context_turns(context):
    log = []

    def work(name):
        for step in range(3):
            log.append((name, step))
            stackless.schedule()

    for name in "ab":
        spawn(work, name)
    assert log == []
    iterate_until(context, lambda: len(log) == 6)
    assert log == [(name, step) for step in range(3) for name in "ab"]


def test_an_idle_scheduler_costs_nothing(context):
    task = spawn(stackless.schedule_remove)
    iterate_until(context, lambda: task.paused)
    assert not context.iteration(False), "something was dispatched though no tasklet can run"
    begun = time.monotonic()
    timer = threading.Timer(0.2, context.wakeup)
    timer.start()
    context.iteration(True)
    assert time.monotonic() - begun > 0.1, "the context polls"
    timer.join()
    task.kill()


def test_an_uncaught_error_is_told_and_the_others_go_on(context, hooked):
    log, unraisable = [], hooked()

    def fails():
        raise ValueError("lost")

    spawn(fails)
    spawn(log.append, 1)
    iterate_until(context, lambda: log)
    assert unraisable == [(ValueError, "lost")]


def test_a_host_is_told_of_errors_if_it_asked(hooked):
    context, seen, log, unraisable = MainContext(), [], [], hooked()
    raddle.attach_scheduler(context, on_error=seen.append)

    def fails(message):
        raise ValueError(message)

    spawn(fails, "one")
    spawn(fails, "two")
    spawn(log.append, 1)
    iterate_until(context, lambda: log)
    raddle.detach_scheduler(context)
    assert [str(error) for error in seen] == ["one", "two"]
    assert unraisable == []
    del seen[:]
    gc.collect()


def test_a_turn_ends_with_its_budget_and_lower_priorities_have_theirs():
    gi = pytest.importorskip("gi", reason="this Python has no PyGObject")
    from gi.repository import GLib

    main_loop = GLib.MainLoop.new(None, False)
    raddle.attach_scheduler(GLib.MainContext.default(), budget=0.002)
    redraws, timers, spins = [], [], [0]

    def redraw():
        redraws.append(1)
        return True

    def spin():
        while len(timers) < 20:
            spins[0] += 1
            stackless.schedule()
        main_loop.quit()

    def tick():
        timers.append(1)
        return True

    sources = [GLib.timeout_add(16, redraw, priority=120), GLib.timeout_add(10, tick)]
    for _ in range(3):
        spawn(spin)
    main_loop.run()
    for source in sources:
        GLib.source_remove(source)
    while stackless.runcount > 1:
        GLib.MainContext.default().iteration(False)
    raddle.detach_scheduler(None)
    assert spins[0] > 1000
    assert len(redraws) >= 6, "of 20 ticks of 10 ms, 12 redraws of 16 ms"
    del gi


def test_a_channel_that_another_thread_sends_on_wakes_the_context(context):
    pipe, seen = stackless.channel(), []

    def receiver():
        for value in pipe:
            seen.append((value, threading.get_ident()))

    task = spawn(receiver)
    iterate_until(context, lambda: task.blocked)

    def sender():
        for number in range(100):
            pipe.send(number)

    thread = threading.Thread(target=sender)
    thread.start()
    iterate_until(context, lambda: len(seen) == 100)
    thread.join()
    assert [value for value, _ in seen] == list(range(100))
    assert {ident for _, ident in seen} == {threading.get_ident()}
    task.kill()


def test_several_contexts_run_in_several_threads():
    totals, barrier = {}, threading.Barrier(4)

    def body(number):
        context, done = MainContext(), []
        raddle.attach_scheduler(context)
        pipe = stackless.channel()

        def producer():
            for value in range(50):
                pipe.send(value)
                if value % 10 == 0:
                    raddle.sleep(0.001)
            done.append(1)

        def consumer():
            totals[number] = sum(pipe.receive() for _ in range(50))
            done.append(1)

        spawn(consumer), spawn(producer)
        barrier.wait()
        iterate_until(context, lambda: len(done) == 2)
        raddle.detach_scheduler(context)

    threads = [threading.Thread(target=body, args=[number]) for number in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert totals == dict.fromkeys(range(4), sum(range(50)))


def test_a_thread_has_one_context_and_a_context_one_thread(context):
    with pytest.raises(RuntimeError, match="already"):
        raddle.attach_scheduler(MainContext())
    raddle.attach_scheduler(context, budget=0.5, priority=10)  # The same again changes how.
    failures = []

    def elsewhere():
        try:
            raddle.attach_scheduler(context)
        except RuntimeError as error:
            failures.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "another thread" in failures[0]
    with pytest.raises(RuntimeError, match="runs no tasklets"):
        raddle.detach_scheduler(MainContext())
    with pytest.raises(TypeError):
        raddle.attach_scheduler("default")
    with pytest.raises(ValueError):
        raddle.attach_scheduler(context, budget=-1)


def test_what_is_left_after_detaching_can_be_run_and_attached_again():
    first, second, log = MainContext(), MainContext(), []

    def work(name):
        raddle.sleep(0.001)
        log.append(name)

    raddle.attach_scheduler(first)
    sleeping = spawn(work, "sleeping")
    iterate_until(first, lambda: sleeping.blocked)
    spawn(work, "queued")
    raddle.detach_scheduler(first)
    first.iteration(False)
    assert log == []
    raddle.attach_scheduler(second)
    iterate_until(second, lambda: len(log) == 2)
    assert set(log) == {"sleeping", "queued"}
    raddle.detach_scheduler(second)


def test_detaching_inside_a_tasklet_ends_the_turns():
    context, log = MainContext(), []
    raddle.attach_scheduler(context)

    def work():
        raddle.detach_scheduler(context)
        log.append(1)

    spawn(work)
    iterate_until(context, lambda: log)
    raddle.attach_scheduler(context)
    raddle.detach_scheduler(context)


def test_the_others_go_on_in_a_loop_that_a_tasklet_runs(context):
    log = []

    def modal():
        log.append("opened")
        while "three" not in log:
            context.iteration(True)
        log.append("closed")

    def other():
        for name in ("one", "two", "three"):
            raddle.sleep(0.001)
            log.append(name)

    spawn(modal)
    spawn(other)
    iterate_until(context, lambda: "closed" in log)
    assert log == ["opened", "one", "two", "three", "closed"]


def test_a_switch_across_a_dispatch_is_refused(context, hooked):
    """A tasklet that is inside a callback which one source dispatched is not gone on with in another's."""
    log, main, unraisable = [], stackless.getmain(), hooked()
    outer = spawn(lambda: nested())

    def nested():
        # Inside the scheduler's own dispatch, on the main tasklet's stack, a newer one on this stack.
        spawn(inside)
        while "inside" not in log:
            context.iteration(True)

    def inside():
        try:
            main.run()
        except RuntimeError as error:
            log.append(str(error))
        log.append("inside")

    iterate_until(context, lambda: not outer.alive)
    assert "dispatch" in log[0], log
    assert unraisable == []


def test_who_waits_for_its_turn_in_an_older_dispatch_is_passed_over(context):
    """The main tasklet is runnable while a tasklet turns the context: it has to wait, and nobody fails."""
    log = []

    def turns():
        spawn(others)
        while "others" not in log:
            context.iteration(True)
        log.append("turned")

    def others():
        for _ in range(5):
            stackless.schedule()
        log.append("others")

    spawn(turns)
    # Puts main into the run queue, inside of no dispatch of its own.
    while "turned" not in log:
        stackless.schedule()
    assert log == ["others", "turned"]


def test_a_callback_s_tasklets_run_after_the_callback(context):
    gi = pytest.importorskip("gi", reason="this Python has no PyGObject")
    from gi.repository import GLib

    raddle.detach_scheduler(context)
    default, log = GLib.MainContext.default(), []
    raddle.attach_scheduler(default)

    def clicked():
        spawn(log.append, "tasklet")
        log.append("callback")
        return False

    GLib.idle_add(clicked)
    iterate_until(default, lambda: "tasklet" in log)
    assert log == ["callback", "tasklet"]
    raddle.detach_scheduler(default)
    raddle.attach_scheduler(context)
    del gi


def test_the_main_tasklet_that_waits_in_vain_is_told():
    program = """
import raddle, sys
from raddle import stackless
from raddle.asyncio import MainContext
context = MainContext()
raddle.attach_scheduler(context)
try:
    stackless.channel().receive()
except RuntimeError as error:
    print(error)
pipe = stackless.channel()
def later():
    raddle.sleep(0.01)
    pipe.send("slept")
stackless.tasklet(later)()
print(pipe.receive())
"""
    lines = run_python(program).splitlines()
    assert "Deadlock" in lines[0]
    assert lines[1] == "slept"


def test_python_ends_with_sleepers_and_an_attached_context():
    program = """
import raddle, sys
from raddle import stackless
from raddle.asyncio import MainContext
context = MainContext.default()
raddle.attach_scheduler(context)
def sleeper(name):
    try:
        raddle.sleep(3600)
    finally:
        print("ended", name)
for name in "ab":
    stackless.tasklet(sleeper)(name)
for _ in range(5):
    context.iteration(False)
print("exit")
"""
    assert run_python(program).split() == ["exit", "ended", "a", "ended", "b"]


def test_a_thread_ends_with_sleepers_and_an_attached_context():
    program = """
import raddle, threading
from raddle import stackless
from raddle.asyncio import MainContext
log = []
def body():
    context = MainContext()
    raddle.attach_scheduler(context)
    def sleeper():
        try:
            raddle.sleep(3600)
        finally:
            log.append("ended")
    stackless.tasklet(sleeper)()
    for _ in range(5):
        context.iteration(False)
thread = threading.Thread(target=body)
thread.start()
thread.join()
print(log, stackless.leaked_tasklets())
"""
    assert run_python(program).strip() == "['ended'] []"


def test_a_run_where_nobody_else_may_go_on_returns(context):
    """The main tasklet waits for its turn inside a dispatch, and another dispatch is open in a tasklet."""
    log = []

    async def main():
        spawn(turns)  # Not before: it must not be the one whose loop dispatches this.
        while "turned" not in log:
            stackless.schedule()  # In the loop's dispatch, on the main tasklet.

    def turns():
        spawn(runs)
        while "ran" not in log:
            context.iteration(True)
        log.append("turned")

    def runs():
        log.append(stackless.run())
        log.append("ran")

    with contextlib.closing(GLibEventLoop(context)) as loop:
        loop.run_until_complete(main())
    assert log == [None, "ran", "turned"]


@pytest.mark.parametrize("seed", range(1, 7))
def test_a_storm_of_everything_ends_well(seed):
    program = pathlib.Path(__file__).with_name("scheduler_storm.py").read_text()
    assert run_python(program, seed, 1).startswith(f"seed {seed} ")
