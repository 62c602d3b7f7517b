"""raddle.stackless: runs with a limit, of instructions, of time, and of tasklets."""

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from stackless_support import nothing_is_left, run_python  # noqa: F401

from raddle import stackless
from raddle.stackless import atomic, tasklet


@pytest.fixture
def log():
    return []


def spin(log=None):
    while True:
        if log is not None:
            log.append(1)


def finish(log, count=3):
    for step in range(count):
        log.append(step)
        stackless.schedule()


def test_a_tasklet_that_takes_too_long_is_interrupted_and_returned():
    task = tasklet(spin)()
    assert stackless.run(1000) is task
    assert task.alive and task.paused and not task.blocked
    task.insert()
    assert stackless.run(1000) is task
    task.kill()


def test_a_run_with_a_limit_ends_when_all_are_done(log):
    tasklet(finish)(log)
    assert stackless.run(100000) is None
    assert log == [0, 1, 2]


def test_a_tasklet_that_schedules_in_time_is_not_interrupted(log):
    def body():
        for _ in range(50):
            for _ in range(20):
                pass
            stackless.schedule()
        log.append("done")

    tasklet(body)()
    tasklet(body)()
    assert stackless.run(1000) is None
    assert log == ["done", "done"]


def test_a_total_limit_is_for_all_together():
    def body():
        while True:
            stackless.schedule()

    tasks = [tasklet(body)(), tasklet(body)()]
    assert stackless.run(2000, totaltimeout=True) in tasks
    for task in tasks:
        task.kill()


def test_functions_that_are_called_are_counted_too():
    def inner():
        for _ in range(100000):
            pass

    def body():
        inner()

    task = tasklet(body)()
    assert stackless.run(500) is task
    assert task.frame.f_code.co_name == "inner"
    task.kill()


def test_a_generator_is_thrown_into_and_closed_while_there_is_a_limit(log):
    def values():
        while True:
            try:
                yield
            except KeyError:
                log.append("thrown into")

    def body():
        generator = values()
        next(generator)
        for _ in range(2):
            generator.throw(KeyError())
        generator.close()
        log.append("closed")

    tasklet(body)()
    assert stackless.run(100000) is None
    assert log == ["thrown into", "thrown into", "closed"]


def test_a_soft_limit_waits_for_the_next_switch(log):
    def body():
        for _ in range(3000):
            pass
        log.append("loop done")
        stackless.schedule()
        log.append("again")

    task = tasklet(body)()
    other = tasklet(finish)(log)
    assert stackless.run(500, soft=True) is None
    assert log == ["loop done"] and task.alive and other.alive
    stackless.run()
    assert "again" in log


def test_atomic_keeps_the_watchdog_away_until_it_ends(log):
    def body():
        with atomic():
            assert stackless.current.atomic
            for _ in range(5000):
                pass
            log.append("atomic done")
        for _ in range(5000):
            pass
        log.append("never")

    task = tasklet(body)()
    assert stackless.run(500) is task
    assert log == ["atomic done"] and not task.atomic
    task.kill()


def test_set_atomic_tells_what_was_before():
    task = stackless.current
    assert task.set_atomic(True) is False
    assert task.set_atomic(False) is True
    assert task.set_ignore_nesting(1) is False
    assert task.set_ignore_nesting(0) is True
    for wrong in ("x", None):
        with pytest.raises(TypeError):
            task.set_atomic(wrong)


def test_calls_from_c_are_not_interrupted_unless_nesting_is_ignored():
    def inner(_):
        for _ in range(2000):
            pass
        return 0

    def body():
        sorted([1, 2], key=inner)
        while True:
            pass

    task = tasklet(body)()
    assert stackless.run(500) is task
    assert task.frame.f_code.co_name == "body"
    task.kill()
    task = tasklet(body)()
    assert stackless.run(500, ignore_nesting=True) is task
    assert task.frame.f_code.co_name == "inner"
    task.kill()
    task = tasklet(body)
    task.set_ignore_nesting(True)
    task()
    assert stackless.run(500) is task
    assert task.frame.f_code.co_name == "inner"
    task.kill()


def test_a_nested_run_leaves_the_limit_to_the_outer_one(log):
    def body():
        tasklet(spin)()
        log.append(stackless.run(10**9))

    outer = tasklet(body)()
    victim = stackless.run(2000)
    assert victim is not None and victim is not outer
    victim.kill()
    stackless.run()
    assert log == [None] and not outer.alive


def test_an_interrupted_tasklet_can_be_killed_and_gone_on_with(log):
    def body():
        while not log:
            pass

    task = tasklet(body)()
    assert stackless.run(500) is task
    task.kill()
    assert log == [] and not task.alive
    task = tasklet(body)()
    assert stackless.run(500) is task
    log.append("stop")
    task.run()
    assert not task.alive


def test_flags_that_do_not_exist_are_refused():
    with pytest.raises(TypeError):
        stackless.run("x")
    with pytest.raises(TypeError):
        stackless.run(unknown=True)


def test_an_error_ends_a_run_with_a_limit():
    def body():
        raise ValueError("in the run")

    tasklet(body)()
    with pytest.raises(ValueError, match="in the run"):
        stackless.run(10000)
    tasklet(spin)()
    stackless.run(1000).kill()


def test_other_threads_are_not_counted():
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            sum(range(100))

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        done = []
        tasklet(finish)(done)
        assert stackless.run(5000) is None
        assert done == [0, 1, 2]
    finally:
        stop.set()
        thread.join(60)


