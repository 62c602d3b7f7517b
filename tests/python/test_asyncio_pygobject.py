"""raddle.asyncio beside PyGObject, unpatched: inside its loops, and its loops inside ours."""

import asyncio
import contextlib
import warnings

import pytest

from raddle.asyncio import GLibEventLoop, MainContext

gi = pytest.importorskip("gi", reason="this Python has no PyGObject")

from gi.repository import Gio, GLib  # noqa: E402


def test_tasks_run_inside_a_main_loop_of_pygobject():
    context = GLib.MainContext.new()
    seen = []

    async def work(main_loop):
        await asyncio.sleep(0.01)
        seen.append(asyncio.get_running_loop())
        main_loop.quit()

    with contextlib.closing(GLibEventLoop(context)) as of_gi:
        assert hash(of_gi.context) == hash(context)
        main_loop = GLib.MainLoop.new(context, False)
        task = of_gi.create_task(work(main_loop))
        main_loop.run()
        assert task.done()
        assert seen == [of_gi]


def test_tasks_run_inside_an_application():
    seen = []
    with contextlib.closing(GLibEventLoop(MainContext.default())) as loop:
        application = Gio.Application.new(None, Gio.ApplicationFlags.NON_UNIQUE)

        async def work():
            await asyncio.sleep(0.01)
            seen.append(asyncio.get_running_loop())
            application.release()

        def activate(application):
            application.hold()
            application.task = asyncio.create_task(work())

        application.connect("activate", loop.wrap(activate))
        assert application.run(None) == 0
        assert seen == [loop]


def test_a_pygobject_loop_inside_a_callback_of_glib_goes_on_with_asyncio():
    context = MainContext.default()
    order = []

    with contextlib.closing(GLibEventLoop(context)) as loop:

        def nest(_=None):
            inner = GLib.MainLoop()

            async def work():
                await asyncio.sleep(0)
                order.append("inner")
                inner.quit()

            loop.create_task(work())
            inner.run()
            order.append("outer")
            loop.stop()
            return False

        GLib.idle_add(nest)
        loop.run_forever()
    assert order == ["inner", "outer"]


def test_stop_ends_each_level_that_is_marked_as_running():
    order = []
    with contextlib.closing(GLibEventLoop(MainContext.default())) as loop:
        outer, inner = GLib.MainLoop(), GLib.MainLoop()

        def nest():
            with loop.running(inner.quit):
                inner.run()
            order.append("inner")
            return False

        GLib.idle_add(nest)
        loop.call_later(0.05, loop.stop)
        with loop.running(outer.quit):
            assert loop.is_running() and asyncio.get_running_loop() is loop
            outer.run()
        order.append("outer")
        assert not loop.is_running()
        assert loop.run_until_complete(asyncio.sleep(0, 1)) == 1
    assert order == ["inner", "outer"]


def test_an_exit_inside_running_is_raised_by_it():
    with contextlib.closing(GLibEventLoop(MainContext.default())) as loop:
        main_loop = GLib.MainLoop()

        def leave():
            raise SystemExit(9)

        loop.call_soon(leave)
        with pytest.raises(SystemExit) as left:
            with loop.running(main_loop.quit):
                main_loop.run()
        assert left.value.code == 9
        assert not loop.is_running()


def test_a_context_that_a_loop_of_pygobject_has_is_refused():
    events = pytest.importorskip("gi.events", reason="this PyGObject has no event loop of its own")
    context = GLib.MainContext.new()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = events.GLibEventLoop(context)
    try:
        with pytest.raises(RuntimeError, match="has this main context already"):
            GLibEventLoop(context)
    finally:
        theirs.close()
    GLibEventLoop(context).close()
