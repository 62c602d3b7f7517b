"""raddle.stackless: exceptions raised in tasklets, tasklets ended, and errors that nobody caught."""

import builtins
import gc
import pickle
import sys

import pytest
from stackless_support import nothing_is_left, run_python  # noqa: F401

from raddle import stackless
from raddle.stackless import channel, tasklet


@pytest.fixture
def log():
    return []


def patient(log, wait=stackless.schedule_remove):
    """Waits, and says by which exception it was ended."""
    try:
        log.append(wait())
    except BaseException as error:
        log.append((type(error).__name__, error.args))
        if not isinstance(error, TaskletExit):  # noqa: F821
            return
        raise
    finally:
        log.append("finally")


def test_tasklet_exit_is_a_builtin_and_a_system_exit():
    assert builtins.TaskletExit is stackless.TaskletExit
    assert issubclass(stackless.TaskletExit, SystemExit)


def test_kill_ends_a_waiting_a_paused_and_a_queued_tasklet(log):
    pipe = channel()
    waiting = tasklet(patient)(log, pipe.receive)
    paused = tasklet(patient)(log)
    stackless.run()
    queued = tasklet(patient)(log, stackless.schedule)
    queued.run()
    for task in (waiting, paused, queued):
        task.kill()
        assert not task.alive and not task.scheduled
    assert log == [("TaskletExit", ()), "finally"] * 3 or log.count(("TaskletExit", ())) == 2
    assert pipe.balance == 0


def test_kill_of_a_bound_tasklet_runs_nothing_of_it(log):
    task = tasklet(log.append)(1)
    task.kill()
    assert log == [] and not task.alive and stackless.runcount == 1


def test_kill_of_a_new_and_of_a_dead_tasklet_does_nothing(log):
    tasklet().kill()
    tasklet(log.append).kill()
    task = tasklet(log.append)(1)
    stackless.run()
    task.kill()
    task.kill(pending=True)
    assert log == [1]


def test_kill_of_the_current_tasklet_raises_here(log):
    def body():
        try:
            stackless.current.kill()
        except TaskletExit:  # noqa: F821
            log.append("raised")

    tasklet(body)()
    stackless.run()
    assert log == ["raised"]


def test_a_pending_kill_waits_for_its_turn(log):
    task = tasklet(patient)(log)
    stackless.run()
    task.kill(pending=True)
    assert task.alive and task.scheduled and log == []
    stackless.run()
    assert log == [("TaskletExit", ()), "finally"]


def test_a_tasklet_may_survive_its_kill(log):
    def stubborn():
        while True:
            try:
                stackless.schedule_remove()
                return
            except TaskletExit:  # noqa: F821
                log.append("no")

    task = tasklet(stubborn)()
    stackless.run()
    task.kill()
    assert task.alive and log == ["no"]
    task.run()
    assert not task.alive


def test_throw_takes_what_raise_takes(log):
    def body():
        for _ in range(4):
            try:
                stackless.schedule_remove()
            except ValueError as error:
                log.append((error.args, error.__traceback__.tb_frame.f_code.co_name))

    task = tasklet(body)()
    stackless.run()
    task.throw(ValueError)
    task.throw(ValueError, "text")
    task.throw(ValueError(1, 2))
    try:
        raise ValueError("with traceback")
    except ValueError:
        kind, value, traceback = sys.exc_info()
    task.throw(kind, value, traceback)
    assert [args for args, _ in log] == [(), ("text",), (1, 2), ("with traceback",)]
    for wrong in [(3,), (ValueError(), 1), (ValueError, None, 3)]:
        with pytest.raises(TypeError):
            tasklet(len)([]).throw(*wrong)
    stackless.run() if stackless.runcount > 1 else None


def test_a_pending_throw_comes_before_its_turn_like_any_other(log):
    task = tasklet(patient)(log)
    stackless.run()
    task.throw(ValueError, "later", pending=True)
    assert log == []
    stackless.run()
    assert log == [("ValueError", ("later",)), "finally"]


