"""What the relay's semaphore and ring cost between threads of Python, beside Python's own and spead2's."""
import queue
import threading
from collections import deque

from measure import in_two_threads, measure, missing, wanted

import raddle

#: How many hand-overs, and how many items, one round has.
HAND_OVERS = 400
ITEMS = 2_000
#: As many items fit into a bounded ring: what a receiver of packets would take.
CAPACITY = 256


def ping_pong(make, give, take):
    """A round of hand-overs there and back between two threads, each waiting for the other."""
    def run():
        ping, pong = make(), make()

        def here():
            for _ in range(HAND_OVERS // 2):
                give(ping)
                take(pong)

        def there():
            for _ in range(HAND_OVERS // 2):
                take(ping)
                give(pong)

        return in_two_threads(here, there) / HAND_OVERS

    return run


def taken_lock():
    lock = threading.Lock()
    lock.acquire()
    return lock


def semaphore():
    measure(
        "relay.semaphore",
        ping_pong(lambda: raddle.Semaphore(0), raddle.Semaphore.put, raddle.Semaphore.get),
        ("threading.Semaphore", ping_pong(lambda: threading.Semaphore(0), threading.Semaphore.release,
                                          threading.Semaphore.acquire)),
        ("threading.Lock, which has no count", ping_pong(taken_lock, lambda lock: lock.release(),
                                                         lambda lock: lock.acquire())),
    )


def stream(make, push, pop, items):
    """A round of items through a queue, from a thread to another."""
    def run():
        through = make()

        def there():
            for item in items:
                push(through, item)

        def here():
            for _ in items:
                pop(through)

        return in_two_threads(here, there) / len(items)

    return run


def deque_alone(items):
    """Items through a deque on one thread: nobody waits, and nothing is told to anybody."""
    def run():
        through = deque()

        def turn():
            for item in items:
                through.append(item)
                through.popleft()

        return in_two_threads(turn, lambda: None) / len(items)

    return run


def ours(items):
    return stream(lambda: raddle.Ring(CAPACITY), raddle.Ring.push, raddle.Ring.pop, items)


def ring():
    items = [object() for _ in range(ITEMS)]
    measure(
        "relay.ring",
        ours(items),
        ("queue.SimpleQueue, unbounded", stream(queue.SimpleQueue, queue.SimpleQueue.put,
                                                queue.SimpleQueue.get, items)),
        ("collections.deque on one thread", deque_alone(items)),
    )


def ring_bounded():
    items = [object() for _ in range(ITEMS)]
    measure(
        "relay.ring_bounded",
        ours(items),
        ("queue.Queue, bounded", stream(lambda: queue.Queue(CAPACITY), queue.Queue.put, queue.Queue.get, items)),
    )


def ring_spead2():
    """spead2's ring buffer as Python may drive it: the one of chunks, which holds no other objects."""
    try:
        import numpy
        from spead2.recv import Chunk, ChunkRingbuffer
    except ImportError as error:
        missing("spead2", error)
        return
    items = [Chunk(data=numpy.zeros(8, numpy.uint8), present=numpy.zeros(1, numpy.uint8)) for _ in range(ITEMS)]
    measure(
        "relay.ring_spead2",
        ours(items),
        ("spead2.recv.ChunkRingbuffer", stream(lambda: ChunkRingbuffer(CAPACITY), ChunkRingbuffer.put,
                                               ChunkRingbuffer.get, items)),
    )


for figure in (semaphore, ring, ring_bounded, ring_spead2):
    if wanted(f"relay.{figure.__name__}"):
        figure()
