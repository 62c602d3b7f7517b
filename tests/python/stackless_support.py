"""What the tests of raddle.stackless share: a leak check round each of them, and small programs."""

import gc
import os
import subprocess
import sys

import pytest

from raddle import stackless


def tasklets_left():
    """Tasklets other than main ones, and channels, that the collector still knows."""
    kinds = (stackless.tasklet, stackless.channel)
    return [o for o in gc.get_objects() if isinstance(o, kinds) and not getattr(o, "is_main", False)]


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Each test ends what it began: no tasklet, no stack and no callback outlives it."""
    gc.collect()
    before, stacks = len(tasklets_left()), stackless.tasklet_stats()["stacks"]
    leaked = stackless.tasklet_stats()["leaked"]
    yield
    stackless.set_schedule_callback(None)
    stackless.set_channel_callback(None)
    stackless.set_error_handler(None)
    assert stackless.runcount == 1, "a tasklet is still queued"
    assert stackless.switch_trap(0) == 0
    gc.collect()
    assert len(tasklets_left()) <= before, "a tasklet or a channel was not freed"
    assert stackless.tasklet_stats()["stacks"] <= stacks, "a stack was not given back"
    assert stackless.tasklet_stats()["leaked"] == leaked, "a tasklet was leaked"


def run_python(program, *args, **options):
    """A child with this interpreter's path: what it printed, if it ended well."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", program, *map(str, args)]
    child = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, **options)
    assert child.returncode == 0, (child.returncode, child.stdout, child.stderr)
    return child.stdout
