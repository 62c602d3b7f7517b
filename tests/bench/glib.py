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
    return "gi.events", lambda: Theirs(GLib.MainContext.new()), Theirs


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


#: A redraw of GDK's at 60 Hz, and a timer: priority and interval in milliseconds.
SOURCES = {"glib.redraw_beside_tasks": (120, 16), "glib.timer_beside_tasks": (0, 10)}


def firings(make, priority, interval, busy):
    """A second in which three tasks never sleep, or do nothing else: nanoseconds from one firing of a source to the next."""

    def run():
        from gi.repository import GLib

        context, fired = GLib.MainContext.new(), 0

        def fire(*_):
            nonlocal fired
            fired += 1
            return True

        source = GLib.timeout_source_new(interval)
        source.set_priority(priority)
        source.set_callback(fire)
        source.attach(context)

        async def never_sleep(end):
            while time.perf_counter() < end:
                await asyncio.sleep(0)

        async def second():
            end = time.perf_counter() + 1
            await asyncio.gather(*(never_sleep(end) if busy else asyncio.sleep(1) for _ in range(3)))

        with contextlib.closing(make(context)) as loop:
            begun = time.perf_counter_ns()
            loop.run_until_complete(second())
            spent = time.perf_counter_ns() - begun
        source.destroy()
        return spent / max(fired, 1)

    return run


def redraws(pygobject):
    """How often sources of others fire beside tasks that never sleep; the floor is a loop that is idle."""
    for name, (priority, interval) in SOURCES.items():
        if not wanted(name):
            continue
        try:
            import gi  # noqa: F401 (what makes the sources)
        except ImportError as error:
            return missing(name, error)
        peer = pygobject and (pygobject[0], firings(pygobject[2], priority, interval, True))
        floor = "beside tasks that sleep", firings(GLibEventLoop, priority, interval, False)
        measure(name, firings(GLibEventLoop, priority, interval, True), peer, floor, rounds=3)


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    warnings.simplefilter("ignore")
    pygobject = of_pygobject()
    peers = [peer[:2] for peer in (pygobject, of_gbulb()) if peer]

    def beside(name, round_of, rounds):
        if not wanted(name):
            return
        floor = FLOOR[0], round_of(FLOOR[1])
        for what, make in peers or [(None, None)]:
            measure(name, round_of(ours), what and (what, round_of(make)), floor, rounds=rounds)

    beside("glib.call_soon", chain, 11)
    for connections in (1, 100, 1000):
        beside(f"glib.echo_{connections}", lambda make, count=connections: echo(make, count), 5)
    redraws(pygobject)
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
