"""GCancellables and asyncio's cancellation, each by the other; with PyGObject, GIO's asynchronous calls awaited."""

import asyncio
import contextlib
import ctypes
import gc
import random
import subprocess
import sys
import threading
import time
import weakref

import pytest

import raddle
from raddle.asyncio import GLibEventLoop, MainContext, cancel_together

gio = ctypes.CDLL("libgio-2.0.so.0")
gio.g_cancellable_cancel.argtypes = [ctypes.c_void_p]


@pytest.fixture
def loop():
    loop = GLibEventLoop(MainContext())
    yield loop
    if not loop.is_closed():
        loop.close()


def address_of(cancellable):
    if hasattr(cancellable, "address"):
        return cancellable.address
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer(cancellable.__gpointer__, None)


def cancel_natively(cancellable):
    """Cancel it on a thread, as C does: Python is given up for the call, and nothing of raddle's is used."""
    thread = threading.Thread(target=gio.g_cancellable_cancel, args=(address_of(cancellable),))
    thread.start()
    thread.join()


async def forever(seen=None):
    if seen is not None:
        seen.append("began")
    await asyncio.Event().wait()


@pytest.mark.parametrize("cancel", [raddle.cancel, cancel_natively], ids=["here", "on a native thread"])
def test_a_cancellable_cancels_its_task_once(loop, cancel):
    async def main():
        task = asyncio.create_task(forever())
        cancellable = cancel_together(task)
        assert not raddle.is_cancelled(cancellable)
        await asyncio.sleep(0)
        cancel(cancellable)
        cancel(cancellable)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled() and task.cancelling() == 1

    loop.run_until_complete(main())


def test_a_task_that_is_cancelled_cancels_its_cancellable(loop):
    async def main():
        cancellable, seen = raddle.new_cancellable(), []
        raddle.connect(cancellable, "cancelled", lambda _: seen.append(1))
        task = asyncio.create_task(forever())
        assert cancel_together(task, cancellable) is cancellable
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert raddle.is_cancelled(cancellable) and seen == [1]

    loop.run_until_complete(main())


def test_a_task_that_refuses_to_be_cancelled_leaves_its_cancellable_alone(loop):
    async def stubborn():
        with contextlib.suppress(asyncio.CancelledError):
            await forever()
        return "done"

    async def main():
        task = asyncio.create_task(stubborn())
        cancellable = cancel_together(task)
        await asyncio.sleep(0)
        task.cancel()
        assert await task == "done"
        await asyncio.sleep(0)
        assert not raddle.is_cancelled(cancellable)

    loop.run_until_complete(main())


def test_a_future_that_is_no_task_is_tied_too(loop):
    async def main():
        first, second = loop.create_future(), loop.create_future()
        cancellable = cancel_together(second, cancel_together(first))
        cancel_natively(cancellable)
        for future in (first, second):
            with pytest.raises(asyncio.CancelledError):
                await future

    loop.run_until_complete(main())


def test_one_cancelled_before_never_lets_the_task_begin(loop):
    async def main():
        cancellable, seen = raddle.new_cancellable(), []
        raddle.cancel(cancellable)
        task = asyncio.create_task(forever(seen))
        cancel_together(task, cancellable)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == [] and task.cancelling() == 1

    loop.run_until_complete(main())


def test_after_the_end_neither_knows_the_other(loop):
    async def main():
        task = asyncio.create_task(asyncio.sleep(0, "done"))
        cancellable = cancel_together(task)
        assert await task == "done"
        await asyncio.sleep(0)
        assert not raddle.is_cancelled(cancellable)
        cancel_natively(cancellable)
        await asyncio.sleep(0)
        assert task.result() == "done"

    loop.run_until_complete(main())


def test_a_loop_that_is_closed_hears_nothing_more(loop):
    future = loop.create_future()
    cancellable = cancel_together(future)
    loop.close()
    cancel_natively(cancellable)
    while loop.context.iteration(False):
        pass
    assert not future.done()


def test_a_host_s_loop_hears_of_it(loop):
    task = loop.create_task(forever())
    cancellable = cancel_together(task)
    thread = threading.Timer(0.01, gio.g_cancellable_cancel, args=(address_of(cancellable),))
    thread.start()
    end = time.monotonic() + 20
    while not task.done():
        assert time.monotonic() < end
        loop.context.iteration(True)
    thread.join()
    assert task.cancelled()


def test_what_cannot_be_tied_is_refused(loop):
    future = loop.create_future()
    with pytest.raises(TypeError, match="a GObject is wanted"):
        cancel_together(future, "cancellable")
    with pytest.raises(TypeError, match="a GCancellable is wanted"):
        raddle.is_cancelled(raddle.GObject("GObject"))
    with pytest.raises(TypeError, match="a GLibEventLoop"):
        with contextlib.closing(asyncio.SelectorEventLoop()) as stock:
            cancel_together(stock.create_future())


def test_a_forgotten_future_goes_and_its_cancellable_does_too(loop):
    future = loop.create_future()
    cancellable = cancel_together(future)
    gone = weakref.ref(future)
    del future
    gc.collect()
    assert gone() is None
    cancel_natively(cancellable)
    while loop.context.iteration(False):
        pass


def test_ties_made_cut_and_dropped_on_any_thread():
    """Loops on four threads tie tasks; four others cancel and drop the cancellables at random."""
    seed = random.randrange(2**32)
    print("seed", seed)
    cancellables, ended, threads = [], [], 4

    def run(number):
        dice = random.Random(seed + number)

        async def one():
            task = asyncio.create_task(asyncio.sleep(dice.choice([0, 0.001, 60])))
            cancellable = cancel_together(task)
            cancellables.append(cancellable)
            if dice.random() < 0.5:
                await asyncio.sleep(0)
                task.cancel()
            else:
                cancellables.append(cancellable)
            del cancellable
            await asyncio.wait([task], timeout=0.001)
            task.cancel()
            await asyncio.wait([task])
            ended.append(task.cancelled())

        async def main():
            await asyncio.gather(*(one() for _ in range(100)))

        with asyncio.Runner(loop_factory=GLibEventLoop) as runner:
            runner.run(main())

    def drop(number):
        dice = random.Random(seed - number)
        while not over.is_set():
            try:
                cancellable = cancellables.pop()
            except IndexError:
                over.wait(0.0005)
                continue
            if dice.random() < 0.7:
                gio.g_cancellable_cancel(address_of(cancellable))
            del cancellable

    over = threading.Event()
    droppers = [threading.Thread(target=drop, args=(number,)) for number in range(threads)]
    loops = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in droppers + loops:
        thread.start()
    for thread in loops:
        thread.join(60)
    over.set()
    for thread in droppers:
        thread.join(60)
    assert len(ended) == 100 * threads


def test_without_pygobject_handles_do():
    code = """
import sys
sys.modules["gi"] = None
import asyncio, threading, raddle
from raddle.asyncio import GLibEventLoop, cancel_together

async def main():
    task = asyncio.create_task(asyncio.Event().wait())
    cancellable = cancel_together(task)
    print(type(cancellable).__name__, cancellable.type_name, raddle.is_cancelled(cancellable))
    threading.Timer(0.01, raddle.cancel, args=(cancellable,)).start()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled", raddle.is_cancelled(cancellable))

asyncio.Runner(loop_factory=GLibEventLoop).run(main())
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.stdout.splitlines() == ["GObject GCancellable False", "cancelled True"], child.stderr
