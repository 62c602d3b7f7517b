//! A tasklet of Rust's: the handle by which it is joined, killed, and moved in its queues.
#![forbid(unsafe_code)]

use core::{fmt, mem};
use std::any::Any;
use std::sync::Arc;

use pyo3::{Bound, PyAny, Python};

use super::fault::Fault;
use super::{ops, raw};
use crate::gate::{self, Raised, Ref};
use crate::object::Pending;
use crate::primitive::{Mutex, lock};
use crate::relay::log::{Level, Target};

/// Why a tasklet gave no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// It was killed before it gave anything.
    Killed,
    /// It panicked: the payload, for [`resume_unwind`](std::panic::resume_unwind).
    Panicked(Box<dyn Any + Send>),
    /// The Python callable raised.
    Raised(Raised),
    /// The one that waits here was disturbed; the tasklet goes on.
    Fault(Fault),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed => f.write_str("the tasklet was killed"),
            Self::Panicked(payload) => {
                let said = payload.downcast_ref::<&str>().copied();
                let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
                write!(f, "the tasklet panicked: {}", said.unwrap_or("with no text"))
            }
            Self::Raised(raised) => write!(f, "the tasklet raised {raised}"),
            Self::Fault(fault) => write!(f, "the wait for the tasklet ended: {fault}"),
        }
    }
}

impl core::error::Error for JoinError {}

impl From<Fault> for JoinError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// How far a tasklet is.
enum State<T> {
    Going,
    Done(Result<T, JoinError>),
    /// Ended, and what it gave is somebody's.
    Gone,
}

struct Inner<T> {
    state: State<T>,
    /// The handle is there.
    asked: bool,
    /// A channel of Python's at which those wait who join.
    joiners: Option<Ref>,
}

/// What a tasklet and its handle share. The lock is never held while Python or anybody's code runs.
pub(super) struct Shared<T>(Mutex<Inner<T>>);

impl<T> Shared<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner { state: State::Going, asked: true, joiners: None })))
    }

    /// The tasklet has ended, on a thread that holds Python. Nothing happens if it had before.
    pub(super) fn finish(&self, outcome: Result<T, JoinError>) {
        let mut inner = lock(&self.0);
        if !matches!(inner.state, State::Going) {
            return;
        }
        let mut unasked = Some(outcome);
        inner.state = match unasked.take_if(|_| inner.asked) {
            Some(outcome) => State::Done(outcome),
            None => State::Gone,
        };
        let joiners = inner.joiners.take();
        drop(inner);
        tell_unasked(unasked);
        if let Some(channel) = joiners.as_ref().and_then(|channel| channel.try_bind(ops::held())) {
            // It is a channel: nothing can fail.
            let _cleared = raw::clear(channel.as_ptr());
        }
    }

    /// Whether it has ended.
    fn has_ended(&self) -> bool {
        !matches!(lock(&self.0).state, State::Going)
    }

    /// Takes what it gave, if it has ended.
    fn take(&self) -> Option<Result<T, JoinError>> {
        let mut inner = lock(&self.0);
        match mem::replace(&mut inner.state, State::Gone) {
            State::Done(outcome) => Some(outcome),
            other => {
                inner.state = other;
                None
            }
        }
    }

    /// Waits until it has ended.
    fn wait(&self, py: Python<'_>) -> Result<(), Fault> {
        while !self.has_ended() {
            let channel = self.joiners(py)?;
            let woken = raw::receive(channel.as_ptr()).map_err(Fault::take)?;
            ops::decref(woken);
        }
        Ok(())
    }

    fn joiners<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Fault> {
        let known = lock(&self.0).joiners.as_ref().map(|channel| channel.try_bind(py));
        match known {
            Some(channel) => channel.ok_or(Fault::Closed),
            None => {
                let made = raw::new_channel(core::ptr::null_mut()).map_err(Fault::take)?;
                let channel = ops::owned(py, made);
                lock(&self.0).joiners = Some(Ref::new(channel.clone()));
                Ok(channel)
            }
        }
    }
}

/// Tells of an exception that nobody asked for: where the one who joins would have been told.
#[cold]
fn tell_unasked<T>(outcome: Option<Result<T, JoinError>>) {
    let Some(Err(JoinError::Raised(raised))) = outcome else { return };
    if gate::is_held() {
        raised.put_back(ops::held());
        ops::report_raised(core::ptr::null_mut());
    } else {
        let target = Target::named("raddle.tasklet");
        crate::log!(target, Level::ERROR, "a tasklet that nobody joined raised {}", raised.line());
    }
}

/// A tasklet that runs a closure or a Python callable, and gives a `T`.
///
/// Dropping it, on any thread, lets the tasklet go on by itself. What a callable raised and nobody asked
/// for is then told to `sys.unraisablehook`, or to the log from a thread without Python.
///
/// Its methods are those of a Python tasklet, which [`as_object`](Self::as_object) is. They may be called
/// on any thread that holds Python; a tasklet runs on its own one.
pub struct Tasklet<T> {
    object: Ref,
    shared: Arc<Shared<T>>,
}

