"""What raddle's asyncio loop costs beside asyncio's own (the floor), and the loops that others put on GLib."""
import asyncio
import contextlib
import os
import resource
import socket
import subprocess
import sys
import threading
import time
import warnings

from measure import measure, missing, wanted

from raddle.asyncio import GLibEventLoop, MainContext

CALLS = 20_000
#: How many echoes a round has, at least.
ECHOES = 4_000
MESSAGE = b"x" * 64


def ours():
    return GLibEventLoop(MainContext())


def of_pygobject():
    """PyGObject's own loop, on a context of its own, or None."""
    try:
        from gi.events import GLibEventLoop as Theirs
        from gi.repository import GLib
    except ImportError:
        missing("gi.events", "this PyGObject has no event loop (it came with 3.50)")
        return None
    return "gi.events", lambda: Theirs(GLib.MainContext.new())


def of_gbulb():
    try:
        import gbulb
    except Exception as error:
        missing("gbulb", error)
        return None

    class Loop(gbulb.GLibEventLoop):
        """gbulb was given up before PyGObject 3.50, which asks a running loop for these."""

        def running(self, quit):
            return contextlib.nullcontext()

        def paused(self):
            return contextlib.nullcontext()

    return "gbulb", lambda: Loop(context=gbulb.glib_events.GLib.MainContext.new())


FLOOR = "asyncio's epoll loop", asyncio.SelectorEventLoop


def chain(make, schedule="call_soon"):
    """A round of callbacks, each of which schedules the next: nanoseconds a callback."""

    def run():
        with contextlib.closing(make()) as loop:
            call = getattr(loop, schedule)
            left = CALLS

            def step():
                nonlocal left
                left -= 1
                if left:
                    call(step)
                else:
                    loop.stop()

            call(step)
            begun = time.perf_counter_ns()
            loop.run_forever()
            return (time.perf_counter_ns() - begun) / CALLS

    return run


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


def client(port, connections):
    """In a process of its own: sends on every connection, then reads from every one, again and again."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for each in sockets:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    rounds = max(ECHOES // connections, 4)
    for number in range(-1, rounds):
        if number == 0:
            begun = time.perf_counter_ns()
        for each in sockets:
            each.send(MESSAGE)
        for each in sockets:
            each.recv(len(MESSAGE), socket.MSG_WAITALL)
    print((time.perf_counter_ns() - begun) / (rounds * connections))


def echo(make, connections):
    """A round of echoes over TCP: nanoseconds an echo."""

    def run():
        with contextlib.closing(make()) as loop:
            asyncio.set_event_loop(loop)
            server = loop.run_until_complete(loop.create_server(Echo, "127.0.0.1", 0, backlog=connections))
            port = server.sockets[0].getsockname()[1]
            done = loop.create_future()

            def call():
                command = [sys.executable, __file__, "--client", str(port), str(connections)]
                child = subprocess.run(command, stdout=subprocess.PIPE, text=True)
                loop.call_soon_threadsafe(done.set_result, float(child.stdout))

            thread = threading.Thread(target=call)
            thread.start()
            cost = loop.run_until_complete(done)
            thread.join()
            server.close()
            loop.run_until_complete(asyncio.sleep(0))
            asyncio.set_event_loop(None)
            return cost

    return run


def beside_idle(make, descriptors):
    """The same chain, each step through epoll, beside so many descriptors with nothing to read."""

    def made():
        loop = make()
        read, write = os.pipe()
        idle = [os.dup(read) for _ in range(descriptors - 1)] + [read]
        for descriptor in idle:
            loop.add_reader(descriptor, int)
        close = loop.close

        def close_all():
            for descriptor in idle:
                loop.remove_reader(descriptor)
                os.close(descriptor)
            os.close(write)
            close()

        loop.close = close_all
        return loop

    return chain(made, "call_soon_threadsafe")


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    warnings.simplefilter("ignore")
    peers = [peer for peer in (of_pygobject(), of_gbulb()) if peer]

    def beside(name, round_of, rounds):
        if not wanted(name):
            return
        floor = FLOOR[0], round_of(FLOOR[1])
        for what, make in peers or [(None, None)]:
            measure(name, round_of(ours), what and (what, round_of(make)), floor, rounds=rounds)

    beside("glib.call_soon", chain, 11)
    for connections in (1, 100, 1000):
        beside(f"glib.echo_{connections}", lambda make, count=connections: echo(make, count), 5)
    if wanted("glib.idle_fds"):
        many = min(10_000, most - 100)
        measure(
            "glib.idle_fds", beside_idle(ours, many), None, ("10 descriptors", beside_idle(ours, 10)), rounds=7,
            descriptors=many,
        )


if __name__ == "__main__":
    if "--client" in sys.argv:
        client(*map(int, sys.argv[2:]))
    else:
        main()
