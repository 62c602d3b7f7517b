//! Boxed records that Python has a form for: lists of text, bytes, errors, objects of its own.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use std::ffi::CString;
use std::sync::OnceLock;

use glib::gobject_ffi::{self, GValue};
use glib::translate::ToGlibPtrMut as _;
use glib::{ffi as glib_ffi, ffi::GType};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};
use raddle::object::{Kind, Object, Pending};
use raddle::{Entry, gate};

use super::{Answer, is_none, kind_of, number, text, text_of, unwrapped, wrapped, wrong};
use crate::{failure, pygobject};

/// The type of a Python object in a `GValue`: copying one enters Python, freeing one never does.
pub fn object_type() -> GType {
    static TYPE: OnceLock<GType> = OnceLock::new();
    *TYPE.get_or_init(|| {
        let name = c"RaddleObject".as_ptr();
        // SAFETY: a name that nobody else has, and the two functions of a boxed type.
        unsafe { gobject_ffi::g_boxed_type_register_static(name, Some(copy), Some(free)) }
    })
}

unsafe extern "C" fn copy(object: *mut c_void) -> *mut c_void {
    // A gate that is closed gives nothing out: NULL is an empty value.
    let Ok(_entry) = Entry::new() else { return ptr::null_mut() };
    // SAFETY: alive while the value that is copied is, and Python is held.
    unsafe { ffi::Py_XINCREF(object.cast()) };
    object
}

unsafe extern "C" fn free(object: *mut c_void) {
    // SAFETY: owned by the value that is freed.
    unsafe { gate::decref(object.cast()) };
}

