"""raddle.asyncio: the loop lives where others run its context, and ends, waits and yields as it should.

test_asyncio_conformance.py has what the stock loop does too, test_asyncio_pygobject.py the loops of PyGObject,
tests/c/asyncio.c the hosts in C.
"""

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest

from raddle.asyncio import GLibEventLoop, MainContext, get_priority, set_priority


@pytest.fixture
def loop():
    loop = GLibEventLoop(MainContext())
    yield loop
    if not loop.is_closed():
        loop.close()


def iterate(loop, until, seconds=20):
    """Be a host: run the loop's context until something is so."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it did not come about"
        GLibEventLoop.call_later(loop, 0.05, int)  # A turn at least so often.
        loop.context.iteration(True)


def run_child(code, *args, **options):
    """A child with this interpreter's path: what it printed, and how it ended."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, "-c", code, *args], env=env, capture_output=True, text=True, timeout=60, **options
    )


# Inside a loop that somebody else runs


def test_tasks_run_when_a_host_iterates_the_context(loop):
    seen = []

    async def work():
        seen.append(asyncio.get_running_loop())
        await asyncio.sleep(0.01)
        seen.append(asyncio.current_task())

    task = loop.create_task(work())
    assert asyncio._get_running_loop() is None
    iterate(loop, task.done)
    assert seen == [loop, task]
    assert not loop.is_running()
    assert asyncio._get_running_loop() is None


def test_a_call_from_another_thread_wakes_the_host_up(loop):
    seen = []
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(seen.append, 1))
    thread.start()
    while not seen:
        loop.context.iteration(True)
    thread.join()


def test_a_timer_set_outside_of_a_turn_is_heard_of(loop):
    seen = []
    loop.call_later(0.02, seen.append, 1)
    start = time.monotonic()
    while not seen:
        loop.context.iteration(True)
    assert time.monotonic() - start >= 0.02


def test_an_earlier_timer_replaces_a_later_one(loop):
    seen = []
    loop.call_later(100, seen.append, "late")
    loop.context.iteration(False)
    loop.call_later(0.01, seen.append, "soon")
    while not seen:
        loop.context.iteration(True)
    assert seen == ["soon"]


def test_handlers_of_the_host_may_be_wrapped(loop):
    async def answer():
        return 42

    async def handle(value):
        return value

    inside = loop.wrap(lambda: (asyncio.get_running_loop(), asyncio.create_task(answer())))
    running, task = inside()
    assert running is loop
    other = loop.wrap(handle)(7)
    iterate(loop, lambda: task.done() and other.done())
    assert (task.result(), other.result()) == (42, 7)
    assert asyncio._get_running_loop() is None


def test_the_stock_loop_may_host_ours(loop):
    async def inner():
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    async def outer():
        task = loop.create_task(inner())
        me = asyncio.current_task()
        while not task.done():
            loop.context.iteration(True)
        await asyncio.sleep(0)
        assert asyncio.current_task() is me
        return asyncio.get_running_loop(), task.result()

    stock = asyncio.SelectorEventLoop()
    with contextlib.closing(stock):
        assert stock.run_until_complete(outer()) == (stock, loop)


def test_async_generators_are_known_to_the_loop(loop):
    async def numbers():
        yield 1
        yield 2

    async def use():
        generator = numbers()
        async for _ in generator:
            break
        return generator

    hooks = sys.get_asyncgen_hooks()
    task = loop.create_task(use())
    iterate(loop, task.done)
    assert sys.get_asyncgen_hooks() == hooks
    assert task.result() in loop._asyncgens
    loop.run_until_complete(loop.shutdown_asyncgens())


def test_the_loop_may_be_run_by_itself_between_hosts(loop):
    task = loop.create_task(asyncio.sleep(0.01, "hosted"))
    iterate(loop, task.done)
    assert loop.run_until_complete(asyncio.sleep(0, "own")) == "own"
    task = loop.create_task(asyncio.sleep(0, "hosted again"))
    iterate(loop, task.done)


# What leaves a turn


