"""raddle.log in a plain Python: records arrive as they were made, or are counted; the end is not a crash."""

import pytest

from support import run_python


def run(code, **options):
    """Run code in a Python of its own; return what it printed and what it complained of."""
    done = run_python(code, **options)
    return done.stdout, done.stderr


SETTING = """
    import atexit, logging, os, sys, threading
    import raddle.log

    class Keep(logging.Handler):
        def emit(self, record): seen.append(record)
    seen = []
    logger = logging.getLogger("net")
    logger.addHandler(Keep())
    logger.setLevel(1)
    logger.propagate = False
"""


def test_a_written_record_has_its_place_its_thread_and_its_fields():
    out, _ = run(
        SETTING
        + """
    def work():
        raddle.log.write(logging.WARNING, "100%s", target="net", answer=42, none=None, big=2**70, name="mine")
    thread = threading.Thread(target=work, name="a worker")
    thread.start()
    thread.join()
    raddle.log.write(logging.INFO, "from main", target="net")
    assert raddle.log.flush(20)
    first, second = seen
    print(first.getMessage(), first.levelname, first.funcName, first.answer, first.none, first.big, first.name_)
    print(second.threadName, second.thread == threading.get_ident(), second.raddle_native_id == threading.get_native_id())
    print(first.lineno == work.__code__.co_firstlineno + 1, second.pathname, second.process == os.getpid())
    print(raddle.log.stats()["handed"], sum(raddle.log.stats()["dropped"].values()))
    """
    )
    lines = out.splitlines()
    assert lines[0] == f"100%s WARNING work 42 None {2**70} mine"
    assert lines[1] == "MainThread True True"
    assert lines[2] == "True <string> True"
    assert lines[3] == "2 0"


def test_levels_are_followed_at_once():
    out, _ = run(
        SETTING
        + """
    raddle.log.write(logging.INFO, "first", target="net")
    assert raddle.log.flush(20)
    def wanted(level):
        before = raddle.log.stats()["handed"]
        raddle.log.write(level, "try", target="net")
        assert raddle.log.flush(20)
        return raddle.log.stats()["handed"] - before
    logger.setLevel(logging.WARNING)
    print(wanted(logging.INFO), wanted(logging.WARNING), wanted(2**80), wanted(-2**80))
    logging.disable(logging.CRITICAL)
    print(wanted(logging.CRITICAL), wanted(logging.CRITICAL + 1))
    logging.disable(logging.NOTSET)
    print(wanted(logging.CRITICAL))
    """
    )
    assert out.split() == ["0", "1", "1", "0", "0", "1", "1"]


def test_a_level_that_changes_while_the_worker_asks_is_not_lost():
    out, _ = run(
        """
    import logging, sys, threading
    import raddle.log
    class Slow(logging.Logger):
        armed = False
        def getEffectiveLevel(self):
            level = super().getEffectiveLevel()
            if self.armed and sys._getframe(1).f_code.co_name == "threshold":
                self.armed = False
                # What was read above is out of date when it is returned.
                other = threading.Thread(target=self.setLevel, args=[logging.DEBUG])
                other.start()
                other.join()
            return level
    logging.setLoggerClass(Slow)
    seen = []
    logger = logging.getLogger("slow")
    logger.setLevel(logging.WARNING)
    logger.addFilter(lambda record: seen.append(record.levelname))
    logger.armed = True
    raddle.log.write(logging.ERROR, "first", target="slow")
    assert raddle.log.flush(20)
    assert not logger.armed
    raddle.log.write(logging.DEBUG, "second", target="slow")
    assert raddle.log.flush(20)
    print(seen)
    """
    )
    assert out == "['ERROR', 'DEBUG']\n"


def test_a_logger_without_a_fit_level_keeps_no_other_from_its_own():
    out, _ = run(
        """
    import logging
    import raddle.log
    class Bad(logging.Logger):
        def getEffectiveLevel(self):
            if self.name == "bad": raise ZeroDivisionError
            return super().getEffectiveLevel()
    logging.setLoggerClass(Bad)
    names = ["bad", "huge", "tiny", *(f"usual {number}" for number in range(20))]
    for name in names:
        logging.getLogger(name).addFilter(lambda record: False)
        raddle.log.write(logging.CRITICAL, "known", target=name)
    assert raddle.log.flush(20)
    logging.getLogger("huge").setLevel(2**80)
    logging.getLogger("tiny").setLevel(-2**80)
    for name in names[3:]:
        logging.getLogger(name).setLevel(logging.ERROR)
    before = raddle.log.stats()["handed"]
    for name in names[1:]:
        raddle.log.write(logging.WARNING, "unwanted but by one", target=name)
    raddle.log.write(2**80, "as bad as it gets", target="huge")
    assert raddle.log.flush(20)
    print(raddle.log.stats()["handed"] - before)
    """
    )
    assert out == "2\n"


