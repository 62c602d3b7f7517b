//! `raddle::relay::log`: records of native threads arrive in `logging` as they were made, or are counted.
#![forbid(unsafe_code)]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use raddle::relay::log::{self, Fields, Level, Record, Target, Value};
use raddle::{Options, Runtime};
use raddle_tests::python::{run, start};
use raddle_tests::{Child, in_child, spawn};

const LONG: Option<Duration> = Some(Duration::from_secs(20));

/// A handler that keeps what it gets, on a logger that takes everything.
fn collect(logger: &str) {
    run(&format!(
        "
import logging, builtins
class Keep(logging.Handler):
    def emit(self, record): builtins.seen.append(record)
builtins.seen = []
logger = logging.getLogger({logger:?})
logger.addHandler(Keep())
logger.setLevel(1)
logger.propagate = False"
    ));
}

/// An expression over what was kept, as text.
fn seen(expression: &str) -> String {
    run(&format!("from builtins import seen\nr = {expression}"))
}

fn started() -> (Runtime, &'static Target) {
    let runtime = start(&Options::new());
    collect("net");
    (runtime, Target::named("net"))
}

fn stop(runtime: &Runtime) {
    runtime.stop(LONG).expect("Python stops");
}

#[test]
fn a_record_has_the_thread_the_time_and_the_place_of_its_push() {
    in_child("a_record_has_the_thread_the_time_and_the_place_of_its_push", || {
        let (runtime, target) = started();
        let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64();
        let before = now();
        let line = line!() + 3;
        let push = move || {
            let number = 7;
            raddle::log!(target, Level::WARNING, "heap {number} is late");
            std::fs::read_link("/proc/thread-self").expect("Linux has it")
        };
        let link = spawn("receiver", push).join().expect("ends well");
        let after = now();
        assert!(log::flush(LONG));
        assert_eq!(
            seen(
                "[(r.name, r.levelname, r.getMessage(), r.threadName, r.lineno, r.filename) for r in seen]"
            ),
            format!("[('net', 'WARNING', 'heap 7 is late', 'receiver', {line}, 'relay_log.rs')]")
        );
        let created: f64 = seen("repr(seen[0].created)").parse().expect("a number");
        assert!(before <= created && created <= after, "{before} {created} {after}");
        let native = link.file_name().expect("a number").to_string_lossy().into_owned();
        assert_eq!(seen("seen[0].raddle_native_id"), native);
        assert_eq!(seen("seen[0].msecs == int(seen[0].created * 1000 % 1000)"), "True");
        let drift = "abs(seen[0].relativeCreated - (seen[0].created * 1000 - logging._startTime * (1e-6 if logging._startTime > 1e12 else 1000)))";
        assert_eq!(
            run(&format!("import logging\nfrom builtins import seen\nr = {drift} < 1")),
            "True"
        );
        assert_eq!(seen("seen[0].process"), std::process::id().to_string());
        assert_eq!(seen("seen[0].thread != 0 and seen[0].args"), "()");
        stop(&runtime);
    });
}

