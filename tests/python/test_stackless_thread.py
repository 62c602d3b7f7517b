"""raddle.stackless: tasklets, channels and threads; contexts; what tools see."""

import asyncio
import contextvars
import decimal
import os
import sys
import threading
import time

import pytest
from stackless_support import nothing_is_left, run_python  # noqa: F401

from raddle import stackless
from raddle.stackless import channel, tasklet


@pytest.fixture
def log():
    return []


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never comes true"
        time.sleep(0.001)


def in_thread(body):
    """Runs a function on another thread; what it returns, or raises."""
    result = []

    def call():
        try:
            result.append(body())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


def test_each_thread_has_a_main_tasklet_and_a_queue_of_its_own():
    def body():
        seen = []
        tasklet(seen.append)(stackless.main is not main)
        counted = stackless.runcount
        stackless.run()
        return seen, counted, stackless.main.thread_id == threading.get_ident()

    main = stackless.main
    assert in_thread(body) == ([True], 2, True)
    assert main.thread_id == threading.get_ident()
    assert threading.get_ident() in stackless.threads


def test_a_value_goes_from_one_thread_to_another(log):
    def body():
        for value in range(3):
            pipe.send(value)
        log.append(back.receive())

    pipe, back = channel(), channel()
    thread = threading.Thread(target=body)
    thread.start()
    assert [pipe.receive() for _ in range(3)] == [0, 1, 2]
    back.send("answer")
    thread.join(60)
    assert log == ["answer"]


def test_python_is_released_while_a_thread_waits_at_a_channel():
    def body():
        until(lambda: pipe.balance == -1)
        pipe.send(threading.get_ident())

    pipe = channel()
    thread = threading.Thread(target=body)
    thread.start()
    assert pipe.receive() == thread.ident
    thread.join(60)


def test_an_error_goes_to_the_other_thread_too():
    def body():
        until(lambda: pipe.balance == -1)
        pipe.send_exception(ValueError, "from afar")

    pipe = channel()
    thread = threading.Thread(target=body)
    thread.start()
    with pytest.raises(ValueError, match="from afar"):
        pipe.receive()
    thread.join(60)


class Worker:
    """A thread that runs tasklets until it is told to end."""

    def __init__(self):
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.body)
        self.thread.start()
        assert self.ready.wait(60)

    def body(self):
        self.end = channel()
        self.end.preference = 0
        self.ident = threading.get_ident()
        self.running = True
        tasklet(self.wait_for_the_end)()
        stackless.schedule()
        self.ready.set()
        while self.running:
            stackless.run(threadblock=True)  # Returns whenever the last one has ended.

    def wait_for_the_end(self):
        self.end.receive()
        self.running = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end.send(None)
        self.thread.join(60)
        assert not self.thread.is_alive()


def test_a_tasklet_can_be_moved_to_another_thread_before_it_begins(log):
    with Worker() as worker:
        task = tasklet(lambda: log.append(threading.get_ident()))
        task.bind_thread(worker.ident)
        assert task.thread_id == worker.ident
        task()
        until(lambda: log)
    assert log == [worker.ident]
    with pytest.raises(ValueError, match="bad thread"):
        tasklet(len).bind_thread(12345)


def test_a_tasklet_that_has_begun_stays_on_its_thread():
    task = tasklet(stackless.schedule_remove)()
    stackless.run()

    def body():
        with pytest.raises(RuntimeError, match="C state"):
            task.bind_thread()
        with pytest.raises(RuntimeError, match="can't switch to a different thread"):
            task.switch()
        return True

    assert in_thread(body)
    task.run()


def test_another_threads_tasklets_can_be_run_inserted_removed_and_killed(log):
    def body(name):
        while True:
            log.append((name, stackless.schedule_remove(name), threading.get_ident()))

    with Worker() as worker:
        tasks = [tasklet(body) for _ in range(2)]
        for task, name in zip(tasks, "ab"):
            task.bind_thread(worker.ident)
            task(name)
        until(lambda: all(task.paused for task in tasks))
        tasks[0].run()
        until(lambda: len(log) == 1)
        tasks[1].insert()
        until(lambda: len(log) == 2)
        until(lambda: all(task.paused for task in tasks))
        tasks[0].remove()
        tasks[0].kill()
        tasks[1].kill(pending=True)
        until(lambda: not any(task.alive for task in tasks))
    assert log == [("a", "a", worker.ident), ("b", "b", worker.ident)]


