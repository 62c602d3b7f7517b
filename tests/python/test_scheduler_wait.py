"""What tasklets wait for besides channels: a time, a descriptor, a reply; with a main context and without."""

import os
import select
import socket
import threading
import time

import pytest

import raddle
from raddle import stackless
from scheduler_support import MainContext, context, iterate_until, spawn  # noqa: F401
from stackless_support import nothing_is_left, run_python  # noqa: F401


def test_sleepers_wake_in_the_order_of_their_times(context):
    log = []

    def sleeper(seconds):
        begun = time.monotonic()
        raddle.sleep(seconds)
        assert time.monotonic() - begun >= seconds
        log.append(seconds)

    for seconds in (0.03, 0.01, 0.02):
        spawn(sleeper, seconds)
    iterate_until(context, lambda: len(log) == 3)
    assert log == [0.01, 0.02, 0.03]


def test_an_earlier_sleeper_that_comes_later_shortens_the_poll(context):
    log = []
    late = spawn(raddle.sleep, 3600)
    iterate_until(context, lambda: late.blocked)

    def early():
        raddle.sleep(0.01)
        log.append("early")

    spawn(early)
    iterate_until(context, lambda: log)
    late.kill()


def test_sleep_refuses_what_is_no_time():
    for wrong, kind in ((-1, ValueError), (float("nan"), ValueError), (None, TypeError), ("1", TypeError)):
        with pytest.raises(kind):
            raddle.sleep(wrong)
    with pytest.raises(TypeError):
        raddle.sleep()


def test_without_a_loop_the_main_tasklet_sleeps_and_the_others_run():
    log = []

    def worker():
        for step in range(3):
            raddle.sleep(0.005)
            log.append(step)

    spawn(worker)
    raddle.sleep(0.2)
    assert log == [0, 1, 2]


def test_run_does_not_wait_for_sleepers_unless_it_is_told_to():
    log = []

    def sleeper():
        raddle.sleep(0.02)
        log.append("woke")

    spawn(sleeper)
    stackless.run()
    assert log == []
    stackless.run(threadblock=True)
    assert log == ["woke"]


def test_one_who_never_sleeps_does_not_keep_the_others_asleep():
    log = []

    def sleeper():
        raddle.sleep(0.01)
        log.append("woke")

    def busy():
        while not log:
            stackless.schedule()

    spawn(sleeper)
    spawn(busy)
    stackless.run()
    assert log == ["woke"]


def test_a_sleeper_is_killed_and_thrown_at_like_any_other(context):
    log = []

    def sleeper():
        try:
            raddle.sleep(3600)
        except ValueError as error:
            log.append(str(error))
        try:
            raddle.sleep(3600)
        finally:
            log.append("ended")

    task = spawn(sleeper)
    iterate_until(context, lambda: task.blocked)
    task.raise_exception(ValueError, "wake up")
    assert log == ["wake up"]
    assert task.blocked
    task.kill()
    assert log == ["wake up", "ended"]
    assert not task.alive
    assert stackless.unblock_all() == 0


def test_a_tasklet_waits_for_a_descriptor(context):
    here, there = socket.socketpair()
    log = []

    def echo():
        while True:
            assert raddle.wait_fd(here, select.POLLIN) & select.POLLIN
            data = here.recv(100)
            if not data:
                return
            log.append(data)

    task = spawn(echo)
    iterate_until(context, lambda: task.blocked)
    there.send(b"one")
    iterate_until(context, lambda: len(log) == 1)
    there.send(b"two")
    iterate_until(context, lambda: len(log) == 2)
    there.close()
    iterate_until(context, lambda: not task.alive)
    assert log == [b"one", b"two"]
    here.close()


def test_several_wait_for_one_descriptor_each_for_its_own_events(context):
    here, there = socket.socketpair()
    log = []

    def wait(events, name):
        log.append((name, raddle.wait_fd(here.fileno(), events)))

    reader = spawn(wait, select.POLLIN, "in")
    iterate_until(context, lambda: reader.blocked)
    spawn(wait, select.POLLOUT, "out")
    iterate_until(context, lambda: log)
    assert log == [("out", select.POLLOUT)]
    second = spawn(wait, select.POLLIN | select.POLLOUT, "both")
    iterate_until(context, lambda: len(log) == 2)
    there.send(b"x")
    iterate_until(context, lambda: not reader.alive)
    assert log[2] == ("in", select.POLLIN)
    assert not second.alive
    here.close(), there.close()


def test_waiting_for_a_descriptor_has_a_time(context):
    here, there = socket.socketpair()
    seen = []

    def wait(timeout):
        begun = time.monotonic()
        seen.append((raddle.wait_fd(here, select.POLLIN, timeout=timeout), time.monotonic() - begun))

    spawn(wait, 0.02)
    spawn(wait, 0)
    iterate_until(context, lambda: len(seen) == 2)
    assert [ready for ready, _ in seen] == [0, 0]
    assert max(elapsed for _, elapsed in seen) >= 0.02
    there.send(b"x")
    spawn(wait, 0)
    iterate_until(context, lambda: len(seen) == 3)
    assert seen[2][0] == select.POLLIN
    here.close(), there.close()


def test_descriptors_are_waited_for_without_a_loop_too():
    here, there = socket.socketpair()
    seen = []

    def wait():
        seen.append(raddle.wait_fd(here, select.POLLIN))

    spawn(wait)
    thread = threading.Timer(0.02, there.send, [b"x"])
    thread.start()
    stackless.run(threadblock=True)
    thread.join()
    assert seen == [select.POLLIN]
    here.close(), there.close()


