"""raddle.stackless: in which order tasklets run, and what run, switch, insert, remove and schedule do."""

import gc
import weakref

import pytest
from stackless_support import nothing_is_left  # noqa: F401

from raddle import stackless
from raddle.stackless import tasklet


@pytest.fixture
def log():
    return []


def steps(log, name, count=2):
    for step in range(count):
        log.append(f"{name}{step}")
        stackless.schedule()


def test_tasklets_take_turns_in_the_order_of_their_insertion(log):
    for name in "abc":
        tasklet(steps)(log, name)
    assert stackless.runcount == 4
    assert stackless.run() is None
    assert log == ["a0", "b0", "c0", "a1", "b1", "c1"]
    assert stackless.runcount == 1


def test_schedule_gives_back_its_argument_and_by_default_the_tasklet(log):
    def body():
        log.append(stackless.schedule("value") == "value")
        log.append(stackless.schedule() is stackless.current)
        log.append(stackless.schedule(retval=None) is None)

    tasklet(body)()
    stackless.run()
    assert log == [True, True, True]


def test_run_goes_to_a_tasklet_at_once_and_to_all_behind_it(log):
    first, second, third = (tasklet(steps)(log, name, 1) for name in "abc")
    second.run()
    # b ran first, then the queue went on behind it: c is next, and main only after all before it.
    assert log[0] == "b0"
    stackless.run()
    assert sorted(log) == ["a0", "b0", "c0"]
    assert not first.alive and not third.alive


def test_switch_takes_the_caller_out_of_the_queue(log):
    def body():
        log.append((stackless.main.paused, stackless.main.scheduled, stackless.runcount))
        stackless.main.switch()
        log.append("again")

    task = tasklet(body)()
    task.switch()
    assert log == [(True, False, 1)]
    assert task.paused and task.alive and not task.scheduled
    task.run()
    assert log[1:] == ["again"] and not task.alive


def test_insert_and_remove_change_the_queue_only(log):
    task = tasklet(steps)(log, "a", 1)
    assert task.remove() is task
    assert task.paused and not task.scheduled and stackless.runcount == 1
    task.remove()
    stackless.run()
    assert log == []
    assert task.insert() is task
    task.insert()
    assert stackless.runcount == 2
    stackless.run()
    assert log == ["a0"]


def test_what_cannot_be_inserted_or_removed_is_refused(log):
    with pytest.raises(RuntimeError, match=r"unbound\(dead\)"):
        tasklet().insert()
    with pytest.raises(RuntimeError, match=r"unbound\(dead\)"):
        tasklet(log.append).run()
    with pytest.raises(RuntimeError, match="current tasklet cannot be removed"):
        stackless.current.remove()
    channel = stackless.channel()
    waiting = tasklet(channel.receive)()
    stackless.run()
    with pytest.raises(RuntimeError, match="cannot run a blocked"):
        waiting.insert()
    with pytest.raises(RuntimeError, match="cannot run a blocked"):
        waiting.run()
    with pytest.raises(RuntimeError, match="cannot remove a blocked"):
        waiting.remove()
    channel.send(None)


def test_schedule_remove_leaves_the_queue_until_somebody_inserts(log):
    def body():
        log.append("begins")
        log.append(stackless.schedule_remove("back"))

    task = tasklet(body)()
    stackless.run()
    assert log == ["begins"] and task.paused
    task.insert()
    stackless.run()
    assert log == ["begins", "back"]


def test_a_removed_tasklet_that_nobody_keeps_is_ended(log):
    def body():
        try:
            stackless.schedule_remove()
        except TaskletExit:  # noqa: F821
            log.append("ended")
            raise

    tasklet(body)()
    stackless.run()
    gc.collect()
    assert log == ["ended"]


def test_nested_runs_return_when_nobody_is_left(log):
    def inner():
        log.append("inner begins")
        tasklet(steps)(log, "x", 2)
        assert stackless.run() is None
        log.append("inner ends")

    tasklet(inner)()
    stackless.run()
    assert log == ["inner begins", "x0", "x1", "inner ends"]


def test_the_chain_can_be_walked_both_ways(log):
    first, second = tasklet(steps)(log, "a", 1), tasklet(steps)(log, "b", 1)
    main = stackless.main
    assert main.next is first and first.next is second and second.next is main
    assert main.prev is second and second.prev is first
    stackless.run()
    assert first.next is None and first.prev is None
    assert main.next is main


def test_states_of_a_tasklet_from_new_to_dead(log):
    def state():
        return task.alive, task.scheduled, task.paused, task.blocked, task.is_current

    def body():
        log.append(state())
        log.append((task.is_main, task.frame.f_code.co_name, task.restorable))

    task = tasklet()
    assert state() == (False, False, False, False, False)
    task.bind(body)
    assert state() == (False, False, False, False, False) and task.tempval is body
    task.setup()
    assert state() == (True, True, False, False, False) and task.tempval is None
    assert task.restorable and task.frame is None
    stackless.run()
    assert log == [(True, True, False, False, True), (False, "body", False)]
    assert state() == (False, False, False, False, False) and task.restorable
    main = stackless.main
    assert (main.is_main, main.is_current, main.alive, main.scheduled) == (True, True, True, True)
    task.bind(None)


