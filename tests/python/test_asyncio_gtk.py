"""raddle.asyncio inside Gtk.main(), which only GTK 3 has: programs as one would write them, each in a process.

test_asyncio_pygobject.py has PyGObject's other loops, test_gtk_demo.py a GTK 4 window whose host is in C.
"""

import shutil
import subprocess
import sys
import textwrap

import pytest
from support import run_python

CAN_IMPORT = "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk"

pytestmark = [
    pytest.mark.skipif(
        subprocess.run([sys.executable, "-c", CAN_IMPORT], capture_output=True).returncode != 0,
        reason="no PyGObject with GTK 3 for this Python (Debian: gir1.2-gtk-3.0)",
    ),
    pytest.mark.skipif(not shutil.which("Xvfb"), reason="no Xvfb (Debian: xvfb)"),
]

PROLOGUE = """
import asyncio, os, signal, sys, threading, time
import gi
gi.require_version('Gtk', '3.0')
from gi.repository import GLib, Gtk
from raddle.asyncio import GLibEventLoop

def window_with(button):
    window = Gtk.Window(title='Test')
    window.add(button)
    window.show_all()
    return window
"""


@pytest.fixture
def program(display):
    """Runs a program that has a display, and gives the lines that it printed."""

    def run(code, **options):
        # Where the machine has a session of its own, what is tested is not the session's business.
        quiet = {"GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1", "GTK_CSD": "0"}
        done = run_python(PROLOGUE + textwrap.dedent(code), DISPLAY=display, **quiet, **options)
        return done.stdout.splitlines()

    return run


def test_a_task_sleeps_and_quits(program):
    assert program("""
        loop = GLibEventLoop.for_context()

        async def work():
            await asyncio.sleep(0.01)
            print(asyncio.get_running_loop() is loop, Gtk.main_level())
            print(await asyncio.to_thread(lambda: threading.current_thread() is not threading.main_thread()))
            Gtk.main_quit()

        task = loop.create_task(work())
        Gtk.main()
        print(task.done(), asyncio._get_running_loop())
    """) == ["True 1", "True", "True None"]


@pytest.mark.skipif(not shutil.which("xdotool"), reason="no xdotool (Debian: xdotool)")
def test_a_click_of_the_pointer_starts_a_task(program):
    assert program("""
        loop = GLibEventLoop.for_context()
        button = Gtk.Button(label='Load')

        async def load(button):
            button.set_label('Loading')
            await asyncio.sleep(0.01)
            print(button.get_label(), asyncio.current_task() is not None)
            Gtk.main_quit()

        async def click():
            while not (button.get_mapped() and button.get_allocated_width() > 1):
                await asyncio.sleep(0.01)
            _, x, y = window.get_window().get_origin()
            there = button.get_allocation()
            place = str(x + there.x + there.width // 2), str(y + there.y + there.height // 2)
            # The window may be there before it listens.
            while button.get_label() == 'Load':
                by = await asyncio.create_subprocess_exec('xdotool', 'mousemove', *place, 'click', '1')
                assert await by.wait() == 0
                await asyncio.sleep(0.05)

        button.connect('clicked', loop.wrap(load))
        window = window_with(button)
        clicks = loop.create_task(click())
        Gtk.main()
    """) == ["Loading True"]


def test_emissions_start_tasks_that_wait_for_each_other(program):
    assert program("""
        loop = GLibEventLoop.for_context()
        queue, button = asyncio.Queue(), Gtk.Button(label='Next')
        button.connect('clicked', loop.wrap(lambda button: queue.put(button.get_label())))
        window = window_with(button)

        async def read():
            print([await queue.get() for _ in range(3)])
            Gtk.main_quit()

        def click():
            button.clicked()
            return True

        reader = loop.create_task(read())
        GLib.timeout_add(1, click)
        Gtk.main()
    """) == ["['Next', 'Next', 'Next']"]


def test_an_exception_is_asyncio_s_and_the_window_goes_on(program):
    assert program("""
        loop = GLibEventLoop.for_context()
        loop.set_exception_handler(lambda loop, about: print(about['message'].split(' ', 1)[0], repr(about['exception'])))

        async def fail():
            raise ValueError('no such page')

        async def work():
            try:
                await loop.create_task(fail())
            except ValueError as error:
                print('awaited', error)
            loop.call_soon(lambda: 1 / 0)
            await asyncio.sleep(0.01)
            print('still', Gtk.main_level())
            Gtk.main_quit()

        task = loop.create_task(work())
        Gtk.main()
    """) == ["awaited no such page", "Exception ZeroDivisionError('division by zero')", "still 1"]


CTRL_C = """
    def interrupt_when(loop, ready):
        def wait():
            while not ready():
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)
        thread = threading.Thread(target=wait)
        thread.start()
        return thread

    loop = GLibEventLoop.for_context()
"""


def test_ctrl_c_leaves_an_idle_window_twice(program):
    assert program(textwrap.dedent(CTRL_C) + textwrap.dedent("""
        async def wait():
            await asyncio.Event().wait()

        task = loop.create_task(wait())
        for _ in range(2):
            thread = interrupt_when(loop, lambda: Gtk.main_level() == 1)
            try:
                Gtk.main()
            except KeyboardInterrupt:
                print('interrupted', Gtk.main_level(), task.done())
            thread.join()
        print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        print(loop.run_until_complete(asyncio.sleep(0, 'goes on')))
    """)) == ["interrupted 0 False"] * 2 + ["True", "goes on"]


