//! An operation that native code does and Python awaits: whoever has a handle finishes or fails it
//! once, from any thread, and cancelling the future goes the other way.
//!
//! ```text
//!   native, any thread                 the queue                the loop's thread
//!   ------------------                 ---------                -----------------
//!   finish, fail   ---- FINISHED ----> outcome ---------------> set_result, set_exception
//!   last handle dropped -------------> "ended without" -------> set_exception
//!   is_cancelled  <---- CANCELLED --------------------------- <- future.cancel()
//!                                      cancel callback <-------- once, if not FINISHED
//!   finish, fail: nothing happens, and that is normal
//! ```
#![forbid(unsafe_code)]

use core::fmt;
use std::sync::{Arc, Weak};

use pyo3::types::PyBytes;
use pyo3::{Bound, IntoPyObject, IntoPyObjectExt as _, PyAny, Python};

use super::entry::Work;
use super::future::{self, Promise};
use super::python;
use super::queue::{Completions, State, Why};
use crate::error::{Error, Status};
use crate::gate::Raised;
use crate::object::Object;
use crate::primitive::{AtomicU32, Mutex, Ordering, lock};

/// Somebody has said what became of it.
const FINISHED: u32 = 1;
/// The future was cancelled before anybody had.
const CANCELLED: u32 = 2;

type Callback = Box<dyn FnOnce() + Send>;

/// Makes a result or an exception, with Python held; `None` with an exception left set to raise it.
pub(super) type MakeOutcome =
    Box<dyn for<'py> FnOnce(Python<'py>) -> Option<Bound<'py, PyAny>> + Send>;

/// What became of an operation.
pub(super) enum Outcome {
    Value(MakeOutcome),
    Exception(MakeOutcome),
    Failure(Error),
}

/// What an operation's handles and its future share.
pub(super) struct Core {
    state: AtomicU32,
    /// The future, until it is done.
    promise: Mutex<Option<Promise>>,
    cancel: Mutex<Option<Callback>>,
}

impl Core {
    pub(super) fn take_promise(&self) -> Option<Promise> {
        lock(&self.promise).take()
    }

    /// The future is done, on the loop's thread, with Python held.
    pub(super) fn done(&self, was_cancelled: bool) {
        let callback = lock(&self.cancel).take();
        // Not under their locks: what is dropped and called here may look at the operation.
        drop(self.take_promise());
        if !was_cancelled {
            return;
        }
        // AcqRel: whoever reads that it was cancelled sees what was done before, and the reverse.
        let before = self.state.fetch_or(CANCELLED, Ordering::AcqRel);
        if before & FINISHED == 0
            && let Some(callback) = callback
        {
            callback();
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Core").field(&self.state).finish()
    }
}

/// What has happened is said only once.
struct Shared {
    core: Arc<Core>,
    queue: Completions,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let line = "the operation ended without a result: its last handle was dropped";
        // Where it was finished already, as it should be, this changes nothing.
        let _finished = self.end(|| Outcome::Failure(Error::new(Status::Stopped, line)));
    }
}

impl Shared {
    fn end(&self, outcome: impl FnOnce() -> Outcome) -> Result<(), Error> {
        // AcqRel: as in `Core::done`.
        let before = self.core.state.fetch_or(FINISHED, Ordering::AcqRel);
        if before & FINISHED != 0 {
            let line = "the operation was finished already: that is done once";
            return Err(Error::new(Status::WrongOrder, line));
        }
        if before & CANCELLED != 0 {
            return Ok(());
        }
        let work = Work::Outcome(Arc::clone(&self.core), outcome());
        let state = self.queue.0.state();
        self.queue.push(state, work).map_err(|(why, _)| why.into())
    }
}

/// A handle to an operation. Clones are handles to the same one.
///
/// Finishing one whose future was cancelled, or is done otherwise, is normal and does nothing. When the
/// last handle is dropped and nobody has finished it, the future fails.
#[derive(Clone)]
pub struct Operation(Arc<Shared>);

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Operation").field(&self.0.core.state).finish()
    }
}

