"""The tasklets demo: every message is passed, the sums are right, and Ctrl-C ends it in order."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE = 240


@pytest.fixture(scope="session")
def program():
    """Where cargo has put the demo."""
    command = ["cargo", "build", "--quiet", "-p", "tasklets", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    messages = map(json.loads, done.stdout.splitlines())
    return next(each["executable"] for each in messages if each.get("executable"))


def demo(program, *options, status=0):
    """A run that ends by itself: its figures, and what it said."""
    command = [program, "--json", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout), done.stderr


def test_ten_thousand_tasklets_pass_all_their_messages(program):
    figures, errors = demo(program, "--rounds", 1, "--tokens", 4, "--messages", 3)
    # Half are in the ring, half send their own number, and two native threads the next two.
    senders = range(5000 + 2)
    assert figures["ring"] == 4 * 1 * 5000
    assert figures["fan_in"] == 3 * len(senders)
    assert figures["sum"] == 3 * sum(senders)
    assert (figures["right"], figures["interrupted"]) == (True, False)
    assert figures["tasklets"] == 10_000
    assert figures["switches"] > figures["ring"]
    assert figures["messages_per_second"] > 0
    assert "the sums are right" in errors


@pytest.mark.parametrize("budget", [0, 20])
def test_the_sums_do_not_depend_on_the_budget_of_a_turn(program, budget):
    figures, _ = demo(
        program, "--tasklets", 100, "--rounds", 5, "--tokens", 7, "--messages", 20, "--threads", 3,
        "--budget", budget, "--quiet",
    )  # fmt: skip
    senders = range(50 + 3)
    assert (figures["ring"], figures["fan_in"]) == (7 * 5 * 50, 20 * len(senders))
    assert figures["sum"] == 20 * sum(senders)
    assert figures["right"]


def test_the_loop_goes_on_beside_the_tasklets(program):
    figures, _ = demo(program, "--tasklets", 1000, "--rounds", 40, "--tokens", 5, "--messages", 1, "--quiet")
    # Generous: the machine may be loaded. Tasklets that kept the loop would be late by seconds.
    assert figures["late_p50_us"] < 200_000
    assert figures["late_p50_us"] <= figures["late_p99_us"] <= figures["late_max_us"]


def test_ctrl_c_ends_it_with_what_was_passed_so_far(program):
    process = subprocess.Popen(
        [program, "--json", "--tasklets", "2000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = process.stderr.readline()
        found = re.search(r"(\d+) tasklets  ring +(\d+)/s  fan-in +(\d+)/s  switches +(\d+)/s  loop late by", line)
        assert found, line
        # Those in the ring and those who send, the one who adds up, and a few who bring tokens in.
        assert 2000 <= int(found[1]) <= 2100
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=DEADLINE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 130, errors
    figures = json.loads(output)
    assert figures["interrupted"] and figures["right"]
    assert figures["ring"] > 0 and figures["fan_in"] > 0
    assert "Traceback" not in errors and "Exception ignored" not in errors, errors


@pytest.mark.parametrize(
    "words", [["--tasklets"], ["--tasklets", "3"], ["--tokens", "0"], ["--tokens", "5000"], ["--what"]]
)
def test_what_it_does_not_understand_it_names(program, words):
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 2
    assert words[0] in done.stderr
    assert "--help" in done.stderr


def test_help_names_every_option(program):
    done = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=DEADLINE)
    source = (ROOT / "demos" / "tasklets" / "src" / "options.rs").read_text()
    options = set(re.findall(r'"(--[a-z]+)" =>', source))
    assert done.returncode == 0 and options
    assert not [option for option in options if option not in done.stdout]
    assert os.linesep in done.stdout
