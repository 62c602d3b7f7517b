"""The order of the Python tests: those of tasklets first.

A thread whose tasklets all wait learns of a deadlock only where nobody could wake it, and any other
thread that Python knows could. Tests of loops, pools and PyGObject leave such threads behind: a pool
keeps its idle threads, and each of them the state with which it enters again.
"""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.path.name.startswith("test_stackless"))
