//! What an entry keeps apart for the code that runs in it: exceptions and context variables.

use core::{ffi::CStr, ptr};

use pyo3_ffi::PyObject;

use crate::error::Closed;
use crate::shelf::{self, Key};

/// Whether an exception is set. Python is held.
#[inline]
pub(super) fn is_pending() -> bool {
    // SAFETY: Python is held.
    !unsafe { pyo3_ffi::PyErr_Occurred() }.is_null()
}

/// Takes the exception that is set, or null. Python is held.
pub(crate) fn take_pending() -> *mut PyObject {
    if is_pending() { take() } else { ptr::null_mut() }
}

#[cfg(Py_3_12)]
fn take() -> *mut PyObject {
    // SAFETY: Python is held; gives an owned reference.
    unsafe { pyo3_ffi::PyErr_GetRaisedException() }
}

#[cfg(not(Py_3_12))]
fn take() -> *mut PyObject {
    let (mut kind, mut value, mut trace) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: Python is held; fills in three owned references or nulls.
    unsafe { pyo3_ffi::PyErr_Fetch(&raw mut kind, &raw mut value, &raw mut trace) };
    // SAFETY: what was just fetched; afterwards `value` is an instance.
    unsafe { pyo3_ffi::PyErr_NormalizeException(&raw mut kind, &raw mut value, &raw mut trace) };
    if !trace.is_null() {
        // SAFETY: an exception instance and its traceback.
        unsafe { pyo3_ffi::PyException_SetTraceback(value, trace) };
    }
    for reference in [kind, trace] {
        // SAFETY: owned since the fetch, or null; the instance keeps both alive.
        unsafe { pyo3_ffi::Py_XDECREF(reference) };
    }
    value
}

/// Sets an exception that was taken. Python is held; the reference goes with it.
#[cfg(Py_3_12)]
pub(super) fn put_pending(exception: *mut PyObject) {
    // SAFETY: Python is held, and the reference is owned.
    unsafe { pyo3_ffi::PyErr_SetRaisedException(exception) };
}

/// Sets an exception that was taken. Python is held; the reference goes with it.
#[cfg(not(Py_3_12))]
pub(super) fn put_pending(exception: *mut PyObject) {
    // SAFETY: an object's type is alive while the object is.
    let kind = unsafe { pyo3_ffi::Py_TYPE(exception) }.cast::<PyObject>();
    // SAFETY: alive; the restore below takes one reference.
    unsafe { pyo3_ffi::Py_INCREF(kind) };
    // SAFETY: an exception instance.
    let trace = unsafe { pyo3_ffi::PyException_GetTraceback(exception) };
    // SAFETY: three references that are ours to give.
    unsafe { pyo3_ffi::PyErr_Restore(kind, exception, trace) };
}

/// One line for an exception that was taken: its type and its text. Python is held.
pub(super) fn describe(exception: *mut PyObject) -> String {
    // SAFETY: an object's type is alive while the object is.
    let kind = unsafe { pyo3_ffi::Py_TYPE(exception) };
    // SAFETY: alive; every type has a name.
    let name = unsafe { (*kind).tp_name };
    // SAFETY: a type's name ends with a NUL.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    let text = text_of(exception);
    if text.is_empty() { name } else { format!("{name}: {text}") }
}

/// `str(object)`, or nothing if that raises. Python is held.
fn text_of(object: *mut PyObject) -> String {
    // SAFETY: Python is held, and the object alive.
    let text = unsafe { pyo3_ffi::PyObject_Str(object) };
    let mut length = 0;
    let mut bytes = ptr::null();
    if !text.is_null() {
        // SAFETY: a string, owned.
        bytes = unsafe { pyo3_ffi::PyUnicode_AsUTF8AndSize(text, &raw mut length) };
    }
    let result = if bytes.is_null() {
        // SAFETY: Python is held; what the text raised is of no use to anybody.
        unsafe { pyo3_ffi::PyErr_Clear() };
        String::new()
    } else {
        let length = usize::try_from(length).unwrap_or(0);
        // SAFETY: so many bytes, kept by the string.
        let bytes = unsafe { core::slice::from_raw_parts(bytes.cast::<u8>(), length) };
        String::from_utf8_lossy(bytes).into_owned()
    };
    // SAFETY: owned, or null.
    unsafe { pyo3_ffi::Py_XDECREF(text) };
    result
}