def test_a_worker_that_was_told_to_end_goes_on_when_it_is_started_again():
    out, err = run(
        SETTING
        + """
    inside, go_on = threading.Event(), threading.Event()
    class Stuck(logging.Handler):
        def emit(self, record):
            inside.set()
            go_on.wait()
    stuck = Stuck()
    logger.addHandler(stuck)
    raddle.log.write(logging.INFO, "one", target="net")
    inside.wait()
    print(raddle.log.stop(0.01))
    raddle.log.start()
    waiter = threading.Thread(target=lambda: print(raddle.log.stop(None)))
    go_on.set()
    raddle.log.write(logging.INFO, "two", target="net")
    print(raddle.log.flush(20), len(seen))
    waiter.start()
    waiter.join()
    raddle.log.write(logging.INFO, "three", target="net")
    raddle.log.start()
    raddle.log.write(logging.INFO, "four", target="net")
    print(raddle.log.flush(20), [record.getMessage() for record in seen])
    """
    )
    assert out.splitlines() == ["False", "True 2", "True", "True ['one', 'two', 'four']"]
    assert err.count("\n") == 1 and "three" in err


@pytest.mark.parametrize("wait", ["stop(None)", "flush()", "stop()"])
def test_ctrl_c_ends_a_wait_for_a_handler_that_hangs(wait):
    out, _ = run(
        SETTING
        + f"""
    import signal, time
    inside, go_on = threading.Event(), threading.Event()
    class Stuck(logging.Handler):
        def emit(self, record):
            inside.set()
            go_on.wait()
    logger.addHandler(Stuck())
    raddle.log.write(logging.INFO, "one", target="net")
    inside.wait()
    def interrupt():
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    begun = time.monotonic()
    try:
        raddle.log.{wait}
    except KeyboardInterrupt:
        print(time.monotonic() - begun < 4)
    go_on.set()
    """
    )
    assert out == "True\n"


def test_a_logger_with_a_mind_of_its_own_is_asked():
    out, _ = run(
        """
    import logging
    import raddle.log
    class Mine(logging.Logger):
        def isEnabledFor(self, level): return level == 17
    logging.setLoggerClass(Mine)
    seen = []
    logger = logging.getLogger("mine")
    logger.addFilter(lambda record: seen.append(record.levelno))
    for _ in range(3):
        for level in (10, 17, 50):
            raddle.log.write(level, "try", target="mine")
        assert raddle.log.flush(20)
    print(seen)
    """
    )
    assert out.strip() == "[17, 17, 17]"


@pytest.mark.parametrize("end", ["pass", "sys.exit(0)", "raise SystemExit"])
@pytest.mark.parametrize("first", ["import logging, raddle.log", "import raddle.log, logging"])
def test_twenty_thousand_records_and_an_exit_at_once(tmp_path, end, first):
    file = tmp_path / "log.txt"
    out, err = run(
        f"""
    import sys
    {first}
    logging.basicConfig(filename={str(file)!r}, filemode="w", level=1, format="%(message)s")
    for number in range(20_000):
        raddle.log.write(20, f"record {{number}}")
    before = raddle.log.stats()
    print(sum(before["dropped"].values()))
    {end}
    """
    )
    lines = file.read_text().splitlines()
    records = [line for line in lines if line.startswith("record ")]
    assert len(records) + int(out) == 20_000, (len(records), out, err)
    assert len(set(records)) == len(records)
    assert err == ""


def test_an_exit_that_overtakes_the_worker_waits_for_it(tmp_path):
    file = tmp_path / "log.txt"
    out, err = run(
        f"""
    import sys, threading, time
    import raddle.log, logging
    class Late:
        def find_spec(self, name, path, target=None):
            if name == "raddle._log":
                while not threading._SHUTTING_DOWN: time.sleep(0.001)
                # Time for the main thread to close the handlers, if it does not wait.
                time.sleep(0.1)
    sys.meta_path.insert(0, Late())
    logging.basicConfig(filename={str(file)!r}, filemode="w", level=1, format="%(message)s")
    for number in range(100):
        raddle.log.write(20, f"record {{number}}")
    """
    )
    assert file.read_text().split("\n") == [*(f"record {number}" for number in range(100)), ""]
    assert (out, err) == ("", "")


