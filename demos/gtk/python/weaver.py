"""weaver.py: a draft of cloth, woven by tasklets: one for each yarn, and one that says whose turn it is.

They talk by channels, and sleep while a shuttle flies; the window draws it on its way. The host has attached
the main context of this thread to the tasklets: they run in turns of its loop.
"""

import itertools

import raddle
import raddle.stackless as stackless

import _window

WARPS = 32
SECONDS = 0.24  # of a shuttle's flight
YARNS = {"indigo": 0x3D5A98, "madder": 0xB5423C, "weld": 0xD9A62E, "fern": 0x4E8A5B}

#: One of the four rows of a twill, raised threads as bits; the others are it, moved by one thread each.
TWILL = sum(1 << warp for warp in range(WARPS) if warp % 4 < 2)


def shifted(row, by):
    """Return a row moved by some threads, round the edge."""
    by %= WARPS
    return (row << by | row >> (WARPS - by)) & (1 << WARPS) - 1


def yarn(colour, orders, done):
    """Throw a shuttle of this colour for each row that is ordered."""
    for raised in orders:
        _window.throw(colour, raised, SECONDS)
        raddle.sleep(SECONDS)
        done.send(colour)


def weave(shuttles, done):
    """Order row after row: the twill turns round every sixteen rows, and yarns change every four."""
    names = itertools.cycle(shuttles)
    name, by = next(names), 0
    for row in itertools.count():
        if row % 4 == 3:
            name = next(names)
        by += 1 if row // 16 % 2 == 0 else -1
        shuttles[name].send(shifted(TWILL, by))
        done.receive()


def begin():
    """Make the tasklets: they begin in the loop's next turn."""
    done = stackless.channel()
    shuttles = {name: stackless.channel() for name in YARNS}
    for name, colour in YARNS.items():
        stackless.tasklet(yarn)(colour, shuttles[name], done)
    stackless.tasklet(weave)(shuttles, done)


def end():
    """End the tasklets, on their own thread."""
    stackless.kill_all()
