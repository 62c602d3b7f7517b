//! Python ends and starts again in one process, and around forks. Each test is a process of its own.

use std::io::Write;
use std::time::Duration;

use raddle::{Closed, Options, enter};
use raddle_tests::child::Seen;
use raddle_tests::python::{run, start};
use raddle_tests::storm::storm;
use raddle_tests::{Child, in_child, spawn};

const ROUNDS: u64 = 200;

/// The same rounds by CPython's own functions, on one thread: what Python itself bears.
fn control(code: &std::ffi::CStr) {
    for _ in 0..ROUNDS {
        // SAFETY: Python is not running.
        unsafe { pyo3::ffi::Py_InitializeEx(0) };
        // SAFETY: Python was started on this thread, and the code ends with a NUL.
        let failed = unsafe { pyo3::ffi::PyRun_SimpleString(code.as_ptr()) };
        assert_eq!(failed, 0);
        // SAFETY: Python was started on this thread.
        assert_eq!(unsafe { pyo3::ffi::Py_FinalizeEx() }, 0);
    }
}

/// Starts, runs `code` on two threads and stops, again and again.
fn rounds(code: &str) {
    for round in 1..=ROUNDS {
        let runtime = start(&Options::new());
        assert_eq!(runtime.generation(), round);
        run(code);
        let again = code.to_owned();
        spawn("worker", move || run(&again)).join().expect("the code runs");
        runtime.stop(None).expect("nobody is inside");
    }
}

/// Runs the rounds in a child, if a control in another child bears them.
fn compare(name: &str, code: &str) {
    let child = || Child::new(name).timeout(Duration::from_secs(600));
    let in_c = std::ffi::CString::new(code).expect("no NUL in the code");
    let bears = child().env("ROUNDS_OF", "control").run(|| match std::env::var("ROUNDS_OF") {
        Ok(kind) if kind == "control" => control(&in_c),
        _ => rounds(code),
    });
    let Some(bears) = bears else { return };
    if bears.status.is_some_and(|status| status.success()) {
        child().env("ROUNDS_OF", "raddle").run(|| ()).inspect(Seen::assert_success);
    } else {
        let line = format!("{name}: not compared, for Python alone fails too: {}", bears.story());
        // Past the harness, which keeps what a passing test prints.
        writeln!(std::io::stderr(), "{line}").expect("stderr is there");
    }
}

#[test]
fn two_hundred_starts_in_one_process() {
    let seen = Child::new("two_hundred_starts_in_one_process").timeout(Duration::from_secs(600));
    let seen = seen.run(|| rounds("import builtins, sys; r = sum(range(10))"));
    seen.inspect(Seen::assert_success);
}

#[test]
fn two_hundred_starts_with_decimal() {
    compare("two_hundred_starts_with_decimal", "import decimal; r = decimal.Decimal(1) / 3");
}

#[test]
fn two_hundred_starts_with_ctypes() {
    compare("two_hundred_starts_with_ctypes", "import ctypes; r = ctypes.c_int(7).value");
}

#[test]
fn two_hundred_starts_with_sqlite3() {
    let code = "import sqlite3; r = sqlite3.connect(':memory:').execute('select 7').fetchone()";
    compare("two_hundred_starts_with_sqlite3", code);
}

#[test]
fn a_thread_that_outlives_python_enters_the_next() {
    in_child("a_thread_that_outlives_python_enters_the_next", || {
        let (ask, asked) = std::sync::mpsc::channel::<()>();
        let (answer, answered) = std::sync::mpsc::channel();
        let thread = spawn("survivor", move || {
            for () in asked {
                answer.send(enter(|_| ()).map(|()| run("r = 6 * 7"))).unwrap();
            }
        });
        let entered = || {
            ask.send(()).unwrap();
            answered.recv().unwrap()
        };
        for _ in 0..5 {
            let runtime = start(&Options::new());
            assert_eq!(entered().unwrap(), "42");
            runtime.stop(None).unwrap();
            assert_eq!(entered(), Err(Closed::Stopped));
        }
        drop(ask);
        thread.join().unwrap();
    });
}

#[test]
fn a_child_of_os_fork_has_the_gate_and_may_stop() {
    in_child("a_child_of_os_fork_has_the_gate_and_may_stop", || {
        let runtime = start(&Options::new());
        let bystander = spawn("bystander", || run("r = 1"));
        bystander.join().unwrap();
        let child = run("import os; r = os.fork()");
        if child == "0" {
            // In the child. Whatever fails here ends it with another status.
            let native = spawn("native", || run("import threading; r = threading.active_count()"));
            let ok = native.join().is_ok_and(|count| count.parse::<u32>().is_ok())
                && runtime.stop(Some(Duration::from_secs(20))).is_ok();
            // SAFETY: ends the process, as a child of a test has to.
            unsafe { libc::_exit(if ok { 33 } else { 34 }) };
        }
        let wait = format!("import os; r = os.waitstatus_to_exitcode(os.waitpid({child}, 0)[1])");
        assert_eq!(run(&wait), "33");
        let fork = "
import multiprocessing
with multiprocessing.get_context('fork').Pool(2) as pool:
    r = pool.map(abs, [-1, -2])";
        assert_eq!(run(fork), "[1, 2]");
        runtime.stop(Some(Duration::from_secs(20))).unwrap();
    });
}

#[test]
fn twenty_processes_start_and_stop_in_a_storm() {
    let name = "twenty_processes_start_and_stop_in_a_storm";
    for seed in 1..=20_u64 {
        let child = Child::new(name).env("STORM_SEED", seed.to_string());
        let own = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse().ok());
        let Some(seen) = child.run(|| storm(own.unwrap_or(seed))) else { return };
        seen.assert_success();
    }
}