class Odd(BaseException):
    pass


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Odd])
def test_a_base_exception_leaves_run_forever(loop, kind):
    def fail():
        raise kind("enough")

    if kind is Odd:  # asyncio hands these to its exception handler.
        seen = []
        loop.set_exception_handler(lambda _, about: (seen.append(about["exception"]), loop.stop()))
        loop.call_soon(fail)
        loop.run_forever()
        assert isinstance(seen[0], Odd)
        return
    loop.call_soon(fail)
    with pytest.raises(kind, match="enough"):
        loop.run_forever()
    assert not loop.is_running()
    assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5


def test_a_task_that_exits_is_done_and_its_run_ends(loop):
    async def leave():
        raise SystemExit(3)

    with pytest.raises(SystemExit) as left:
        loop.run_until_complete(leave())
    assert left.value.code == 3


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_under_a_host_it_goes_to_the_unraisable_hook(loop, kind, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda about: seen.append((about.exc_type, about.object)))

    def fail():
        raise kind

    later = []
    loop.call_soon(fail)
    loop.call_soon(later.append, 1)
    iterate(loop, lambda: later)
    assert seen == [(kind, loop)]
    assert not loop.is_running()


CTRL_C = """
import asyncio, os, signal, sys, threading
from raddle.asyncio import GLibEventLoop, MainContext

def later(seconds):
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
"""


def test_ctrl_c_while_idle_cancels_the_task_of_asyncio_run():
    child = run_child(
        CTRL_C
        + """
async def main():
    later(0.3)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled")
        raise

try:
    with asyncio.Runner(loop_factory=GLibEventLoop) as runner:
        runner.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    )
    assert child.stdout.split() == ["cancelled", "interrupted"], child.stderr


def test_a_second_ctrl_c_ends_a_task_that_will_not_be_cancelled():
    child = run_child(
        CTRL_C
        + """
async def main():
    later(0.3)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("not yet", flush=True)
        later(0.3)
        await asyncio.Event().wait()

try:
    with asyncio.Runner(loop_factory=GLibEventLoop) as runner:
        runner.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    )
    assert child.stdout.splitlines() == ["not yet", "interrupted"], child.stderr


def test_ctrl_c_twice_leaves_run_forever_twice():
    child = run_child(
        CTRL_C
        + """
import time
loop = GLibEventLoop(MainContext.default())
for _ in range(2):
    signalled = []
    def kill():
        signalled.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Timer(0.3, kill).start()
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        print("interrupted", "late" if time.monotonic() - signalled[0] > 1 else "at once")
print(loop.run_until_complete(asyncio.sleep(0, "on")))
"""
    )
    assert child.stdout.splitlines() == ["interrupted at once"] * 2 + ["on"], child.stderr


