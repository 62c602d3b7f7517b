//! Taking turns, from Rust.
#![forbid(unsafe_code)]

use core::time::Duration;

use pyo3::{Bound, PyAny, Python};

use super::fault::Fault;
use super::watchdog::{self, Limit, SOFT};
use super::{ops, raw};

/// Lets the other tasklets of this thread have their turn.
///
/// # Errors
///
/// [`Killed`](Fault::Killed); what else is raised in this tasklet meanwhile.
pub fn schedule(_py: Python<'_>) -> Result<(), Fault> {
    raw::schedule(ops::none(), false).map(ops::decref).map_err(Fault::take)
}

/// [`schedule`], and leaves the run queue: until somebody inserts or runs this tasklet.
///
/// # Errors
///
/// As [`schedule`]; [`WouldDeadlock`](Fault::WouldDeadlock) if nobody is left who could.
pub fn schedule_remove(_py: Python<'_>) -> Result<(), Fault> {
    raw::schedule(ops::none(), true).map(ops::decref).map_err(Fault::take)
}

/// Runs the other tasklets of this thread, until none can run. What one does not catch comes here.
///
/// # Errors
///
/// What is raised in this tasklet meanwhile.
///
/// # Examples
///
/// ```
/// # let runtime = raddle::Runtime::start(&raddle::Options::new())?;
/// use std::sync::mpsc;
/// use raddle::tasklet::{self, Fault};
///
/// let (told, seen) = mpsc::channel();
/// raddle::enter(|py| {
///     for name in ["a", "b"] {
///         let told = told.clone();
///         drop(tasklet::spawn(py, move |py| {
///             for turn in 0..2 {
///                 told.send(format!("{name}{turn}")).unwrap();
///                 tasklet::schedule(py)?;
///             }
///             Ok::<(), Fault>(())
///         })?);
///     }
///     tasklet::run(py)
/// })??;
/// drop(told);
/// assert_eq!(seen.iter().collect::<Vec<_>>(), ["a0", "b0", "a1", "b1"]);
/// # runtime.stop(None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run(_py: Python<'_>) -> Result<(), Fault> {
    limited(Limit::None)
}

/// [`run`], at most until a time has passed; that is looked at whenever a tasklet is switched to, and costs
/// nothing while one runs.
///
/// # Errors
///
/// As [`run`].
pub fn run_within(_py: Python<'_>, time: Duration) -> Result<(), Fault> {
    limited(Limit::Time(time))
}

/// [`run`], at most until so many tasklets were switched to.
///
/// # Errors
///
/// As [`run`].
pub fn run_times(_py: Python<'_>, switches: u32) -> Result<(), Fault> {
    if switches == 0 { Ok(()) } else { limited(Limit::Switches(switches.into())) }
}

fn limited(limit: Limit) -> Result<(), Fault> {
    watchdog::run(limit, SOFT).map(ops::decref).map_err(Fault::take)
}

/// How many tasklets of this thread can run, with the current one.
///
/// # Errors
///
/// If tasklets cannot be used here.
pub fn run_count(_py: Python<'_>) -> Result<usize, Fault> {
    let count = raw::run_count().map_err(Fault::take)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The tasklet that runs, as Python sees it.
///
/// # Errors
///
/// If tasklets cannot be used here.
pub fn current(py: Python<'_>) -> Result<Bound<'_, PyAny>, Fault> {
    raw::current().map(|task| ops::owned(py, task)).map_err(Fault::take)
}

/// Kills this thread's tasklets, oldest first; how many live on. For a native thread that is to end: later
/// nobody can end them.
///
/// # Errors
///
/// If tasklets cannot be used here.
pub fn kill_all(_py: Python<'_>) -> Result<usize, Fault> {
    raw::kill_all().map_err(Fault::take)
}