def test_records_go_to_stderr_where_python_s_logging_cannot_be_reached():
    out, err = run(
        """
    import sys
    import raddle.log
    class Broken:
        def find_spec(self, name, path, target=None):
            if name == "raddle._log": raise ImportError("no such luck")
    sys.meta_path.insert(0, Broken())
    for number in range(3):
        raddle.log.write(30, f"record {number}", target="net")
    assert raddle.log.flush(20)
    stats = raddle.log.stats()
    print(stats["handed"], stats["elsewhere"], stats["errors"])
    sys.meta_path.pop(0)
    raddle.log.write(30, "well again", target="net")
    assert raddle.log.flush(20)
    print(raddle.log.stats()["handed"])
    """
    )
    assert out.split() == ["0", "3", "0", "1"]
    first, *lines, well = err.splitlines()
    assert first == "raddle: records go to stderr: ImportError: no such luck"
    assert [line.split(": ")[-1] for line in lines] == ["record 0", "record 1", "record 2"]
    assert well == "well again"


def test_threads_that_log_through_the_end_do_not_crash_it():
    for _ in range(5):
        run(
            SETTING
            + """
    def flood():
        while True: raddle.log.write(20, "flood", target="net")
    for _ in range(3): threading.Thread(target=flood, daemon=True).start()
    while raddle.log.stats()["handed"] < 500: pass
    os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
    """
        )


def test_after_the_stop_records_go_to_stderr():
    _, err = run(
        SETTING
        + """
    raddle.log.write(20, "handed", target="net")
    assert raddle.log.stop(20) and len(seen) == 1
    raddle.log.write(40, "two\\nlines", target="net", answer=42)
    assert raddle.log.stats()["elsewhere"] == 1
    raddle.log.start()
    raddle.log.write(20, "again", target="net")
    assert raddle.log.flush(20) and len(seen) == 2
    atexit.register(lambda: raddle.log.write(30, "late", target="net"))
    """
    )
    assert "ERROR net [" in err and "two lines (answer=42)" in err
    # What runs at exit after the log's stopper, or before it, is in one place or the other.
    assert "again" not in err


def test_a_child_of_os_fork_logs_its_own_records_once():
    out, _ = run(
        SETTING
        + """
    for number in range(100): raddle.log.write(20, "parent", target="net")
    child = os.fork()
    if child == 0:
        seen.clear()
        raddle.log.write(20, "child", target="net")
        flushed = raddle.log.flush(20)
        names = [record.getMessage() for record in seen]
        os._exit(0 if flushed and names == ["child"] else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert raddle.log.flush(20)
    print(len(seen))
    """
    )
    assert out.split() == ["0", "100"]


def test_a_flush_is_interrupted_by_a_signal():
    out, _ = run(
        SETTING
        + """
    import signal, time
    hang = threading.Event()
    logger.addFilter(lambda record: hang.wait(20))
    raddle.log.write(20, "hangs", target="net")
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    begun = time.monotonic()
    try: raddle.log.flush()
    except KeyboardInterrupt: print("interrupted", time.monotonic() - begun < 10)
    print(raddle.log.flush(0.05))
    hang.set()
    """
    )
    assert out.split() == ["interrupted", "True", "False"]


def test_wrong_arguments_are_exceptions():
    import raddle.log

    with pytest.raises(TypeError):
        raddle.log.write("high", "message")
    with pytest.raises(TypeError):
        raddle.log.write(20, 5)
    with pytest.raises(ValueError):
        raddle.log.flush(-1)
    with pytest.raises(TypeError):
        raddle.log.flush("soon")
    with pytest.raises(RuntimeError, match="offer_to_python"):
        raddle.log.TracingHandler()
    raddle.log.write(5, "a lone surrogate: \ud800", target="raddle.test.silent")


def test_python_s_records_reach_glib_and_do_not_come_back():
    _, err = run(
        """
    import logging
    import raddle.log
    logger = logging.getLogger("plug.in")
    logger.addHandler(raddle.log.GLibHandler())
    logger.setLevel(1)
    logger.propagate = False
    logger.warning("to %s", "GLib")
    raddle.log.write(logging.ERROR, "native", target="plug.in")
    assert raddle.log.flush(20)
    """
    )
    assert "plug.in-WARNING **" in err and "to GLib" in err
    assert "native" not in err
