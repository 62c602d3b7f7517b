//! `raddle-tracing`: Rust's events in Python's logging with their spans, and Python's records as events.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use raddle::relay::log;
use raddle::{Options, Runtime};
use raddle_tests::python::{run, start};
use raddle_tests::{in_child, spawn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

const LONG: Option<Duration> = Some(Duration::from_secs(20));

fn started() -> Runtime {
    let runtime = start(&Options::new());
    run("
import logging, builtins
class Keep(logging.Handler):
    def emit(self, record): builtins.seen.append(record)
builtins.seen = []
logger = logging.getLogger()
logger.addHandler(Keep())
logger.setLevel(1)");
    runtime
}

fn seen(expression: &str) -> String {
    assert!(log::flush(LONG), "all is handed over");
    run(&format!("from builtins import seen\nr = {expression}"))
}

fn stop(runtime: &Runtime) {
    runtime.stop(LONG).expect("Python stops");
}

#[test]
fn an_event_has_its_place_its_fields_and_those_of_its_spans() {
    in_child("an_event_has_its_place_its_fields_and_those_of_its_spans", || {
        let runtime = started();
        raddle_tracing::init().expect("there is no subscriber");
        assert!(raddle_tracing::init().is_err());
        let push = || {
            let outer =
                tracing::info_span!("receive", port = 7148_u16, peer = tracing::field::Empty);
            let _outer = outer.enter();
            outer.record("peer", "::1");
            let inner = tracing::debug_span!("parse", port = -1);
            let _inner = inner.enter();
            let error = std::io::Error::other("broken");
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(heap = 7, late = true, ratio = 0.5, kind = ?Some(1), error, "heap {} is late", 7);
        };
        let line = line!() - 2;
        spawn("receiver", push).join().expect("ends well");
        assert_eq!(
            seen(
                "[(r.name, r.levelname, r.getMessage(), r.threadName, r.lineno, r.filename) for r in seen]"
            ),
            format!("[('tracing', 'WARNING', 'heap 7 is late', 'receiver', {line}, 'tracing.rs')]")
        );
        assert_eq!(
            seen(
                "[(r.span, r.port, r.peer, r.heap, r.late, r.ratio, r.kind, r.error) for r in seen]"
            ),
            "[('receive:parse', -1, '::1', 7, True, 0.5, 'Some(1)', 'broken')]"
        );
        stop(&runtime);
    });
}

#[test]
fn levels_of_python_decide_and_are_followed() {
    in_child("levels_of_python_decide_and_are_followed", || {
        let runtime = started();
        raddle_tracing::init().expect("there is no subscriber");
        let all = || {
            tracing::trace!(target: "net::deep", "t");
            tracing::debug!(target: "net::deep", "d");
            tracing::info!(target: "net::deep", "i");
            tracing::warn!(target: "net::deep", "w");
            tracing::error!(target: "net::deep", "e");
        };
        all();
        assert_eq!(
            seen("[(r.name, r.levelno, r.getMessage()) for r in seen]"),
            "[('net.deep', 5, 't'), ('net.deep', 10, 'd'), ('net.deep', 20, 'i'), ('net.deep', 30, 'w'), ('net.deep', 40, 'e')]"
        );
        run("import logging\nlogging.getLogger('net').setLevel(logging.WARNING)");
        let before = log::stats().handed;
        all();
        assert_eq!(seen("[r.getMessage() for r in seen[5:]]"), "['w', 'e']");
        // Not made at all, rather than refused by Python.
        assert_eq!(log::stats().handed, before + 2);
        stop(&runtime);
    });
}

#[test]
fn what_the_log_crate_writes_keeps_its_own_target_and_place() {
    in_child("what_the_log_crate_writes_keeps_its_own_target_and_place", || {
        let runtime = started();
        raddle_tracing::init().expect("there is no subscriber");
        ::log::warn!(target: "old::style", "by {}", "log");
        let line = line!() - 1;
        assert_eq!(
            seen(
                "[(r.name, r.levelname, r.getMessage(), r.filename, r.lineno, any(n.startswith('log.') for n in vars(r))) for r in seen]"
            ),
            format!("[('old.style', 'WARNING', 'by log', 'tracing.rs', {line}, False)]")
        );
        stop(&runtime);
    });
}

/// What another layer was given.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn python_s_records_become_events_and_nothing_goes_round_in_a_circle() {
    in_child("python_s_records_become_events_and_nothing_goes_round_in_a_circle", || {
        let runtime = started();
        assert_eq!(
            run("
import raddle.log
try: raddle.log.TracingHandler()
except RuntimeError as error: r = 'offer_to_python' in str(error)"),
            "True"
        );
        let lines = Lines::default();
        let others = tracing_subscriber::fmt::layer().with_writer(lines.clone()).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(raddle_tracing::layer()).with(others);
        tracing::subscriber::set_global_default(subscriber).expect("there is none");
        raddle_tracing::offer_to_python();
        run("
import logging, raddle.log
logging.getLogger().addHandler(raddle.log.TracingHandler())
def speak(): logging.getLogger('plugin').error('from Python: %d', 7, extra={'answer': 42})
speak()
for level in (5, 10, 20, 30): logging.getLogger('plugin').log(level, 'at %d', level)");
        tracing::info!("from Rust");
        assert_eq!(seen("len(seen)"), "6");
        let text = String::from_utf8(lines.0.lock().expect("nobody panics").clone()).expect("text");
        let wanted = ["ERROR python: from Python: 7", "logger=\"plugin\"", "answer=42", "speak"];
        assert!(
            wanted.iter().all(|part| text.lines().next().is_some_and(|line| line.contains(part))),
            "{text}"
        );
        for level in [
            "DEBUG python: at 10",
            "INFO python: at 20",
            "WARN python: at 30",
            "INFO tracing: from Rust",
        ] {
            assert!(text.contains(level), "{text}");
        }
        assert_eq!(text.matches("from Rust").count(), 1);
        assert_eq!(log::stats().handed, 1);
        stop(&runtime);
    });
}
