//! The relay's types in `_raddle`, and what their waits raise.

mod ring;
mod semaphore;
mod stopped;

use core::ffi::CStr;

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};

use super::completion;
use super::wait::{Interrupted, WaitError};
use crate::object::{self, Object, Pending};
use crate::shelf::{self, Key};
use crate::{class, cpython};

/// What adds each of them to the module.
pub(crate) const CLASSES: [class::Add; 4] =
    [stopped::add, class::add::<semaphore::Face>, class::add::<ring::Face>, completion::ADD];

/// Raises why a wait ended; `too_late` raises that the time has passed.
fn raise(
    py: Python<'_>,
    error: WaitError<Interrupted>,
    too_late: impl FnOnce() -> Pending,
) -> Pending {
    match error {
        WaitError::Stopped => stopped::raise(py),
        WaitError::TimedOut => too_late(),
        WaitError::Interrupted(Interrupted::Raised(raised)) => {
            raised.put_back(py);
            Pending::is_set()
        }
        WaitError::Interrupted(Interrupted::Closed(_)) => never_return(),
    }
}

/// Raises `queue.Full` or `queue.Empty`.
fn queues_own(py: Python<'_>, key: Key, name: &CStr) -> Pending {
    match exception(py, key, c"queue", name) {
        Ok(class) => {
            // SAFETY: Python is held; an exception's type, alive.
            unsafe { ffi::PyErr_SetNone(class) };
            Pending::is_set()
        }
        Err(pending) => pending,
    }
}

/// An exception's type, lent: fetched from its module when it is wanted first, which keeps it alive
/// where the shelf does not. A subinterpreter has one of its own.
fn exception(
    py: Python<'_>,
    key: Key,
    module: &CStr,
    name: &CStr,
) -> Result<*mut PyObject, Pending> {
    let is_main = cpython::is_main_interpreter(py);
    if let Some(class) = shelf::find(key).filter(|_| is_main) {
        return Ok(class.as_ptr());
    }
    let class = Object::import(py, module).and_then(|module| module.attribute(name));
    let class = lifted(py, class)?;
    let lent = class.as_ptr();
    if is_main {
        shelf::put(key, class);
    }
    Ok(lent)
}

/// Sets an exception that was taken, as far as its text goes.
fn lifted<T>(py: Python<'_>, result: object::Result<T>) -> Result<T, Pending> {
    result.map_err(|raised| raised.set(py))
}

/// For a thread that was called by a Python that has ended meanwhile: its caller is gone. CPython
/// itself hangs such threads (from 3.14 on).
fn never_return() -> ! {
    loop {
        std::thread::park();
    }
}
