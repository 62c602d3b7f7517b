"""raddle.stackless: who keeps a tasklet alive, and what becomes of one that nobody can reach."""

import gc
import sys
import weakref

import pytest
from stackless_support import nothing_is_left, run_python  # noqa: F401

from raddle import stackless
from raddle.stackless import channel, tasklet


@pytest.fixture
def log():
    return []


def waits(log, pipe, *kept):
    try:
        pipe.receive()
    finally:
        log.append("ended")


def test_a_cycle_of_a_channel_and_who_waits_at_it_is_collected(log):
    pipe = channel()
    tasklet(waits)(log, pipe)
    stackless.run()
    reference = weakref.ref(pipe)
    del pipe
    gc.collect()
    assert log == ["ended"]
    gc.collect()
    assert reference() is None


def test_a_cycle_through_locals_arguments_and_a_sent_value_is_collected(log):
    class Node:
        pass

    def body(node, keyword=None):
        own = [node, keyword]
        try:
            node.pipe.send(own)
        finally:
            log.append("ended")

    node = Node()
    node.pipe = channel()
    node.task = tasklet(body)(node, keyword=node)
    stackless.run()
    reference = weakref.ref(node)
    del node
    for _ in range(3):
        gc.collect()
    assert log == ["ended"] and reference() is None


def test_what_somebody_can_reach_is_not_collected(log):
    pipe = channel()
    tasklet(waits)(log, pipe)
    paused = tasklet(stackless.schedule_remove)()
    stackless.run()
    for _ in range(3):
        gc.collect()
    assert log == [] and pipe.balance == -1 and paused.alive
    pipe.send(None)
    paused.run()
    assert log == ["ended"]


def test_a_tasklet_that_waits_in_a_nested_call_survives_a_collection(log):
    def inner(pipe):
        return sorted([3, 1, 2], key=lambda value: (pipe.receive(), value)[1])

    def body():
        log.append(inner(pipe))

    pipe = channel()
    tasklet(body)()
    stackless.run()
    for _ in range(3):
        gc.collect()
        pipe.send(None)
    assert log == [[1, 2, 3]]


def test_a_collection_in_one_tasklet_leaves_the_frames_of_others_alone(log):
    def body(number):
        values = [object() for _ in range(10)]
        stackless.schedule()
        gc.collect()
        log.append(len({id(value) for value in values}))
        stackless.schedule()

    for number in range(20):
        tasklet(body)(number)
    stackless.run()
    assert log == [10] * 20


def test_references_are_counted_right_by_many_switches():
    value = object()
    before = sys.getrefcount(value)
    pipe = channel()

    def echo():
        while True:
            pipe.send(pipe.receive())

    task = tasklet(echo)()
    stackless.run()
    for _ in range(1000):
        pipe.send(value)
        assert pipe.receive() is value
    task.kill()
    assert sys.getrefcount(value) == before


def test_none_is_counted_right():
    def body():
        for _ in range(1000):
            stackless.schedule(None)

    tasklet(body)()
    stackless.run()
    before = sys.getrefcount(None)
    for _ in range(10):
        tasklet(body)()
        stackless.run()
    assert abs(sys.getrefcount(None) - before) < 100


def test_a_program_may_end_with_tasklets_in_every_state():
    program = """if True:
        import sys, threading
        from raddle import stackless
        from raddle.stackless import channel, tasklet
        pipe = channel()
        class Says:
            def __del__(self):
                print("destroyed")
        def waits(says):
            try:
                pipe.receive()
            finally:
                print("ended")
        def body(f, *args):
            f(*args)
        tasklet(waits)(Says())
        paused = tasklet(body)(stackless.schedule_remove)
        stackless.run()
        new, bound, queued = tasklet(), tasklet(print), tasklet(print)("never")
        queued.remove()
        queued.insert()
        gen = (pipe.receive() for _ in range(3))
        tasklet(list)(gen)
        print("exits")
    """
    assert run_python(program).splitlines() == ["exits", "ended", "destroyed"]


def test_a_program_may_end_inside_a_tasklet():
    program = """if True:
        import os, sys, atexit
        from raddle import stackless
        def body():
            try:
                sys.exit(0)
            finally:
                print("leaves")
        stackless.tasklet(body)()
        stackless.tasklet(stackless.schedule_remove)()
        try:
            stackless.run()
        finally:
            print("main leaves")
    """
    assert run_python(program).splitlines() == ["leaves", "main leaves"]


def test_a_tasklet_that_will_not_end_does_not_keep_the_program():
    program = """if True:
        from raddle import stackless
        def stubborn():
            while True:
                try:
                    stackless.schedule_remove()
                except BaseException:
                    pass
        keep = stackless.tasklet(stubborn)()
        stackless.run()
        print("exits")
    """
    assert run_python(program) == "exits\n"


def test_a_tasklet_that_survives_its_destruction_is_leaked_and_named():
    program = """if True:
        import gc
        from raddle import stackless
        def stubborn():
            while True:
                try:
                    stackless.schedule_remove()
                except BaseException:
                    pass
        stackless.tasklet(stubborn)()
        stackless.run()
        gc.collect()
        print(stackless.leaked_tasklets(), stackless.tasklet_stats()["leaked"])
    """
    assert run_python(program) == "['stubborn'] 1\n"
