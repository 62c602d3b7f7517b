//! What is posted to a queue of completions: run once with Python held, or dropped anywhere.
//!
//! Nothing in it is a Python reference that the producer has counted: a callable is shared behind
//! Rust's own count, and its arguments are made when it is called.

use core::ffi::c_void;
use core::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::{self as ffi, PyObject};

use super::operation::{Core, Outcome};
use crate::gate::Ref;
use crate::object::{Kind, Pending};

/// What C posts: called once, with Python held.
pub type Func = unsafe extern "C" fn(user_data: *mut c_void);

/// Makes an object: a new reference, or null with an exception set. Python is held.
pub type Make = unsafe extern "C" fn(user_data: *mut c_void) -> *mut PyObject;

/// A pointer from C, and what frees what is behind it: exactly once, when this is dropped.
#[derive(Debug)]
pub struct Data {
    user_data: *mut c_void,
    notify: Option<Func>,
}

// SAFETY: `new` has the caller promise that both may be used on any thread.
unsafe impl Send for Data {}

impl Data {
    /// # Safety
    ///
    /// `notify` may be called once with `user_data`, on any thread, held or not.
    #[must_use]
    pub unsafe fn new(user_data: *mut c_void, notify: Option<Func>) -> Self {
        Self { user_data, notify }
    }

    /// The pointer.
    #[must_use]
    pub const fn user_data(&self) -> *mut c_void {
        self.user_data
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Some(notify) = self.notify {
            // SAFETY: by the promise of `new`; nobody drops twice.
            unsafe { notify(self.user_data) };
        }
    }
}

/// A Python callable that any thread may post calls of, without touching its reference count.
#[derive(Clone, Debug)]
pub struct Callable(Arc<Ref>);

impl Callable {
    /// Takes the reference over.
    #[must_use]
    pub fn new(callable: impl Into<Ref>) -> Self {
        Self(Arc::new(callable.into()))
    }
}

/// A Python object that somebody else keeps alive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lent(pub(super) *mut PyObject);

// SAFETY: an address, used with Python held only.
unsafe impl Send for Lent {}

/// Makes the arguments of a call.
pub type Arguments = Box<dyn for<'py> FnOnce(Python<'py>) -> Option<Bound<'py, PyAny>> + Send>;

/// What is to be run.
pub(super) enum Work {
    /// `func(user_data)`, for C.
    Func(Func, Data),
    /// A Rust closure.
    Closure(Box<dyn FnOnce(Python<'_>) + Send>),
    /// `callable(*arguments)`, the arguments made by Rust.
    Call(Callable, Arguments),
    /// `callable(*arguments)`, for C: lent until the data is notified, its arguments made by C.
    Lent(Lent, Option<Make>, Data),
    /// `callable(*arguments)`, for Python.
    Python(Ref, Ref),
    /// What became of an operation.
    Outcome(Arc<Core>, Outcome),
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Func(..) => "Func",
            Self::Closure(_) => "Closure",
            Self::Call(..) => "Call",
            Self::Lent(..) => "Lent",
            Self::Python(..) => "Python",
            Self::Outcome(..) => "Outcome",
        })
    }
}

impl Work {
    /// Runs it, for an asyncio loop if one runs this. What it raises is left set on this thread; gives
    /// what that is about, if anything.
    pub(super) fn run(self, py: Python<'_>, asyncio: Option<*mut PyObject>) -> Option<Ref> {
        match self {
            Self::Func(func, data) => {
                // SAFETY: whoever posted it promised that it may be called once, with Python held.
                unsafe { func(data.user_data) };
                None
            }
            Self::Closure(body) => {
                if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| body(py))) {
                    raise_panic(py, &*panic);
                }
                None
            }
            Self::Call(Callable(callable), arguments) => {
                let callable = callable.try_bind(py)?;
                let arguments = panic::catch_unwind(AssertUnwindSafe(|| arguments(py)));
                let called = match arguments {
                    Ok(arguments) => {
                        arguments.is_some_and(|given| call(callable.as_ptr(), given.as_ptr()))
                    }
                    Err(panic) => {
                        raise_panic(py, &*panic);
                        false
                    }
                };
                (!called).then(|| Ref::new(callable))
            }
            Self::Lent(Lent(callable), make, data) => run_lent(py, callable, make, &data),
            Self::Python(callable, arguments) => {
                let (callable, arguments) = (callable.try_bind(py)?, arguments.try_bind(py)?);
                let called = call(callable.as_ptr(), arguments.as_ptr());
                (!called).then(|| Ref::new(callable))
            }
            Self::Outcome(core, outcome) => {
                if let Some(promise) = core.take_promise() {
                    promise.settle(py, asyncio, outcome);
                }
                None
            }
        }
    }
}

/// Calls what C keeps alive until `data` is dropped.
fn run_lent(
    py: Python<'_>,
    callable: *mut PyObject,
    make: Option<Make>,
    data: &Data,
) -> Option<Ref> {
    let called = match make {
        None => {
            // SAFETY: Python is held, and the callable is alive as long as `data`.
            drop_result(unsafe { ffi::PyObject_CallNoArgs(callable) })
        }
        Some(make) => {
            // SAFETY: whoever posted it promised that it may be called once, with Python held.
            let arguments = unsafe { make(data.user_data) };
            let called = !arguments.is_null() && call(callable, arguments);
            // SAFETY: owned, or null.
            unsafe { ffi::Py_XDECREF(arguments) };
            called
        }
    };
    if called {
        return None;
    }
    // SAFETY: alive as long as `data`, and Python is held.
    Some(Ref::new(unsafe { Bound::from_borrowed_ptr(py, callable) }))
}

/// Calls with a tuple of arguments, or with the one argument that anything else is. Whether it
/// returned; else an exception is set. Both are alive, and Python is held.
fn call(callable: *mut PyObject, arguments: *mut PyObject) -> bool {
    // SAFETY: alive.
    let result = if unsafe { ffi::PyTuple_Check(arguments) } != 0 {
        // SAFETY: Python is held; a callable and a tuple.
        unsafe { ffi::PyObject_Call(callable, arguments, core::ptr::null_mut()) }
    } else {
        // SAFETY: Python is held; two objects that are alive.
        unsafe { ffi::PyObject_CallOneArg(callable, arguments) }
    };
    drop_result(result)
}

fn drop_result(result: *mut PyObject) -> bool {
    // SAFETY: owned, or null.
    unsafe { ffi::Py_XDECREF(result) };
    !result.is_null()
}

/// A closure's panic, as the exception that the others are told of.
pub(super) fn raise_panic(py: Python<'_>, panic: &(dyn core::any::Any + Send)) {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let line = format!("a completion panicked: {}", text.unwrap_or("no reason given"));
    let _set = Pending::new(py, Kind::Runtime, &line);
}