def test_throwing_at_a_dead_tasklet_is_refused():
    task = tasklet(len)([])
    stackless.run()
    for wrong in [lambda: task.throw(ValueError), lambda: task.raise_exception(ValueError)]:
        with pytest.raises(RuntimeError, match="You cannot throw to a dead tasklet"):
            wrong()
    with pytest.raises(RuntimeError, match="dead tasklet"):
        tasklet(len).throw(ValueError)


def test_raise_exception_makes_the_exception_from_its_arguments(log):
    task = tasklet(patient)(log)
    stackless.run()
    task.raise_exception(KeyError, "a", "b")
    assert log == [("KeyError", ("a", "b")), "finally"]
    with pytest.raises(TypeError):
        task.raise_exception(3)
    with pytest.raises(TypeError):
        task.raise_exception()


def test_an_uncaught_error_goes_to_main():
    def body():
        raise ValueError("uncaught")

    tasklet(body)()
    with pytest.raises(ValueError, match="uncaught") as caught:
        stackless.run()
    assert "body" in [entry.name for entry in caught.traceback]


def test_an_uncaught_error_ends_the_wait_of_main():
    def body():
        raise ValueError("uncaught")

    pipe = channel()
    tasklet(body)()
    with pytest.raises(ValueError, match="uncaught"):
        pipe.receive()
    assert pipe.balance == 0


def test_an_uncaught_error_goes_to_the_innermost_watchdog(log):
    def bad():
        raise ValueError("inner")

    def watcher():
        tasklet(bad)()
        try:
            stackless.run()
        except ValueError as error:
            log.append(error.args)

    tasklet(watcher)()
    stackless.run()
    assert log == [("inner",)]


def test_system_exit_in_a_tasklet_ends_the_program():
    program = """if True:
        import atexit, sys
        from raddle import stackless
        atexit.register(print, "exits")
        stackless.tasklet(sys.exit)(0)
        stackless.run()
        print("not reached")
    """
    assert run_python(program) == "exits\n"


def test_the_error_handler_is_asked_first(log):
    def bad(value):
        raise ValueError(value)

    def handler(kind, value, traceback):
        log.append((kind, value.args, traceback is not None))
        if value.args == (2,):
            raise KeyError("from the handler")

    assert stackless.set_error_handler(handler) is None
    tasklet(bad)(1)
    assert stackless.run() is None
    tasklet(bad)(2)
    with pytest.raises(KeyError, match="from the handler"):
        stackless.run()
    assert stackless.set_error_handler(None) is handler
    assert log == [(ValueError, (1,), True), (ValueError, (2,), True)]
    with pytest.raises(TypeError):
        stackless.set_error_handler(3)


def test_tasklet_exit_is_not_shown_to_the_error_handler(log):
    stackless.set_error_handler(lambda *args: log.append(args))
    task = tasklet(stackless.schedule_remove)()
    stackless.run()
    task.kill()
    assert log == []


def test_a_bomb_is_raised_in_who_goes_on_with_it(log):
    task = tasklet(patient)(log)
    stackless.run()
    try:
        raise KeyError("boom")
    except KeyError:
        bomb = stackless.bomb(sys.exc_info())
    assert bomb.type is KeyError and bomb.value.args == ("boom",) and bomb.traceback is not None
    task.tempval = bomb
    task.run()
    assert log == [("KeyError", ("boom",)), "finally"]
    empty = stackless.bomb()
    assert (empty.type, empty.value, empty.traceback) == (None, None, None)


class Choosy(Exception):
    def __new__(cls, *args):
        return super().__new__(cls, *args) if args else 7


