"""raddle's loop gives what the stock loop gives, test by test, in the interpreter's own tests of asyncio."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("asyncio_conformance.py")

#: What is about loops: the mixins that each kind of loop has to pass, and what stands on them.
MODULES = [
    "test_base_events",
    "test_buffered_proto",
    "test_context",
    "test_eager_task_factory",
    "test_events",
    "test_futures",
    "test_locks",
    "test_queues",
    "test_runners",
    "test_selector_events",
    "test_sendfile",
    "test_server",
    "test_sock_lowlevel",
    "test_ssl",
    "test_sslproto",
    "test_streams",
    "test_subprocess",
    "test_taskgroups",
    "test_tasks",
    "test_threads",
    "test_timeouts",
    "test_unix_events",
    "test_waitfor",
]

#: Tests that differ, with the reason.
DIFFERENT: dict[str, str] = {}


def outcomes(kind, module):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    child = subprocess.run(
        [sys.executable, SCRIPT, kind, module], env=env, capture_output=True, text=True, timeout=600
    )
    assert child.returncode == 0, child.stderr
    lines = [line.split(" ", 1) for line in child.stdout.splitlines() if " test_" in line]
    return {name: outcome for outcome, name in lines}, child.stderr


@pytest.mark.parametrize("module", MODULES)
def test_the_outcomes_are_those_of_the_stock_loop(module):
    if importlib.util.find_spec("test") is None or importlib.util.find_spec("test.test_asyncio") is None:
        pytest.skip("the tests of this Python are not installed")
    if importlib.util.find_spec(f"test.test_asyncio.{module}") is None:
        pytest.skip(f"this Python has no {module}")
    stock, _ = outcomes("stock", module)
    ours, said = outcomes("ours", module)
    assert stock, "no test was found"
    assert "ok" in stock.values()
    different = {name: (stock.get(name), ours.get(name)) for name in stock.keys() | ours.keys()}
    different = {name: pair for name, pair in different.items() if pair[0] != pair[1] and name not in DIFFERENT}
    assert not different, said