def test_a_tasklet_is_told_apart_from_one_whose_thread_is_gone(log):
    def body():
        return tasklet(log.append), tasklet(log.append)(1)

    new, bound = in_thread(body)
    assert new.thread_id == -1 and bound.thread_id == -1
    with pytest.raises(RuntimeError):
        bound.run()
    with pytest.raises(RuntimeError, match="no thread|isn't initialized"):
        bound.insert()
    bound.bind_thread()
    bound.run()
    assert log == [1]
    new.bind_thread()
    new(2)
    stackless.run()
    assert log == [1, 2]


def test_tasklets_are_ended_with_their_thread(log):
    def waits():
        try:
            pipe.receive()
        except BaseException as error:
            log.append((type(error).__name__, threading.get_ident()))
            raise

    def body():
        tasklet(waits)()
        tasklet(stackless.schedule_remove)()
        stackless.run()
        return threading.get_ident()

    pipe = channel()
    ident = in_thread(body)
    until(lambda: pipe.balance == 0)
    assert log == [("TaskletExit", ident)]


def test_no_deadlock_is_reported_while_another_thread_can_send():
    go_on = threading.Event()
    pipe = channel()

    def body():
        go_on.wait(60)
        pipe.send("late")

    thread = threading.Thread(target=body)
    thread.start()
    tasklet(go_on.set)()
    stackless.schedule()
    assert pipe.receive() == "late"
    thread.join(60)


def test_the_last_thread_that_could_run_gets_the_deadlock():
    program = """if True:
        import threading, time
        from raddle import stackless
        pipe = stackless.channel()
        def body():
            stackless.tasklet(pipe.receive)()
            stackless.run(threadblock=True)
        threading.Thread(target=body, daemon=True).start()
        while pipe.balance == 0:
            time.sleep(0.001)
        try:
            stackless.channel().receive()
        except RuntimeError as error:
            print(error)
    """
    assert run_python(program) == "Deadlock: the last runnable tasklet cannot be blocked.\n"


def test_the_logs_own_thread_keeps_nobody_from_learning_of_a_deadlock():
    program = """if True:
        import logging
        import raddle.log
        from raddle import stackless
        logging.getLogger().addHandler(logging.NullHandler())
        raddle.log.write(logging.ERROR, "starts the worker")
        assert raddle.log.flush(20)
        try:
            stackless.channel().receive()
        except RuntimeError as error:
            print(error)
    """
    assert run_python(program) == "Deadlock: the last runnable tasklet cannot be blocked.\n"


def test_a_handler_that_the_logs_own_thread_runs_may_send():
    program = """if True:
        import logging
        import raddle.log
        from raddle import stackless
        pipe = stackless.channel()
        class Sends(logging.Handler):
            def emit(self, record):
                pipe.send(record.getMessage())
        logging.getLogger().addHandler(Sends())
        raddle.log.write(logging.ERROR, "first")
        raddle.log.write(logging.ERROR, "second")
        print(pipe.receive(), pipe.receive())
    """
    assert run_python(program) == "first second\n"


def test_a_deadlock_that_comes_while_a_thread_waits_is_reported_too():
    program = """if True:
        import threading
        from raddle import stackless
        pipe = stackless.channel()
        def body():                 # It could send, until it ends.
            while pipe.balance == 0:
                pass
        threading.Thread(target=body).start()
        try:
            pipe.receive()
        except RuntimeError as error:
            print(error)
    """
    assert run_python(program) == "Deadlock: the last runnable tasklet cannot be blocked.\n"


def test_get_thread_info_tells_of_every_thread():
    main, current, count = stackless.get_thread_info()
    assert main is current is stackless.main and count == 1
    with Worker() as worker:
        main, current, count = stackless.get_thread_info(worker.ident)
        assert main.thread_id == worker.ident and count == 0 and current is None
    with pytest.raises(RuntimeError, match="Thread id not found"):
        stackless.get_thread_info(12345)