def test_a_descriptor_that_is_none_is_an_error_of_the_tasklet_that_waits(context):
    fd = os.open("/dev/null", os.O_RDONLY)
    os.close(fd)
    seen = []

    def wait(what):
        try:
            raddle.wait_fd(what, select.POLLIN)
        except (OSError, TypeError, ValueError) as error:
            seen.append(type(error))

    spawn(wait, fd)
    spawn(wait, "none")
    spawn(wait, -1)
    iterate_until(context, lambda: len(seen) == 3)
    assert seen == [OSError, TypeError, ValueError]


def test_a_file_is_always_ready(context, tmp_path):
    (tmp_path / "file").write_text("text")
    seen = []
    with open(tmp_path / "file") as file:
        spawn(lambda: seen.append(raddle.wait_fd(file, select.POLLIN)))
        iterate_until(context, lambda: seen)
    assert seen == [select.POLLIN]


def test_a_descriptor_number_is_used_again(context):
    seen = []

    def wait(end):
        seen.append(raddle.wait_fd(end, select.POLLIN, timeout=20))

    for _ in range(3):
        here, there = socket.socketpair()
        task = spawn(wait, here)
        iterate_until(context, lambda: task.blocked)
        there.send(b"x")
        iterate_until(context, lambda: not task.alive)
        here.close(), there.close()
    assert seen == [select.POLLIN] * 3


def test_a_reply_is_waited_for_by_a_tasklet(context):
    reply, seen = raddle.Reply(), []
    task = spawn(lambda: seen.append(reply.wait()))
    iterate_until(context, lambda: task.blocked)
    reply("a", 1)
    assert seen == [], "the one who calls goes on"
    iterate_until(context, lambda: seen)
    assert seen == [("a", 1)]
    reply("again")
    assert reply.done
    reply("dropped")
    spawn(lambda: seen.append(reply.wait()))
    iterate_until(context, lambda: len(seen) == 2)
    assert seen[1] == ("again",)
    assert not reply.done


def test_a_reply_from_another_thread_wakes_the_context(context):
    reply, seen = raddle.Reply(), []
    task = spawn(lambda: seen.append(reply.wait(timeout=20)))
    iterate_until(context, lambda: task.blocked)
    thread = threading.Timer(0.02, reply, ["there"])
    thread.start()
    iterate_until(context, lambda: seen)
    thread.join()
    assert seen == [("there",)]


def test_a_reply_that_does_not_come_in_time_is_an_error(context):
    reply, seen = raddle.Reply(), []

    def wait():
        with pytest.raises(TimeoutError):
            reply.wait(timeout=0.01)
        with pytest.raises(TimeoutError):
            reply.wait(timeout=0)
        seen.append("late")

    spawn(wait)
    iterate_until(context, lambda: seen)
    with pytest.raises(TypeError):
        reply(keyword=1)


def test_one_tasklet_at_a_time_waits_for_a_reply(context):
    reply, seen = raddle.Reply(), []
    first = spawn(reply.wait)

    def second():
        try:
            reply.wait()
        except RuntimeError as error:
            seen.append(str(error))

    spawn(second)
    iterate_until(context, lambda: seen)
    assert "another tasklet" in seen[0]
    first.kill()
    spawn(lambda: seen.append(reply.wait()))
    reply()
    iterate_until(context, lambda: len(seen) == 2)


def test_gio_s_async_methods_are_waited_for(context, tmp_path):
    pytest.importorskip("gi", reason="this Python has no PyGObject")
    from gi.repository import Gio, GLib

    (tmp_path / "file").write_bytes(b"what is in it")
    seen = []

    def load(path):
        reply = raddle.Reply()
        Gio.File.new_for_path(str(path)).load_contents_async(None, reply)
        file, result = reply.wait(timeout=20)
        try:
            seen.append(bytes(file.load_contents_finish(result)[1]))
        except GLib.Error as error:
            seen.append(error.code)

    raddle.detach_scheduler(context)
    default = GLib.MainContext.default()
    raddle.attach_scheduler(default)
    spawn(load, tmp_path / "file")
    spawn(load, tmp_path / "none")
    iterate_until(default, lambda: len(seen) == 2)
    raddle.detach_scheduler(default)
    raddle.attach_scheduler(context)
    assert set(seen) == {b"what is in it", Gio.IOErrorEnum.NOT_FOUND}


def test_ctrl_c_ends_a_wait_of_the_main_tasklet():
    program = """
import os, signal, sys, threading, raddle
from raddle import stackless
def sleeper():
    raddle.sleep(3600)
stackless.tasklet(sleeper)()
threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
try:
    raddle.sleep(3600)
except KeyboardInterrupt:
    print("interrupted")
"""
    assert run_python(program).strip() == "interrupted"


def test_a_forked_child_waits_for_descriptors_of_its_own():
    program = """
import os, raddle, select, socket
from raddle import stackless
here, there = socket.socketpair()
seen = []
def wait():
    seen.append(raddle.wait_fd(here, select.POLLIN))
stackless.tasklet(wait)()
stackless.run()
child = os.fork()
if child == 0:
    there.send(b"x")
    stackless.run(threadblock=True)
    os._exit(0 if seen == [select.POLLIN] else 1)
_, status = os.waitpid(child, 0)
assert status == 0, status
stackless.run(threadblock=True)
print(seen)
"""
    assert run_python(program).strip() == "[1]"


def test_ten_thousand_sleepers_wake(context):
    woken = []

    def sleeper(number):
        raddle.sleep(0.01 + number % 7 * 0.001)
        woken.append(number)

    for number in range(10_000):
        spawn(sleeper, number)
    iterate_until(context, lambda: len(woken) == 10_000)
    assert sorted(woken) == list(range(10_000))
