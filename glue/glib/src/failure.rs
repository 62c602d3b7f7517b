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
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};
use raddle::object::{self, Kind, Object, Pending};
use raddle::shelf::{self, Key};
use raddle::{Closed, Error, Raised, Status};

use crate::value::{self, Answer, native_text, text, text_of};

/// The exception's class, on the shelf.
const CLASS: Key = Key::Above7;
/// `G_IO_ERROR_CANCELLED`, of a library that need not be there.
const CANCELLED: c_int = 19;

/// The domain of raddle's errors, whose codes are those of `RaddleStatus`.
#[must_use]
pub fn domain() -> GQuark {
    // SAFETY: a static text.
    unsafe { glib_ffi::g_quark_from_static_string(c"raddle-error-quark".as_ptr()) }
}

/// Makes the class, and puts it into the module and on the shelf.
pub(crate) fn add(py: Python<'_>, module: *mut PyObject) -> object::Result<()> {
    let doc = c"What a GLib function reports: the error's domain, code and message.";
    // SAFETY: read only, and written by Python before anybody holds it.
    let base = unsafe { ffi::PyExc_RuntimeError };
    let name = c"raddle.GError";
    // SAFETY: two texts and a class; null is allowed for the dict.
    let raw = unsafe {
        ffi::PyErr_NewExceptionWithDoc(name.as_ptr(), doc.as_ptr(), base, ptr::null_mut())
    };
    // SAFETY: as that function returns.
    let class = unsafe { Object::owned(py, raw) }?;
    // SAFETY: a module, a name and an object.
    let status = unsafe { ffi::PyObject_SetAttrString(module, c"GError".as_ptr(), class.as_ptr()) };
    object::check(py, status)?;
    shelf::put(CLASS, class);
    Ok(())
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
    let class = shelf::get(py, CLASS)?;
    // SAFETY: an error has a message, which lives as long as it.
    let message = text(py, &unsafe { native_text(error.message) })?;
    // SAFETY: a quark's text, which is for ever, or null.
    let domain = unsafe { value::text_or_none(py, domain) }?;
    // SAFETY: Python is held.
    let code = unsafe { ffi::PyLong_FromLong(error.code.into()) };
    // SAFETY: as that function returns.
    let code = unsafe { Object::answered(py, code) }?;
    let end = ptr::null_mut::<PyObject>();
    // SAFETY: a class, its argument, and the null that ends the list.
    let raw = unsafe { ffi::PyObject_CallFunctionObjArgs(class, message.as_ptr(), end) };
    // SAFETY: as that function returns.
    let exception = unsafe { Object::answered(py, raw) }?;
    for (name, value) in [(c"domain", &domain), (c"code", &code), (c"message", &message)] {
        // SAFETY: an object, a name and an object.
        let status = unsafe {
            ffi::PyObject_SetAttrString(exception.as_ptr(), name.as_ptr(), value.as_ptr())
        };
        if status != 0 {
            return Err(Pending::is_set());
        }
    }
    Ok(exception)
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

/// A Python exception for one of raddle's errors.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> Pending {
    let kind = match error.status() {
        Status::Null | Status::Invalid => Kind::Value,
        _ => Kind::Runtime,
    };
    Pending::new(py, kind, error.message())
}
