//! A Python callable that any thread may call and drop, and what becomes of what it raises.

use core::ptr;
use std::os::fd::RawFd;

use glib::{ControlFlow, IOCondition};
use pyo3::Python;
use pyo3_ffi::PyObject;
use raddle::gate::Dispatch;
use raddle::{Closed, Entry, Error, Raised, Ref, Status};

use crate::{main_loop, wakeup};

/// An entry in which no exception is set: what the code outside has set is put back at the end.
///
/// It is made where it is used, in registers: most visits put nothing aside.
pub(crate) struct Visit {
    // Apart, so that the rest is small.
    pending: Option<Box<Raised>>,
    dispatch: Option<Dispatch>,
    entry: Entry,
}

impl Visit {
    #[inline(always)]
    pub(crate) fn begin() -> Result<Self, Closed> {
        let entry = Entry::new()?;
        Ok(Self { pending: Raised::take(entry.py()).map(Box::new), dispatch: None, entry })
    }

    /// For what a loop or a signal's emission calls, which is ended in the order of beginning: no tasklet
    /// that runs inside it may go on with an older one before it is over.
    #[inline(always)]
    pub(crate) fn of_dispatch() -> Result<Self, Closed> {
        let mut visit = Self::begin()?;
        visit.dispatch = Some(Dispatch::open());
        Ok(visit)
    }

    pub(crate) fn py(&self) -> Python<'_> {
        self.entry.py()
    }

    /// Runs `body` with PyO3 told that this thread is attached.
    pub(crate) fn run<R>(&self, body: impl FnOnce(Python<'_>) -> R) -> R {
        self.entry.run(body)
    }
}

impl Drop for Visit {
    #[inline(always)]
    fn drop(&mut self) {
        drop(self.dispatch.take());
        if let Some(pending) = self.pending.take() {
            pending.put_back(self.entry.py());
        }
    }
}

/// What a callable is called with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arguments {
    /// Nothing.
    None,
    /// A file descriptor, and what it is ready for.
    Ready(RawFd, IOCondition),
}

/// What a source calls.
#[derive(Debug)]
pub(crate) struct Callable(Ref);

impl Callable {
    /// Takes the reference over, if its object can be called.
    pub(crate) fn new(callable: Ref) -> Result<Self, Error> {
        let visit = Visit::begin()?;
        let Some(bound) = callable.try_bind(visit.py()) else {
            return Err(Error::new(
                Status::Invalid,
                "the callable is of a Python that has ended: make it anew",
            ));
        };
        // SAFETY: Python is held, and the object alive.
        if unsafe { pyo3_ffi::PyCallable_Check(bound.as_ptr()) } == 0 {
            return Err(Error::new(Status::Invalid, "the object is not callable: pass a function"));
        }
        drop(bound);
        Ok(Self(callable))
    }

    /// The reference, of an object that can be called.
    pub(crate) fn into_ref(self) -> Ref {
        self.0
    }

    /// Calls it. `Continue` if it returned something true; nothing is called once the gate is
    /// closed or Python was restarted.
    pub(crate) fn call(&self, arguments: Arguments) -> ControlFlow {
        let Ok(visit) = Visit::of_dispatch() else { return ControlFlow::Break };
        let Some(callable) = self.0.try_bind(visit.py()) else { return ControlFlow::Break };
        let again = truth(call(callable.as_ptr(), arguments));
        if let Some(raised) = Raised::take(visit.py()) {
            main_loop::raise(raised, &callable);
        }
        wakeup::note_call();
        drop(callable);
        drop(visit);
        if again == Some(true) { ControlFlow::Continue } else { ControlFlow::Break }
    }
}

/// Calls `callable`; null with an exception set if that raises. Python is held.
fn call(callable: *mut PyObject, arguments: Arguments) -> *mut PyObject {
    let Arguments::Ready(fd, condition) = arguments else {
        // SAFETY: Python is held, the object is alive, and no exception is set.
        return unsafe { pyo3_ffi::PyObject_CallNoArgs(callable) };
    };
    // SAFETY: Python is held.
    let fd = unsafe { pyo3_ffi::PyLong_FromLong(fd.into()) };
    // SAFETY: Python is held.
    let condition = unsafe { pyo3_ffi::PyLong_FromUnsignedLong(condition.bits().into()) };
    let result = if fd.is_null() || condition.is_null() {
        ptr::null_mut()
    } else {
        let end = ptr::null_mut::<PyObject>();
        // SAFETY: Python is held; a callable, two objects and the null that ends the list.
        unsafe { pyo3_ffi::PyObject_CallFunctionObjArgs(callable, fd, condition, end) }
    };
    for argument in [fd, condition] {
        // SAFETY: owned, or null.
        unsafe { pyo3_ffi::Py_XDECREF(argument) };
    }
    result
}

/// Whether `result`, which goes with the call, is true; `None` with an exception set. Python is held.
fn truth(result: *mut PyObject) -> Option<bool> {
    if result.is_null() {
        return None;
    }
    // SAFETY: Python is held, and the object alive.
    let truth = unsafe { pyo3_ffi::PyObject_IsTrue(result) };
    // SAFETY: owned.
    unsafe { pyo3_ffi::Py_DECREF(result) };
    (truth >= 0).then_some(truth > 0)
}
