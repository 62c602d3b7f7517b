"""Tasklets and coroutines together: each of these on asyncio's own loop, and on one that lives on a main context."""

import asyncio
import contextlib
import gc
import threading
import time

import pytest

import raddle
from raddle import stackless
from raddle.coroutine import attach, await_, detach, receive, run, send
from stackless_support import nothing_is_left, run_python  # noqa: F401

try:
    from raddle.asyncio import GLibEventLoop
except ImportError:
    GLibEventLoop = None

LOOPS = {"asyncio": asyncio.SelectorEventLoop, "glib": GLibEventLoop}
with contextlib.suppress(ImportError):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


@pytest.fixture(params=[name for name, loop in LOOPS.items() if loop])
def play(request):
    """Runs a coroutine on a loop of each kind, within a time."""

    def play(main):
        loop = LOOPS[request.param]()
        try:
            return loop.run_until_complete(asyncio.wait_for(main, 30))
        finally:
            # What a test has left sleeping is not to be found by the next one.
            stackless.kill_all()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            detach()
            gc.collect()

    return play


def spawn(function, *args):
    return stackless.tasklet(function)(*args)


async def until(condition):
    """Let the loop run until something is so, within the time that `play` gives."""
    while not condition():
        await asyncio.sleep(0.001)


async def later(value, seconds=0.002):
    await asyncio.sleep(seconds)
    return value


async def fails(error):
    await asyncio.sleep(0)
    raise error


def test_a_tasklet_awaits_coroutines_futures_and_tasks(play):
    async def main():
        loop, log, done = asyncio.get_running_loop(), [], asyncio.Event()
        future = loop.create_future()
        ready = loop.create_future()
        ready.set_result("ready")

        def work():
            log.append(await_(later(1)))
            log.append(await_(loop.create_task(later(2))))
            log.append(await_(ready))
            log.append(await_(future))
            log.append(await_(asyncio.gather(later(3), later(4))))
            done.set()

        attach()
        spawn(work)
        loop.call_later(0.02, future.set_result, "set")
        await done.wait()
        return log

    assert play(main()) == [1, 2, "ready", "set", [3, 4]]


def test_other_tasklets_and_the_loop_go_on_meanwhile(play):
    async def main():
        log, done = [], asyncio.Event()

        def waits():
            log.append(await_(later("late", 0.05)))
            done.set()

        def goes_on():
            for step in range(3):
                raddle.sleep(0.001)
                log.append(step)

        attach()
        spawn(waits), spawn(goes_on)
        await asyncio.sleep(0.001)
        log.append("loop")
        await done.wait()
        return log

    log = play(main())
    assert set(log[:-1]) == {0, 1, 2, "loop"}
    assert log[-1] == "late"


def test_exceptions_of_a_coroutine_are_raised_in_the_tasklet(play):
    async def main():
        def work():
            with pytest.raises(ValueError, match="from the coroutine"):
                await_(fails(ValueError("from the coroutine")))
            return "caught"

        return await run(work)

    assert play(main()) == "caught"


def test_exceptions_of_a_tasklet_are_raised_in_the_coroutine(play):
    async def main():
        def work(error):
            raddle.sleep(0.001)
            raise error

        with pytest.raises(KeyError, match="lost"):
            await run(work, KeyError("lost"))
        with pytest.raises(RuntimeError, match="StopIteration"):
            await run(work, StopIteration())
        return "caught"

    assert play(main()) == "caught"


def test_run_gives_what_a_tasklet_returns(play):
    async def main():
        def add(a, b, *, c):
            raddle.sleep(0.001)
            return a + await_(later(b)) + c

        return await asyncio.gather(*(run(add, number, 2, c=3) for number in range(20)))

    assert play(main()) == [number + 5 for number in range(20)]


def test_a_coroutine_receives_from_a_channel(play):
    async def main():
        pipe = stackless.channel()

        def producer():
            for number in range(100):
                pipe.send(number)
                if number % 10 == 0:
                    raddle.sleep(0.0001)

        attach()
        spawn(producer)
        return [await receive(pipe) for _ in range(100)]

    assert play(main()) == list(range(100))


def test_a_coroutine_sends_on_a_channel(play):
    async def main():
        pipe, seen = stackless.channel(), []

        def consumer():
            for value in pipe:
                seen.append(value)

        task = spawn(consumer)
        for number in range(50):
            await send(pipe, number)
        task.kill()
        return seen

    assert play(main()) == list(range(50))


def test_many_of_both_kinds_hand_values_round(play):
    """A coroutine sends to a tasklet, which awaits a coroutine, which sends on."""

    async def main():
        first, second = stackless.channel(), stackless.channel()

        def middle():
            for value in first:
                second.send(await_(later(value + 1, 0)))

        tasks = [spawn(middle) for _ in range(10)]
        senders = asyncio.gather(*(send(first, number) for number in range(100)))
        got = sorted([await receive(second) for _ in range(100)])
        await senders
        for task in tasks:
            task.kill()
        return got

    assert play(main()) == list(range(1, 101))


def test_exceptions_travel_through_channels(play):
    async def main():
        pipe = stackless.channel()
        spawn(pipe.send_exception, ValueError, "sent")
        with pytest.raises(ValueError, match="sent"):
            await receive(pipe)
        pipe.close()
        with pytest.raises(ValueError, match="closed"):
            await receive(pipe)
        with pytest.raises(ValueError, match="closed"):
            await send(pipe, 1)
        return "caught"

    assert play(main()) == "caught"