#[test]
fn python_s_own_name_of_a_thread_is_used_where_it_has_one() {
    in_child("python_s_own_name_of_a_thread_is_used_where_it_has_one", || {
        let (runtime, _) = started();
        let flushed = run("
import threading, raddle.log
written, done = threading.Event(), threading.Event()
def work():
    raddle.log.write(20, 'from a thread', target='net')
    written.set()
    done.wait()
thread = threading.Thread(target=work, name='a thread with a long name')
thread.start()
written.wait()
raddle.log.write(20, 'from main', target='net', answer=42)
r = raddle.log.flush(20)
done.set()
thread.join()");
        assert_eq!(flushed, "True");
        assert_eq!(
            seen("sorted((r.getMessage(), r.threadName, r.funcName, r.lineno) for r in seen)"),
            "[('from a thread', 'a thread with a long name', 'work', 5), ('from main', 'MainThread', '<module>', 11)]"
        );
        assert_eq!(seen("[r.answer for r in seen if hasattr(r, 'answer')]"), "[42]");
        stop(&runtime);
    });
}

#[test]
fn fields_keep_their_types_and_never_collide() {
    in_child("fields_keep_their_types_and_never_collide", || {
        let (runtime, target) = started();
        let mut fields = Fields::new();
        fields.add("none", Value::None);
        fields.add("flag", true);
        fields.add("int", -7_i64);
        fields.add("large", u64::MAX);
        fields.add("ratio", 0.5);
        fields.add("text", "é");
        fields.add("broken", Value::Text(b"a\xff"));
        fields.add("bytes", Value::Bytes(b"a\xff"));
        fields.add("message", "mine");
        fields.add("name", "mine too");
        log::push(&Record {
            target,
            level: Level(33),
            message: b"not UTF-8: \xff, 100%s",
            file: b"/src/x.c",
            line: 12,
            function: b"receive",
            fields: fields.as_bytes(),
        });
        assert!(log::flush(LONG));
        assert_eq!(
            seen(
                "(seen[0].none, seen[0].flag, seen[0].int, seen[0].large, seen[0].ratio, seen[0].text, seen[0].broken, seen[0].bytes, seen[0].message_, seen[0].name_)"
            ),
            "(None, True, -7, 18446744073709551615, 0.5, 'é', 'a\u{fffd}', b'a\\xff', 'mine', 'mine too')"
        );
        assert_eq!(
            seen(
                "(seen[0].getMessage(), seen[0].levelno, seen[0].pathname, seen[0].module, seen[0].funcName, seen[0].lineno)"
            ),
            "('not UTF-8: \u{fffd}, 100%s', 33, '/src/x.c', 'x', 'receive', 12)"
        );
        stop(&runtime);
    });
}

#[test]
fn changes_of_levels_are_followed_while_a_thread_logs() {
    in_child("changes_of_levels_are_followed_while_a_thread_logs", || {
        let (runtime, target) = started();
        let (sender, receiver) = mpsc::channel::<()>();
        let thread = spawn("hot", move || {
            while let Err(mpsc::TryRecvError::Empty) = receiver.try_recv() {
                raddle::log!(target, Level::INFO, "hot");
                raddle::log!(target, Level::DEBUG, "hotter");
                std::thread::yield_now();
            }
        });
        let until = |what: &str, done: &dyn Fn() -> bool| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !done() {
                assert!(Instant::now() < deadline, "{what}: {target:?}");
                std::thread::yield_now();
            }
        };
        until("asked", &|| !target.is_enabled(Level(0)));
        assert!(target.is_enabled(Level(1)));
        // Noticed at once, by logging's own notice.
        run("import logging\nlogging.getLogger('net').setLevel(logging.INFO)");
        assert!(!target.is_enabled(Level::DEBUG) && target.is_enabled(Level::INFO));
        run("import logging\nlogging.disable(logging.INFO)");
        assert!(!target.is_enabled(Level::INFO) && target.is_enabled(Level(21)));
        run("import logging\nlogging.disable(logging.NOTSET)");
        assert!(target.is_enabled(Level::INFO));
        run(
            "import logging\nlogging.getLogger('net').setLevel(0)\nlogging.getLogger().setLevel(15)",
        );
        assert!(!target.is_enabled(Level(14)) && target.is_enabled(Level(15)));
        // Behind logging's back: noticed by a look from time to time.
        run("import logging\nlogging.getLogger('net').disabled = True");
        until("disabled", &|| !target.is_enabled(Level::CRITICAL));
        drop(sender);
        thread.join().expect("ends well");
        stop(&runtime);
    });
}

#[test]
fn a_level_is_followed_without_logging_s_private_notice() {
    in_child("a_level_is_followed_without_logging_s_private_notice", || {
        let runtime = start(&Options::new());
        run(
            "
import logging
class Manager(logging.Manager):
    __slots__ = ()
    _clear_cache = None
real = logging.Logger.manager
class Without:
    _clear_cache = property(lambda self: None)
    def __getattr__(self, name): return getattr(real, name)
logging.Logger.manager = Without()
logging.Logger.setLevel = lambda self, level: setattr(self, 'level', level) or self._cache.clear()",
        );
        collect("net");
        let target = Target::named("net");
        raddle::log!(target, Level::INFO, "first");
        assert!(log::flush(LONG));
        run("import logging\nlogging.getLogger('net').level = 40");
        let deadline = Instant::now() + Duration::from_secs(20);
        while target.is_enabled(Level::WARNING) {
            // No record comes: the worker looks by itself.
            assert!(Instant::now() < deadline, "{target:?}");
            std::thread::yield_now();
        }
        stop(&runtime);
    });
}

