//! Processes that end while native threads are at work: by a host's stop, or as a plain `python3` does.
//!
//! Both run the same Python code, which calls `begin()`, a native function. The plain interpreter is
//! CPython's own main program, called in a child with raddle's module built in: it imports raddle,
//! which adopts it, and ends as `python3 -c` ends.

use std::env;
use std::ffi::{CString, c_char, c_int};
use std::time::Duration;

use raddle::Options;

use crate::python::{run, start};
use crate::{Child, spawn};

/// Who ends Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A host, by `Runtime::stop`.
    Host,
    /// The interpreter's own main program.
    Python,
}

/// What lives when a process ends.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Python code; ends as `python3 -c` would.
    pub code: &'static str,
    /// What it calls as `begin()`, with Python held.
    pub begin: extern "C" fn(),
    /// What has to hold when Python has ended.
    pub check: fn(),
    /// The status that a plain interpreter ends with. Unless it is 0, to 3.13 that is the process's and
    /// nothing is checked: `sys.exit` does not come back to the main program.
    pub status: c_int,
}

/// What every situation may use: threads that wait until the end of Python tells them to stop, whose
/// process ends at once if they hear anything else.
const PRELUDE: &str = "
import _raddle, concurrent.futures, ctypes, os, raddle, sys, threading, time
def until_stopped(wait):
    try:
        given = wait()
    except BaseException as error:
        given = error
    if not isinstance(given, raddle.Stopped):
        print('a thread that waits was not stopped, but given', repr(given), file=sys.stderr)
        os._exit(9)
def wait_everywhere(wait):
    threading.Thread(target=until_stopped, args=(wait,)).start()
    threading.Thread(target=until_stopped, args=(wait,), daemon=True).start()
    concurrent.futures.ThreadPoolExecutor().submit(until_stopped, wait)
";

/// What nobody may write at the end of a process.
const TROUBLE: [&str; 5] = [
    "Fatal Python error",
    "is left behind",
    "although these threads are inside",
    "Traceback (most recent call last)",
    "Exception ignored",
];

/// Runs a situation in a child process; `name` is the test's own, which may run several: a child runs
/// the one that it was started for. In the parent, looks at the result.
///
/// # Panics
///
/// If the child crashes, hangs, or ends otherwise than it should.
pub fn live(name: &str, end: End, (which, situation): &(&str, Situation)) {
    let this = format!("{which} {end:?}");
    if env::var("RADDLE_TEST_SITUATION").is_ok_and(|wanted| wanted != this) {
        return;
    }
    let child = Child::new(name).timeout(Duration::from_secs(60));
    let seen = child.env("RADDLE_TEST_SITUATION", this).run(|| body(end, situation));
    if let Some(seen) = seen {
        let status = seen.status.and_then(|status| status.code());
        let exits = end == End::Python && situation.status != 0;
        if !exits || status != Some(situation.status) {
            seen.assert_success();
        }
        for trouble in TROUBLE {
            assert!(!seen.stderr.contains(trouble), "{}", seen.story());
        }
    }
}

fn body(end: End, situation: &Situation) {
    let code = format!(
        "{PRELUDE}begin = ctypes.PYFUNCTYPE(None)({})\n{}",
        situation.begin as usize, situation.code
    );
    if end == End::Host {
        let runtime = start(&Options::new().signal_handlers(true));
        run(&code);
        runtime.stop(Some(Duration::from_secs(30))).expect("the runtime stops");
    } else {
        assert_eq!(interpret(&code), situation.status, "the status of a plain interpreter");
    }
    (situation.check)();
}

/// What `python3 -c CODE` does, in this process.
fn interpret(code: &str) -> c_int {
    // SAFETY: before Python starts; the name lives for ever.
    let appended = unsafe {
        pyo3_ffi::PyImport_AppendInittab(c"_raddle".as_ptr(), Some(raddle::embed::PyInit__raddle))
    };
    assert_eq!(appended, 0);
    let python = env::var("PYO3_PYTHON").or_else(|_| env::var("RADDLE_PYTHON"));
    let python = python.unwrap_or_else(|_| "/usr/bin/python3".to_owned());
    let words = [python.as_str(), "-c", code].map(|word| CString::new(word).expect("no NUL"));
    let mut argv = words.each_ref().map(|word| word.as_ptr().cast_mut());
    let count = c_int::try_from(argv.len()).expect("three words");
    // SAFETY: so many words, alive during the call; nobody has started Python in this child.
    unsafe { pyo3_ffi::Py_BytesMain(count, argv.as_mut_ptr().cast::<*mut c_char>()) }
}

/// Starts native threads that call `work` until it says no.
pub fn work(threads: usize, work: fn() -> bool) -> Vec<std::thread::JoinHandle<()>> {
    (0..threads).map(|_| spawn("worker", move || while work() {})).collect()
}
