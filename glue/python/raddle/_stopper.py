"""Exit stoppers: what has to be stopped before Python ends, by name."""

from __future__ import annotations

import _raddle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Literal, TypeVar

    Stage = Literal["refuse", "pools", "completions", "log"]
    _Call = TypeVar("_Call", bound=Callable[[], Any])


class exit_stopper:  # noqa: N801, since it is used like a function
    """Have a callable called once before Python ends, whoever ends it.

    As a decorator it registers a function, and gives it back unchanged::

        @raddle.exit_stopper("receiver", timeout=2)
        def stop_receiving(): ...

    As a context manager it takes the callable back at the end of the block, if it has not run::

        with raddle.exit_stopper("pool", pool.shutdown):
            ...

    The callable runs in its *stage* on a thread of its own. What it raises goes to `sys.unraisablehook`.
    If it takes longer than *timeout* seconds, it is named on stderr and left behind.
    """

    __slots__ = ("__weakref__", "_found", "name", "stage", "timeout")

    def __init__(
        self,
        name: str,
        call: Callable[[], Any] | None = None,
        *,
        timeout: float = 5.0,
        stage: Stage = "pools",
    ) -> None:
        self.name, self.timeout, self.stage = name, timeout, stage
        self._found: tuple[int, int] | None = None
        if call is not None:
            self(call)

    def __call__(self, call: _Call, /) -> _Call:
        """Register *call*."""
        if self._found is not None:
            raise RuntimeError(f"the exit stopper {self.name!r} has something to call: make another one")
        self._found = _raddle.add_exit_stopper(self.name, call, self.timeout, self.stage)
        return call

    def remove(self) -> bool:
        """Take it back; say whether that was in time. It never waits."""
        found, self._found = self._found, None
        return found is not None and _raddle.remove_exit_stopper(*found)

    def __enter__(self) -> exit_stopper:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<raddle.exit_stopper {self.name!r} in stage {self.stage!r}>"