#[test]
fn drops_are_counted_by_level_and_reported_as_a_record() {
    in_child("drops_are_counted_by_level_and_reported_as_a_record", || {
        let (runtime, target) = started();
        collect("raddle.log");
        run("
import builtins, logging, threading
builtins.first, builtins.go_on = threading.Event(), threading.Event()
class Wait(logging.Handler):
    def emit(self, record):
        builtins.first.set()
        builtins.go_on.wait(20)
logging.getLogger('net').addHandler(Wait())");
        raddle::log!(target, Level::INFO, "first");
        assert_eq!(run("import builtins\nr = builtins.first.wait(20)"), "True");
        // While the worker waits in a handler, nobody takes anything out of the ring.
        let pushing = move || {
            for number in 0..10_000_u32 {
                let level = if number % 4 == 0 { Level::WARNING } else { Level(15) };
                raddle::log!(target, level, "record {number}");
            }
        };
        spawn("flood", pushing).join().expect("ends well");
        let pushed = log::stats();
        assert_eq!(pushed.waiting, 4096, "{pushed:?}");
        run("import builtins\nbuiltins.go_on.set()");
        assert!(log::flush(LONG));
        let stats = log::stats();
        let [_, debug, _, warning, ..] = stats.dropped;
        assert_eq!(stats.dropped, pushed.dropped);
        assert_eq!(stats.handed, 1 + 10_000 - debug - warning);
        assert!(debug >= 4000 && warning >= 1000, "{stats:?}");
        let report = seen(
            "[(r.levelname, r.getMessage(), r.dropped_by_level['debug'], r.dropped) for r in seen if r.name == 'raddle.log']",
        );
        let wanted = format!(
            "[('WARNING', '{} records dropped ({debug} debug, {warning} warning) between ",
            debug + warning
        );
        assert!(report.starts_with(&wanted), "{report} instead of {wanted}");
        assert!(report.ends_with(&format!("', {debug}, {})]", debug + warning)), "{report}");
        assert_eq!(seen("[r.getMessage() for r in seen[:3]]"), "['first', 'record 0', 'record 1']");
        stop(&runtime);
    });
}

#[test]
fn a_handler_that_raises_is_counted_and_drops_nothing_else() {
    let seen = Child::new("a_handler_that_raises_is_counted_and_drops_nothing_else").run(|| {
        let (runtime, target) = started();
        run("
import logging
class Bad(logging.Handler):
    def emit(self, record):
        if 'bad' in record.getMessage(): raise SystemExit('of a handler')
logging.getLogger('net').handlers.insert(0, Bad())");
        for number in 0..100 {
            raddle::log!(
                target,
                Level::INFO,
                "{} {number}",
                if number % 10 == 0 { "bad" } else { "good" }
            );
        }
        assert!(log::flush(LONG));
        assert_eq!(log::stats().errors, 10);
        assert_eq!(self::seen("len(seen)"), "90");
        run("import logging\nlogging.raiseExceptions = False");
        raddle::log!(target, Level::INFO, "bad and quiet");
        assert!(log::flush(LONG));
        assert_eq!(log::stats().errors, 11);
        stop(&runtime);
    });
    if let Some(seen) = seen {
        seen.assert_success();
        assert_eq!(seen.stderr.matches("SystemExit: of a handler").count(), 10, "{}", seen.stderr);
    }
}

#[test]
fn a_handler_that_logs_natively_does_not_go_round_in_a_circle() {
    in_child("a_handler_that_logs_natively_does_not_go_round_in_a_circle", || {
        let (runtime, target) = started();
        run("
import logging, raddle.log
class Echo(logging.Handler):
    def emit(self, record):
        raddle.log.write(20, 'echo of ' + record.getMessage(), target='net')
        self.flushed = raddle.log.flush(20)
        self.stopped = raddle.log.flush(20)
logging.getLogger('net').addHandler(Echo())");
        for number in 0..5 {
            raddle::log!(target, Level::INFO, "call {number}");
        }
        assert!(log::flush(LONG));
        assert_eq!(seen("len(seen)"), "5");
        assert_eq!((log::stats().looped, log::stats().handed), (5, 5));
        assert_eq!(
            run("import logging\nr = logging.getLogger('net').handlers[-1].flushed"),
            "False"
        );
        stop(&runtime);
    });
}

#[test]
fn factories_filters_and_switches_of_logging_are_honoured() {
    in_child("factories_filters_and_switches_of_logging_are_honoured", || {
        let (runtime, target) = started();
        run("
import logging
class Mine(logging.LogRecord):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mine = True
logging.setLogRecordFactory(Mine)
logging.logThreads = False
logging.logProcesses = False
logging.getLogger('net').addFilter(lambda record: 'secret' not in record.getMessage())");
        raddle::log!(target, Level::INFO, { mine = 1_u8 }, "open");
        raddle::log!(target, Level::INFO, "secret");
        assert!(log::flush(LONG));
        assert_eq!(
            seen(
                "[(type(r).__name__, r.mine, r.mine_, r.thread, r.threadName, r.process) for r in seen]"
            ),
            "[('Mine', True, 1, None, None, None)]"
        );
        stop(&runtime);
    });
}

#[test]
fn what_is_logged_before_the_start_waits_for_it() {
    in_child("what_is_logged_before_the_start_waits_for_it", || {
        let target = Target::named("net");
        raddle::log!(target, Level::WARNING, "before");
        assert!(!log::flush(Some(Duration::ZERO)));
        assert!(log::start().is_err());
        let runtime = start(&Options::new());
        assert!(log::flush(LONG));
        collect("net");
        raddle::log!(target, Level::WARNING, "after");
        assert!(log::flush(LONG));
        assert_eq!(log::stats().handed, 2);
        assert_eq!(seen("[r.getMessage() for r in seen]"), "['after']");
        stop(&runtime);
    });
}

#[test]
fn what_is_logged_after_a_stop_goes_to_stderr_until_the_next_start() {
    let name = "what_is_logged_after_a_stop_goes_to_stderr_until_the_next_start";
    let seen = Child::new(name).run(|| {
        let (runtime, target) = started();
        raddle::log!(target, Level::INFO, "handed");
        assert!(log::stop(LONG));
        assert_eq!(self::seen("len(seen)"), "1");
        raddle::log!(target, Level::ERROR, { port = 7148_u32 }, "stopped\nin two lines");
        raddle::log!(target, Level(0), "unwanted");
        assert!(!log::is_served());
        log::start().expect("the gate is open");
        assert!(log::is_served());
        raddle::log!(target, Level::INFO, "again");
        assert!(log::flush(LONG));
        assert_eq!(self::seen("len(seen)"), "2");
        raddle::log!(target, Level::INFO, "last");
        stop(&runtime);
        assert_eq!(log::stats().handed, 3);
        raddle::log!(target, Level::ERROR, "Python is gone");
        assert_eq!((log::stats().elsewhere, log::stats().waiting), (2, 0));
        assert!(log::flush(LONG) && log::stop(LONG));
        assert!(log::start().is_err());
        // The next Python's records arrive again.
        let runtime = start(&Options::new());
        collect("net");
        raddle::log!(target, Level::INFO, "restarted");
        assert!(log::flush(LONG));
        assert_eq!(self::seen("[r.getMessage() for r in seen]"), "['restarted']");
        stop(&runtime);
    });
    if let Some(seen) = seen {
        seen.assert_success();
        let lines: Vec<&str> = seen.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{}", seen.stderr);
        assert!(
            lines[0].contains(" ERROR net [")
                && lines[0].ends_with("stopped in two lines (port=7148)")
        );
        assert!(lines[1].ends_with("Python is gone"), "{}", lines[1]);
    }
}

#[test]
fn twenty_thousand_records_and_an_exit_at_once_lose_none_uncounted() {
    in_child("twenty_thousand_records_and_an_exit_at_once_lose_none_uncounted", || {
        let (runtime, target) = started();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                spawn("burst", move || {
                    for number in 0..5_000 {
                        raddle::log!(target, Level::INFO, "record {number}");
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("ends well"));
        stop(&runtime);
        let stats = log::stats();
        let dropped: u64 = stats.dropped.iter().sum();
        assert_eq!(stats.handed + dropped + stats.elsewhere + stats.lost, 20_000, "{stats:?}");
        assert_eq!((stats.waiting, stats.elsewhere, stats.lost), (0, 0, 0), "{stats:?}");
    });
}

#[test]
fn threads_that_log_through_the_whole_of_a_stop_are_all_accounted_for() {
    in_child("threads_that_log_through_the_whole_of_a_stop_are_all_accounted_for", || {
        let (runtime, target) = started();
        let (sender, receiver) = mpsc::channel::<u64>();
        let (end, ends): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::channel::<()>()).unzip();
        for end in ends {
            let sender = sender.clone();
            spawn("storm", move || {
                let mut count = 0;
                while let Err(mpsc::TryRecvError::Empty) = end.try_recv() {
                    // Below what a stderr that is a pipe takes without waiting, mostly.
                    raddle::log!(target, Level::INFO, "s");
                    count += 1;
                    if count % 64 == 0 {
                        std::thread::yield_now();
                    }
                }
                sender.send(count).expect("the test waits");
            });
        }
        drop(sender);
        while log::stats().handed < 1_000 {
            std::thread::yield_now();
        }
        stop(&runtime);
        drop(end);
        let pushed: u64 = receiver.iter().sum();
        let stats = log::stats();
        let dropped: u64 = stats.dropped.iter().sum();
        assert_eq!(stats.handed + dropped + stats.elsewhere + stats.lost, pushed, "{stats:?}");
        assert_eq!(stats.waiting, 0);
    });
}

#[test]
fn a_forked_child_has_a_worker_of_its_own_and_no_message_of_its_parent() {
    in_child("a_forked_child_has_a_worker_of_its_own_and_no_message_of_its_parent", || {
        let (runtime, target) = started();
        raddle::log!(target, Level::INFO, "handed");
        assert!(log::flush(LONG));
        let code = "
import os, builtins, threading, raddle.log
for number in range(50):
    raddle.log.write(20, 'parent', target='net')
child = os.fork()
if child == 0:
    status = 1
    try:
        builtins.seen.clear()
        raddle.log.write(20, 'child', target='net')
        flushed = raddle.log.flush(20)
        messages = [(r.getMessage(), r.process, r.raddle_native_id) for r in builtins.seen]
        wanted = [('child', os.getpid(), threading.get_native_id())]
        status = 0 if flushed and messages == wanted else 2
        if status: os.write(2, repr((flushed, messages, wanted, raddle.log.stats())).encode())
    finally:
        os._exit(status)
r = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])";
        for _ in 0..10 {
            assert_eq!(run(code), "0");
        }
        assert!(log::flush(LONG));
        assert_eq!(seen("len(seen)"), "501");
        stop(&runtime);
    });
}

#[test]
fn a_flush_gives_up_at_its_deadline_when_a_handler_hangs() {
    in_child("a_flush_gives_up_at_its_deadline_when_a_handler_hangs", || {
        let (runtime, target) = started();
        run("
import builtins, logging, threading
builtins.gate = threading.Event()
class Hang(logging.Handler):
    def emit(self, record): builtins.gate.wait(20)
logging.getLogger('net').addHandler(Hang())");
        raddle::log!(target, Level::INFO, "hangs");
        assert!(!log::flush(Some(Duration::from_millis(30))));
        raddle::log!(target, Level::INFO, "waits");
        assert!(!log::stop(Some(Duration::from_millis(30))));
        // What could not be handed over was written; what hangs is still with its handler.
        assert_eq!((log::stats().elsewhere, log::stats().waiting), (1, 0));
        run("import builtins\nbuiltins.gate.set()");
        assert!(log::stop(LONG));
        stop(&runtime);
    });
}