def test_thread_locals_are_the_threads_and_context_variables_the_tasklets(log):
    local, variable = threading.local(), contextvars.ContextVar("variable", default="default")

    def body(name):
        log.append((name, variable.get(), getattr(local, "value", None)))
        variable.set(name)
        local.value = name
        stackless.schedule()
        log.append((name, variable.get(), local.value))

    variable.set("main's")
    tasks = [tasklet(body)(name) for name in "ab"]
    stackless.run()
    assert log[:2] == [("a", "main's", None), ("b", "a", "a")] or log[:2] == [
        ("a", "main's", None),
        ("b", "main's", "a"),
    ]
    del tasks


def test_a_tasklet_runs_in_the_context_of_who_bound_it(log):
    variable = contextvars.ContextVar("variable")
    variable.set("first")
    context = contextvars.copy_context()
    task = context.run(lambda: (variable.set("copied"), tasklet(lambda: log.append(variable.get())))[1])
    task()
    stackless.run()
    assert log == ["copied"] and variable.get() == "first"


def test_set_context_and_context_run_use_the_context_that_is_given(log):
    variable = contextvars.ContextVar("variable", default=None)
    context = contextvars.Context()
    context.run(variable.set, "other")

    def body():
        log.append(variable.get())
        stackless.schedule_remove()
        log.append(variable.get())

    task = tasklet(body)
    assert task.set_context(context) is task
    task()
    stackless.run()
    assert log == ["other"] and variable.get() is None
    assert task.context_run(variable.get) == "other"
    assert task.context_id == id(context)
    task.context_run(variable.set, "changed")
    task.run()
    assert log == ["other", "changed"]
    with pytest.raises(TypeError):
        task.set_context(3)
    with pytest.raises(TypeError):
        task.context_run()


def test_decimal_contexts_follow_the_contexts_of_tasklets(log):
    def body(precision):
        with decimal.localcontext() as context:
            context.prec = precision
            stackless.schedule()
            log.append(len(str(decimal.Decimal(1) / 3)) - 2)

    for precision in (5, 9):
        task = tasklet(body)
        task.set_context(contextvars.Context())
        task(precision)
    stackless.run()
    assert log == [5, 9]


def test_asyncio_runs_inside_a_tasklet(log):
    async def work():
        await asyncio.sleep(0)
        return "done"

    def body():
        log.append(asyncio.run(work()))

    tasklet(body)()
    stackless.run()
    assert log == ["done"]


def test_suspended_tasklets_are_seen_by_current_frames():
    def somewhere_deep():
        stackless.schedule_remove()

    def body():
        somewhere_deep()

    task = tasklet(body)()
    stackless.run()
    names = []
    for frame in sys._current_frames().values():
        stack = []
        while frame is not None:
            stack.append(frame.f_code.co_name)
            frame = frame.f_back
        names.append(stack)
    assert ["somewhere_deep", "body"] in names
    here = sys._current_frames()[threading.get_ident()]
    assert here.f_code.co_name == "test_suspended_tasklets_are_seen_by_current_frames"
    assert task.frame.f_code.co_name == "somewhere_deep"
    task.run()
    assert not any("somewhere_deep" in str(frame) for frame in sys._current_frames().values())


def test_faulthandler_shows_suspended_tasklets_and_survives_forty_of_them():
    program = """if True:
        import faulthandler, sys
        from raddle import stackless
        def waits_somewhere():
            stackless.schedule_remove()
        tasks = [stackless.tasklet(waits_somewhere)() for _ in range(40)]
        stackless.run()
        faulthandler.dump_traceback(sys.stdout, all_threads=True)
        for task in tasks:
            task.run()
        sys.stdout.flush()
    """
    assert run_python(program).count("waits_somewhere") == 40


def test_a_trace_function_belongs_to_its_tasklet(log):
    def tracer(frame, event, arg):
        if event == "call":
            log.append(frame.f_code.co_name)
        return None

    def called():
        pass

    def traced():
        called()
        stackless.schedule()
        called()

    def untraced():
        called()
        stackless.schedule()
        called()

    before = sys.gettrace()
    task, other = tasklet(traced), tasklet(untraced)
    task.trace_function = tracer
    assert task.trace_function is tracer and other.trace_function is None
    task()
    other()
    stackless.run()
    assert log == ["traced", "called", "called"]
    assert sys.gettrace() is before