@pytest.mark.parametrize(
    ("parts", "raised"),
    [
        ((KeyError,), KeyError()),
        ((KeyError, None), KeyError()),
        ((KeyError, "one"), KeyError("one")),
        ((KeyError, ("one", "two")), KeyError("one", "two")),
        ((KeyError, KeyError("made")), KeyError("made")),
        ((LookupError, KeyError("of a subclass")), KeyError("of a subclass")),
        ((Choosy, 1), Choosy(1)),
        ((Choosy,), TypeError),
        ((KeyError, "one", "no traceback"), KeyError("one")),
        ((), RuntimeError("this bomb has no exception in it")),
        ((int, 3), RuntimeError("this bomb has no exception in it")),
        (("KeyError", 3), RuntimeError("this bomb has no exception in it")),
    ],
    ids=repr,
)
def test_a_bomb_of_any_parts_is_raised_as_python_would_raise_them(log, parts, raised):
    def receives():
        try:
            stackless.schedule_remove()
        except BaseException as error:
            log.append(error)

    task = tasklet(receives)()
    stackless.run()
    task.tempval = stackless.bomb(*parts)
    task.run()
    (error,) = log
    if isinstance(raised, type):
        assert type(error) is raised
    else:
        assert (type(error), error.args) == (type(raised), raised.args)
    if any(part is error for part in parts):
        # It has the trace of where it went off, and no other.
        assert error.__traceback__.tb_frame.f_code is receives.__code__


def test_the_schedule_callback_sees_every_switch_and_every_death(log):
    def callback(prev, next):
        names = {id(stackless.main): "main", id(task): "task", id(None): None}
        log.append((names[id(prev)], names[id(next)], stackless.current is (prev or next)))

    task = tasklet(stackless.schedule)()
    assert stackless.set_schedule_callback(callback) is None
    stackless.run()
    assert stackless.get_schedule_callback() is callback
    stackless.set_schedule_callback(None)
    assert [entry[:2] for entry in log] == [("main", "task"), ("task", None), (None, "main")]


def test_a_schedule_callback_that_fails_stops_nobody(log, capsys):
    def callback(prev, next):
        raise ValueError("in the callback")

    def hook(unraisable):
        log.append(unraisable.exc_value.args)

    before, sys.unraisablehook = sys.unraisablehook, hook
    try:
        stackless.set_schedule_callback(callback)
        tasklet(log.append)("ran")
        stackless.run()
        stackless.set_schedule_callback(None)
    finally:
        sys.unraisablehook = before
    assert "ran" in log and log.count(("in the callback",)) == 3


def test_a_schedule_callback_must_not_switch(log):
    def callback(prev, next):
        try:
            stackless.schedule()
        except RuntimeError as error:
            log.append(str(error))

    tasklet(len)([])
    stackless.set_schedule_callback(callback)
    stackless.run()
    stackless.set_schedule_callback(None)
    assert set(log) == {"a scheduler callback must not switch"}


def test_an_unstarted_tasklet_is_pickled_with_what_it_is_bound_to():
    task = tasklet(print)
    task.set_atomic(True)
    copy = pickle.loads(pickle.dumps(task))
    assert copy.tempval is print and copy.atomic and not copy.alive
    task.bind(None, ("x",), {"end": "!"})
    copy = pickle.loads(pickle.dumps(task))
    assert copy.alive and copy.function is print and copy.paused
    assert not pickle.loads(pickle.dumps(tasklet())).alive
    task.bind(None)
    copy.bind(None)


def test_a_tasklet_that_has_begun_is_not_pickled():
    task = tasklet(patient)([])
    stackless.run()
    with pytest.raises(RuntimeError, match="patient has C calls on its stack"):
        pickle.dumps(task)
    with pytest.raises(RuntimeError, match="current"):
        pickle.dumps(stackless.current)
    assert not task.restorable
    task.kill()


def test_kill_all_ends_them_in_the_order_in_which_they_began(log):
    def body(name):
        try:
            stackless.schedule_remove()
        finally:
            log.append(name)

    tasks = [tasklet(body)(name) for name in "abc"]
    stackless.run()
    assert stackless.kill_all() == 0
    assert log == list("abc") and not any(task.alive for task in tasks)


def test_a_destructor_may_switch(log):
    class Switches:
        def __del__(self):
            stackless.schedule()
            log.append("destroyed")

    def body():
        log.append("other")

    tasklet(body)()
    Switches()
    gc.collect()
    assert log == ["other", "destroyed"]