def test_cancelling_a_future_raises_in_the_tasklet_that_awaits_it(play):
    async def main():
        future = asyncio.get_running_loop().create_future()

        def work():
            try:
                await_(future)
            except asyncio.CancelledError:
                return "cancelled"

        task = asyncio.ensure_future(run(work))
        await asyncio.sleep(0.01)
        future.cancel()
        return await task

    assert play(main()) == "cancelled"


def test_killing_a_tasklet_cancels_what_it_awaits(play):
    async def main():
        seen = []

        async def waits():
            seen.append("waits")
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        attach()
        task = spawn(lambda: await_(waits()))
        await until(lambda: seen)
        task.kill()
        assert not task.alive
        await until(lambda: len(seen) > 1)
        return seen

    assert play(main()) == ["waits", "cancelled"]


def test_a_time_that_passes_cancels_what_a_tasklet_awaits(play):
    async def main():
        future = asyncio.get_running_loop().create_future()

        def work():
            with pytest.raises(TimeoutError):
                await_(future, timeout=0.01)
            return future.cancelled()

        return await run(work)

    assert play(main())


def test_cancelling_a_coroutine_ends_the_tasklet_that_it_waits_for(play):
    async def main():
        seen, ended = [], asyncio.Event()

        def work():
            seen.append("sleeps")
            try:
                raddle.sleep(3600)
            finally:
                seen.append("ended")
                ended.set()

        task = asyncio.ensure_future(run(work))
        await until(lambda: seen)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended.wait()
        return seen

    assert play(main()) == ["sleeps", "ended"]


def test_a_receive_that_is_cancelled_receives_nothing(play):
    async def main():
        pipe, sent = stackless.channel(), []
        waiting = asyncio.ensure_future(receive(pipe))
        await until(lambda: pipe.balance == -1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pipe.balance == 0

        def sender():
            pipe.send("kept")
            sent.append(1)

        spawn(sender)
        await until(lambda: pipe.balance == 1)
        assert sent == []
        return await receive(pipe)

    assert play(main()) == "kept"


def test_a_value_that_was_handed_over_to_a_cancelled_receive_is_sent_again(play):
    async def main():
        for at_once in (True, False):
            pipe = stackless.channel()
            pipe.preference = 1  # The sender goes on.
            waiting = asyncio.ensure_future(receive(pipe))
            await until(lambda: pipe.balance == -1)
            pipe.send("kept")
            while not at_once and pipe.balance == 0 and stackless.runcount > 1:
                stackless.schedule()  # It is received, and the future set.
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await receive(pipe) == "kept"
        return True

    assert play(main())


def test_a_send_that_is_cancelled_sends_nothing(play):
    async def main():
        pipe = stackless.channel()
        waiting = asyncio.ensure_future(send(pipe, "never"))
        await until(lambda: pipe.balance == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return pipe.balance

    assert play(main()) == 0


def test_the_main_tasklet_must_not_await(play):
    async def main():
        with pytest.raises(RuntimeError, match="main tasklet"):
            await_(later(1))
        return True

    assert play(main())


def test_a_tasklet_awaits_on_a_loop_of_another_thread():
    loops, ready = [], threading.Event()

    def other():
        async def main():
            loops.append((asyncio.get_running_loop(), asyncio.Event()))
            ready.set()
            await loops[0][1].wait()
            return None

        asyncio.run(main())

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait()
    loop, end = loops[0]
    seen = []

    async def where():
        await asyncio.sleep(0.001)
        return threading.get_ident()

    def work():
        seen.append(await_(where(), loop=loop))
        with pytest.raises(ValueError):
            await_(fails(ValueError("there")), loop=loop)
        with pytest.raises(TimeoutError):
            await_(asyncio.sleep(3600), loop=loop, timeout=0.01)
        seen.append("done")

    stackless.expect_others(True)
    try:
        spawn(work)
        deadline = time.monotonic() + 20
        while "done" not in seen:
            assert time.monotonic() < deadline
            raddle.sleep(0.001)
    finally:
        stackless.expect_others(False)
        loop.call_soon_threadsafe(end.set)
        thread.join()
    assert seen == [thread.ident, "done"]


def test_uncaught_errors_go_to_the_exception_handler_of_asyncio_s_own_loop():
    async def main():
        seen, done = [], asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda _, about: seen.append(str(about["exception"])))

        def broken():
            raise ValueError("nobody catches it")

        attach()
        spawn(broken), spawn(done.set)
        await done.wait()
        return seen

    assert asyncio.run(main()) == ["nobody catches it"]
    detach()


def test_a_closed_loop_gives_the_tasklets_to_the_next_one(play):
    async def main():
        return await run(lambda: await_(later("again")))

    for _ in range(3):
        assert play(main()) == "again"


def test_busy_tasklets_leave_the_loop_its_time(play):
    async def main():
        spins, stop = [0], []

        def busy():
            while not stop:
                spins[0] += 1
                stackless.schedule()

        attach()
        spawn(busy), spawn(busy)
        for _ in range(20):
            await asyncio.sleep(0.001)  # Within the time that play gives, however loaded the machine is.
        stop.append(1)
        await asyncio.sleep(0.01)
        return spins[0]

    assert play(main()) > 100


def test_another_loop_of_the_same_thread_is_refused():
    async def main():
        attach()
        with contextlib.closing(asyncio.SelectorEventLoop()) as other:
            with pytest.raises(RuntimeError, match="already"):
                attach(other)

    asyncio.run(main())
    detach()


def test_ctrl_c_ends_asyncio_run_with_tasklets():
    program = """
import asyncio, os, signal, threading, raddle
from raddle import stackless
from raddle.coroutine import attach
async def main():
    attach()
    stackless.tasklet(raddle.sleep)(3600)
    threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
    await asyncio.sleep(3600)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    assert run_python(program).strip() == "interrupted"
