"""Programs that use all of asyncio print the same on raddle's loop as on the stock one."""

import asyncio
import contextlib
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


async def tls(say, folder):
    key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
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
