"""The native part of raddle. Import `raddle` instead."""

from typing import TypedDict

class GateStats(TypedDict):
    """What went through the gate since the process began; times in nanoseconds."""

    entries: int
    nested: int
    threads: int
    live_threads: int
    waits: int
    wait_ns: int
    reaped: int
    decrefs: int
    leaked: int

__version__: str
python_abi: str
_C_API: object

def gate_stats() -> GateStats: ...
def carried() -> dict[str, tuple[bool, str]]: ...
def after_fork_in_child() -> None: ...
def python_exits() -> list[str]: ...
def register_native_destructor(var: int, destructor: int, /) -> None: ...
def unregister_native_destructor(var: int, /) -> bool: ...
def wait_for_native_destructors(ident: int, native_id: int, timeout: float, /) -> bool: ...
