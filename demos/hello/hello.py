"""hello.py: a plugin. The host calls greet from whichever thread it likes."""

import threading

import raddle

local = threading.local()  # lives as long as the host's thread, not as long as one call


def greet(name):
    local.count = getattr(local, "count", 0) + 1
    print(f"Hello from {name}: greeting {local.count} of this thread")
    print(f"{raddle.gate_stats()['threads']} threads have come through the gate")
