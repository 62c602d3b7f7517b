"""Programs that use all of asyncio print the same on raddle's loop as on the stock one."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from raddle.asyncio import GLibEventLoop, MainContext


async def tcp(say, folder):
    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]

        async def talk(name):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            lines = []
            for number in range(3):
                writer.write(f"{name} {number}\n".encode())
                lines.append((await reader.readline()).decode().strip())
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            return lines

        for lines in await asyncio.gather(*(talk(name) for name in ("ada", "bo", "cy"))):
            say(lines)


async def low_level_sockets(say, folder):
    loop = asyncio.get_running_loop()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    client = socket.socket()
    client.setblocking(False)
    accepting = asyncio.ensure_future(loop.sock_accept(listener))
    await loop.sock_connect(client, listener.getsockname())
    server, _ = await accepting
    with listener, client, server:
        sending = asyncio.ensure_future(loop.sock_sendall(client, b"x" * 300_000))
        got = 0
        while got < 300_000:
            got += len(await loop.sock_recv(server, 65536))
        await sending
        say(got)
        path = os.path.join(folder, "file")
        with open(path, "wb+") as file:
            file.write(b"abc" * 50_000)
            file.seek(0)
            sending = asyncio.ensure_future(loop.sock_sendfile(client, file, 3, 90_000))
            got = 0
            while got < 90_000:
                got += len(await loop.sock_recv(server, 65536))
            say(await sending, got)


async def unix_sockets(say, folder):
    path = os.path.join(folder, "socket")

    async def serve(reader, writer):
        writer.write(await reader.readexactly(5))
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello")
        say(await reader.read())
        writer.close()
    with contextlib.suppress(FileNotFoundError):  # From 3.13 on the server removes it.
        os.unlink(path)


async def datagrams(say, folder):
    loop = asyncio.get_running_loop()
    answers = asyncio.Queue()

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, address):
            self.transport.sendto(data[::-1], address)

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            answers.put_nowait(data)

    server, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    client, _ = await loop.create_datagram_endpoint(Client, remote_addr=server.get_extra_info("sockname"))
    for word in (b"warp", b"weft"):
        client.sendto(word)
        say(await answers.get())
    client.close()
    server.close()


async def make_certificate(folder):
    """A key, and a certificate for localhost that it has signed itself."""
    key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    return key, certificate


async def tls(say, folder):
    key, certificate = await make_certificate(folder)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)

    async def serve(reader, writer):
        writer.write((await reader.readline()) * 1000)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serving) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")
        writer.write(b"secret\n")
        say(len(await reader.read()))
        writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())
        say("refused")


async def processes(say, folder):
    process = await asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = await process.communicate(b"through a pipe" * 10_000)
    say(len(out), process.returncode)
    process = await asyncio.create_subprocess_shell("echo out; echo err >&2; exit 3", stdout=-1, stderr=-1)
    say(await process.communicate(), process.returncode)
    process = await asyncio.create_subprocess_exec("sleep", "60")
    process.terminate()
    say(await process.wait())
    codes = [await asyncio.create_subprocess_exec(sys.executable, "-c", f"raise SystemExit({n})") for n in range(4)]
    say(await asyncio.gather(*(each.wait() for each in codes)))


async def pipes(say, folder):
    loop = asyncio.get_running_loop()
    read, write = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb", buffering=0)
    )
    writing, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(write, "wb", buffering=0))
    writing.write(b"water\n")
    say(await reader.readline())
    writing.close()
    say(await reader.read())
    transport.close()


async def signals(say, folder):
    loop = asyncio.get_running_loop()
    seen = asyncio.Queue()
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
        loop.add_signal_handler(number, seen.put_nowait, number)
    for number in (signal.SIGUSR2, signal.SIGUSR1, signal.SIGINT):
        os.kill(os.getpid(), number)
        say(await seen.get())
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
        say(loop.remove_signal_handler(number))
    say(loop.remove_signal_handler(signal.SIGUSR1))


async def executors_and_threads(say, folder):
    loop = asyncio.get_running_loop()
    say(await asyncio.gather(*(loop.run_in_executor(None, pow, 2, n) for n in range(8))))
    say(await asyncio.to_thread(lambda: threading.current_thread() is threading.main_thread()))

    def hand_over():
        return asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, "done"), loop).result(20)

    say(await asyncio.to_thread(hand_over))


async def timeouts_and_groups(say, folder):
    try:
        async with asyncio.timeout(0.02):
            await asyncio.Event().wait()
    except TimeoutError:
        say("timeout")
    order = []

    async def step(name, seconds):
        await asyncio.sleep(seconds)
        order.append(name)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(step("second", 0.04))
            group.create_task(step("first", 0.01))
            group.create_task(step("never", 60))
            await asyncio.sleep(0.1)
            raise ValueError("enough")
    except* ValueError as errors:
        say(order, [str(error) for error in errors.exceptions])


async def sendfile_over_a_transport(say, folder):
    loop = asyncio.get_running_loop()
    path = os.path.join(folder, "file")
    with open(path, "wb") as file:
        file.write(b"weft" * 100_000)
    sent = loop.create_future()

    async def serve(reader, writer):
        with open(path, "rb") as file:
            sent.set_result(await loop.sendfile(writer.transport, file, 4))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        data = await reader.read()
        say(len(data), data == b"weft" * 99_999, await sent)
        writer.close()


async def unix_datagrams(say, folder):
    loop = asyncio.get_running_loop()
    answers = asyncio.Queue()

    class Answers(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            answers.put_nowait((data, address))

        def error_received(self, error):
            answers.put_nowait(type(error).__name__)

    paths = [os.path.join(folder, name) for name in "ab"]
    transports = [(await loop.create_datagram_endpoint(Answers, path, family=socket.AF_UNIX))[0] for path in paths]
    transports[0].sendto(b"warp", paths[1])
    data, address = await answers.get()
    say(data, address == paths[0])
    transports[0].sendto(b"nobody", os.path.join(folder, "c"))
    say(await answers.get())
    for transport in transports:
        transport.close()


async def upgrades_to_tls(say, folder):
    key, certificate = await make_certificate(folder)
    loop = asyncio.get_running_loop()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)

    class Server(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            say("server", data)
            self.transport.write(b"go on")
            self.task = loop.create_task(self.upgrade())

        async def upgrade(self):
            inner = Client()
            secure = await loop.start_tls(self.transport, inner, serving, server_side=True)
            data = await inner.data.get()
            say("inside", data)
            secure.write(data[::-1])

    class Client(asyncio.Protocol):
        def __init__(self):
            self.data = asyncio.Queue()

        def data_received(self, data):
            self.data.put_nowait(data)

    server = await loop.create_server(Server, "127.0.0.1", 0)
    transport, client = await loop.create_connection(Client, *server.sockets[0].getsockname())
    transport.write(b"upgrade?")
    say(await client.data.get())
    secure = await loop.start_tls(transport, client, trusting, server_hostname="localhost")
    secure.write(b"secret")
    say(await client.data.get())
    secure.close()
    server.close()


async def eager_tasks(say, folder):
    if sys.version_info < (3, 12):
        say("they came with 3.12")
        return
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    order = []

    async def step(name, sleep):
        order.append(("begin", name, asyncio.current_task().get_name() == name))
        if sleep:
            await asyncio.sleep(0)
        order.append(("end", name))
        return name

    tasks = [asyncio.create_task(step(name, name == "b"), name=name) for name in "abc"]
    order.append([task.done() for task in tasks])
    say(await asyncio.gather(*tasks), order)
    loop.set_task_factory(None)


async def loops_in_threads(say, folder):
    """Each thread runs a loop of the same kind on a context of its own, and they hand work to each other."""
    here, kind, ready = asyncio.get_running_loop(), type(asyncio.get_running_loop()), threading.Barrier(4)
    loops = []

    def run(number):
        async def main():
            loops.append(asyncio.get_running_loop())
            await asyncio.to_thread(ready.wait, 60)
            others = [loop for loop in loops if loop is not asyncio.get_running_loop()]
            futures = [asyncio.run_coroutine_threadsafe(asyncio.sleep(0.001, number), loop) for loop in others]
            answers = await asyncio.gather(*map(asyncio.wrap_future, futures))
            answers.append(await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0, number), here)))
            # The others may be asked until all have answered.
            await asyncio.to_thread(ready.wait, 60)
            return answers

        with asyncio.Runner(loop_factory=kind) as runner:
            return runner.run(main())

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        say(await asyncio.gather(*(here.run_in_executor(pool, run, number) for number in range(4))))


async def handlers_hooks_and_the_end(say, folder):
    """What goes wrong where nobody awaits it, asynchronous generators and what is cancelled at the end."""
    loop = asyncio.get_running_loop()
    told = asyncio.Queue()
    loop.set_exception_handler(lambda _, about: told.put_nowait((about["message"].split("(")[0], repr(about["exception"]))))
    loop.call_soon(lambda: 1 / 0)
    say(await told.get())
    with contextlib.suppress(RuntimeError):
        loop.call_later(0, exec, "raise RuntimeError('later')")
    say(await told.get())

    async def count():
        try:
            for number in range(10):
                yield number
        finally:
            await asyncio.sleep(0)
            say("closed")

    async for number in count():
        if number == 2:
            break
    generator = count()
    say(await anext(generator))
    await loop.shutdown_asyncgens()
    handle = loop.call_later(0.001, say, "never")
    handle.cancel()
    first, second = loop.create_future(), loop.create_future()
    loop.call_at(loop.time() + 0.01, first.set_result, "first")
    done, pending = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    # Not before: on a machine with a load both would be due at once.
    loop.call_at(loop.time() + 0.01, second.set_result, "second")
    say(len(done), len(pending), await first, await second)
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(1)
    context = contextvars.copy_context()
    context.run(variable.set, 2)
    seen = loop.create_future()
    loop.call_soon(lambda: seen.set_result(variable.get()), context=context)
    say(await seen, variable.get())


PROGRAMS = [
    tcp,
    low_level_sockets,
    unix_sockets,
    datagrams,
    tls,
    processes,
    pipes,
    signals,
    executors_and_threads,
    timeouts_and_groups,
    sendfile_over_a_transport,
    unix_datagrams,
    upgrades_to_tls,
    eager_tasks,
    loops_in_threads,
    handlers_hooks_and_the_end,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
def test_the_output_is_that_of_the_stock_loop(program, debug, tmp_path):
    outputs = []
    for make in (asyncio.SelectorEventLoop, lambda: GLibEventLoop(MainContext())):
        said = []
        folder = tmp_path / str(len(outputs))
        folder.mkdir()
        with asyncio.Runner(loop_factory=make, debug=debug) as runner:
            runner.run(asyncio.wait_for(program(lambda *words: said.append(words), folder), 60))
        outputs.append(said)
    assert outputs[0] and outputs[0] == outputs[1]