def test_a_trace_function_can_be_set_on_a_suspended_tasklet(log):
    def tracer(frame, event, arg):
        log.append(frame.f_code.co_name)

    def called():
        pass

    def body():
        stackless.schedule_remove()
        called()
        stackless.schedule_remove()
        called()

    task = tasklet(body)()
    stackless.run()
    task.trace_function = tracer
    assert task.trace_function is tracer and sys.gettrace() is not tracer
    task.run()
    assert log == ["called"]
    task.trace_function = None
    task.run()
    assert log == ["called"]


def test_profile_functions_belong_to_tasklets_too(log):
    def body():
        len([])

    task = tasklet(body)
    task.profile_function = lambda frame, event, arg: log.append((frame.f_code.co_name, event))
    task()
    stackless.run()
    assert ("body", "c_call") in log and sys.getprofile() is None


def test_ctypes_callbacks_run_inside_a_tasklet(log):
    import ctypes

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    def compare(one, other):
        stackless.schedule()
        log.append(stackless.current.nesting_level > 0)
        return one[0] - other[0]

    def body():
        array = (ctypes.c_int * 3)(3, 1, 2)
        # pythonapi keeps Python held, as tasklets need it.
        ctypes.PyDLL(None).qsort(array, 3, ctypes.sizeof(ctypes.c_int), compare)
        results.append(list(array))

    results = []
    for _ in range(2):
        tasklet(body)()
    stackless.run()
    assert results == [[1, 2, 3]] * 2 and all(log)


def test_a_forked_child_goes_on_with_its_tasklets():
    program = """if True:
        import os, sys, gc
        from raddle import stackless
        def body(log):
            for step in range(3):
                stackless.schedule_remove()
                log.append(step)
        log = []
        tasks = [stackless.tasklet(body)(log) for _ in range(5)]
        stackless.run()
        child = os.fork()
        for task in tasks:
            task.run()
        gc.collect()
        frames = [frame.f_code.co_name for frame in sys._current_frames().values()]
        for _ in range(2):
            for task in tasks:
                task.run()
        ok = log == [0] * 5 + [1] * 5 + [2] * 5 and frames.count("body") >= 5
        if child == 0:
            os._exit(0 if ok else 1)
        print(ok, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run_python(program) == "True 0\n"


def test_a_fork_inside_a_tasklet_keeps_the_tasklet_in_both():
    program = """if True:
        import os
        from raddle import stackless
        def body():
            stackless.schedule()
            child = os.fork()
            stackless.schedule()
            if child == 0:
                os._exit(7)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        codes = []
        stackless.tasklet(body)()
        stackless.tasklet(stackless.schedule)()
        stackless.run()
        print(codes)
    """
    assert run_python(program) == "[7]\n"


def test_ctrl_c_reaches_a_main_tasklet_that_waits():
    program = """if True:
        import os, signal, threading, time
        from raddle import stackless
        pipe = stackless.channel()
        done = threading.Event()
        def interrupt():
            while pipe.balance == 0:
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)
            done.wait(60)
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            pipe.receive()
        except KeyboardInterrupt:
            print("interrupted", pipe.balance)
        done.set()
        thread.join()
    """
    assert run_python(program) == "interrupted 0\n"


def test_ctrl_c_reaches_a_tasklet_that_spins():
    program = """if True:
        import os, signal, sys
        from raddle import stackless
        def spin():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                while True:
                    pass
            except KeyboardInterrupt:
                print("interrupted")
        stackless.tasklet(spin)()
        stackless.run()
    """
    assert run_python(program) == "interrupted\n"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no way to count processors here")
def test_many_threads_with_many_tasklets_pass_many_messages():
    def worker():
        def body():
            for _ in range(20):
                results.append(pipe.receive())

        for _ in range(10):
            tasklet(body)()
        stackless.run(threadblock=True)

    pipe, results = channel(), []
    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for value in range(4 * 10 * 20):
        pipe.send(value)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert sorted(results) == list(range(800))
