//! Python code in tests, entered through the gate.
#![forbid(unsafe_code)]

use std::ffi::CString;

use pyo3::types::{PyAnyMethods, PyDict, PyDictMethods, PyModuleMethods};
use pyo3::{Bound, PyAny, Python};
use raddle::{Options, Ref, Runtime, enter};

/// Starts Python.
///
/// # Panics
///
/// If it cannot be started.
pub fn start(options: &Options) -> Runtime {
    Runtime::start(options).expect("Python starts")
}

/// Starts Python so that Ctrl-C raises KeyboardInterrupt, also where whoever runs the tests has them
/// ignore it, as a shell does with what it runs in the background.
///
/// # Panics
///
/// If it cannot be started.
#[must_use]
pub fn start_for_ctrl_c() -> Runtime {
    let runtime = start(&Options::new().signal_handlers(true));
    run("import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)");
    runtime
}

/// Runs statements and gives what they leave in `r`, as text; empty if they leave nothing.
///
/// # Panics
///
/// If the gate is closed, or with what the statements raise.
pub fn run(code: &str) -> String {
    let code = CString::new(code).expect("no NUL in the code");
    let run = |py: Python<'_>| {
        let names = PyDict::new(py);
        if let Err(error) = py.run(&code, Some(&names), None) {
            error.display(py);
            panic!("{error}");
        }
        let result = names.get_item("r").ok().flatten();
        result.map_or_else(String::new, |value| value.str().expect("a text").to_string())
    };
    enter(run).expect("the gate is open")
}

/// The names of `__main__`.
///
/// # Panics
///
/// If there is no such module.
#[must_use]
pub fn names(py: Python<'_>) -> Bound<'_, PyDict> {
    py.import("__main__").expect("Python has a main module").dict()
}

/// What an expression in `__main__` comes to.
///
/// # Panics
///
/// With what it raises.
#[must_use]
pub fn make<'py>(py: Python<'py>, expression: &str) -> Bound<'py, PyAny> {
    let expression = CString::new(expression).expect("no NUL in the expression");
    py.eval(&expression, Some(&names(py)), None).expect("the expression raises nothing")
}

/// The same, which nobody else holds, made by a thread that then holds Python no more.
///
/// # Panics
///
/// As [`make`], or if the gate is closed.
#[must_use]
pub fn made(expression: &str) -> Ref {
    enter(|py| Ref::new(make(py, expression))).expect("the gate is open")
}

/// The number that an expression in `__main__` comes to.
///
/// # Panics
///
/// As [`made`], or if it is no number.
#[must_use]
pub fn look(expression: &str) -> i64 {
    enter(|py| make(py, expression).extract().expect("a number")).expect("the gate is open")
}
