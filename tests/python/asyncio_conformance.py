"""The interpreter's own tests of asyncio, run on raddle's loop or on the stock one: one line per test.

    python asyncio_conformance.py ours|stock MODULE...

MODULE is one of test.test_asyncio, without that name. Each line is an outcome and a test, as
"ok test_events.EpollEventLoopTests.test_call_later". test_asyncio_conformance.py compares the two.
"""

import asyncio
import importlib
import inspect
import selectors
import sys
import unittest
import warnings


def stock():
    return asyncio.SelectorEventLoop(selectors.EpollSelector())


def ours():
    from raddle.asyncio import GLibEventLoop, MainContext

    # A new context each: tests have several loops on a thread, in turn and at once.
    return GLibEventLoop(MainContext())


class Policy(asyncio.DefaultEventLoopPolicy):
    """Where a test asks asyncio for a loop, it gets one of the kind."""

    def __init__(self, make):
        super().__init__()
        self._loop_factory = make


def put_loop_in(module, make):
    """Have the classes that make their loops themselves make one of the kind."""
    if module.__name__.endswith("test_runners"):
        return  # It counts on loops of its own that pretend.
    for _, case in inspect.getmembers(module, inspect.isclass):
        if issubclass(case, unittest.TestCase):
            for name in ("create_event_loop", "new_loop"):
                if hasattr(case, name):
                    setattr(case, name, lambda self: make())


class Outcomes(unittest.TestResult):
    """Prints how each test ended; a subtest's failure is its test's."""

    def startTest(self, test):
        super().startTest(test)
        self.outcome = "ok"
        self.said = ""

    def stopTest(self, test):
        print(self.outcome, test.id().removeprefix("test.test_asyncio."), flush=True)
        if self.said:
            print(self.said, file=sys.stderr, flush=True)

    def note(self, outcome, said=""):
        self.outcome, self.said = outcome, said

    def addFailure(self, test, err):
        self.note("failed", self._exc_info_to_string(err, test))

    def addError(self, test, err):
        if isinstance(test, unittest.TestCase):
            self.note("error", self._exc_info_to_string(err, test))
        else:
            print("error", test.id(), flush=True)
            print(self._exc_info_to_string(err, test), file=sys.stderr, flush=True)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addError(test, err)

    def addSkip(self, test, reason):
        self.note("skipped")

    def addExpectedFailure(self, test, err):
        self.note("expected")

    def addUnexpectedSuccess(self, test):
        self.note("unexpected")


def main(kind, names):
    make = {"stock": stock, "ours": ours}[kind]
    warnings.simplefilter("ignore", DeprecationWarning)
    suite = unittest.TestSuite()
    # Some modules set the policy back to the default one when they end: ours is to be the default.
    asyncio.set_event_loop_policy(Policy(make))
    asyncio.DefaultEventLoopPolicy._loop_factory = staticmethod(make)
    for name in names:
        module = importlib.import_module(f"test.test_asyncio.{name}")
        put_loop_in(module, make)
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(module))
    suite.run(Outcomes())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
