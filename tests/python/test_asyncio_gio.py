"""GIO's asynchronous calls, awaited by way of unpatched PyGObject."""

import asyncio
import contextlib

import pytest

import raddle
from raddle.asyncio import GLibEventLoop, MainContext, gio_call

pytest.importorskip("gi", reason="this Python has no PyGObject")

from gi.repository import Gio, GLib  # noqa: E402


@pytest.fixture(params=[MainContext, MainContext.default], ids=["its own context", "the default context"])
def run(request):
    with contextlib.closing(GLibEventLoop(request.param())) as loop:
        yield lambda coroutine: loop.run_until_complete(asyncio.wait_for(coroutine, 60))


def test_a_call_gives_what_its_finish_function_does(run, tmp_path):
    path = tmp_path / "file"
    path.write_text("warp and weft")

    async def main():
        file = Gio.File.new_for_path(str(path))
        assert (await gio_call(file.load_contents_async))[1] == b"warp and weft"
        info = await gio_call(file.query_info_async, "standard::size", 0, GLib.PRIORITY_DEFAULT)
        assert info.get_size() == 13
        given = Gio.Cancellable()
        answer = await gio_call(file.load_contents_async, finish=file.load_contents_finish, cancellable=given)
        assert answer[0] and not given.is_cancelled()
        many = await asyncio.gather(*(gio_call(file.load_contents_async) for _ in range(50)))
        assert {bytes(each[1]) for each in many} == {b"warp and weft"}

    run(main())


def test_an_error_is_raised(run):
    async def main():
        file = Gio.File.new_for_path("/nothing/of/the/kind")
        with pytest.raises(GLib.Error) as raised:
            await gio_call(file.load_contents_async)
        assert raised.value.matches(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_FOUND)

    run(main())


def sleeper():
    return Gio.Subprocess.new(["sleep", "60"], Gio.SubprocessFlags.NONE)


def test_a_task_that_is_cancelled_cancels_the_call(run):
    async def main():
        process, cancellable = sleeper(), Gio.Cancellable()
        task = asyncio.create_task(gio_call(process.wait_async, cancellable=cancellable))
        await asyncio.sleep(0.01)
        assert task.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cancellable.is_cancelled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await gio_call(process.wait_async)
        process.force_exit()
        assert await gio_call(process.wait_async)

    run(main())


def test_who_cancels_the_cancellable_cancels_the_task(run):
    async def main():
        process, cancellable = sleeper(), Gio.Cancellable()
        task = asyncio.create_task(gio_call(process.wait_async, cancellable=cancellable))
        await asyncio.sleep(0.01)
        await asyncio.to_thread(cancellable.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        process.force_exit()
        # Before the start, too.
        with pytest.raises(asyncio.CancelledError):
            await gio_call(Gio.File.new_for_path("/").load_contents_async, cancellable=cancellable)

    run(main())


class Slow:
    """An asynchronous call in Python, of which the test says when and how it ends."""

    def __init__(self):
        self.ended = False

    def work_async(self, cancellable, callback):
        self.cancellable, self.callback = cancellable, callback

    def end(self, result):
        self.ended = True
        self.callback(self, result)

    def work_finish(self, result):
        if isinstance(result, Exception):
            raise result
        return result


def test_a_cancelled_task_goes_on_when_the_call_has_ended(run):
    async def main():
        slow = Slow()
        task = asyncio.create_task(gio_call(slow.work_async))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0.01)
        assert raddle.is_cancelled(slow.cancellable) and not task.done()
        slow.end("too late")
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_a_failure_is_not_hidden_by_a_cancellation(run):
    async def main():
        slow = Slow()
        task = asyncio.create_task(gio_call(slow.work_async))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        slow.end(OSError("the disk is gone"))
        with pytest.raises(OSError, match="the disk is gone"):
            await task

    run(main())


def test_a_call_that_cannot_begin_leaves_nothing_behind(run):
    async def main():
        before = MainContext.thread_default()
        with pytest.raises(TypeError):
            await gio_call(Gio.File.new_for_path("/").load_contents_async, "one", "too", "many")
        assert MainContext.thread_default() == before
        nameless = Slow()
        with pytest.raises(TypeError, match="pass finish="):
            task = asyncio.create_task(gio_call(lambda *given: nameless.work_async(*given)))
            await asyncio.sleep(0)
            nameless.end(1)
            await task

    run(main())
