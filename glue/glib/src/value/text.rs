//! Text: UTF-8, and what is not comes through unharmed, as Python's own file names do.

use core::ffi::{CStr, c_char};
use core::ptr;
use std::ffi::CString;

use glib::gobject_ffi::{self, GValue};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};
use raddle::object::{Kind, Object, Pending};

use super::{Answer, is_none, kind_of};

/// A str.
pub(crate) fn text<'py>(py: Python<'py>, text: &str) -> Answer<'py> {
    let length = ffi::Py_ssize_t::try_from(text.len()).unwrap_or(ffi::Py_ssize_t::MAX);
    // SAFETY: as many bytes of UTF-8 as are said.
    let raw = unsafe { ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), length) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// A str, or None for null.
///
/// # Safety
///
/// `text` is null, or ends with a NUL.
pub(crate) unsafe fn or_none(py: Python<'_>, text: *const c_char) -> Answer<'_> {
    if text.is_null() {
        return Ok(Object::none(py));
    }
    // SAFETY: by the caller's promise.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    let length = ffi::Py_ssize_t::try_from(bytes.len()).unwrap_or(ffi::Py_ssize_t::MAX);
    // SAFETY: as many bytes as are said, and the name of a way to treat errors.
    let raw = unsafe { ffi::PyUnicode_DecodeUTF8(text, length, c"surrogateescape".as_ptr()) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// Whether an object is a str.
pub(super) fn is_str(object: *mut PyObject) -> bool {
    // SAFETY: alive, as every caller's is.
    unsafe { ffi::PyUnicode_Check(object) != 0 }
}

/// The bytes of a str for C; anything else raises.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn text_of(py: Python<'_>, object: *mut PyObject) -> Result<CString, Pending> {
    if !is_str(object) {
        // SAFETY: by the caller's promise.
        let got = unsafe { kind_of(object) };
        let line = format!("a text is made from a str, not from {got}");
        return Err(Pending::new(py, Kind::Type, &line));
    }
    let mut length = 0;
    // SAFETY: a str.
    let start = unsafe { ffi::PyUnicode_AsUTF8AndSize(object, &raw mut length) };
    if !start.is_null() {
        // SAFETY: so many bytes, kept by the str.
        let bytes = unsafe { bytes(start, length) };
        return checked(py, bytes);
    }
    // SAFETY: Python is held; it has surrogates, which may stand for bytes.
    unsafe { ffi::PyErr_Clear() };
    let (encoding, errors) = (c"utf-8".as_ptr(), c"surrogateescape".as_ptr());
    // SAFETY: a str, and the names of an encoding and of a way to treat errors.
    let raw = unsafe { ffi::PyUnicode_AsEncodedString(object, encoding, errors) };
    // SAFETY: as that function returns.
    let encoded = unsafe { Object::answered(py, raw) }?;
    let mut start = ptr::null_mut();
    // SAFETY: a bytes object.
    unsafe { ffi::PyBytes_AsStringAndSize(encoded.as_ptr(), &raw mut start, &raw mut length) };
    // SAFETY: so many bytes, kept by the object.
    checked(py, unsafe { bytes(start, length) })
}

/// # Safety
///
/// `start` points to `length` bytes that live and do not change during `'a`.
unsafe fn bytes<'a>(start: *const c_char, length: ffi::Py_ssize_t) -> &'a [u8] {
    let length = usize::try_from(length).unwrap_or(0);
    // SAFETY: by the caller's promise.
    unsafe { core::slice::from_raw_parts(start.cast(), length) }
}

fn checked(py: Python<'_>, bytes: &[u8]) -> Result<CString, Pending> {
    CString::new(bytes).map_err(|_| {
        Pending::new(py, Kind::Value, "a text for GLib cannot have a NUL character in it")
    })
}

/// Puts a str or None into a value.
///
/// # Safety
///
/// `object` is alive, and `value` initialised for text.
pub(super) unsafe fn to_value(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    if is_none(object) {
        // SAFETY: a value of this kind.
        unsafe { gobject_ffi::g_value_set_string(value, ptr::null()) };
        return Ok(());
    }
    // SAFETY: alive, by the caller's promise.
    let text = unsafe { text_of(py, object) }?;
    // SAFETY: a value of this kind, and a text that it copies.
    unsafe { gobject_ffi::g_value_set_string(value, text.as_ptr()) };
    Ok(())
}
