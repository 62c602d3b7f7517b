//! Closures and Python callables as tasklets.
//!
//! ```text
//!   spawn(body)   Shared <--- handle          joined, killed
//!                    ^
//!                  run --- parcel --- C function --- tasklet object --- run queue
//!                   |
//!                catch_unwind(body)            nothing unwinds through CPython's frames
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::types::{PyDict, PyTuple};
use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::{self as ffi, PyMethodDef};

use super::fault::Fault;
use super::join::{JoinError, Shared, Tasklet};
use super::ops::{self, Raw};
use super::scheduler::Scheduler;
use super::{kinds, parcel, raw};
use crate::gate::{Raised, Ref};
use crate::object::Pending;
use crate::table::Table;

/// What a tasklet of Rust's runs: what may be dropped anywhere, and what stays.
type Run = Box<dyn FnOnce(Python<'_>) + Send>;
type RunHere = Box<dyn FnOnce(Python<'_>)>;

/// Runs a closure as a tasklet of this thread, from the next time that the others have their turn.
///
/// The closure runs on a stack of its own, with Python held. It is dropped where Python drops the tasklet
/// if it never begins. A panic in it is what a [`join`](Tasklet::join) gives. The token that it is given
/// is the bare one, of which PyO3's own count of attachments knows nothing (see [`Entry`](crate::Entry)).
///
/// # Errors
///
/// If tasklets cannot be used here: in a subinterpreter, or while Python ends.
///
/// # Examples
///
/// ```
/// # let runtime = raddle::Runtime::start(&raddle::Options::new())?;
/// use raddle::tasklet::{self, JoinError};
///
/// let sum = raddle::enter(|py| {
///     let halves = [1..=50, 51..=100].map(|half| tasklet::spawn(py, move |_py| half.sum::<u64>()));
///     let mut sum = 0;
///     for half in halves {
///         sum += half?.join(py)?;
///     }
///     Ok::<_, JoinError>(sum)
/// })??;
/// assert_eq!(sum, 5050);
/// # runtime.stop(None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn spawn<T: Send + 'static>(
    py: Python<'_>,
    body: impl FnOnce(Python<'_>) -> T + Send + 'static,
) -> Result<Tasklet<T>, Fault> {
    let shared = Shared::new();
    let run: Run = Box::new(bind(Arc::clone(&shared), move |py| Ok(body(py))));
    finish(py, start(parcel::anywhere, run), shared)
}

/// [`spawn`] for a closure, or a value, that stays on this thread. It is dropped here too; if this thread
/// has ended it is leaked on purpose.
///
/// # Errors
///
/// As [`spawn`].
pub fn spawn_local<T: 'static>(
    py: Python<'_>,
    body: impl FnOnce(Python<'_>) -> T + 'static,
) -> Result<Tasklet<T>, Fault> {
    let shared = Shared::new();
    let run: RunHere = Box::new(bind(Arc::clone(&shared), move |py| Ok(body(py))));
    finish(py, start(parcel::here, run), shared)
}

/// Calls a Python callable as a tasklet of this thread, from the next time that the others have their turn.
///
/// What it raises is what a [`join`](Tasklet::join) gives, and no tasklet's that watches over others.
///
/// # Errors
///
/// As [`spawn`].
///
/// # Examples
///
/// ```
/// # let runtime = raddle::Runtime::start(&raddle::Options::new())?;
/// use pyo3::prelude::*;
/// use raddle::tasklet::{self, JoinError};
///
/// raddle::enter(|py| {
///     let divmod = py.import("builtins")?.getattr("divmod")?;
///     let fine = tasklet::spawn_callable(&divmod, &(7, 2).into_pyobject(py)?, None)?.join(py)?;
///     assert_eq!(fine.bind(py).extract::<(u32, u32)>()?, (3, 1));
///     match tasklet::spawn_callable(&divmod, &(7, 0).into_pyobject(py)?, None)?.join(py) {
///         Err(JoinError::Raised(raised)) => assert!(raised.line().starts_with("ZeroDivisionError")),
///         other => panic!("{other:?}"),
///     }
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })??;
/// # runtime.stop(None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn spawn_callable(
    callable: &Bound<'_, PyAny>,
    arguments: &Bound<'_, PyTuple>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> Result<Tasklet<Ref>, Fault> {
    let py = callable.py();
    let (callable, arguments) = (Ref::new(callable.clone()), Ref::new(arguments.clone()));
    let keywords = keywords.map(|keywords| Ref::new(keywords.clone()));
    let shared = Shared::new();
    let run: Run = Box::new(bind(Arc::clone(&shared), move |py| {
        let bound = (callable.try_bind(py), arguments.try_bind(py));
        let (Some(callable), Some(arguments)) = bound else { return Err(JoinError::Killed) };
        let keywords = keywords.as_ref().and_then(|keywords| keywords.try_bind(py));
        let keywords = keywords.as_ref().map_or(core::ptr::null_mut(), Bound::as_ptr);
        match ops::call(callable.as_ptr(), arguments.as_ptr(), keywords) {
            Ok(value) => Ok(Ref::new(ops::owned(py, value))),
            Err(_) if ops::raised_is(kinds::tasklet_exit()) => {
                ops::forget_raised();
                Err(JoinError::Killed)
            }
            Err(_) => Err(Raised::take(py).map_or(JoinError::Killed, JoinError::Raised)),
        }
    }));
    finish(py, start(parcel::anywhere, run), shared)
}

