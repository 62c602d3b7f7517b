//! What the host asks of `tasklets.py`.
#![forbid(unsafe_code)]

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use raddle::Ref;

use crate::options::Options;

const PROGRAM: &str = include_str!("../tasklets.py");

/// The module, loaded.
#[derive(Debug)]
pub struct Program(Ref);

/// What was passed so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub ring: u64,
    pub fan_in: u64,
    pub sum: u64,
    pub switches: u64,
    pub alive: u64,
}

impl Program {
    /// Loads the program and has it make its tasklets. `quit` is called when all messages were passed.
    ///
    /// # Errors
    ///
    /// What Python raises.
    pub fn begin(
        py: Python<'_>,
        options: &Options,
        quit: impl Fn() + Send + Sync + 'static,
    ) -> PyResult<Self> {
        let source = std::ffi::CString::new(PROGRAM)?;
        let module = PyModule::from_code(py, &source, c"tasklets.py", c"tasklets")?;
        let quit = move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| quit();
        let quit = PyCFunction::new_closure(py, Some(c"quit"), None, quit)?;
        let arguments = (
            options.tasklets,
            options.tokens,
            options.rounds,
            options.messages,
            options.threads,
            quit,
        );
        module.getattr("begin")?.call1(arguments)?;
        Ok(Self(Ref::new(module.into_any())))
    }

    /// Sends as the native thread that calls, until all is sent or the program ends.
    ///
    /// # Errors
    ///
    /// What Python raises.
    pub fn produce(&self, py: Python<'_>, index: usize) -> PyResult<()> {
        self.0.bind(py).getattr("produce_on_a_thread")?.call1((index,)).map(drop)
    }

    /// What was passed so far.
    ///
    /// # Errors
    ///
    /// What Python raises.
    pub fn figures(&self, py: Python<'_>) -> PyResult<Figures> {
        let (ring, fan_in, sum, switches, alive) =
            self.0.bind(py).getattr("figures")?.call0()?.extract()?;
        Ok(Figures { ring, fan_in, sum, switches, alive })
    }

    /// Ends the tasklets and lets the threads go; says whether the sums are right.
    ///
    /// # Errors
    ///
    /// What Python raises.
    pub fn end(&self, py: Python<'_>) -> PyResult<bool> {
        self.0.bind(py).getattr("end")?.call0()?.extract()
    }
}