impl<T> Tasklet<T> {
    pub(super) fn new(object: Ref, shared: Arc<Shared<T>>) -> Self {
        Self { object, shared }
    }

    fn object<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Fault> {
        self.object.try_bind(py).ok_or(Fault::Closed)
    }

    fn act<R>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(*mut pyo3_ffi::PyObject) -> Result<R, Pending>,
    ) -> Result<R, Fault> {
        let object = self.object(py)?;
        act(object.as_ptr()).map_err(Fault::take)
    }

    fn ask(&self, py: Python<'_>, question: raw::Question) -> bool {
        self.act(py, |object| raw::ask(object, question)).is_ok_and(|answer| answer != 0)
    }

    /// Waits, as a tasklet, until it has ended; what it gave.
    ///
    /// # Errors
    ///
    /// [`Panicked`](JoinError::Panicked), [`Raised`](JoinError::Raised), or
    /// [`Killed`](JoinError::Killed) before it gave anything; [`Fault`](JoinError::Fault) if the wait itself was
    /// ended: [`wait`](Self::wait) first to try again.
    pub fn join(self, py: Python<'_>) -> Result<T, JoinError> {
        loop {
            self.shared.wait(py)?;
            if let Some(outcome) = self.shared.take() {
                return outcome;
            }
        }
    }

    /// Waits, as a tasklet, until it has ended.
    ///
    /// # Errors
    ///
    /// What ended the wait: [`WouldDeadlock`](Fault::WouldDeadlock) if it never can end by itself.
    pub fn wait(&self, py: Python<'_>) -> Result<(), Fault> {
        self.shared.wait(py)
    }

    /// Whether it has ended, so that a join does not wait. Any thread, with Python or without.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.shared.has_ended()
    }

    /// What it gave, if it has ended; else the handle. Any thread, with Python or without.
    ///
    /// # Errors
    ///
    /// The handle, as long as the tasklet has not ended.
    pub fn try_join(self) -> Result<Result<T, JoinError>, Self> {
        match self.shared.take() {
            Some(outcome) => Ok(outcome),
            None => Err(self),
        }
    }

    /// Has what it waits for, or does next, fail with [`Fault::Killed`], now: this tasklet goes on when
    /// its turn comes.
    ///
    /// # Errors
    ///
    /// What is raised in this tasklet meanwhile.
    pub fn kill(&self, py: Python<'_>) -> Result<(), Fault> {
        self.act(py, |object| raw::kill(object, false)).map(ops::decref)
    }

    /// [`kill`](Self::kill), when its turn comes: this tasklet goes on.
    ///
    /// # Errors
    ///
    /// If its thread has ended.
    pub fn kill_later(&self, py: Python<'_>) -> Result<(), Fault> {
        self.act(py, |object| raw::kill(object, true)).map(ops::decref)
    }

    /// Lets it run now; this tasklet goes on when its turn comes.
    ///
    /// # Errors
    ///
    /// If it waits at a channel or has ended; what is raised in this tasklet meanwhile.
    pub fn run(&self, py: Python<'_>) -> Result<(), Fault> {
        self.act(py, raw::run).map(ops::decref)
    }

    /// Lets it run now; this tasklet leaves the run queue.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn switch(&self, py: Python<'_>) -> Result<(), Fault> {
        self.act(py, raw::switch).map(ops::decref)
    }

    /// Puts it at the end of its thread's run queue, if it is in none.
    ///
    /// # Errors
    ///
    /// If it waits at a channel or has ended.
    pub fn insert(&self, py: Python<'_>) -> Result<(), Fault> {
        self.act(py, raw::insert)
    }

    /// Takes it out of the run queue.
    ///
    /// # Errors
    ///
    /// If it waits at a channel or is the current one.
    pub fn remove(&self, py: Python<'_>) -> Result<(), Fault> {
        self.act(py, raw::remove)
    }

    /// Makes waiting an error for it ([`Fault::Trapped`]), or not; what was before.
    ///
    /// # Errors
    ///
    /// If its Python has ended.
    pub fn set_block_trap(&self, py: Python<'_>, trap: bool) -> Result<bool, Fault> {
        self.act(py, |object| raw::set_block_trap(object, trap))
    }

    /// Whether it is in the run queue, or waits at a channel.
    #[must_use]
    pub fn is_scheduled(&self, py: Python<'_>) -> bool {
        self.ask(py, raw::Question::Scheduled)
    }

    /// Whether it waits at a channel, or for another tasklet.
    #[must_use]
    pub fn is_blocked(&self, py: Python<'_>) -> bool {
        self.ask(py, raw::Question::Blocked)
    }

    /// The tasklet as Python sees it; `None` if its Python has ended.
    #[must_use]
    pub fn as_object<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.object.try_bind(py)
    }
}

impl<T> Drop for Tasklet<T> {
    fn drop(&mut self) {
        lock(&self.shared.0).asked = false;
        tell_unasked(self.shared.take());
    }
}

impl<T> fmt::Debug for Tasklet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasklet").field("is_done", &self.is_done()).finish_non_exhaustive()
    }
}
