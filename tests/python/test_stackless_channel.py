"""raddle.stackless: channels, their preferences, their ends, and what is sent over them."""

import pickle
import weakref

import pytest
from stackless_support import nothing_is_left  # noqa: F401

from raddle import stackless
from raddle.stackless import channel, tasklet


@pytest.fixture
def log():
    return []


def receiver(log, pipe, name="r"):
    log.append(f"{name} waits")
    log.append((name, pipe.receive()))


def sender(log, pipe, value, name="s"):
    log.append(f"{name} sends")
    pipe.send(value)
    log.append(f"{name} sent")


def test_a_value_goes_from_one_to_the_other(log):
    pipe = channel()
    tasklet(receiver)(log, pipe)
    stackless.run()
    assert pipe.balance == -1 and pipe.queue.blocked
    pipe.send("value")
    assert log == ["r waits", ("r", "value")]
    assert pipe.balance == 0 and pipe.queue is None


def test_by_default_the_receiver_goes_on(log):
    pipe = channel()
    assert pipe.preference == -1
    tasklet(receiver)(log, pipe)
    tasklet(sender)(log, pipe, 1)
    stackless.run()
    assert log == ["r waits", "s sends", ("r", 1), "s sent"]


@pytest.mark.parametrize(
    "preference, order",
    [
        (-1, ["s sends", "r waits", ("r", 1), "s sent"]),
        (0, ["s sends", "r waits", ("r", 1), "s sent"]),
        (1, ["s sends", "r waits", "s sent", ("r", 1)]),
    ],
)
def test_preference_says_who_goes_on_when_a_sender_waited(log, preference, order):
    pipe = channel()
    pipe.preference = preference
    tasklet(sender)(log, pipe, 1)
    tasklet(receiver)(log, pipe)
    stackless.run()
    assert log == order


@pytest.mark.parametrize(
    "preference, order",
    [
        (-1, ["r waits", "s sends", ("r", 1), "s sent"]),
        (0, ["r waits", "s sends", "s sent", ("r", 1)]),
        (1, ["r waits", "s sends", "s sent", ("r", 1)]),
    ],
)
def test_preference_says_who_goes_on_when_a_receiver_waited(log, preference, order):
    pipe = channel()
    pipe.preference = preference
    tasklet(receiver)(log, pipe)
    tasklet(sender)(log, pipe, 1)
    stackless.run()
    assert log == order


def test_schedule_all_lets_everybody_else_run_first(log):
    pipe = channel()
    pipe.schedule_all = True
    tasklet(receiver)(log, pipe)
    tasklet(sender)(log, pipe, 1)
    tasklet(log.append)("other")
    stackless.run()
    assert log == ["r waits", "s sends", "other", ("r", 1), "s sent"]


def test_who_waits_longest_is_served_first(log):
    pipe = channel()
    for name in "abc":
        tasklet(receiver)(log, pipe, name)
    stackless.run()
    assert pipe.balance == -3
    for value in range(3):
        pipe.send(value)
    assert log[3:] == [("a", 0), ("b", 1), ("c", 2)]


def test_an_exception_can_be_sent(log):
    def body():
        for _ in range(4):
            try:
                log.append(pipe.receive())
            except (ValueError, KeyError) as error:
                log.append((type(error), error.args, error.__traceback__ is not None))

    pipe = channel()
    tasklet(body)()
    stackless.run()
    pipe.send_exception(ValueError, 1, 2)
    pipe.send_throw(KeyError, "key")
    pipe.send_throw(ValueError(3))
    pipe.send(4)
    assert log == [(ValueError, (1, 2), True), (KeyError, ("key",), True), (ValueError, (3,), True), 4]


def test_what_is_no_exception_cannot_be_sent_as_one():
    pipe = channel()
    for wrong in [lambda: pipe.send_exception(int), lambda: pipe.send_throw(3)]:
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError, match="separate value"):
        pipe.send_throw(ValueError(), 2)
    with pytest.raises(TypeError, match="traceback"):
        pipe.send_throw(ValueError, None, 3)
    with pytest.raises(TypeError):
        pipe.send()
    with pytest.raises(TypeError):
        pipe.receive(1)