fn finish<T>(
    py: Python<'_>,
    started: Result<Raw, Pending>,
    shared: Arc<Shared<T>>,
) -> Result<Tasklet<T>, Fault> {
    let object = started.map_err(Fault::take)?;
    Ok(Tasklet::new(Ref::new(ops::owned(py, object)), shared))
}

/// Whoever waits for a tasklet is told when its closure is dropped, which is with Python held.
struct Promise<T>(Arc<Shared<T>>);

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.0.finish(Err(JoinError::Killed)); // Nothing, if it has.
    }
}

/// What runs `body` and tells how that ended.
fn bind<T, B: FnOnce(Python<'_>) -> Result<T, JoinError>>(
    shared: Arc<Shared<T>>,
    body: B,
) -> impl FnOnce(Python<'_>) + use<T, B> {
    let promise = Promise(shared);
    move |py| {
        // What the closure has is dropped with it, whichever way it ends: nobody sees it afterwards.
        let outcome = catch_unwind(AssertUnwindSafe(|| body(py)));
        promise.0.finish(outcome.unwrap_or_else(|payload| Err(JoinError::Panicked(payload))));
    }
}

/// Makes a tasklet of this thread that runs something, and puts it into the run queue. Owned.
fn start<R>(
    pack: impl FnOnce(Scheduler, R) -> Result<Raw, Pending>,
    run: R,
) -> Result<Raw, Pending> {
    let parcel = pack(Scheduler::here()?, run)?;
    // SAFETY: a row that lives for ever; the function keeps the parcel.
    let function = unsafe { ffi::PyCFunction_NewEx(ROW.start(), parcel, core::ptr::null_mut()) };
    ops::decref(parcel);
    let function = ops::check(function)?;
    let task = raw::new_tasklet(core::ptr::null_mut(), function);
    ops::decref(function);
    let task = task?;
    match raw::setup(task, core::ptr::null_mut(), core::ptr::null_mut()) {
        Ok(()) => Ok(task),
        Err(pending) => {
            ops::decref(task);
            Err(pending)
        }
    }
}

static ROW: Table<PyMethodDef> = Table::new(PyMethodDef {
    ml_name: c"closure".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: call },
    ml_flags: ffi::METH_NOARGS,
    ml_doc: c"A closure of Rust's.".as_ptr(),
});

/// The tasklet's function.
unsafe extern "C" fn call(parcel: Raw, _: Raw) -> Raw {
    if let Some(run) = parcel::take::<Run>(parcel) {
        run(ops::held());
    } else if let Some(run) = parcel::take::<RunHere>(parcel) {
        run(ops::held());
    }
    if ops::is_raised() {
        ops::report_raised(parcel); // A closure has no way to raise: somebody forgot it.
    }
    ops::new_none()
}
