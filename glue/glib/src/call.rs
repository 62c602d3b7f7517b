//! A callable for native workers: called on whichever thread, its result in a `GValue`, what it raises
//! in a `GError`.

use core::ffi::c_void;
use core::ptr;

use glib::ffi::{self as glib_ffi, GError, GType};
use glib::gobject_ffi::{self, GValue};
use glib::translate::{ToGlibPtr as _, ToGlibPtrMut as _, from_glib_full};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};
use raddle::object::{Object, Pending};
use raddle::{Error, Raised, Ref};

use crate::callable::{Callable, Visit};
use crate::{closure, failure, value};

/// Calls `callable` without arguments; gives what it returns as a value of type `kind`, or of the type
/// that fits it if that is [`glib::Type::INVALID`].
///
/// # Errors
///
/// What it raised: an exception with a domain, a code and a message as that error, CancelledError as
/// `G_IO_ERROR_CANCELLED`, any other as `RADDLE_STATUS_PYTHON` of raddle's own domain. A gate that is
/// closed is an error of that domain too.
pub fn call(callable: &Ref, kind: glib::Type) -> Result<glib::Value, glib::Error> {
    let kind = glib::translate::IntoGlib::into_glib(kind);
    // SAFETY: an error that is given to the caller.
    call_raw(callable, kind).map_err(|error| unsafe { from_glib_full(error) })
}

/// [`call`] in C's form.
///
/// # Errors
///
/// As there, owned.
pub fn call_raw(callable: &Ref, kind: GType) -> Result<glib::Value, *mut GError> {
    // SAFETY: there are no arguments.
    unsafe { call_with_values_raw(callable, kind, 0, ptr::null()) }
}

/// [`call_raw`] with arguments.
///
/// # Errors
///
/// As there; an argument that cannot be converted is not passed, and its exception the error.
///
/// # Safety
///
/// There are `count` values, initialised.
pub unsafe fn call_with_values_raw(
    callable: &Ref,
    kind: GType,
    count: usize,
    values: *const GValue,
) -> Result<glib::Value, *mut GError> {
    let visit = Visit::begin().map_err(failure::of_closed)?;
    let py = visit.py();
    let Some(bound) = callable.try_bind(py) else {
        return Err(failure::of_error(&Error::new(
            raddle::Status::Invalid,
            "the callable is of a Python that has ended: make it anew",
        )));
    };
    // SAFETY: alive, and by the caller's promise.
    let result = unsafe { closure::call(py, bound.as_ptr(), count, values) };
    result.and_then(|result| convert(py, &result, kind)).map_err(|_pending| error_of(py))
}

/// The error for the exception that is set, owned. Python is held.
fn error_of(py: Python<'_>) -> *mut GError {
    match Raised::take(py) {
        Some(raised) => failure::of_raised(py, &raised),
        None => {
            failure::of_error(&Error::new(raddle::Status::Python, "an error without an exception"))
        }
    }
}

/// `result` as a value of type `kind`, or of the one that fits.
fn convert(py: Python<'_>, result: &Object<'_>, kind: GType) -> Result<glib::Value, Pending> {
    let kind = if kind == gobject_ffi::G_TYPE_INVALID {
        // SAFETY: alive.
        unsafe { value::guess(py, result.as_ptr()) }?
    } else {
        kind
    };
    let mut converted = value::empty(kind);
    // SAFETY: initialised, and alive.
    unsafe { value::to_value(py, result.as_ptr(), converted.to_glib_none_mut().0) }?;
    Ok(converted)
}

/// What a pool's thread calls when a piece of work is done, or was thrown away: with a value or an
/// error.
pub type Done = unsafe extern "C" fn(*const GValue, *const GError, *mut c_void);

/// A piece of work for a thread of a `GThreadPool`.
#[derive(Debug)]
pub struct Work {
    callable: Ref,
    kind: GType,
    done: Option<Done>,
    data: *mut c_void,
    notify: glib_ffi::GDestroyNotify,
}

// SAFETY: a Ref goes anywhere; the data is only passed on, where whoever made the work said that it may be.
unsafe impl Send for Work {}

impl Work {
    /// Work that calls `callable`.
    ///
    /// # Errors
    ///
    /// [`Status::Invalid`](raddle::Status::Invalid) if it is not callable; what [`raddle::enter`]
    /// says if the gate is closed. `notify` is not called then.
    pub fn new(
        callable: Ref,
        kind: GType,
        done: Option<Done>,
        data: *mut c_void,
        notify: glib_ffi::GDestroyNotify,
    ) -> Result<Box<Self>, Error> {
        let callable = Callable::new(callable)?.into_ref();
        Ok(Box::new(Self { callable, kind, done, data, notify }))
    }

    /// Calls the callable, and `done` with what came of it.
    ///
    /// # Safety
    ///
    /// `done` may be called here, with the data.
    pub unsafe fn run(&self) {
        // SAFETY: by the caller's promise.
        unsafe { self.end(call_raw(&self.callable, self.kind)) };
    }

    /// What it calls.
    pub(crate) fn callable(&self) -> &Ref {
        &self.callable
    }

    /// Tells what a future came to. Python is held.
    ///
    /// # Safety
    ///
    /// `future` is alive; `done` may be called here, with the data.
    pub(crate) unsafe fn end_as(&self, py: Python<'_>, future: *mut PyObject) {
        // SAFETY: alive, by the caller's promise; a name.
        let result = unsafe { ffi::PyObject_GetAttrString(future, c"result".as_ptr()) };
        // SAFETY: as that function returns.
        let result = unsafe { Object::answered(py, result) }.and_then(|result| {
            // SAFETY: alive.
            let raw = unsafe { ffi::PyObject_CallNoArgs(result.as_ptr()) };
            // SAFETY: as that function returns.
            unsafe { Object::answered(py, raw) }
        });
        let value = result.and_then(|result| convert(py, &result, self.kind));
        // SAFETY: by the caller's promise.
        unsafe { self.end(value.map_err(|_pending| error_of(py))) };
    }

    /// # Safety
    ///
    /// `done` may be called here, with the data.
    unsafe fn end(&self, called: Result<glib::Value, *mut GError>) {
        match called {
            Ok(value) => {
                // SAFETY: a value, and the caller's promise.
                unsafe { self.tell(value.to_glib_none().0, ptr::null()) };
            }
            Err(error) => {
                // SAFETY: an error, and the caller's promise.
                unsafe { self.tell(ptr::null(), error) };
                // SAFETY: owned.
                unsafe { glib_ffi::g_error_free(error) };
            }
        }
    }

    /// # Safety
    ///
    /// As [`Done`].
    unsafe fn tell(&self, value: *const GValue, error: *const GError) {
        if let Some(done) = self.done {
            // SAFETY: by the caller's promise.
            unsafe { done(value, error, self.data) };
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(notify) = self.notify {
            // SAFETY: once, since the work is dropped once; on whichever thread, as was promised.
            unsafe { notify(self.data) };
        }
    }
}
