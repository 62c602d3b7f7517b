"""raddle.asyncio with very many descriptors, and what a loop's turn costs beside them."""

import os
import resource
import subprocess
import sys

import pytest

MANY = 10_000

CODE = f"""
import asyncio, os, resource, sys, time
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
from raddle.asyncio import GLibEventLoop, MainContext

hosted = sys.argv[1] == "hosted"
loop = GLibEventLoop(MainContext())
seen = {{}}

def ready(fd):
    assert os.eventfd_read(fd) == 1
    seen[fd] = seen.get(fd, 0) + 1
    if len(seen) == {MANY} and not hosted:
        loop.stop()

fds = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range({MANY})]
for fd in fds:
    loop.add_reader(fd, ready, fd)

def run():
    if not hosted:
        return loop.run_forever()
    end = time.monotonic() + 60
    while len(seen) < {MANY}:
        assert time.monotonic() < end
        loop.context.iteration(True)

for _ in range(2):
    seen.clear()
    for fd in fds:
        os.eventfd_write(fd, 1)
    run()
    assert seen == dict.fromkeys(fds, 1)

# And they are idle again: a callback that is due finds its turn beside them.
loop.run_until_complete(asyncio.wait_for(asyncio.sleep(0.01), 20))
assert seen == dict.fromkeys(fds, 1)
for fd in fds:
    assert loop.remove_reader(fd)
    os.close(fd)
loop.close()
print("done")
"""


@pytest.mark.parametrize("by", ["itself", "hosted"])
def test_ten_thousand_descriptors_are_each_served_once(by):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < MANY + 100:
        pytest.skip(f"a process may open {most} files here, and {MANY} are wanted")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", CODE, by]
    child = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert child.stdout == "done\n", child.stderr
