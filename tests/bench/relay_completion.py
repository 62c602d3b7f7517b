"""What a completion costs from a native thread to asyncio and uvloop, beside PyGILState_Ensure with call_soon_threadsafe."""
import asyncio
import ctypes
import os
import statistics
from collections import deque
from pathlib import Path

from measure import missing, report, wanted

import raddle

PEER = "PyGILState_Ensure + call_soon_threadsafe"
#: How many completions a burst has; the peer takes so much longer that it gets fewer.
BURST, PEER_BURST = 5_000, 500
ROUNDS = 31
SINGLES = 500

library = next(Path(os.environ["RADDLE_BUILD"], "tests/bench").glob("libbench_completion.so"))
held, free = ctypes.PyDLL(str(library)), ctypes.CDLL(str(library))
own = ctypes.PyDLL(str(Path(os.environ["RADDLE_BUILD"], "libraddle.so.0")))
for function in (held.burst_begin, held.singles_begin):
    function.restype = ctypes.c_void_p
held.singles_stamp.restype = ctypes.py_object
free.clock_now.restype = ctypes.c_int64
held.clock_now.restype = ctypes.c_int64


def pointer_of(queue):
    pointer = ctypes.c_void_p()
    assert own.raddle_completions_from_object(ctypes.py_object(queue), ctypes.byref(pointer)) == 0
    return pointer


async def burst(pointer, count):
    """A burst from a native thread: nanoseconds per completion, in all and for the thread."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    ran = deque(maxlen=1)

    def last(number):
        done.set_result(held.clock_now())

    arguments = (ctypes.py_object(loop.call_soon_threadsafe), ctypes.py_object(ran.append), ctypes.py_object(last))
    begun = held.burst_begin(pointer, *arguments, count)
    ended = await done
    whole, posting = ctypes.c_double(), ctypes.c_double()
    free.burst_end(ctypes.c_void_p(begun), ctypes.c_int64(ended), ctypes.byref(whole), ctypes.byref(posting))
    return whole.value, posting.value


async def bursts(name):
    with raddle.Completions() as queue:
        queue.attach()
        pointer = pointer_of(queue)
        ours, theirs, wakeups = [], [], []
        for number in range(-1, ROUNDS):
            before = queue.statistics()["wakeups"]
            mine = await burst(pointer, BURST)
            woken = queue.statistics()["wakeups"] - before
            peer = await burst(None, PEER_BURST)
            if number >= 0:
                ours.append(mine)
                theirs.append(peer)
                wakeups.append(woken)
        own.raddle_completions_unref(pointer)
    whole, posting = zip(*ours)
    peer_whole, peer_posting = zip(*theirs)
    report(
        name,
        statistics.median(whole),
        peer=PEER,
        peer_ns=statistics.median(peer_whole),
        posting_ns=statistics.median(posting),
        peer_posting_ns=statistics.median(peer_posting),
        wakeups_per_burst=statistics.median(wakeups),
    )


async def singles(pointer):
    """The latencies of completions that come one at a time, in nanoseconds, sorted."""
    loop = asyncio.get_running_loop()
    latencies = (ctypes.c_int64 * SINGLES)()
    stamp = held.singles_stamp()
    arguments = (ctypes.py_object(loop.call_soon_threadsafe), ctypes.py_object(stamp), latencies)
    begun = ctypes.c_void_p(held.singles_begin(pointer, *arguments, SINGLES))
    while not free.singles_ended(begun):
        await asyncio.sleep(0.05)
    return sorted(latencies)


async def latency():
    with raddle.Completions() as queue:
        queue.attach()
        pointer = pointer_of(queue)
        ours, theirs = [], []
        for _ in range(5):
            ours.extend(await singles(pointer))
            theirs.extend(await singles(None))
        own.raddle_completions_unref(pointer)
    ours, theirs = sorted(ours), sorted(theirs)
    for name, which in (("relay.completion_latency", 0.5), ("relay.completion_latency_p99", 0.99)):
        at = int((len(ours) - 1) * which)
        report(name, float(ours[at]), peer=PEER, peer_ns=float(theirs[at]))


def run(coroutine, loop):
    try:
        loop.run_until_complete(coroutine)
    finally:
        loop.close()


if wanted("relay.completion_burst"):
    run(bursts("relay.completion_burst"), asyncio.new_event_loop())
if wanted("relay.completion_uvloop"):
    try:
        import uvloop
    except ImportError as error:
        missing("uvloop", error)
    else:
        run(bursts("relay.completion_uvloop"), uvloop.new_event_loop())
if wanted("relay.completion_latency"):
    run(latency(), asyncio.new_event_loop())
