"""greenlet as an oracle: the same random programs of switches leave the same trace with tasklets.

A program is a list of steps for main and for each worker: switch to another one with a value, throw at
one, set or read a context variable, or do the rest inside a call that C makes. Where the two differ by
design they are brought together: a worker has a context of its own, and its last value goes to main.
"""

import contextvars
import functools
import random
import re

import pytest
from stackless_support import nothing_is_left  # noqa: F401

from raddle import stackless

greenlet = pytest.importorskip("greenlet", reason="greenlet is not installed: nothing to compare with")

PROGRAMS = 400
variable = contextvars.ContextVar("variable", default=None)


class End(BaseException):
    """What ends a worker that is left."""


class Greenlets:
    """The oracle's way."""

    def __init__(self):
        self.main = greenlet.getcurrent()

    def make(self, body):
        worker = greenlet.greenlet(body, parent=self.main)
        worker.gr_context = contextvars.Context()
        return worker

    def alive(self, worker):
        return not worker.dead

    def switch(self, worker, value):
        return worker.switch(value)

    def throw(self, worker, error):
        return worker.throw(error)


class Tasklets:
    """Ours: a tasklet that is switched to goes on with its tempval."""

    def __init__(self):
        self.main = stackless.main
        self.first = {}

    def make(self, body):
        def run():
            self.main.tempval = body(self.first.pop(id(worker)))

        worker = stackless.tasklet()
        worker.bind(run, ())
        worker.set_context(contextvars.Context())
        return worker

    def alive(self, worker):
        return worker.alive

    def switch(self, worker, value):
        if worker.restorable:  # Not begun: its function takes the value.
            self.first[id(worker)] = value
        else:
            worker.tempval = value
        return worker.switch()

    def throw(self, worker, error):
        worker.tempval = stackless.bomb(type(error), error, None)
        return worker.switch()


def by_sort(rest):
    sorted([0], key=lambda _: rest() or 0)


def by_map(rest):
    list(map(lambda _: rest(), [0]))


def by_sub(rest):
    re.sub("a", lambda _: rest() or "", "a")


def by_reduce(rest):
    functools.reduce(lambda _, __: rest(), [0, 0])


def by_min(rest):
    min([0, 1], key=lambda which: 1 if which else rest() or 0)


def by_method(rest):
    class Meets:
        def __eq__(self, other):
            rest()
            return True

    [0].index(Meets())


NESTS = [by_sort, by_map, by_sub, by_reduce, by_min, by_method]


def make_program(seed):
    """Steps for main and for some workers; the last number of a step says whether errors are caught."""
    chance = random.Random(seed)
    count = chance.randint(2, 5)

    def step():
        kind = chance.choices(["switch", "throw", "set", "get", "nest"], [8, 3, 2, 2, 2])[0]
        return kind, chance.randrange(count), chance.randrange(1000), chance.randrange(2)

    return [[step() for _ in range(chance.randint(1, 12))] for _ in range(count)]


def run(way, program):
    """The trace of a program."""
    trace = []

    def execute(who, steps):
        for place, (kind, target, value, caught) in enumerate(steps):
            try:
                if kind == "nest":
                    NESTS[value % len(NESTS)](lambda rest=steps[place + 1 :]: execute(who, rest))
                    return
                if kind == "set":
                    variable.set((who, value))
                elif kind == "get":
                    trace.append((who, "variable", variable.get()))
                elif not way.alive(workers[target]):
                    trace.append((who, "dead", target))
                elif kind == "switch":
                    trace.append((who, "switches", target, value))
                    trace.append((who, "gets", way.switch(workers[target], value)))
                elif target != who:
                    trace.append((who, "throws", target, value))
                    trace.append((who, "gets", way.throw(workers[target], ValueError(value))))
            except ValueError as error:
                trace.append((who, "catches" if caught or not who else "passes on", error.args))
                if not caught and who:
                    raise

    def worker(who, given):
        trace.append((who, "begins", given))
        try:
            execute(who, program[who])
            return ("ended", who)
        except End:
            return ("told to end", who)
        finally:
            trace.append((who, "unwinds"))

    workers = [way.main]
    workers += [way.make(functools.partial(worker, who)) for who in range(1, len(program))]
    before = variable.set(None)
    try:
        execute(0, program[0])
        for who in range(1, len(program)):
            while way.alive(workers[who]):
                try:
                    trace.append((0, "ends", who, way.throw(workers[who], End())))
                except (End, ValueError) as error:
                    trace.append((0, "hears", who, type(error).__name__))
    finally:
        variable.reset(before)
    return trace


def test_random_programs_leave_the_trace_that_greenlet_leaves():
    events = 0
    for seed in range(PROGRAMS):
        program = make_program(seed)
        wanted = run(Greenlets(), program)
        assert run(Tasklets(), program) == wanted, f"seed {seed}: {program}"
        events += len(wanted)
    assert events > 10 * PROGRAMS


def test_a_hundred_workers_pass_a_value_round_inside_c_calls():
    def ring(way):
        trace = []

        def body(who, given):
            def inside():
                trace.append((who, way.switch(workers[who + 1] if who < 100 else way.main, given + who)))

            NESTS[who % len(NESTS)](inside)
            return who

        workers = [way.main]
        workers += [way.make(functools.partial(body, who)) for who in range(1, 101)]
        trace.append(way.switch(workers[1], 0))
        for who in range(100, 0, -1):
            trace.append(way.switch(workers[who], who))
        return trace

    wanted = ring(Greenlets())
    assert wanted[0] == 5050 and len(wanted) == 201
    assert ring(Tasklets()) == wanted