/// Whether an exception that was taken asks for an end: KeyboardInterrupt and SystemExit do, but for the
/// one that ends a tasklet. Python is held.
pub(super) fn asks_for_end(exception: *mut PyObject) -> bool {
    // SAFETY: a class that lives as long as the interpreter.
    let interrupt = unsafe { pyo3_ffi::PyExc_KeyboardInterrupt };
    // SAFETY: as above.
    let exit = unsafe { pyo3_ffi::PyExc_SystemExit };
    // SAFETY: Python is held; an exception and a class.
    let is = |kind| unsafe { pyo3_ffi::PyErr_GivenExceptionMatches(exception, kind) } != 0;
    let of_tasklet = shelf::find(Key::TaskletExit).map(core::ptr::NonNull::as_ptr);
    is(interrupt) || is(exit) && !of_tasklet.is_some_and(is)
}

/// Hands an exception that was taken to `sys.unraisablehook`, with the object that it is about.
/// Python is held; the reference to the exception goes with it.
pub(super) fn report_taken(exception: *mut PyObject, about: *mut PyObject) {
    put_pending(exception);
    // SAFETY: Python is held, an exception is set, and the object is alive.
    unsafe { pyo3_ffi::PyErr_WriteUnraisable(about) };
}

/// Hands an exception that an entry left set to `sys.unraisablehook`. Python is held.
#[inline]
pub(super) fn report_pending() {
    // SAFETY: Python is held.
    if !unsafe { pyo3_ffi::PyErr_Occurred() }.is_null() {
        report();
    }
}

#[cold]
fn report() {
    let exception = take();
    // SAFETY: Python is held, no exception is set, and the text ends with a NUL.
    let place = unsafe { pyo3_ffi::PyUnicode_FromString(c"an entry that left it set".as_ptr()) };
    put_pending(exception);
    // SAFETY: Python is held; null is allowed as the place.
    unsafe { pyo3_ffi::PyErr_WriteUnraisable(place) };
    // SAFETY: owned, or null.
    unsafe { pyo3_ffi::Py_XDECREF(place) };
}

/// Makes an empty context and enters it. Python is held.
pub(super) fn enter_context() -> Result<*mut PyObject, Closed> {
    // SAFETY: Python is held.
    let context = unsafe { pyo3_ffi::PyContext_New() };
    if context.is_null() {
        // SAFETY: Python is held.
        unsafe { pyo3_ffi::PyErr_Clear() };
        return Err(Closed::NoMemory);
    }
    // SAFETY: a context that was just made, and that nobody has entered.
    if unsafe { pyo3_ffi::PyContext_Enter(context) } != 0 {
        // SAFETY: Python is held.
        unsafe { pyo3_ffi::PyErr_Clear() };
        // SAFETY: owned.
        unsafe { pyo3_ffi::Py_DECREF(context) };
        return Err(Closed::NoMemory);
    }
    Ok(context)
}

/// Leaves a context and drops it. Python is held.
pub(super) fn leave_context(context: *mut PyObject) {
    let pending = take_pending();
    // SAFETY: Python is held, and the context was entered on this thread.
    if unsafe { pyo3_ffi::PyContext_Exit(context) } != 0 {
        // Somebody entered another context inside and did not leave it: say so, and go on.
        // SAFETY: Python is held; the exit set an exception.
        unsafe { pyo3_ffi::PyErr_WriteUnraisable(context) };
    }
    // SAFETY: owned since `enter_context`.
    unsafe { pyo3_ffi::Py_DECREF(context) };
    if !pending.is_null() {
        put_pending(pending);
    }
}
