//! An exception that was taken out of Python: to be reported, or to be raised again elsewhere.
//!
//! It may travel to a thread that does not hold Python, and be dropped there, as any [`Ref`] may.
#![forbid(unsafe_code)]

use core::fmt;

use pyo3::{Bound, PyAny, Python};

use super::python;
use super::reference::Ref;
use crate::error::{Error, Status};

/// An exception, and what it says.
#[derive(Debug)]
pub struct Raised {
    exception: Ref,
    line: String,
    asks_for_end: bool,
}

impl Raised {
    /// Takes the exception that is set on this thread, if one is.
    #[inline]
    #[must_use]
    pub fn take(py: Python<'_>) -> Option<Self> {
        if python::is_pending() { Self::take_it(py) } else { None }
    }

    #[cold]
    fn take_it(py: Python<'_>) -> Option<Self> {
        let exception = python::take_pending();
        if exception.is_null() {
            return None;
        }
        let line = python::describe(exception);
        let asks_for_end = python::asks_for_end(exception);
        Some(Self { exception: Ref::of_owned(py, exception), line, asks_for_end })
    }

    /// Sets it again, on this thread.
    pub fn put_back(self, py: Python<'_>) {
        if let Some(exception) = self.exception.try_bind(py) {
            python::put_pending(exception.into_ptr());
        }
    }

    /// The exception, to be used while Python is held; `None` if Python was restarted since.
    #[must_use]
    pub fn try_bind<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.exception.try_bind(py)
    }

    /// Hands it to `sys.unraisablehook`, which names `about`.
    pub fn report(self, about: &Bound<'_, PyAny>) {
        if let Some(exception) = self.exception.try_bind(about.py()) {
            python::report_taken(exception.into_ptr(), about.as_ptr());
        }
    }

    /// The exception itself; `None` if Python was restarted since.
    #[must_use]
    pub fn exception<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.exception.try_bind(py)
    }

    /// Its type and its text, as "ValueError: no such page".
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Whether it is a KeyboardInterrupt or a SystemExit.
    #[must_use]
    pub const fn asks_for_end(&self) -> bool {
        self.asks_for_end
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl core::error::Error for Raised {}

impl From<Raised> for Error {
    fn from(raised: Raised) -> Self {
        Self::new(Status::Python, raised.line)
    }
}
