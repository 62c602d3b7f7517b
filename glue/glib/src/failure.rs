//! `GError` and exceptions: what went wrong, said in the other's way.
//!
//! | there                             | here                                                      |
//! |-----------------------------------|-----------------------------------------------------------|
//! | a `GError`                        | raddle.GError with domain, code and message; PyGObject's  |
//! |                                   | GLib.Error if that is in the process                      |
//! | an exception with these three     | the same error                                            |
//! | asyncio's CancelledError          | G_IO_ERROR_CANCELLED                                      |
//! | any other exception               | RADDLE_STATUS_PYTHON of RADDLE_DOMAIN, "ValueError: text"  |

use core::ffi::{CStr, c_int};
use core::ptr;
use std::ffi::CString;

use glib::ffi::{self as glib_ffi, GError, GQuark};
use glib::gobject_ffi;
use glib::translate::{ToGlibPtr as _, ToGlibPtrMut as _, from_glib_full};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};
use raddle::object::{self, Kind, Object, Pending};
use raddle::{Closed, Error, Raised, Status};

use crate::value::{self, Answer, error_type, native_text, text, text_of};

/// `G_IO_ERROR_CANCELLED`, of a library that need not be there.
const CANCELLED: c_int = 19;

/// The domain of raddle's errors, whose codes are those of `RaddleStatus`.
#[must_use]
pub fn domain() -> GQuark {
    // SAFETY: a static text.
    unsafe { glib_ffi::g_quark_from_static_string(c"raddle-error-quark".as_ptr()) }
}