def test_ctrl_c_reaches_the_loop_after_its_signal_handlers_were_removed():
    child = run_child(
        CTRL_C
        + """
async def main():
    loop = asyncio.get_running_loop()
    usr = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, usr.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await usr.wait()
    print("usr1", flush=True)
    loop.remove_signal_handler(signal.SIGUSR1)
    later(0.3)
    await asyncio.Event().wait()

try:
    with asyncio.Runner(loop_factory=GLibEventLoop) as runner:
        runner.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    )
    assert child.stdout.splitlines() == ["usr1", "interrupted"], child.stderr


# Taking turns with others


FAIR = """
import asyncio, ctypes, time
from raddle.asyncio import GLibEventLoop, MainContext

glib = ctypes.CDLL("libglib-2.0.so.0")
Call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
glib.g_timeout_add_full.argtypes = [ctypes.c_int, ctypes.c_uint, Call, ctypes.c_void_p, ctypes.c_void_p]

counts = {"redraw": 0, "timer": 0}
def count(name):
    def call(_):
        counts[name] += 1
        return 1
    return Call(call)
calls = [count("redraw"), count("timer")]

async def busy(end):
    while time.thread_time() < end:
        await asyncio.sleep(0)

async def main():
    glib.g_timeout_add_full(120, 16, calls[0], None, None)
    glib.g_timeout_add_full(0, 10, calls[1], None, None)
    start = time.thread_time()
    await asyncio.gather(*(busy(start + 1) for _ in range(3)))

asyncio.Runner(loop_factory=GLibEventLoop).run(main())
print(counts["redraw"], counts["timer"])
"""


def test_tasks_that_never_sleep_leave_redraws_and_timers_their_turns():
    """In a second of the loop's own work: what the machine does meanwhile takes no turn away."""
    child = run_child(FAIR)
    assert child.returncode == 0, child.stderr
    redraws, timers = (int(count) for count in child.stdout.split())
    assert redraws >= 55, "of 62"
    assert timers >= 95, "of 100"


def test_a_loop_that_is_always_ready_leaves_a_lower_level_its_turns(loop):
    redraws = []

    async def spin():
        while len(redraws) < 50:
            await asyncio.sleep(0)

    async def redraw():
        while not task.done():
            redraws.append(1)
            await asyncio.sleep(0)

    task = loop.create_task(spin())
    low = loop.create_task(redraw())
    set_priority(low, 120)
    loop.run_until_complete(asyncio.wait([task, low]))
    assert len(redraws) >= 50


def test_tasks_of_a_higher_priority_go_first(loop):
    order = []

    async def step(name, count):
        for _ in range(count):
            order.append(name)
            await asyncio.sleep(0)

    async def main():
        tasks = {name: loop.create_task(step(name, 3)) for name in ("low", "plain", "high")}
        set_priority(tasks["low"], 200)
        set_priority(tasks["high"], -100)
        assert [get_priority(task) for task in tasks.values()] == [200, 0, -100]
        await asyncio.wait(tasks.values())

    loop.run_until_complete(main())
    assert order.index("high") < order.index("low")
    assert [name for name in order if name != "plain"] == ["high"] * 3 + ["low"] * 3
    assert order[-1] == "low"


def test_only_tasks_of_such_a_loop_have_a_priority():
    async def main():
        with pytest.raises(TypeError, match="GLibEventLoop"):
            set_priority(asyncio.current_task(), 1)

    with contextlib.closing(asyncio.SelectorEventLoop()) as stock:
        stock.run_until_complete(main())


def test_a_task_that_leaves_by_an_exit_at_a_level_ends_the_run(loop):
    async def leave():
        await asyncio.sleep(0)
        raise SystemExit(4)

    async def main():
        set_priority(asyncio.create_task(leave()), 50)
        await asyncio.Event().wait()

    with pytest.raises(SystemExit) as left:
        loop.run_until_complete(main())
    assert left.value.code == 4


def test_a_loop_run_inside_a_task_leaves_asyncio_out(loop):
    order = []

    async def other():
        order.append("other")

    async def nest():
        task = loop.create_task(other())
        order.append("in")
        for _ in range(5):
            loop.context.iteration(False)
        order.append("out")
        await task

    loop.run_until_complete(nest())
    assert order == ["in", "out", "other"]


@pytest.mark.parametrize("priority", [0, 50])
def test_nested_three_deep_at_any_level(loop, priority):
    depths = []

    async def nest(depth):
        depths.append(depth)
        inner = loop.create_task(nest(depth + 1)) if depth < 3 else None
        if inner:
            set_priority(inner, priority)
        for _ in range(3):
            loop.context.iteration(False)
        # None of what was made here has run meanwhile.
        assert depths[-1] == depth
        if inner:
            await inner

    task = loop.create_task(nest(0))
    set_priority(task, priority)
    loop.run_until_complete(task)
    assert depths == [0, 1, 2, 3]


# Whose context it is


def test_a_context_has_one_loop(loop):
    with pytest.raises(RuntimeError, match="has this main context already"):
        GLibEventLoop(loop.context)
    assert GLibEventLoop.for_context(loop.context) is loop
    loop.close()
    with contextlib.closing(GLibEventLoop(loop.context)) as next_one:
        assert GLibEventLoop.for_context(loop.context) is next_one


def test_a_loop_for_a_context_is_kept_until_it_is_closed():
    context = MainContext()
    kept = weakref.ref(GLibEventLoop.for_context(context))
    gc.collect()
    assert kept() is GLibEventLoop.for_context(context)
    kept().close()
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    "make", [lambda: GLibEventLoop(MainContext()), asyncio.SelectorEventLoop], ids=["ours", "stock"]
)
def test_a_loop_that_nobody_holds_is_collected(make):
    loop = weakref.ref(make())
    with pytest.warns(ResourceWarning, match="unclosed event loop") as warned:
        gc.collect()
    # The record holds the loop that it warns of. From 3.15 on the collector shows that: it clears weak references
    # when finalizers have run, and then only those to what is dead.
    assert loop() is (warned[0].source if sys.version_info >= (3, 15) else None)
    assert warned[0].source.is_closed()
    del warned
    gc.collect()
    assert loop() is None


