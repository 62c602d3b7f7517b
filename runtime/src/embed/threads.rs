//! Python's own threads: a stop waits for those that are not daemons, with its own deadline.
//!
//! Only Python knows its threads, and asking it means taking it. CPython has no attach with a time
//! limit, and a thread may hold Python for as long as a C function likes; so the stop does not ask
//! itself. A *watcher*, a native thread, does, again and again, and the stop waits for its report:
//!
//! ```text
//!   stop       waits for those inside ---> waits for a report that is newer ---> tells it to go
//!   watcher        attach - ask - detach     attach - ask - detach   ...          attach? - gone
//! ```
//!
//! A watcher that is still waiting for Python when the deadline passes stays behind; the next stop
//! waits for it too, since it must not attach while Python is finalized.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pyo3::Python;
use pyo3_ffi::PyInterpreterState;

use super::boot;
use crate::cpython;
use crate::error::{Error, Status};
use crate::gate::{Remaining, Since, control};
use crate::object::Raised;
use crate::primitive::{Condvar, Mutex, MutexGuard, lock};
use crate::tasklet::thread::Serving;

/// Between two questions: short at first, as most threads that are told to end do so at once.
const FIRST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(20);

/// What a watcher was told by Python.
#[derive(Clone, Debug)]
struct Report {
    /// When the question was put.
    asked: Instant,
    names: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    report: Option<Report>,
    /// The watcher is to end.
    dismissed: bool,
    /// It has ended, and touches Python no more.
    gone: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A native thread that asks Python for its threads.
#[derive(Debug)]
pub(super) struct Watcher(Arc<Shared>);

static LEFT_BEHIND: Mutex<Vec<Watcher>> = Mutex::new(Vec::new());

/// An interpreter on its way to a watcher.
struct Interpreter(*mut PyInterpreterState);

// SAFETY: an interpreter belongs to no thread; making a state for it needs none.
unsafe impl Send for Interpreter {}

impl Watcher {
    /// Starts one.
    ///
    /// # Safety
    ///
    /// `interpreter` stays alive until the watcher is [gone](Self::dismiss), or was left behind and
    /// [`all_gone`] says so.
    pub(super) unsafe fn start(interpreter: *mut PyInterpreterState) -> Result<Self, Error> {
        let shared =
            Arc::new(Shared { state: Mutex::new(State::default()), changed: Condvar::new() });
        let (theirs, interpreter) = (Arc::clone(&shared), Interpreter(interpreter));
        let serving = Serving::new(|| false);
        let watch = move || {
            let serving = serving; // Until the end.
            serving.begin();
            let interpreter = interpreter;
            theirs.watch(interpreter.0);
        };
        let thread = thread::Builder::new().name("raddle stop".to_owned()).spawn(watch);
        thread.map(|_| Self(shared)).map_err(|error| {
            Error::new(Status::NoMemory, format!("no thread can be started for the stop: {error}"))
        })
    }

    /// Waits for a report that was asked for after `since`, at most until `deadline`. True if it
    /// says that Python waits for nobody.
    pub(super) fn says_nobody(&self, since: Instant, deadline: Option<Instant>) -> bool {
        let fresh = |state: &State| state.report.as_ref().is_some_and(|told| told.asked >= since);
        let state = self.0.wait(deadline, fresh);
        fresh(&state) && state.report.as_ref().is_some_and(|report| report.names.is_empty())
    }

    /// Who was there at the last report; somebody nameless if there is none.
    pub(super) fn remaining(&self) -> Vec<Remaining> {
        let state = lock(&self.0.state);
        let names = match &state.report {
            Some(report) => report.names.clone(),
            None => vec!["a thread that holds Python and does not give it up".to_owned()],
        };
        names.into_iter().map(|name| Remaining { name, since: Since::PythonThread }).collect()
    }

    /// Sends it away and waits until it is gone, at most until `deadline`; then leaves it behind.
    pub(super) fn dismiss(self, deadline: Option<Instant>) -> bool {
        lock(&self.0.state).dismissed = true;
        self.0.changed.notify_all();
        let gone = self.0.wait(deadline, |state| state.gone).gone;
        if !gone {
            lock(&LEFT_BEHIND).push(self);
        }
        gone
    }
}

/// Waits until all that were left behind are gone, at most until `deadline`.
pub(super) fn all_gone(deadline: Option<Instant>) -> bool {
    let left = core::mem::take(&mut *lock(&LEFT_BEHIND));
    let left = left.into_iter().map(|watcher| watcher.dismiss(deadline));
    // Collected first: each one is dismissed, whatever became of those before it.
    left.collect::<Vec<bool>>().into_iter().all(|gone| gone)
}

impl Shared {
    fn watch(&self, interpreter: *mut PyInterpreterState) {
        let mut nap = FIRST_NAP;
        loop {
            let asked = Instant::now();
            let names = ask(interpreter);
            let mut state = lock(&self.state);
            state.report = Some(Report { asked, names });
            self.changed.notify_all();
            let until = Some(Instant::now() + nap);
            drop(state);
            state = self.wait(until, |state| state.dismissed);
            if state.dismissed || control::is_abandoned() {
                state.gone = true;
                self.changed.notify_all();
                return;
            }
            nap = (nap * 2).min(LONGEST_NAP);
        }
    }

    /// Waits until `done`, at most until `deadline` or an abandon.
    fn wait(
        &self,
        deadline: Option<Instant>,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        while !done(&state) && !control::is_abandoned() {
            let patience = deadline.map(|when| when.saturating_duration_since(Instant::now()));
            if patience == Some(Duration::ZERO) {
                break;
            }
            let patience = patience.unwrap_or(LONGEST_NAP);
            state = match self.changed.wait_timeout(state, patience) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        state
    }
}

/// Takes Python for one question.
fn ask(interpreter: *mut PyInterpreterState) -> Vec<String> {
    // SAFETY: alive, by the promise to `start`.
    let state = unsafe { cpython::new_state(interpreter) };
    if state.is_null() {
        return vec!["unknown, for want of memory".to_owned()];
    }
    // SAFETY: this thread's, made two lines ago, and the thread holds nothing.
    unsafe { pyo3_ffi::PyEval_RestoreThread(state) };
    // SAFETY: attached a line ago.
    let py = unsafe { Python::assume_attached() };
    let names = boot::python_threads(py)
        .unwrap_or_else(|Raised(line)| vec![format!("unknown, since asking failed: {line}")]);
    // SAFETY: attached with it.
    unsafe { pyo3_ffi::PyThreadState_Clear(state) };
    // SAFETY: attached and cleared; gives Python up too.
    unsafe { pyo3_ffi::PyThreadState_DeleteCurrent() };
    names
}
