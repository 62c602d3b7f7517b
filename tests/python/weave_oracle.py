"""Prints what a weave does, for raddle's and ft_utils' alike: weave_oracle.py PACKAGE PROBE.

test_weave.py compares the lines with weave_oracle.txt, which ft_utils 0.2.0 wrote under Python
3.13.0, and with ft_utils itself where it is installed. The package's name is printed as PACKAGE.
"""

import ctypes
import importlib
import sys
import threading

PACKAGE, PROBE = sys.argv[1:]
package = importlib.import_module(PACKAGE)
weave = importlib.import_module(PACKAGE + ".weave")
probe = ctypes.CDLL(PROBE)
probe.call_value.restype = ctypes.c_void_p
early_register = weave.register_native_destructor
early_unregister = weave.unregister_native_destructor


def address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


FIRST, SECOND = address(probe.first), address(probe.second)


def variable(value=None):
    box = ctypes.c_void_p(value)
    box.at = ctypes.addressof(box)
    return box


def say(label, function, *args, **keywords):
    try:
        answer = repr(function(*args, **keywords))
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(f"{label}: {answer}".replace(PACKAGE, "PACKAGE"))


def in_thread(label, *bodies):
    """Runs each body on a thread of its own, one after the other, then prints the calls."""
    probe.forget_calls()
    for body in bodies:
        thread = threading.Thread(target=body)
        thread.start()
        # Before Python 3.13 the thread's own join returns before its destructors have run.
        getattr(weave, "join", threading.Thread.join)(thread)
    calls = [(probe.call_destructor(number), probe.call_value(number)) for number in range(probe.calls())]
    print(f"{label}: {calls}")


# The flag, the latch and the arguments.
say("flag", lambda: package.ENABLE_EXPERIMENTAL)
say("refused register", weave.register_native_destructor, 0, 0)
say("refused unregister", weave.unregister_native_destructor, 0)
say("too few before the flag", weave.register_native_destructor, 0)
package.ENABLE_EXPERIMENTAL = True
say("keyword before the latch", weave.unregister_native_destructor, var=0)
package.ENABLE_EXPERIMENTAL = False
say("unregister latched", weave.unregister_native_destructor, 0)
say("register latched apart", weave.register_native_destructor, 0, 0)
say("keyword after the latch", weave.unregister_native_destructor, var=0)
package.ENABLE_EXPERIMENTAL = True
say("wrong argument latches", weave.register_native_destructor, var=0, destructor="no")
package.ENABLE_EXPERIMENTAL = False
say("register latched", weave.register_native_destructor, 0, 0)
say("early name still checks", early_register, 0, 0)
say("early name still checks", early_unregister, 0)
say("NULL is found", weave.unregister_native_destructor, 0)
say("keyword after the latch", weave.register_native_destructor, var=0, destructor=0)
for args in [(), (1,), (1, 2, 3), ("1", 0), (0, 1.5), (0, None), (2**64, 0), (0, 2**64), (-(2**63) - 1, 0)]:
    say(f"register{args}", weave.register_native_destructor, *args)
for args in [(), (1, 2), ("1",), (2**64,), (-(2**63) - 1,)]:
    say(f"unregister{args}", weave.unregister_native_destructor, *args)
for number in [-1, True, 2**64 - 1]:
    say(f"register({number}, 0)", weave.register_native_destructor, number, 0)
    say(f"unregister({number})", weave.unregister_native_destructor, number)
say("unregister(-1) for a registered 2**64 - 1", weave.register_native_destructor, 2**64 - 1, 0)
say("unregister(-1) for a registered 2**64 - 1", weave.unregister_native_destructor, -1)

# What runs, in which order, with which value.
a, b = variable(10), variable(20)
register, unregister = weave.register_native_destructor, weave.unregister_native_destructor


def interleaved():
    for box, destructor in [(a, FIRST), (b, FIRST), (a, SECOND), (a, FIRST), (b, SECOND), (a, FIRST)]:
        register(box.at, destructor)


def read_late():
    register(a.at, FIRST)
    a.value = 11


def null_value():
    empty.value = None
    register(empty.at, FIRST)


def null_parts():
    register(0, FIRST)
    register(a.at, 0)
    register(b.at, FIRST)


def taken_back():
    interleaved()
    say("taken back", unregister, a.at)
    say("taken back again", unregister, a.at)


def others_stay():
    say("not mine", unregister, a.at)


def open_and_wait():
    register(a.at, FIRST)
    registered.set()
    go_on.wait()


def never():
    """Registers nothing."""


empty = variable()
in_thread("interleaved", interleaved)
in_thread("a later store", read_late)
in_thread("a NULL value", null_value)
in_thread("NULL parts", null_parts)
in_thread("taken back", taken_back)
in_thread("no registration", never)
in_thread("one variable, ten threads", *[lambda: register(a.at, SECOND)] * 10)

probe.forget_calls()
registered, go_on = threading.Event(), threading.Event()
holder = threading.Thread(target=open_and_wait)
holder.start()
registered.wait()
in_thread("another thread takes back", others_stay)
go_on.set()
getattr(weave, "join", threading.Thread.join)(holder)
print(f"holder's own: {probe.calls()}")
register(a.at, FIRST)
say("main thread takes back", unregister, a.at)