impl Operation {
    /// The result is `value`, which becomes an object on the loop's thread.
    ///
    /// # Errors
    ///
    /// [`Status::WrongOrder`] if it was finished already, [`Status::Stopped`] if the queue is closed: the
    /// future has failed then. The value is dropped.
    pub fn finish<T>(&self, value: T) -> Result<(), Error>
    where
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        self.finish_with(move |py| {
            value.into_bound_py_any(py).map_err(|error| error.restore(py)).ok()
        })
    }

    /// The result is `None`.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn finish_none(&self) -> Result<(), Error> {
        self.finish_with(|py| Some(py.None().into_bound(py)))
    }

    /// The result is a `bytes` of them.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn finish_bytes(&self, bytes: Vec<u8>) -> Result<(), Error> {
        self.finish_with(move |py| Some(PyBytes::new(py, &bytes).into_any()))
    }

    /// The result is what `make` makes on the loop's thread; `None` with an exception left set fails the
    /// operation with that.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn finish_with(
        &self,
        make: impl for<'py> FnOnce(Python<'py>) -> Option<Bound<'py, PyAny>> + Send + 'static,
    ) -> Result<(), Error> {
        self.0.end(|| Outcome::Value(Box::new(make)))
    }

    /// It has failed: the future raises a RuntimeError of that text, `status` its attribute.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn fail(&self, status: Status, message: impl Into<String>) -> Result<(), Error> {
        self.0.end(|| Outcome::Failure(Error::new(status, message.into())))
    }

    /// It has failed, with the exception that `make` makes on the loop's thread, or leaves set.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn fail_with(
        &self,
        make: impl for<'py> FnOnce(Python<'py>) -> Option<Bound<'py, PyAny>> + Send + 'static,
    ) -> Result<(), Error> {
        self.0.end(|| Outcome::Exception(Box::new(make)))
    }

    /// Whether the future was cancelled. May be asked on any thread, held or not.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        // Acquire: see `Core::done`.
        self.0.core.state.load(Ordering::Acquire) & CANCELLED != 0
    }
}

impl Completions {
    /// Starts an operation: a handle for native code, and an `asyncio.Future` for Python, of the loop that
    /// the queue is attached to, or else of the running one. To be called on that loop's thread.
    ///
    /// If the future is cancelled before the operation is finished, `cancel` is called once: on the loop's
    /// thread, with Python held. Otherwise it is dropped.
    ///
    /// # Errors
    ///
    /// [`Status::WrongOrder`] if there is no loop, [`Status::Stopped`] if the queue is closed,
    /// [`Status::Python`] if the loop raised. `cancel` is dropped then.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn f(py: pyo3::Python<'_>, queue: &raddle::relay::completion::Completions)
    /// # -> Result<(), raddle::Error> {
    /// let (operation, future) = queue.start(py, || println!("nobody waits any more"))?;
    /// std::thread::spawn(move || operation.finish("done"));
    /// // `future` goes to Python, which awaits it.
    /// # drop(future);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start<'py>(
        &self,
        py: Python<'py>,
        cancel: impl FnOnce() + Send + 'static,
    ) -> Result<(Operation, Bound<'py, PyAny>), Error> {
        if self.is_closed() {
            return Err(Why::Closed.into());
        }
        let asyncio = self.asyncio(py).map_or_else(|| python::running_loop(py), Ok);
        let asyncio = asyncio.map_err(|_pending| {
            drop(Raised::take(py));
            let line = "an operation needs a loop: attach the queue, or start it in a coroutine";
            Error::new(Status::WrongOrder, line)
        })?;
        self.start_on(py, &asyncio, Box::new(cancel)).map_err(|_pending| {
            let line = "an operation could not be started, and the loop did not say why";
            Raised::take(py).map_or_else(|| Error::new(Status::Python, line), Error::from)
        })
    }

    fn start_on<'py>(
        &self,
        py: Python<'py>,
        asyncio: &Object<'py>,
        cancel: Callback,
    ) -> Result<(Operation, Bound<'py, PyAny>), crate::object::Pending> {
        let future = python::call_method(py, asyncio.as_ptr(), c"create_future", &[])?;
        let promise = Promise::new(py, asyncio, &future)?;
        let core = Arc::new(Core {
            state: AtomicU32::new(0),
            promise: Mutex::new(Some(promise)),
            cancel: Mutex::new(Some(cancel)),
        });
        future::when_done(py, &future, Arc::downgrade(&core))?;
        let state = self.0.state();
        remember(state, Arc::downgrade(&core));
        let operation = Operation(Arc::new(Shared { core, queue: self.clone() }));
        if state.list.is_closed() {
            // Meanwhile, and the one who closed it may not have seen this one.
            self.fail_owed(py);
        }
        Ok((operation, python::bound(py, future)))
    }

    /// What a closed queue owes, to be told to whoever awaits it.
    pub(super) fn set_owed_aside(&self, state: &State) {
        let mut owed: Vec<Arc<Core>> = Vec::new();
        let operations = core::mem::take(&mut *lock(&state.operations));
        owed.extend(operations.iter().filter_map(Weak::upgrade));
        lock(&state.owed).append(&mut owed);
    }

    /// Fails what a closed queue owes. Python is held.
    pub(super) fn fail_owed(&self, py: Python<'_>) {
        let state = self.0.state();
        self.set_owed_aside(state);
        let owed = core::mem::take(&mut *lock(&state.owed));
        self.take_from_source();
        for core in owed {
            if let Some(promise) = core.take_promise() {
                let line = "the queue of completions was closed before the operation was finished";
                promise.settle(py, None, Outcome::Failure(Error::new(Status::Stopped, line)));
            }
        }
    }
}

/// Keeps a weak reference to an operation, for the end of its queue.
fn remember(state: &State, core: Weak<Core>) {
    let mut operations = lock(&state.operations);
    if operations.len() == operations.capacity() {
        operations.retain(|other| other.strong_count() > 0);
    }
    operations.push(core);
}
