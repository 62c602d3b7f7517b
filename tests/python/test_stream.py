"""The stream demo: real heaps over UDP, from spead2's sender and from ours, and every packet accounted for."""

import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEAD2_SENDER = ROOT / "tests" / "python" / "spead2_sender.py"
#: An interpreter beside which spead2 and NumPy are installed, where pip has them.
SENDERS = os.environ.get("RADDLE_STREAM_PYTHON", "")
DEADLINE = 120
FATES = ("delivered", "dropped_in_ring", "incomplete", "duplicate", "malformed", "control", "undelivered")


def has(module):
    if not SENDERS:
        return False
    return subprocess.run([SENDERS, "-c", f"import {module}"], capture_output=True).returncode == 0


needs_spead2 = pytest.mark.skipif(not has("spead2"), reason="spead2 is not installed: pip may not have it for this Python")
needs_numpy = pytest.mark.skipif(not has("numpy"), reason="NumPy is not installed: pip may not have it for this Python")


@pytest.fixture(scope="session")
def programs():
    """Where cargo has put the receiver and the sender."""
    command = ["cargo", "build", "--quiet", "-p", "stream", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    messages = map(json.loads, done.stdout.splitlines())
    return {each["target"]["name"]: each["executable"] for each in messages if each.get("executable")}


class Receiver:
    """A receiver that runs, on a port of its own."""

    def __init__(self, program, *options, stdout=subprocess.PIPE):
        command = [program, "--bind", "127.0.0.1:0", "--json", *map(str, options)]
        self.process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        assert line.startswith("listening on "), line + self.process.stderr.read()
        self.address = line.split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        if self.process.stdout:
            self.process.stdout.close()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def end(self, status=0):
        """Wait for it; return its figures, in which no packet is missing."""
        self.output, self.errors = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode == status, self.errors
        self.table = self.output.splitlines()
        figures = json.loads(self.table.pop())
        assert figures["received"] == sum(figures[fate] for fate in FATES), figures
        return figures


def send(programs, receiver, *options):
    command = [programs["stream-send"], "--to", receiver.address, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rows(table):
    """The live table's last state: for each item, its name and figures."""
    found = {}
    for line in table:
        words = line.split()
        if words and words[0].startswith("0x"):
            found[words[1]] = [float(word) for word in words[2:]]
    return found


def samples(heaps, values):
    """What our sender sends."""
    return [(heap * 31 + index) % 1000 for heap in range(1, heaps + 1) for index in range(values)]


def assert_statistics(row, values):
    mean = sum(values) / len(values)
    deviation = (sum(value * value for value in values) / len(values) - mean**2) ** 0.5
    assert row == pytest.approx([len(values), mean, deviation, min(values), max(values)], rel=1e-4)


def test_every_heap_arrives_and_is_computed(programs):
    with Receiver(programs["stream"], "--plain") as receiver:
        sent = send(programs, receiver, "--heaps", 60, "--values", 2000, "--shuffle")
        figures = receiver.end()
    assert figures["received"] == sent["packets"]
    assert (figures["heaps"], figures["delivered"], figures["control"]) == (60, sent["packets"] - 1, 1)
    table = rows(receiver.table)
    assert_statistics(table["samples"], samples(60, 2000))
    assert_statistics(table["tick"], [heap * 2000 for heap in range(1, 61)])
    assert "plain Python" in receiver.table[0]


@needs_numpy
def test_numpy_computes_the_same(programs):
    folder = pathlib.Path(SENDERS).parents[1]
    with Receiver(programs["stream"], "--venv", folder) as receiver:
        send(programs, receiver, "--heaps", 60, "--values", 2000)
        figures = receiver.end()
    assert figures["heaps"] == 60
    assert "numpy" in receiver.table[0], receiver.table[0]
    assert_statistics(rows(receiver.table)["samples"], samples(60, 2000))


@needs_spead2
def test_heaps_of_spead2_arrive_and_are_computed(programs):
    with Receiver(programs["stream"], "--plain") as receiver:
        host, port = receiver.address.rsplit(":", 1)
        command = [SENDERS, SPEAD2_SENDER, host, port, "100", "3000", "20000000"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 0, done.stderr
        figures = receiver.end()
    assert (figures["heaps"], figures["incomplete"], figures["malformed"]) == (100, 0, 0)
    assert figures["received"] == figures["delivered"] + figures["control"]
    assert_statistics(rows(receiver.table)["samples"], samples(100, 3000))


def test_losses_copies_and_garbage_are_told_apart(programs):
    with Receiver(programs["stream"], "--plain") as receiver:
        trouble = ["--lose", 29, "--twice", 31, "--garbage", 37]
        sent = send(programs, receiver, "--heaps", 100, "--values", 1000, *trouble)
        figures = receiver.end()
    assert figures["received"] == sent["packets"]
    assert figures["malformed"] == sent["garbage"] > 0
    # A copy that comes when its heap was given up counts with that heap.
    assert 0 < figures["duplicate"] <= sent["twice"]
    assert 0 < figures["heaps"] < 100 and figures["incomplete"] > 0


def test_a_full_ring_drops_and_counts_and_the_receiver_goes_on(programs):
    with Receiver(programs["stream"], "--plain", "--ring", 8, "--assemblers", 1, "--ahead", 1, "--slow", 0.005) as receiver:
        sent = send(programs, receiver, "--heaps", 200, "--values", 700, "--rate", 0)
        figures = receiver.end()
    assert figures["dropped_in_ring"] > 0
    assert figures["received"] + figures["dropped_at_socket"] == sent["packets"]
    # Said once when it begins, by the thread that is in a hurry, under its own name.
    assert re.search(r"receiver +WARNING a ring is full: packets are dropped", receiver.errors), receiver.errors


def test_a_full_socket_is_counted_by_the_kernel(programs):
    with Receiver(programs["stream"], "--plain", "--buffer", 4096) as receiver:
        # Nobody takes packets while it stands still.
        receiver.process.send_signal(signal.SIGSTOP)
        sent = send(programs, receiver, "--heaps", 30, "--values", 4000, "--rate", 0, "--endless")
        receiver.process.send_signal(signal.SIGCONT)
        more = send(programs, receiver, "--heaps", 1, "--values", 100, "--rate", 1000)
        figures = receiver.end()
    assert figures["dropped_at_socket"] > 0
    assert figures["received"] + figures["dropped_at_socket"] == sent["packets"] + more["packets"]


def test_ctrl_c_ends_it_with_every_packet_accounted_for(programs):
    with Receiver(programs["stream"], "--plain") as receiver:
        sent = send(programs, receiver, "--heaps", 40, "--endless")
        receiver.interrupt()
        figures = receiver.end(status=130)
    assert (figures["received"], figures["delivered"]) == (sent["packets"], sent["packets"])
    assert figures["heaps"] == 40


@pytest.mark.parametrize("rate", [2_000, 0])
def test_ctrl_c_in_the_middle_of_a_stream_loses_nothing_that_was_received(programs, rate):
    with Receiver(programs["stream"], "--plain", "--verbose") as receiver:
        command = [programs["stream-send"], "--to", receiver.address, "--heaps", "0", "--seconds", "60", "--rate", str(rate)]
        sender = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while "complete" not in receiver.process.stderr.readline():
                assert receiver.process.poll() is None
            receiver.interrupt()
            figures = receiver.end(status=130)
        finally:
            sender.kill()
            sender.wait()
    assert figures["heaps"] > 0
    assert figures["undelivered"] == 0


def test_the_time_may_be_limited(programs):
    with Receiver(programs["stream"], "--plain", "--seconds", 0.2) as receiver:
        figures = receiver.end()
    assert figures["received"] == 0


def test_the_table_lives_on_a_terminal(programs):
    ours, theirs = pty.openpty()
    with Receiver(programs["stream"], "--plain", stdout=theirs) as receiver:
        os.close(theirs)
        send(programs, receiver, "--heaps", 20, "--endless", "--rate", 1000)
        seen = b""
        deadline = time.monotonic() + DEADLINE
        while b"\x1b[J" not in seen and time.monotonic() < deadline:
            if select.select([ours], [], [], 1)[0]:
                seen += os.read(ours, 65536)
        receiver.interrupt()
        # On Linux the end of the other side is an error.
        try:
            while data := os.read(ours, 65536):
                seen += data
        except OSError:
            pass
        assert receiver.process.wait(DEADLINE) == 130
    os.close(ours)
    text = seen.decode()
    assert text.count("heaps in") > 1 and "\x1b[" in text
    assert json.loads(text.splitlines()[-1])["heaps"] == 20


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--ring", "0"], "--ring cannot be 0"),
        (["--ahead"], "--ahead needs a value"),
        (["--bind", "here"], "--bind cannot be here"),
        (["--speed"], "--speed is not known"),
    ],
)
def test_a_bad_command_line_is_one_line(programs, words, line):
    done = subprocess.run([programs["stream"], *words], capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (2, f"stream: {line}; --help says more\n")


def test_help_names_every_option(programs):
    for name in ("stream", "stream-send"):
        done = subprocess.run([programs[name], "--help"], capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 0 and done.stdout.startswith(f"usage: {name} ")


