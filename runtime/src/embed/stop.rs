//! Stopping: the gate closes at once, those inside are waited for, and only then Python ends.

use core::fmt;
use std::time::Duration;

use super::life::{Life, Running, life, running};
use crate::error::{Closed, Error, Status};
use crate::gate::{Remaining, Since, control};

/// Why a stop ended nothing, or not all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopError {
    /// These are still inside. Nothing was ended, the gate stays closed.
    Busy(Vec<Remaining>),
    /// The stop was refused, for another reason.
    Refused(Error),
}

impl StopError {
    /// Its kind.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Busy(_) => Status::Busy,
            Self::Refused(error) => error.status(),
        }
    }
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remaining = match self {
            Self::Busy(remaining) => remaining,
            Self::Refused(error) => return error.fmt(f),
        };
        f.write_str("still inside Python: ")?;
        for (index, who) in remaining.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            write!(f, "{}", who.name)?;
            match who.since {
                Since::For(time) => write!(f, " for {time:.1?}")?,
                Since::AtMost(time) => write!(f, " for at most {time:.1?}")?,
                Since::PythonThread => f.write_str(" (a Python thread that runs)")?,
            }
        }
        f.write_str("; nothing was ended: stop again, or abandon the runtime")
    }
}

impl core::error::Error for StopError {}

impl From<Error> for StopError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<StopError> for Error {
    fn from(error: StopError) -> Self {
        match error {
            StopError::Busy(_) => Self::new(Status::Busy, error.to_string()),
            StopError::Refused(error) => error,
        }
    }
}

/// Stops the runtime of `generation`.
pub(super) fn stop(generation: u64, timeout: Option<Duration>) -> Result<(), StopError> {
    let deadline = control::deadline(timeout);
    let Some(running) = running(generation) else {
        return match *life() {
            Life::Abandoned => Err(Error::from(Closed::Abandoned).into()),
            _ => Ok(()),
        };
    };
    if control::is_forked() {
        // Whoever held Python's locks when it forked is not there to let go of them.
        return Err(Error::from(Closed::Forked).into());
    }
    check(&running)?;
    control::close();
    if !control::wait(deadline, || true) {
        return Err(StopError::Busy(control::remaining()));
    }
    {
        let mut life = life();
        match *life {
            Life::Abandoned => return Err(Error::from(Closed::Abandoned).into()),
            _ => *life = Life::Finalizing,
        }
    }
    let ended = finalize(&running);
    *life() = Life::Idle;
    Ok(ended?)
}

fn check(running: &Running) -> Result<(), Error> {
    if !running.is_here() {
        let line = "only the thread that started Python may stop it";
        return Err(Error::new(Status::WrongThread, line));
    }
    if !control::is_outside() || !running.is_adopted() && crate::gate::is_held() {
        let line = "a stop inside an entry: leave first";
        return Err(Error::new(Status::WrongOrder, line));
    }
    Ok(())
}

/// Ends Python. Nobody is inside, and nobody comes.
fn finalize(running: &Running) -> Result<(), Error> {
    // SAFETY: this is its thread, as `check` saw, and it was given up by the start.
    unsafe { pyo3_ffi::PyEval_RestoreThread(running.main) };
    // SAFETY: held since the line above; the gate is closed, and nobody is inside.
    unsafe { control::begin_finalizing() };
    // SAFETY: held, on Python's main thread.
    let status = unsafe { pyo3_ffi::Py_FinalizeEx() };
    control::end();
    if status < 0 {
        let line = "Python has ended, but what its streams still held could not be written";
        return Err(Error::new(Status::Python, line));
    }
    Ok(())
}

/// Leaves the Python of `generation` as it is, for good.
pub(super) fn abandon(generation: u64) {
    let mut life = life();
    if matches!(*life, Life::Running(running) if running.generation == generation) {
        control::abandon();
        *life = Life::Abandoned;
    }
}