/// An exception that says what `error` does.
///
/// # Safety
///
/// `error` is alive.
pub(crate) unsafe fn to_python(py: Python<'_>, error: *const GError) -> Answer<'_> {
    // SAFETY: by the caller's promise.
    let error = unsafe { &*error };
    // SAFETY: the number of a text, or of none.
    let domain = unsafe { glib_ffi::g_quark_to_string(error.domain) };
    let class = Object::import(py, c"raddle._error");
    let class = class.and_then(|module| module.attribute(c"GError"));
    let class = class.map_err(|object::Raised(line)| Pending::new(py, Kind::Runtime, &line))?;
    // SAFETY: an error has a message, which lives as long as it.
    let message = text(py, &unsafe { native_text(error.message) })?;
    // SAFETY: a quark's text, which is for ever, or null.
    let domain = unsafe { value::text_or_none(py, domain) }?;
    // SAFETY: Python is held.
    let code = unsafe { ffi::PyLong_FromLong(error.code.into()) };
    // SAFETY: as that function returns.
    let code = unsafe { Object::answered(py, code) }?;
    let (message, domain, code) = (message.as_ptr(), domain.as_ptr(), code.as_ptr());
    let end = ptr::null_mut::<PyObject>();
    // SAFETY: a class, its arguments, and the null that ends the list.
    let raw =
        unsafe { ffi::PyObject_CallFunctionObjArgs(class.as_ptr(), message, domain, code, end) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// The error that an exception with a domain, a code and a message stands for, owned; `None` if it
/// has no such three.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn of(py: Python<'_>, object: *mut PyObject) -> Option<*mut GError> {
    // SAFETY: by the caller's promise.
    let object = unsafe { Object::borrowed(py, object) }?;
    let domain = object.attribute(c"domain").ok()?;
    let code = object.attribute(c"code").ok()?;
    let message = object.attribute(c"message").ok()?;
    let texts = || {
        // SAFETY: alive.
        let domain = unsafe { text_of(py, domain.as_ptr()) }?;
        // SAFETY: alive.
        Ok::<_, Pending>((domain, unsafe { text_of(py, message.as_ptr()) }?))
    };
    let texts = texts();
    // SAFETY: alive; -1 with an exception if it is no number.
    let code = unsafe { ffi::PyLong_AsLong(code.as_ptr()) };
    // SAFETY: Python is held.
    if texts.is_err() || code == -1 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        // SAFETY: Python is held; it is no such error.
        unsafe { ffi::PyErr_Clear() };
        return None;
    }
    let (domain, message) = texts.ok()?;
    // SAFETY: a text.
    let domain = unsafe { glib_ffi::g_quark_from_string(domain.as_ptr()) };
    Some(new(domain, c_int::try_from(code).ok()?, &message))
}

fn new(domain: GQuark, code: c_int, message: &CStr) -> *mut GError {
    // SAFETY: a domain and a text, which is copied.
    unsafe { glib_ffi::g_error_new_literal(domain, code, message.as_ptr()) }
}

fn of_status(status: Status, line: &str) -> *mut GError {
    let line = CString::new(line.replace('\0', " ")).unwrap_or_default();
    new(domain(), status as c_int, &line)
}

/// The error for what was raised, owned. Python is held.
pub(crate) fn of_raised(py: Python<'_>, raised: &Raised) -> *mut GError {
    if let Some(exception) = raised.exception(py) {
        // SAFETY: alive.
        if let Some(error) = unsafe { of(py, exception.as_ptr()) } {
            return error;
        }
    }
    if raised.line().starts_with("CancelledError") {
        // SAFETY: a static text.
        let domain = unsafe { glib_ffi::g_quark_from_static_string(c"g-io-error-quark".as_ptr()) };
        return new(domain, CANCELLED, c"Operation was cancelled");
    }
    of_status(Status::Python, raised.line())
}

/// The error for one of raddle's, owned.
#[must_use]
pub fn of_error(error: &Error) -> *mut GError {
    of_status(error.status(), error.message())
}

/// The error for a gate that let nobody in, owned.
pub(crate) fn of_closed(closed: Closed) -> *mut GError {
    of_error(&closed.into())
}

/// Sets the exception that says what `error` does: PyGObject's `GLib.Error` if that is in the process.
/// If it cannot be made, what went wrong is set in its place.
///
/// # Safety
///
/// `error` is alive.
pub unsafe fn set(py: Python<'_>, error: *const GError) {
    let mut value = value::empty(error_type());
    // SAFETY: a value of this kind, and an error that it copies.
    unsafe { gobject_ffi::g_value_set_boxed(value.to_glib_none_mut().0, error.cast()) };
    // SAFETY: initialised.
    if let Ok(exception) = unsafe { value::to_python(py, value.to_glib_none().0) } {
        // SAFETY: alive.
        let class = unsafe { ffi::Py_TYPE(exception.as_ptr()) };
        // SAFETY: a class of exceptions, and one of it.
        unsafe { ffi::PyErr_SetObject(class.cast(), exception.as_ptr()) };
    }
}

/// The error for the exception that is set, owned; null if none is. It is set no longer.
pub fn take(py: Python<'_>) -> *mut GError {
    Raised::take(py).map_or(ptr::null_mut(), |raised| of_raised(py, &raised))
}

/// Sets the Python exception that says what `error` does: PyGObject's `GLib.Error` if that is in the
/// process, else `raddle.GError`. For a function that Python calls, and that fails as GLib does.
pub fn raise_error(py: Python<'_>, error: &glib::Error) {
    // SAFETY: alive.
    unsafe { set(py, error.to_glib_none().0) };
}

/// Takes the Python exception that is set, as [`call`](crate::call()) does: for a function that GLib
/// calls, and that fails as Python does.
///
/// # Errors
///
/// What was raised, which is set no longer.
pub fn take_error(py: Python<'_>) -> Result<(), glib::Error> {
    let error = take(py);
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: an error that is given to the caller.
    Err(unsafe { from_glib_full(error) })
}

/// A Python exception for one of raddle's errors.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> Pending {
    let kind = match error.status() {
        Status::Null | Status::Invalid => Kind::Value,
        _ => Kind::Runtime,
    };
    Pending::new(py, kind, error.message())
}
