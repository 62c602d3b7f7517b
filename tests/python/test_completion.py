"""raddle.Completions: what any thread posts, a loop runs: asyncio's, uvloop's, or by hand."""

import asyncio
import contextlib
import ctypes
import gc
import importlib.util
import os
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

import raddle
from support import is_readable, run_python

HELD = ctypes.PyDLL(str(Path(os.environ["RADDLE_BUILD"]) / "libraddle.so.0"))
FREE = ctypes.CDLL(str(Path(os.environ["RADDLE_BUILD"]) / "libraddle.so.0"))


def loops():
    yield pytest.param(asyncio.new_event_loop, id="asyncio")
    missing = importlib.util.find_spec("uvloop") is None
    yield pytest.param(
        lambda: __import__("uvloop").new_event_loop(),
        id="uvloop",
        marks=pytest.mark.skipif(missing, reason="uvloop is not installed beside this Python"),
    )


@pytest.fixture(params=loops())
def loop(request):
    loop = request.param()
    yield loop
    loop.close()


def in_thread(body, *args):
    thread = threading.Thread(target=body, args=args)
    thread.start()
    thread.join()


async def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


def test_a_loop_runs_what_threads_post_in_order_after_one_wake_up(loop):
    calls = []

    async def main():
        with raddle.Completions() as queue:
            queue.attach()
            in_thread(lambda: [queue.post(calls.append, number) for number in range(1000)])
            await until(lambda: len(calls) == 1000)
            assert threading.current_thread() is threading.main_thread()
            statistics = queue.statistics()
            assert (statistics["ran"], statistics["wakeups"]) == (1000, 1)
            return queue

    queue = loop.run_until_complete(main())
    assert calls == list(range(1000))
    assert queue.closed


def test_a_burst_larger_than_a_turn_lets_others_have_theirs(loop):
    calls, turns = [], []

    async def main():
        with raddle.Completions() as queue:
            queue.attach(asyncio.get_running_loop())
            for number in range(25_000):
                queue.post(calls.append, number)
            while len(calls) < 25_000:
                turns.append(len(calls))
                await asyncio.sleep(0)
            assert queue.statistics()["largest"] <= 10_000
            assert queue.statistics()["wakeups"] == 1

    loop.run_until_complete(main())
    assert calls == list(range(25_000))
    assert len(turns) >= 3


def test_the_loop_s_exception_handler_is_told_and_nothing_else_is_dropped(loop):
    calls, told = [], []
    loop.set_exception_handler(lambda loop, context: told.append(context))

    def fail(text):
        raise ValueError(text)

    async def main():
        with raddle.Completions() as queue:
            queue.attach()
            for number in range(3):
                queue.post(fail, str(number))
                queue.post(calls.append, number)
            await until(lambda: len(calls) == 3)
            assert queue.statistics()["raised"] == 3

    loop.run_until_complete(main())
    assert calls == [0, 1, 2]
    assert [str(context["exception"]) for context in told] == ["0", "1", "2"]
    assert {context["callable"] for context in told} == {fail}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_asks_for_an_end_leaves_the_loop_and_the_rest_is_kept(loop, error):
    calls = []

    def fail():
        raise error

    queue = raddle.Completions()
    queue.attach(loop)
    queue.post(calls.append, 1)
    queue.post(fail)
    queue.post(calls.append, 2)
    with pytest.raises(error):
        loop.run_forever()
    # uvloop ends its turn before it raises, and so may look at the descriptor once more.
    assert calls == [1] or "uvloop" in type(loop).__module__
    loop.run_until_complete(until(lambda: len(calls) == 2))
    queue.close()


def test_draining_by_hand_runs_what_there_is():
    calls = []
    queue = raddle.Completions()
    assert not is_readable(queue)
    queue.post(calls.append, 1)
    queue.post(queue.post, calls.append, 3)
    queue.post(calls.append, 2)
    assert is_readable(queue)
    assert queue.drain(count=1) == 1
    assert (calls, is_readable(queue)) == ([1], True)
    assert queue.drain(seconds=10) == 3
    assert (calls, is_readable(queue)) == ([1, 2, 3], False)
    assert queue.drain() == 0


def test_a_full_queue_makes_a_thread_wait_with_python_given_up():
    calls = []
    queue = raddle.Completions(capacity=2)
    assert queue.capacity == 2
    assert queue.try_post(calls.append, 0)
    assert queue.try_post(calls.append, 1)
    assert not queue.try_post(calls.append, "never")
    thread = threading.Thread(target=lambda: [queue.post(calls.append, number) for number in range(2, 50)])
    thread.start()
    deadline = time.monotonic() + 20
    while len(calls) < 50:
        assert time.monotonic() < deadline
        queue.drain()
    thread.join()
    assert calls == list(range(50))
    statistics = queue.statistics()
    assert (statistics["ran"], statistics["refused"] >= 1, statistics["waits"] >= 1) == (50, True, True)