def test_ctrl_c_leaves_a_window_whose_task_is_busy(program):
    assert program(textwrap.dedent(CTRL_C) + textwrap.dedent("""
        turns = 0

        async def work():
            global turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = loop.create_task(work())
        thread = interrupt_when(loop, lambda: turns > 10)
        try:
            Gtk.main()
        except KeyboardInterrupt:
            print('interrupted', Gtk.main_level(), task.done())
        thread.join()
    """)) == ["interrupted 0 False"]


@pytest.mark.parametrize("what", ["KeyboardInterrupt()", "SystemExit(9)"])
def test_an_exit_in_a_task_leaves_the_window_that_is_marked_as_running(program, what):
    assert program(f"""
        loop = GLibEventLoop.for_context()

        async def leave():
            await asyncio.sleep(0.001)
            raise {what}

        task = loop.create_task(leave())
        try:
            with loop.running(Gtk.main_quit):
                Gtk.main()
        except BaseException as error:
            print(repr(error), Gtk.main_level(), loop.is_running())
        print(loop.run_until_complete(asyncio.sleep(0, 'goes on')))
    """) == [f"{what} 0 False", "goes on"]


def test_stop_quits_the_window_that_is_marked_as_running(program):
    assert program("""
        loop = GLibEventLoop.for_context()
        for level in 'once', 'again':
            loop.call_later(0.001, loop.stop)
            with loop.running(Gtk.main_quit):
                Gtk.main()
            print(level, Gtk.main_level(), loop.is_running())
    """) == ["once 0 False", "again 0 False"]


def test_a_dialog_in_a_handler_goes_on_with_tasks(program):
    assert program("""
        loop = GLibEventLoop.for_context()
        button = Gtk.Button(label='Ask')

        async def answer(dialog):
            await asyncio.sleep(0.01)
            print('answering')
            dialog.response(Gtk.ResponseType.YES)

        def ask(button):
            dialog = Gtk.MessageDialog(text='Sure?', buttons=Gtk.ButtonsType.YES_NO)
            task = loop.create_task(answer(dialog))
            print(dialog.run() == Gtk.ResponseType.YES, task.done())
            dialog.destroy()
            Gtk.main_quit()

        button.connect('clicked', ask)
        window = window_with(button)
        GLib.idle_add(button.clicked)
        Gtk.main()
    """) == ["answering", "True True"]


def test_a_main_loop_inside_a_task_leaves_asyncio_out(program):
    assert program("""
        seen = []

        async def main():
            asyncio.get_running_loop().call_soon(seen.append, 'asyncio')
            GLib.timeout_add(20, seen.append, 'GLib')
            GLib.timeout_add(40, Gtk.main_quit)
            Gtk.main()
            print(seen)
            await asyncio.sleep(0)
            print(seen)

        with asyncio.Runner(loop_factory=GLibEventLoop) as runner:
            runner.run(main())
    """) == ["['GLib']", "['GLib', 'asyncio']"]


def test_a_window_lives_in_asyncio_s_own_run(program):
    assert program("""
        async def main():
            clicked, button = asyncio.Event(), Gtk.Button(label='Go')
            button.connect('clicked', lambda button: clicked.set())
            window = window_with(button)
            GLib.timeout_add(1, button.clicked)
            await clicked.wait()
            drawn = asyncio.Event()
            button.get_frame_clock().connect('after-paint', lambda clock: drawn.set())
            button.queue_draw()
            await drawn.wait()
            print('drawn')
            window.destroy()

        with asyncio.Runner(loop_factory=GLibEventLoop) as runner:
            runner.run(main())
    """) == ["drawn"]


def test_frames_come_while_a_task_never_sleeps(program):
    assert program("""
        loop = GLibEventLoop.for_context()
        button, turns, frames = Gtk.Button(label='Busy'), 0, 0

        async def work():
            global turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        def painted(clock):
            global frames
            frames += 1
            button.queue_draw()
            if frames == 30:
                Gtk.main_quit()

        window = window_with(button)
        button.get_frame_clock().connect('after-paint', painted)
        task = loop.create_task(work())
        Gtk.main()
        print(frames >= 30, turns > frames, task.done())
    """) == ["True True False"]


def test_an_application_of_gtk_runs_tasks(program):
    assert program("""
        from gi.repository import Gio
        loop = GLibEventLoop.for_context()
        application = Gtk.Application(flags=Gio.ApplicationFlags.NON_UNIQUE)

        async def work():
            await asyncio.sleep(0.01)
            print(asyncio.get_running_loop() is loop, len(application.get_windows()))
            window.destroy()

        def activate(application):
            global window
            window = Gtk.ApplicationWindow(application=application)
            window.show_all()
            application.task = asyncio.create_task(work())

        application.connect('activate', loop.wrap(activate))
        print(application.run(None), application.task.done())
    """) == ["True 1", "0 True"]
