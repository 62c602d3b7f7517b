"""How the benches in Python measure and print: as bench.h does for those in C.

Rounds of ours, the peer and the floor take turns, so that what else the machine does hits all three;
the median of the rounds is printed, one JSON object a line.
"""
import json
import multiprocessing
import platform
import statistics
import sys
import threading
import time

#: The prefix of the figures that are asked for.
WANTED = next((word for word in sys.argv[1:] if not word.startswith("-")), "")


def wanted(name):
    """Whether the command line asks for a figure."""
    return name.startswith(WANTED)


def report(name, ours_ns=None, **more):
    """Prints a figure that was measured somehow: of time, or with ``ours_bytes`` of memory."""
    ours = {} if ours_ns is None else {"ours_ns": ours_ns}
    figure = {"bench": name, "python": platform.python_version(), **ours, **more}
    rounded = {key: round(value, 2) if isinstance(value, float) else value for key, value in figure.items()}
    print(json.dumps(rounded), flush=True)


def measure(name, ours, peer=None, floor=None, rounds=31, beside=(), **more):
    """Measures up to three contestants by turns, and prints the figure.

    ``ours`` is a function that does one round and returns what one time cost, in nanoseconds; ``peer``
    and ``floor`` are pairs of a description and such a function, or None where there is none to be had.
    ``beside`` has more such functions by name, for what explains the figure.
    """
    contestants = {"ours": ours, **dict(beside)}
    for which, pair in {"peer": peer, "floor": floor}.items():
        if pair is not None:
            more[which], contestants[which] = pair
    costs = {which: [] for which in contestants}
    for number in range(-1, rounds):
        for which, run in contestants.items():
            cost = run()
            if number >= 0:  # the first round is not counted
                costs[which].append(cost)
    medians = {f"{which}_ns": statistics.median(samples) for which, samples in costs.items()}
    report(name, medians.pop("ours_ns"), **more, **medians)


def in_two_threads(here, there):
    """Runs two functions side by side, one of them here; returns nanoseconds from the start to the end of both."""
    ready = threading.Barrier(2)

    def run_there():
        ready.wait()
        there()

    thread = threading.Thread(target=run_there)
    thread.start()
    ready.wait()
    begun = time.perf_counter_ns()
    here()
    thread.join()
    return time.perf_counter_ns() - begun


def in_a_child(function, *arguments):
    """Calls a function in a fresh interpreter, which its memory goes with; returns what it returned."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def missing(what, error):
    """Says on stderr that a peer is left out."""
    print(f"{what} is not to be had here, so its figure stands alone: {error}", file=sys.stderr)