def test_ctrl_c_ends_a_wait_for_a_place():
    out = run_python(
        "import raddle, signal, threading\n"
        "queue = raddle.Completions(1)\n"
        "queue.post(print)\n"
        "def interrupt():\n"
        "    while queue.statistics()['waits'] == 0: pass\n"
        "    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)\n"
        "threading.Thread(target=interrupt).start()\n"
        "try: queue.post(print)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    ).stdout
    assert out == "interrupted\n"


def test_a_closed_queue_drops_what_is_left_and_refuses(loop):
    class Argument:
        pass

    argument = Argument()
    kept = weakref.ref(argument)
    queue = raddle.Completions()
    queue.attach(loop)
    queue.post(print, argument)
    del argument
    queue.close()
    gc.collect()
    assert kept() is None
    assert queue.closed and queue.statistics()["discarded"] == 1
    for refused in (queue.post, queue.try_post):
        with pytest.raises(raddle.Stopped, match="closed"):
            refused(print)
    with pytest.raises(raddle.Stopped, match="closed"):
        queue.attach(loop)
    assert queue.drain() == 0
    queue.close()
    # The loop watches nothing any more.
    assert not loop.remove_reader(queue.fileno())


def test_a_queue_has_one_owner_at_a_time(loop):
    queue = raddle.Completions()
    with pytest.raises(RuntimeError):
        queue.attach()  # No loop is running.
    with pytest.raises(RuntimeError, match="not attached"):
        queue.detach()
    queue.attach(loop)
    with pytest.raises(RuntimeError, match="detach it there first"):
        queue.attach(loop)
    other = asyncio.new_event_loop()
    with pytest.raises(RuntimeError, match="not attached"):
        queue.detach(other)
    queue.post(print)
    queue.detach(loop)
    queue.attach(other)
    other.close()
    queue.detach(other)
    assert queue.statistics()["ran"] == 0
    queue.close()


def test_a_queue_is_closed_from_another_thread_than_its_loop_s(loop):
    queue = raddle.Completions()

    async def main():
        queue.attach()
        in_thread(queue.close)
        await until(lambda: not asyncio.get_running_loop().remove_reader(queue.fileno()))

    loop.run_until_complete(main())
    assert queue.closed


def test_a_loop_that_is_dropped_takes_nothing_with_it():
    loop = asyncio.new_event_loop()
    kept = weakref.ref(loop)
    queue = raddle.Completions()
    queue.attach(loop)
    with contextlib.suppress(ResourceWarning):
        del loop
        gc.collect()
    assert kept() is None
    queue.post(int)
    assert queue.drain() == 1


def test_a_queue_that_outlives_its_loop_is_attached_to_the_next():
    queue, calls = raddle.Completions(), []

    async def main():
        queue.attach()
        queue.post(calls.append, asyncio.get_running_loop())
        await until(lambda: asyncio.get_running_loop() in calls)

    for _ in range(3):
        asyncio.run(main())
    gone = asyncio.new_event_loop()
    queue.close()
    with raddle.Completions() as other, contextlib.suppress(ResourceWarning):
        other.attach(gone)
        del gone
        gc.collect()
        last = asyncio.new_event_loop()
        other.attach(last)
        last.close()
    assert len(set(calls)) == 3


def test_mistakes_are_exceptions():
    queue = raddle.Completions()
    for arguments in ((), (7,)):
        with pytest.raises(TypeError):
            queue.post(*arguments)
    with pytest.raises(TypeError, match="functools.partial"):
        queue.post(print, end="")
    for capacity in (0, -1, 1 << 40):
        with pytest.raises(ValueError):
            raddle.Completions(capacity)
    with pytest.raises(TypeError):
        raddle.Completions("many")
    with pytest.raises(ValueError):
        queue.drain(seconds=-1)


def test_an_exception_without_a_loop_goes_to_the_unraisable_hook(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda about: told.append((about.exc_type, about.object)))
    queue = raddle.Completions()
    queue.post(int, "x")
    assert queue.drain() == 1
    assert told == [(ValueError, int)]


def test_a_forked_child_begins_with_an_empty_queue():
    out = run_python(
        "import os, raddle, select\n"
        "queue = raddle.Completions()\n"
        "queue.post(print, 'parent')\n"
        "readable = lambda: select.select([queue], [], [], 0)[0] != []\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    before = queue.drain()\n"
        "    quiet = readable()\n"
        "    queue.post(os.write, 1, b'child\\n')\n"
        "    rung = readable()\n"
        "    ran = queue.drain()\n"
        "    os._exit(0 if (before, quiet, rung, ran) == (0, False, True, 1) else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert readable()\n"
        "assert queue.drain() == 1 and not readable()\n"
    ).stdout
    assert out == "child\nparent\n"


def test_a_fork_inside_of_what_is_run_leaves_the_rest_to_the_parent():
    out = run_python(
        "import os, raddle\n"
        "queue = raddle.Completions()\n"
        "pids = []\n"
        "queue.post(lambda: pids.append(os.fork()))\n"
        "queue.post(os.write, 1, b'once\\n')\n"
        "ran = queue.drain()\n"
        "if pids[0] == 0:\n"
        "    queue.post(os.write, 1, b'')\n"
        "    os._exit(0 if (ran, queue.drain()) == (1, 1) else 1)\n"
        "assert ran == 2 and os.waitpid(pids[0], 0)[1] == 0\n"
    ).stdout
    assert out == "once\n"


def test_queues_are_closed_before_python_ends():
    out = run_python(
        "import asyncio, raddle, threading\n"
        "queue = raddle.Completions(1)\n"
        "queue.post(print)\n"
        "def wait():\n"
        "    try: queue.post(print)\n"
        "    except raddle.Stopped: print('refused', flush=True)\n"
        "threading.Thread(target=wait).start()\n"
        "while queue.statistics()['waits'] == 0: pass\n"
    ).stdout
    assert out == "refused\n"


def test_a_subinterpreter_has_no_queue_and_waits_for_no_log():
    out = run_python(
        """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        import raddle
        code = '''if True:
            import raddle, raddle.log
            for refused in raddle.Completions, raddle.log.flush, raddle.log.stop:
                try:
                    refused()
                except RuntimeError as error:
                    assert "main interpreter" in str(error), error
                else:
                    raise AssertionError(refused)
            semaphore, ring = raddle.Semaphore(1), raddle.Ring(1)
            ring.push([ring])
            assert semaphore.get() and not semaphore.get(0.01) and ring.pop()
            print("refused", flush=True)'''
        other = interpreters.create(*(["legacy"] if hasattr(interpreters, "exec") else []))
        interpreters.run_string(other, code)
        interpreters.destroy(other)
        queue = raddle.Completions()
        queue.post(print, "ran")
        assert queue.drain() == 1
        """
    ).stdout
    assert out == "refused\nran\n"


def test_it_is_subclassed_and_weakly_referenced():
    class Mine(raddle.Completions):
        pass

    queue = Mine(3)
    assert weakref.ref(queue)() is queue and queue.capacity == 3


@contextlib.contextmanager
def native(queue):
    """The queue as C has it."""
    pointer = ctypes.c_void_p()
    assert HELD.raddle_completions_from_object(ctypes.py_object(queue), ctypes.byref(pointer)) == 0
    yield pointer
    FREE.raddle_completions_unref(pointer)


def start(pointer):
    """An operation that C has started, and the future that Python awaits."""
    operation, future = ctypes.c_void_p(), ctypes.py_object()
    status = HELD.raddle_operation_new(pointer, None, None, None, ctypes.byref(operation), ctypes.byref(future))
    assert status == 0
    return operation, future.value


def test_native_code_finishes_what_a_coroutine_awaits(loop):
    async def main():
        with raddle.Completions() as queue, native(queue) as pointer:
            queue.attach()
            operations = [start(pointer) for _ in range(100)]

            def finish():
                for number, (operation, _) in enumerate(operations):
                    # Without Python, as ctypes gives it up for the call.
                    assert FREE.raddle_operation_finish_int64(operation, ctypes.c_int64(number)) == 0
                    FREE.raddle_operation_unref(operation)

            thread = threading.Thread(target=finish)
            thread.start()
            results = await asyncio.wait_for(asyncio.gather(*(future for _, future in operations)), 20)
            thread.join()
            assert results == list(range(100))

    loop.run_until_complete(main())


def test_cancelling_a_task_cancels_the_operation_that_it_awaits(loop):
    async def main():
        with raddle.Completions() as queue, native(queue) as pointer:
            queue.attach()
            operation, future = start(pointer)

            async def wait():
                await future

            task = asyncio.ensure_future(wait())
            await asyncio.sleep(0)
            FREE.raddle_operation_is_cancelled.restype = ctypes.c_bool
            assert not FREE.raddle_operation_is_cancelled(operation)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: FREE.raddle_operation_is_cancelled(operation))
            assert FREE.raddle_operation_finish_none(operation) == 0
            FREE.raddle_operation_unref(operation)

    loop.run_until_complete(main())


def test_leaving_the_queue_fails_what_is_still_awaited(loop):
    async def main():
        with raddle.Completions() as queue, native(queue) as pointer:
            queue.attach()
            operation, future = start(pointer)
        with pytest.raises(raddle.Stopped, match="closed before"):
            await asyncio.wait_for(future, 20)
        FREE.raddle_operation_unref(operation)

    loop.run_until_complete(main())