def test_a_context_that_another_thread_runs_is_refused(loop):
    started, stopped = threading.Event(), threading.Event()

    def run():
        loop.call_soon(started.set)
        loop.run_forever()
        stopped.set()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    with pytest.raises(RuntimeError):
        with loop.running(lambda: None):
            pass
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    assert stopped.is_set()


def test_threads_have_their_own_contexts():
    contexts, results = set(), []

    async def main(number):
        contexts.add(asyncio.get_running_loop().context.address)
        assert asyncio.get_running_loop().context == MainContext.thread_default()
        await asyncio.sleep(0.05)
        return number

    def work(number):
        with asyncio.Runner(loop_factory=GLibEventLoop) as runner:
            results.append(runner.run(main(number)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 2, 3]
    assert len(contexts) == 4


def test_what_is_no_context_is_refused():
    with pytest.raises(TypeError, match="main context"):
        GLibEventLoop(7)


def test_contexts_compare_by_what_they_are():
    one, other = MainContext(), MainContext()
    assert one != other and one == one
    assert MainContext.default() == MainContext.default()
    assert hash(MainContext.default()) == MainContext.default().address
    assert one != one.address


def test_debug_mode_tells_of_slow_callbacks(loop, caplog):
    async def slow():
        time.sleep(0.02)

    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    loop.run_until_complete(slow())
    assert "slow()" in caplog.text and "seconds" in caplog.text


def test_debug_mode_tells_of_a_call_from_the_wrong_thread(loop):
    loop.set_debug(True)

    async def main():
        def call():
            with pytest.raises(RuntimeError, match="[Nn]on-thread-safe"):
                loop.call_soon(int)

        await loop.run_in_executor(None, call)

    loop.run_until_complete(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are of 3.12")
def test_eager_tasks_run_at_once(loop):
    async def step():
        return asyncio.current_task()

    async def main():
        task = asyncio.create_task(step())
        assert task.done()
        assert task.result() is task

    loop.set_task_factory(asyncio.eager_task_factory)
    loop.run_until_complete(main())


def test_a_closed_loop_is_off_its_context(loop):
    loop.call_soon(pytest.fail)
    loop.close()
    assert not loop.context.iteration(False)
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_forever()


def test_a_python_that_ends_with_an_open_loop_ends_well():
    child = run_child(
        """
import atexit, asyncio, raddle
def after():
    asyncio.set_event_loop(None)
    print(asyncio.Runner(loop_factory=GLibEventLoop).run(asyncio.sleep(0, "after")))
atexit.register(after)
from raddle.asyncio import GLibEventLoop
loop = GLibEventLoop.for_context()
loop.call_soon(print, "never")
"""
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.split() == ["after"]


def test_a_paused_loop_is_left_out(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    loop.call_soon_threadsafe(seen.append, 2)
    with loop.paused():
        assert not loop.context.iteration(False)
        assert not seen
    loop.context.iteration(False)
    assert seen == [1, 2]


def test_sigint_in_a_thread_that_waits_elsewhere_is_left_to_python(loop):
    """The run of a loop off the main thread touches no signals."""
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.sleep(0.01),))
    thread.start()
    thread.join()
    now = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(now)
    assert now == before