def test_a_sequence_is_sent_item_by_item_and_received_by_a_loop(log):
    def body():
        log.extend(pipe)
        log.append("end")

    pipe = channel()
    tasklet(body)()
    stackless.run()
    assert pipe.send_sequence(value * value for value in range(5)) == 5
    pipe.close()
    assert pipe.closing and not pipe.closed
    with pytest.raises(TypeError):
        pipe.send_sequence(3)
    pipe.send("last")
    assert pipe.closed
    with pytest.raises(StopIteration):
        next(pipe)
    assert log == [0, 1, 4, 9, 16, "last", "end"] and pipe.balance == 0
    pipe.open()
    assert not pipe.closing
    pipe.close()
    stackless.run()


def test_the_loop_over_a_closed_channel_ends(log):
    def body():
        for value in pipe:
            log.append(value)
            if value == 2:
                pipe.close()
        log.append("end")

    pipe = channel()
    tasklet(body)()
    stackless.run()
    pipe.send_sequence([1, 2])
    stackless.run()
    assert log == [1, 2, "end"]


def test_nobody_may_wait_at_a_closed_channel():
    pipe = channel()
    pipe.close()
    for wrong in (pipe.receive, lambda: pipe.send(1)):
        with pytest.raises(ValueError, match="Send/receive operation on a closed channel"):
            wrong()


def test_the_block_trap_refuses_to_wait(log):
    pipe = channel()
    stackless.current.block_trap = True
    try:
        with pytest.raises(RuntimeError, match="this tasklet does not like to be blocked."):
            pipe.receive()
    finally:
        stackless.current.block_trap = False
    assert pipe.balance == 0


def test_a_deadlock_is_reported_to_whom_it_concerns(log):
    pipe = channel()
    with pytest.raises(RuntimeError, match=r"Deadlock: the last runnable tasklet cannot be blocked\."):
        pipe.receive()
    with pytest.raises(RuntimeError, match=r"Deadlock: the last runnable tasklet cannot be blocked\."):
        pipe.send(1)
    assert pipe.balance == 0 and stackless.runcount == 1


def test_main_learns_that_nobody_will_send_or_receive():
    pipe = channel()
    tasklet(lambda: None)()
    with pytest.raises(RuntimeError, match=r"the main tasklet is receiving without a sender available\."):
        pipe.receive()
    tasklet(lambda: None)()
    with pytest.raises(RuntimeError, match=r"the main tasklet is sending without a receiver available\."):
        pipe.send(1)
    assert pipe.balance == 0


def test_the_last_runnable_tasklet_gets_the_deadlock_if_main_waits(log):
    def body():
        try:
            stackless.channel().receive()
        except RuntimeError as error:
            log.append(str(error))
        pipe.send("rescue")

    pipe = channel()
    tasklet(body)()
    assert pipe.receive() == "rescue"
    assert log == ["Deadlock: the last runnable tasklet cannot be blocked."]
    stackless.run()


def test_run_returns_when_all_wait():
    pipe = channel()
    task = tasklet(pipe.receive)()
    assert stackless.run() is None
    assert task.blocked and task._channel is pipe and task.next is None
    pipe.send(None)
    assert task._channel is None


def test_preference_and_flags_take_any_number():
    pipe = channel()
    for value, seen in [(5, 1), (-7, -1), (0, 0), (True, 1)]:
        pipe.preference = value
        assert pipe.preference == seen
    for wrong in ("x", None, 1.5):
        with pytest.raises(TypeError):
            pipe.preference = wrong
        with pytest.raises(TypeError):
            pipe.schedule_all = wrong
    pipe.schedule_all = 3
    assert pipe.schedule_all == 1
    with pytest.raises(AttributeError):
        pipe.balance = 1


