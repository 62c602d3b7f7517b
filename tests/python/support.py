"""What the tests share: programs in a Python of their own, threads, and waits that have a deadline."""

import os
import select
import subprocess
import sys
import textwrap
import threading
import time

DEADLINE = 20


def run_python(program, *args, status=0, timeout=60, **variables):
    """Run a program in a Python of its own that imports what this one does; return what was seen of it."""
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def until(condition):
    """Wait for what another thread will make true."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.001)


def started(*bodies):
    """Start a thread for each body; return the threads."""
    threads = [threading.Thread(target=body) for body in bodies]
    for thread in threads:
        thread.start()
    return threads


def joined(threads):
    """Wait for threads that are about to end."""
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def is_readable(what):
    """Whether a descriptor is readable now."""
    return bool(select.select([what], [], [], 0)[0])
