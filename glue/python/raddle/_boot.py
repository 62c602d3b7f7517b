"""Ties raddle to one interpreter: run once, when Python is started or adopted."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from types import CodeType, ModuleType

import _raddle

ModuleSpec = type(sys.__spec__)


class _Carried:
    """Finder and loader of the modules that the library carries."""

    def __init__(self, sources: dict[str, tuple[bool, str]]) -> None:
        self._sources = sources

    def find_spec(self, fullname: str, path=None, target=None):
        if fullname not in self._sources and fullname.startswith("raddle."):
            self._sources = _raddle.carried()  # A layer may have come since.
        if fullname not in self._sources:
            return None
        return ModuleSpec(
            fullname, self, origin=self.get_filename(fullname), is_package=self.is_package(fullname)
        )

    def create_module(self, spec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), module.__dict__)

    def is_package(self, fullname: str) -> bool:
        return self._sources[fullname][0]

    def get_filename(self, fullname: str) -> str:
        file = fullname.replace(".", "/")
        return f"<libraddle>/{file}/__init__.py" if self.is_package(fullname) else f"<libraddle>/{file}.py"

    def get_source(self, fullname: str) -> str:
        # Tracebacks find their lines by this: linecache asks the loader when there is no file.
        return self._sources[fullname][1]

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.get_source(fullname), self.get_filename(fullname), "exec", dont_inherit=True)


def _python_exits() -> None:
    remaining = _raddle.python_exits()
    if remaining and sys.stderr is not None:
        names = ", ".join(remaining)
        print(f"raddle: Python ends although these threads are inside: {names}", file=sys.stderr)


class _ExitCalls(list):
    """What `threading` calls before it joins its threads, newest first, and raddle's call before all.

    `atexit` would be too late, since a thread that waits for raddle is joined before it. A call in its
    turn would be too late as well: that of an executor made later joins workers, which may wait too.
    """

    def __reversed__(self):
        yield _before_join
        yield from super().__reversed__()


def _before_join() -> None:
    # The log's worker may not have come to this yet: where another thread keeps Python, the end of the
    # program may overtake it, and logging would close its handlers before they got a record.
    if _raddle.before_join():
        stop_earlier()


def stop_earlier() -> None:
    """Have the exit stoppers run before all that was registered with `atexit` up to now."""
    atexit.unregister(_raddle.before_exit)
    atexit.register(_raddle.before_exit)


def _leave_sigint_alone() -> None:
    # The first import of this module takes SIGINT over, whatever Python was told at its start, and
    # then Ctrl-C would no longer end a host that lets it.
    import _signal

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def begin(
    executable: str,
    search_paths: list[str],
    plugin_folders: list[str],
    signal_handlers: bool,
    switch_interval: float,
    answer_ft_utils: bool,
    by_a_host: bool = True,
) -> None:
    """Make the carried package importable and watch for forks and for Python's end."""
    if "raddle" not in sys.modules:
        # A host's library wins over what is installed. Where `_raddle` is what is installed, the files beside it
        # go first: they are the same, and tools find them.
        sys.meta_path.insert(0 if by_a_host else len(sys.meta_path), _Carried(_raddle.carried()))
    # Registered early, so that it runs after all that code of the host and of plugins registers.
    atexit.register(_python_exits)
    atexit.register(_raddle.before_exit)
    if hasattr(threading, "_threading_atexits"):
        threading._threading_atexits = _ExitCalls(threading._threading_atexits)
    os.register_at_fork(after_in_child=_raddle.after_fork_in_child)
    if not executable:
        # What CPython found on the PATH may be any Python, or the host itself.
        sys.executable = sys._base_executable = ""
    sys.path[:0] = [os.path.abspath(folder) for folder in search_paths]
    sys.path.extend(os.path.abspath(folder) for folder in plugin_folders)
    if not signal_handlers:
        _leave_sigint_alone()
    if switch_interval:
        sys.setswitchinterval(switch_interval)
    if answer_ft_utils:
        from raddle import weave

        weave.answer_for_ft_utils()


def watch(by_a_host: bool) -> None:
    """The same for a Python that somebody else started: nothing of it is changed."""
    begin(sys.executable or "unknown", [], [], True, 0, False, by_a_host)


def _tell_threads_to_end() -> None:
    """Call what `threading` calls before it joins its threads, on a thread of its own.

    Executors' workers, for one, end only when told so by this. The calls may join without a bound,
    so the stopping thread, which has a deadline, does not make them itself.
    """
    calls = getattr(threading, "_threading_atexits", [])
    if not calls:
        return
    newest_first = calls[::-1]
    calls.clear()
    threading._SHUTTING_DOWN = True

    def call_all() -> None:
        for call in newest_first:
            try:
                call()
            except Exception:
                sys.excepthook(*sys.exc_info())

    threading.Thread(target=call_all, name="threading's exit calls").start()


def remaining() -> list[str]:
    """Name the threads that Python would wait for if it were finalized now."""
    _tell_threads_to_end()
    main = threading.main_thread()
    return [
        thread.name for thread in threading.enumerate() if thread is not main and not thread.daemon
    ]