def test_channels_can_be_derived_from_weakly_referenced_and_pickled():
    class Pipe(channel):
        def send(self, value):
            super().send(("wrapped", value))

    pipe = Pipe()
    task = tasklet(lambda: seen.append(pipe.receive()))()
    seen = []
    stackless.run()
    pipe.send(1)
    assert seen == [("wrapped", 1)] and not task.alive
    plain = channel()
    plain.preference, plain.schedule_all = 1, True
    plain.close()
    copy = pickle.loads(pickle.dumps(plain))
    assert (copy.preference, copy.schedule_all, copy.closing) == (1, 1, True)
    reference = weakref.ref(plain)
    del plain
    assert reference() is None


def test_a_channel_at_which_somebody_waits_cannot_be_pickled():
    pipe = channel()
    tasklet(pipe.receive)()
    stackless.run()
    with pytest.raises(RuntimeError, match="cannot be pickled"):
        pickle.dumps(pipe)
    pipe.send(None)


def test_clear_lets_all_go_on_and_those_who_receive_get_none(log):
    pipe = channel()
    for name in "ab":
        tasklet(receiver)(log, pipe, name)
    stackless.run()
    pipe.clear()
    assert pipe.balance == 0
    stackless.run()
    assert log[2:] == [("a", None), ("b", None)]


def test_unblock_all_lets_everybody_of_the_thread_go_on(log):
    pipes = [channel() for _ in range(3)]
    for pipe in pipes:
        tasklet(receiver)(log, pipe)
    stackless.run()
    assert stackless.unblock_all() == 3
    stackless.run()
    assert log[3:] == [("r", None)] * 3


def test_the_channel_callback_sees_both_sides(log):
    def callback(pipe, task, sending, willblock):
        log.append((pipe is the_pipe, task is stackless.current, bool(sending), bool(willblock)))

    the_pipe = channel()
    assert stackless.set_channel_callback(callback) is None
    assert stackless.get_channel_callback() is callback
    tasklet(the_pipe.receive)()
    stackless.run()
    the_pipe.send(1)
    assert stackless.set_channel_callback(None) is callback
    assert log == [(True, True, False, True), (True, True, True, False)]
    with pytest.raises(TypeError):
        stackless.set_channel_callback(3)


def test_a_channel_callback_must_not_communicate(log):
    def callback(*_):
        try:
            stackless.channel().send(1)
        except RuntimeError as error:
            log.append(str(error))

    pipe = channel()
    stackless.set_channel_callback(callback)
    tasklet(pipe.receive)()
    stackless.run()
    stackless.set_channel_callback(None)
    assert log == ["Recursive channel call due to callbacks!"]
    pipe.send(1)


def test_a_buffered_channel_holds_values_back(log):
    pipe = stackless.buffered_channel(2)
    pipe.send(1)
    pipe.send(2)
    assert len(pipe) == 2 and pipe.balance == 2
    late = tasklet(pipe.send)(3)
    stackless.run()
    assert late.blocked
    assert [pipe.receive() for _ in range(3)] == [1, 2, 3]
    stackless.run()
    tasklet(lambda: log.append(pipe.receive()))()
    stackless.run()
    assert pipe.balance == -1
    pipe.send(4)
    assert log == [4]
    pipe.send(5)
    pipe.close()
    assert list(pipe) == [5] and pipe.closed
    with pytest.raises(ValueError):
        stackless.buffered_channel(-1)


def test_a_ring_of_a_thousand_passes_a_message_round(log):
    def link(source, target):
        while True:
            value = source.receive()
            target.send(value + 1)

    first = source = channel()
    tasks = []
    for _ in range(1000):
        target = channel()
        tasks.append(tasklet(link)(source, target))
        source = target
    stackless.run()
    for turn in range(3):
        first.send(turn)
        assert source.receive() == turn + 1000
    for task in tasks:
        task.kill()
