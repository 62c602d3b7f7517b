//! Stopping: stoppers run, the gate closes, those inside are waited for, and only then Python ends.

use core::fmt;
use std::time::{Duration, Instant};

use super::life::{Life, Running, life, running};
use super::threads::{self, Watcher};
use crate::error::{Closed, Error, Status};
use crate::gate::{Remaining, Since, control};
use crate::relay::log;
use crate::relay::stopper::{self, Stage};

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

/// How long Python's own threads may take to end between the first stage and the others.
const GRACE: Duration = Duration::from_secs(1);

/// How long a Python that somebody else ends waits for those inside.
const PATIENCE_AT_EXIT: Duration = Duration::from_secs(10);

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
    run_stoppers(&running, deadline)?;
    control::close();
    if running.is_adopted() {
        return leave_adopted(deadline);
    }
    wait_for_all(&running, deadline)?;
    log::gate_closed(false);
    claim()?;
    let ended = finalize(&running);
    *life() = Life::Idle;
    Ok(ended?)
}

/// Runs the exit stoppers while the gate is open: between the first stage and the others Python's own
/// threads get some time to end, as they do when somebody else ends Python.
fn run_stoppers(running: &Running, deadline: Option<Instant>) -> Result<(), StopError> {
    let generation = running.generation;
    let run = |through| {
        released(|| stopper::run(generation, through, deadline)).map_err(|late| {
            let name = format!("the exit stopper '{}'", late.name);
            StopError::Busy(vec![Remaining { name, since: Since::For(late.since) }])
        })
    };
    let result = run(Stage::Refuse).and_then(|()| {
        if stopper::is_any(generation, Stage::Pools..=Stage::Log) && !running.is_adopted() {
            let now = Instant::now();
            let half = deadline.map(|deadline| deadline.saturating_duration_since(now) / 2);
            let grace = half.map_or(GRACE, |half| half.min(GRACE));
            // SAFETY: as in `wait_for_all`.
            let watcher = unsafe { Watcher::start(running.interpreter) }?;
            let until = now.checked_add(grace);
            let nobody = || watcher.says_nobody(Instant::now(), until) || control::is_past(until);
            while !nobody() && !control::is_abandoned() {}
            watcher.dismiss(until);
        }
        run(Stage::Log)
    });
    refuse_if_abandoned().and(result)
}

/// Python ends by somebody else's doing: runs the exit stoppers up to a stage. Python is held.
pub(super) fn python_stops(through: Stage) {
    let running = match *life() {
        Life::Running(running) => running,
        _ => return,
    };
    if control::is_open() {
        // Each has its own deadline, so the wait has an end; without one it fails only if abandoned.
        let _abandoned = released(|| stopper::run(running.generation, through, None));
    }
}

/// Waits until nobody is inside and Python would wait for no thread of its own.
fn wait_for_all(running: &Running, deadline: Option<Instant>) -> Result<(), StopError> {
    if !threads::all_gone(deadline) {
        refuse_if_abandoned()?;
        return Err(holds_python());
    }
    // SAFETY: only `finalize` frees the interpreter, and it is not reached unless all are gone.
    let watcher = unsafe { Watcher::start(running.interpreter) }?;
    let mut nobody = false;
    while control::wait(deadline) {
        nobody = watcher.says_nobody(Instant::now(), deadline);
        if nobody || control::is_past(deadline) {
            break;
        }
    }
    if control::is_abandoned() {
        watcher.dismiss(Some(Instant::now()));
        return refuse_if_abandoned();
    }
    if nobody {
        // Nobody comes in any more. A thread that is being refused shows its flag for a moment, so the
        // flags are not looked at again.
        if watcher.dismiss(deadline) {
            return Ok(());
        }
        refuse_if_abandoned()?;
        return Err(holds_python());
    }
    let mut remaining = control::remaining();
    remaining.extend(watcher.remaining());
    // There is no time left: it is not waited for.
    watcher.dismiss(Some(Instant::now()));
    Err(StopError::Busy(remaining))
}

/// Somebody nameless keeps Python from the watcher.
fn holds_python() -> StopError {
    StopError::Busy(vec![Remaining {
        name: "a thread that holds Python and does not give it up".to_owned(),
        since: Since::PythonThread,
    }])
}

/// An abandon on another thread ends a stop that waits.
fn refuse_if_abandoned() -> Result<(), StopError> {
    if control::is_abandoned() {
        return Err(Error::from(Closed::Abandoned).into());
    }
    Ok(())
}

/// Takes the right to finalize; an abandon on another thread may have been faster.
fn claim() -> Result<(), StopError> {
    let mut life = life();
    if matches!(*life, Life::Abandoned) {
        return Err(Error::from(Closed::Abandoned).into());
    }
    *life = Life::Finalizing;
    Ok(())
}

/// Leaves a Python that somebody else will end.
fn leave_adopted(deadline: Option<Instant>) -> Result<(), StopError> {
    let nobody = released(|| control::wait(deadline));
    refuse_if_abandoned()?;
    if !nobody {
        return Err(StopError::Busy(control::remaining()));
    }
    released(|| log::gate_closed(false));
    claim()?;
    if crate::gate::is_held() {
        // Nobody else of ours releases what was dropped, or clears what dead threads left.
        // SAFETY: held; the gate is closed, and nobody is inside.
        unsafe { control::begin_finalizing() };
    }
    control::end();
    *life() = Life::Idle;
    Ok(())
}

/// Runs `body` with Python given up, if this thread holds it.
fn released<R>(body: impl FnOnce() -> R) -> R {
    if !crate::gate::is_held() {
        return body();
    }
    // SAFETY: held, as was just asked.
    let state = unsafe { pyo3_ffi::PyEval_SaveThread() };
    let result = body();
    // SAFETY: this thread's, given up above; Python is ended by nobody else while this thread, which
    // its owner's end would wait for or is, is here.
    unsafe { pyo3_ffi::PyEval_RestoreThread(state) };
    result
}

/// Python's exit handlers run. If that is somebody else's doing, closes the gate and waits for those
/// inside, with a bound. Returns the names of those who are still there. Python is held.
pub(super) fn python_exits() -> Vec<String> {
    if !matches!(*life(), Life::Running(_)) {
        return Vec::new();
    }
    python_stops(Stage::Log);
    control::close();
    let deadline = control::deadline(Some(PATIENCE_AT_EXIT));
    let nobody = released(|| {
        let nobody = control::wait(deadline);
        log::gate_closed(!nobody);
        nobody
    });
    // As in `wait_for_all`.
    let remaining = if nobody { Vec::new() } else { control::remaining() };
    // SAFETY: Python calls its exit handlers with Python held. Whoever is still inside cannot be
    // waited for any longer; Python ends or hangs such threads when they next take it.
    unsafe { control::begin_finalizing() };
    remaining.into_iter().map(|who| who.name).collect()
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
        drop(life);
        stopper::forget();
    }
}