def test_two_threads_may_have_a_limit_at_the_same_time():
    def body():
        for _ in range(5):
            task = tasklet(spin)()
            results.append(stackless.run(2000) is task)
            task.kill()

    results = []
    threads = [threading.Thread(target=body) for _ in range(3)]
    for thread in threads:
        thread.start()
    body()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert results == [True] * 20


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 has no sys.monitoring")
def test_the_tool_of_sys_monitoring_is_given_back():
    def tools():
        return [sys.monitoring.get_tool(number) for number in range(6)]

    before = tools()
    task = tasklet(spin)()
    stackless.run(1000)
    assert tools() == before
    task.kill()


def test_a_run_may_end_when_its_time_is_up():
    def body():
        while True:
            stackless.schedule()

    tasks = [tasklet(body)() for _ in range(3)]
    begun = time.monotonic()
    assert stackless.run_for(0.02) is None
    assert 0.02 <= time.monotonic() - begun < 20
    assert all(task.alive for task in tasks)
    for task in tasks:
        task.kill()
    assert stackless.run_for(60) is None
    with pytest.raises(ValueError):
        stackless.run_for(-1)


def test_a_run_may_end_after_so_many_tasklets(log):
    for name in "abcde":
        tasklet(log.append)(name)
    assert stackless.run_n_tasklets(3) is None
    assert log == ["a", "b", "c"] and stackless.runcount == 3
    stackless.run_n_tasklets(100)
    assert log == ["a", "b", "c", "d", "e"]
    assert stackless.run_n_tasklets(0) is None
    with pytest.raises(ValueError):
        stackless.run_n_tasklets(-1)


def test_figures_are_kept_of_tasklets_and_threads():
    before = stackless.tasklet_stats()
    stackless.set_timing(True)
    task, other = tasklet(finish)([], 5), tasklet(finish)([], 5)
    stackless.run()
    assert stackless.set_timing(False) is True
    after = stackless.tasklet_stats()
    assert task.times_switched_to == other.times_switched_to == 6 and task.run_time > 0
    assert after["finished"] - before["finished"] == 2
    assert after["switches"] > before["switches"]


def test_deep_recursion_is_an_exception_and_not_a_crash():
    program = """if True:
        import sys
        from raddle import stackless
        def plain(n):
            return plain(n + 1)
        def over_c(n):
            return sorted([1], key=lambda _: over_c(n + 1))
        class Repr:
            def __repr__(self):
                return repr([self])
        code = compile("nested(n + 1)", "", "eval")
        def nested(n):
            return eval(code, {"nested": nested, "n": n})
        def body(f, *args):
            try:
                f(*args)
            except RecursionError:
                print(f.__name__, "RecursionError")
        for size in (128 << 10, 256 << 10, 0):
            stackless.set_stack_size(size)
            for f, args in [(plain, (0,)), (over_c, (0,)), (repr, (Repr(),)), (nested, (0,))]:
                task = stackless.tasklet(body)(f, *args)
                stackless.run()
        print(plain.__name__)
    """
    lines = run_python(program).splitlines()
    assert lines == [f"{name} RecursionError" for name in ("plain", "over_c", "repr", "nested")] * 3 + ["plain"]


def test_the_stack_size_is_an_option():
    before = stackless.set_stack_size(256 << 10)
    try:
        assert stackless.get_stack_size() >= 256 << 10
        task = tasklet(stackless.schedule_remove)()
        stackless.run()
        assert task.stack_size >= 256 << 10
        task.run()
        for wrong in (1, 1 << 40, -1):
            with pytest.raises(ValueError):
                stackless.set_stack_size(wrong)
    finally:
        stackless.set_stack_size(before)


def is_library_for_debugging():
    """Whether meson had cargo build libraddle in its profile `dev`, as meson.build says; not known of a wheel."""
    options = Path(os.environ.get("RADDLE_BUILD", ""), "meson-info", "intro-buildoptions.json")
    if not options.exists():
        return False
    values = {option["name"]: option["value"] for option in json.loads(options.read_text())}
    return values["optimization"] in ("0", "g")


def test_a_hundred_thousand_tasklets_may_wait():
    program = """if True:
        from raddle import stackless
        stackless.set_stack_size(256 << 10)
        pipe = stackless.channel()
        count = 100_000
        def page_tables_and_resident():
            status = dict(line.split(":", 1) for line in open("/proc/self/status"))
            return int(status["VmPTE"].split()[0]), int(status["VmRSS"].split()[0])
        def waits():
            pipe.receive()
        before = page_tables_and_resident()
        for _ in range(count):
            stackless.tasklet(waits)()
        stackless.run()
        after = page_tables_and_resident()
        each = (after[1] - before[1]) * 1024 / count
        assert -pipe.balance == count
        pipe.clear()
        stackless.run()
        assert stackless.tasklet_stats()["stacks"] == 0
        print("resident", each)
    """
    resident = float(run_python(program).split()[1])
    # One page of stack, and objects; a library that was built for debugging has larger frames: two pages, and four if
    # cargo was told to optimize nothing at all.
    most = 18 * 1024 if is_library_for_debugging() else 9 * 1024
    # CPython's own allocator is not asked to be tidy in a debug build.
    assert resident <= most or hasattr(sys, "gettotalrefcount")