/// # Safety
///
/// `value` is initialised for a boxed type.
pub(super) unsafe fn to_python(py: Python<'_>, value: *const GValue) -> Answer<'_> {
    // SAFETY: by the caller's promise.
    let kind = unsafe { (*value).g_type };
    // SAFETY: a value of this kind.
    let record = unsafe { gobject_ffi::g_value_get_boxed(value) };
    if record.is_null() {
        return Ok(Object::none(py));
    }
    if kind == object_type() {
        // SAFETY: alive while the value is.
        return unsafe { Object::borrowed(py, record.cast()) }.ok_or_else(Pending::is_set);
    }
    if kind == strv_type() {
        // SAFETY: a list of texts that ends with a null, kept by the value.
        return unsafe { texts(py, record.cast()) };
    }
    if kind == value_type() {
        // SAFETY: a value, kept by the one around it.
        return unsafe { inner(py, record.cast()) };
    }
    if pygobject::find(py).is_none() {
        if kind == bytes_type() {
            // SAFETY: bytes, kept by the value.
            return unsafe { bytes(py, record.cast()) };
        }
        if kind == error_type() {
            // SAFETY: an error, kept by the value.
            return unsafe { failure::to_python(py, record.cast()) };
        }
    }
    // SAFETY: by the caller's promise.
    unsafe { wrapped(py, value) }
}

/// # Safety
///
/// `value` is a `GValue`, which may not be initialised.
unsafe fn inner(py: Python<'_>, value: *const GValue) -> Answer<'_> {
    // SAFETY: by the caller's promise.
    if unsafe { (*value).g_type } == gobject_ffi::G_TYPE_INVALID {
        return Ok(Object::none(py));
    }
    // SAFETY: initialised.
    unsafe { super::to_python(py, value) }
}

/// # Safety
///
/// `start` points to texts, of which the last is followed by a null.
unsafe fn texts(py: Python<'_>, mut start: *const *const c_char) -> Answer<'_> {
    // SAFETY: Python is held.
    let raw = unsafe { ffi::PyList_New(0) };
    // SAFETY: as that function returns.
    let list = unsafe { Object::answered(py, raw) }?;
    loop {
        // SAFETY: the list ends with a null, at which this stops.
        let text = unsafe { *start };
        if text.is_null() {
            return Ok(list);
        }
        // SAFETY: a text.
        let item = unsafe { text::or_none(py, text) }?;
        // SAFETY: a list and an object.
        if unsafe { ffi::PyList_Append(list.as_ptr(), item.as_ptr()) } != 0 {
            return Err(Pending::is_set());
        }
        start = start.wrapping_add(1);
    }
}

/// # Safety
///
/// `record` is a `GBytes`.
unsafe fn bytes(py: Python<'_>, record: *mut glib_ffi::GBytes) -> Answer<'_> {
    let mut size = 0;
    // SAFETY: by the caller's promise.
    let start = unsafe { glib_ffi::g_bytes_get_data(record, &raw mut size) };
    let length = ffi::Py_ssize_t::try_from(size).unwrap_or(ffi::Py_ssize_t::MAX);
    // SAFETY: so many bytes; null for none of them.
    let raw = unsafe { ffi::PyBytes_FromStringAndSize(start.cast(), length) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// # Safety
///
/// `value` is initialised for a boxed type, and `object` alive.
pub(super) unsafe fn to_value(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: by the caller's promise.
    let kind = unsafe { (*value).g_type };
    if kind == object_type() {
        // SAFETY: alive, and Python is held.
        unsafe { ffi::Py_INCREF(object) };
        // SAFETY: a value of this kind, which the reference is given to.
        unsafe { gobject_ffi::g_value_take_boxed(value, object.cast_const().cast()) };
        return Ok(());
    }
    if !is_none(object) {
        if kind == strv_type() {
            // SAFETY: alive, by the caller's promise, and a value of this kind.
            return unsafe { texts_to_value(py, object, value) };
        }
        if kind == value_type() {
            // SAFETY: alive, by the caller's promise, and a value of this kind.
            return unsafe { guess_to_value(py, object, value) };
        }
        // SAFETY: alive, by the caller's promise.
        if kind == bytes_type() && unsafe { ffi::PyObject_CheckBuffer(object) } != 0 {
            // SAFETY: alive, by the caller's promise, and a value of this kind.
            return unsafe { bytes_to_value(py, object, value) };
        }
        // SAFETY: alive, by the caller's promise.
        let error = |()| unsafe { failure::of(py, object) };
        if let Some(error) = (kind == error_type()).then_some(()).and_then(error) {
            // SAFETY: a value of this kind, which the error is given to.
            unsafe { gobject_ffi::g_value_take_boxed(value, error.cast_const().cast()) };
            return Ok(());
        }
    }
    // SAFETY: by the caller's promise.
    unsafe { unwrapped(py, object, value) }
}

/// # Safety
///
/// As [`to_value`].
unsafe fn texts_to_value(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: alive, by the caller's promise.
    let is_sequence = unsafe { ffi::PySequence_Check(object) != 0 };
    if text::is_str(object) || !is_sequence {
        // SAFETY: alive, by the caller's promise.
        return Err(wrong(py, strv_type(), &unsafe { kind_of(object) }));
    }
    // SAFETY: a sequence.
    let count = unsafe { ffi::PySequence_Size(object) };
    let mut kept: Vec<CString> = Vec::new();
    for index in 0..count {
        // SAFETY: a sequence, which raises if it has shrunk meanwhile.
        let raw = unsafe { ffi::PySequence_GetItem(object, index) };
        // SAFETY: as that function returns.
        let item = unsafe { Object::answered(py, raw) }?;
        // SAFETY: alive.
        kept.push(unsafe { text_of(py, item.as_ptr()) }?);
    }
    if count < 0 {
        return Err(Pending::is_set());
    }
    let mut starts: Vec<*const c_char> = kept.iter().map(|text| text.as_ptr()).collect();
    starts.push(ptr::null());
    // SAFETY: a value of this kind, and a list that it copies.
    unsafe { gobject_ffi::g_value_set_boxed(value, starts.as_ptr().cast()) };
    Ok(())
}

/// # Safety
///
/// As [`to_value`], of an object with a buffer.
unsafe fn bytes_to_value(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: alive, by the caller's promise, with a buffer.
    let raw = unsafe { ffi::PyBytes_FromObject(object) };
    // SAFETY: as that function returns.
    let copied = unsafe { Object::answered(py, raw) }?;
    // SAFETY: a bytes object.
    let start = unsafe { ffi::PyBytes_AsString(copied.as_ptr()) };
    // SAFETY: as above.
    let length = unsafe { ffi::PyBytes_Size(copied.as_ptr()) };
    // SAFETY: so many bytes, which are copied.
    let record = unsafe { glib_ffi::g_bytes_new(start.cast_const().cast(), length.unsigned_abs()) };
    // SAFETY: a value of this kind, which the record is given to.
    unsafe { gobject_ffi::g_value_take_boxed(value, record.cast_const().cast()) };
    Ok(())
}

/// A value in a value: of the type that its content suggests.
///
/// # Safety
///
/// As [`to_value`].
unsafe fn guess_to_value(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: alive, by the caller's promise.
    let kind = unsafe { guess(py, object) }?;
    let mut inner = super::empty(kind);
    let inner = inner.to_glib_none_mut().0;
    // SAFETY: initialised, and alive by the caller's promise.
    unsafe { super::to_value(py, object, inner) }?;
    // SAFETY: a value of this kind, and one that it copies.
    unsafe { gobject_ffi::g_value_set_boxed(value, inner.cast_const().cast()) };
    Ok(())
}

/// The type that a Python object suggests.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn guess(py: Python<'_>, object: *mut PyObject) -> Result<GType, Pending> {
    // SAFETY: alive, by the caller's promise; so are the next.
    if unsafe { ffi::PyBool_Check(object) } != 0 {
        return Ok(gobject_ffi::G_TYPE_BOOLEAN);
    }
    // SAFETY: as above.
    if unsafe { ffi::PyFloat_Check(object) } != 0 {
        return Ok(gobject_ffi::G_TYPE_DOUBLE);
    }
    if text::is_str(object) {
        return Ok(gobject_ffi::G_TYPE_STRING);
    }
    if number::is_index(object) {
        let mut overflow: c_int = 0;
        // SAFETY: as above.
        let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow) };
        // SAFETY: Python is held.
        if number == -1 && overflow == 0 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
            return Err(Pending::is_set());
        }
        return Ok(match i32::try_from(number) {
            Ok(_) if overflow == 0 => gobject_ffi::G_TYPE_INT,
            Err(_) if overflow == 0 => gobject_ffi::G_TYPE_INT64,
            _ if overflow > 0 => gobject_ffi::G_TYPE_UINT64,
            _ => return Err(Pending::new(py, Kind::Overflow, "an int below that of a gint64")),
        });
    }
    // SAFETY: as above.
    if let Some(native) = unsafe { super::native(py, object) }? {
        // SAFETY: alive while its face is.
        return Ok(unsafe { super::type_of(native) });
    }
    Ok(object_type())
}

fn strv_type() -> GType {
    // SAFETY: registers the type if nobody has yet; so do the next.
    unsafe { glib_ffi::g_strv_get_type() }
}

fn value_type() -> GType {
    // SAFETY: as above.
    unsafe { gobject_ffi::g_value_get_type() }
}

fn bytes_type() -> GType {
    // SAFETY: as above.
    unsafe { glib_ffi::g_bytes_get_type() }
}

pub(crate) fn error_type() -> GType {
    // SAFETY: as above.
    unsafe { glib_ffi::g_error_get_type() }
}