def test_bind_gives_arguments_without_making_it_runnable(log):
    task = tasklet(log.append)
    task.bind(None, ("one",))
    assert task.alive and task.paused and stackless.runcount == 1
    task.run()
    task.bind(log.append, args=("two",))
    task.insert()
    stackless.run()
    assert tasklet(lambda **kw: log.append(kw), (), {"three": 3}).paused
    task.bind(lambda *a, **kw: log.append((a, kw)), (1,), {"b": 2})
    task.run()
    assert log == ["one", "two", ((1,), {"b": 2})]
    task.bind(None)


def test_bind_refuses_what_cannot_be_bound():
    task = tasklet()
    for wrong in [(3,), (None, [1]), (None, None, 4)]:
        with pytest.raises(TypeError):
            task.bind(*wrong)
    with pytest.raises(RuntimeError, match="not bound to a function"):
        task()
    with pytest.raises(RuntimeError, match="current tasklet"):
        stackless.current.bind(len)
    task = tasklet(len)([])
    with pytest.raises(RuntimeError, match="scheduled"):
        task.bind(len)
    with pytest.raises(RuntimeError, match="alive"):
        task([])
    stackless.run()
    begun = tasklet(stackless.schedule_remove)()
    stackless.run()
    with pytest.raises(RuntimeError, match="C state"):
        begun.bind(len)
    begun.run()


def test_a_dead_tasklet_can_be_bound_again_and_keeps_its_identity(log):
    task = tasklet(log.append)(1)
    stackless.run()
    task.bind(log.append)
    task(2)
    stackless.run()
    assert log == [1, 2]


def test_tasklets_can_be_derived_from_and_weakly_referenced(log):
    class Task(tasklet):
        def __new__(cls, *args):
            made = super().__new__(cls)
            made.name = args
            return made

        def __init__(self, *args):
            super().__init__(log.append)

    task = Task("a", 1)
    reference = weakref.ref(task)
    task("ran")
    stackless.run()
    assert log == ["ran"] and task.name == ("a", 1) and reference() is task
    del task
    assert reference() is None


def test_tempval_is_what_a_tasklet_goes_on_with(log):
    def body():
        log.append(stackless.schedule_remove())

    task = tasklet(body)()
    stackless.run()
    task.tempval = "given"
    task.run()
    assert log == ["given"]


def test_switch_trap_refuses_switches(log):
    task = tasklet(steps)(log, "a", 1)
    assert stackless.switch_trap(1) == 0
    try:
        for refused in (stackless.schedule, stackless.run, task.run, task.switch):
            with pytest.raises(RuntimeError, match="switch_trap"):
                refused()
        assert stackless.switch_trap(1) == 1
    finally:
        stackless.switch_trap(-2)
    stackless.run()
    assert log == ["a0"]


def test_recursion_depth_and_nesting_level_are_the_tasklets_own(log):
    def nest(level):
        if level == 0:
            log.append(stackless.current.nesting_level)
            stackless.schedule_remove()
        else:
            list(map(nest, [level - 1]))

    def deep(level):
        if level:
            return deep(level - 1)
        log.append(stackless.current.recursion_depth)
        stackless.schedule_remove()

    task = tasklet(nest)(3)
    task.run()
    assert log == [3] and task.nesting_level == 3
    other = tasklet(deep)(10)
    other.run()
    assert 11 <= log[1] <= 13 and 11 <= other.recursion_depth <= 13
    task.run()
    other.run()


def test_a_thousand_tasklets_take_a_thousand_turns_in_order(log):
    def body(number):
        for turn in range(10):
            log.append((turn, number))
            stackless.schedule()

    for number in range(1000):
        tasklet(body)(number)
    stackless.run()
    assert log == [(turn, number) for turn in range(10) for number in range(1000)]


def test_exceptions_being_handled_are_the_tasklets_own(log):
    import sys

    def body(name):
        try:
            raise KeyError(name)
        except KeyError:
            stackless.schedule()
            log.append(sys.exc_info()[1].args)
            stackless.schedule()
            try:
                raise
            except KeyError as error:
                log.append(error.args)
        log.append(sys.exc_info()[1])

    tasklet(body)("a")
    tasklet(body)("b")
    try:
        raise ValueError
    except ValueError:
        stackless.run()
        assert isinstance(sys.exc_info()[1], ValueError)
    assert log == [("a",), ("b",), ("a",), None, ("b",), None]


def test_generators_can_be_suspended_inside_and_gone_on_with_elsewhere(log):
    def numbers():
        for number in range(3):
            stackless.schedule()
            yield number

    def body(name):
        for number in numbers():
            log.append((name, number))

    tasklet(body)("a")
    tasklet(body)("b")
    stackless.run()
    assert log == [(name, number) for number in range(3) for name in "ab"]
