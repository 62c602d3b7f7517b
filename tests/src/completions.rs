//! What tests of completions share: a Python whose main module collects what was called and reported,
//! and values that count how often they were dropped.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use pyo3::types::{PyDict, PyModuleMethods as _};
use pyo3::{Bound, PyAny, Python};
use raddle::primitive::{AtomicU32, Ordering};
use raddle::{Options, Runtime, enter};

const CODE: &core::ffi::CStr = c"
import sys
calls, reports = [], []
def fail(error):
    raise error
sys.unraisablehook = lambda about: reports.append((about.exc_type.__name__, str(about.exc_value)))
";

/// Starts Python, with `calls`, `reports` and `fail` in its main module.
///
/// # Panics
///
/// If it cannot be started.
#[must_use]
pub fn start() -> Runtime {
    let runtime = crate::python::start(&Options::new());
    enter(|py| py.run(CODE, Some(&names(py)), None).expect("plain code")).expect("an open gate");
    runtime
}

/// Stops Python.
///
/// # Panics
///
/// Unless it stops.
pub fn stop(runtime: &Runtime) {
    assert_eq!(runtime.stop(Some(Duration::from_secs(20))), Ok(()));
}

/// The names of the main module.
///
/// # Panics
///
/// If there is no main module.
#[must_use]
pub fn names(py: Python<'_>) -> Bound<'_, PyDict> {
    py.import("__main__").expect("Python has one").dict()
}

/// What an expression gives in the main module.
///
/// # Panics
///
/// With what it raises.
pub fn make<'py>(py: Python<'py>, expression: &str) -> Bound<'py, PyAny> {
    let code = std::ffi::CString::new(expression).expect("no NUL in the code");
    let made = py.eval(&code, Some(&names(py)), None);
    made.unwrap_or_else(|error| panic!("{expression}: {error}"))
}

/// The same as text, for a thread that does not hold Python.
///
/// # Panics
///
/// As [`make`], or if the gate is closed.
#[must_use]
pub fn look(expression: &str) -> String {
    enter(|py| make(py, expression).to_string()).expect("an open gate")
}

/// A value that counts how often it was dropped.
#[derive(Clone, Debug, Default)]
pub struct Counted(pub Arc<AtomicU32>);

impl Counted {
    /// How often a clone was dropped.
    #[must_use]
    pub fn drops(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
