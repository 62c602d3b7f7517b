//! Numbers and truth: the kinds of value that have a range.

use core::ffi::{c_int, c_long, c_uint, c_ulong};

use glib::gobject_ffi::{self, GValue};
use glib::{ffi as glib_ffi, ffi::GType};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};
use raddle::object::{Kind, Object, Pending};

use super::{Answer, kind_of};

/// What Python gets for a number; `None` if the kind is none.
///
/// # Safety
///
/// `value` is initialised, and `kind` its fundamental type.
pub(super) unsafe fn to_python(
    py: Python<'_>,
    kind: GType,
    value: *const GValue,
) -> Option<Answer<'_>> {
    let raw = match kind {
        gobject_ffi::G_TYPE_CHAR => {
            // SAFETY: a value of this kind; so are the others.
            signed(unsafe { gobject_ffi::g_value_get_schar(value) }.into())
        }
        gobject_ffi::G_TYPE_UCHAR => {
            // SAFETY: as above.
            unsigned_object(unsafe { gobject_ffi::g_value_get_uchar(value) }.into())
        }
        gobject_ffi::G_TYPE_BOOLEAN => {
            // SAFETY: as above.
            let truth = unsafe { gobject_ffi::g_value_get_boolean(value) };
            // SAFETY: Python is held.
            unsafe { ffi::PyBool_FromLong((truth != glib_ffi::GFALSE).into()) }
        }
        gobject_ffi::G_TYPE_INT => {
            // SAFETY: as above.
            signed(unsafe { gobject_ffi::g_value_get_int(value) }.into())
        }
        gobject_ffi::G_TYPE_UINT => {
            // SAFETY: as above.
            unsigned_object(unsafe { gobject_ffi::g_value_get_uint(value) }.into())
        }
        gobject_ffi::G_TYPE_LONG => {
            // SAFETY: as above.
            signed(unsafe { gobject_ffi::g_value_get_long(value) })
        }
        gobject_ffi::G_TYPE_ULONG => {
            // SAFETY: as above.
            unsigned_object(unsafe { gobject_ffi::g_value_get_ulong(value) })
        }
        gobject_ffi::G_TYPE_INT64 => {
            // SAFETY: as above.
            signed(unsafe { gobject_ffi::g_value_get_int64(value) })
        }
        gobject_ffi::G_TYPE_UINT64 => {
            // SAFETY: as above.
            unsigned_object(unsafe { gobject_ffi::g_value_get_uint64(value) })
        }
        gobject_ffi::G_TYPE_FLOAT => {
            // SAFETY: as above.
            float(unsafe { gobject_ffi::g_value_get_float(value) }.into())
        }
        gobject_ffi::G_TYPE_DOUBLE => {
            // SAFETY: as above.
            float(unsafe { gobject_ffi::g_value_get_double(value) })
        }
        _ => return None,
    };
    // SAFETY: owned, or null with an exception, as each of those functions returns.
    Some(unsafe { Object::answered(py, raw) })
}

fn signed(number: i64) -> *mut PyObject {
    // SAFETY: Python is held, as the caller's token says.
    unsafe { ffi::PyLong_FromLongLong(number) }
}

fn unsigned_object(number: u64) -> *mut PyObject {
    // SAFETY: Python is held, as the caller's token says.
    unsafe { ffi::PyLong_FromUnsignedLongLong(number) }
}

fn float(number: f64) -> *mut PyObject {
    // SAFETY: Python is held, as the caller's token says.
    unsafe { ffi::PyFloat_FromDouble(number) }
}

/// Puts a number into `value`; `None` if the kind is none.
///
/// # Safety
///
/// `value` is initialised, `kind` its fundamental type, and `object` alive.
pub(super) unsafe fn to_value(
    py: Python<'_>,
    kind: GType,
    object: *mut PyObject,
    value: *mut GValue,
) -> Option<Result<(), Pending>> {
    Some(match kind {
        gobject_ffi::G_TYPE_BOOLEAN => {
            // SAFETY: by the caller's promise; so are the others.
            unsafe { truth_to_value(object, value) }
        }
        gobject_ffi::G_TYPE_FLOAT | gobject_ffi::G_TYPE_DOUBLE => {
            // SAFETY: as above.
            unsafe { float_to_value(py, kind, object, value) }
        }
        gobject_ffi::G_TYPE_CHAR
        | gobject_ffi::G_TYPE_INT
        | gobject_ffi::G_TYPE_LONG
        | gobject_ffi::G_TYPE_INT64 => {
            // SAFETY: as above.
            unsafe { signed_to_value(py, kind, object, value) }
        }
        gobject_ffi::G_TYPE_UCHAR
        | gobject_ffi::G_TYPE_UINT
        | gobject_ffi::G_TYPE_ULONG
        | gobject_ffi::G_TYPE_UINT64 => {
            // SAFETY: as above.
            unsafe { unsigned_to_value(py, kind, object, value) }
        }
        _ => return None,
    })
}

/// # Safety
///
/// As [`to_value`].
unsafe fn truth_to_value(object: *mut PyObject, value: *mut GValue) -> Result<(), Pending> {
    // SAFETY: alive, by the caller's promise.
    let truth = unsafe { ffi::PyObject_IsTrue(object) };
    if truth < 0 {
        return Err(Pending::is_set());
    }
    // SAFETY: a value of this kind.
    unsafe { gobject_ffi::g_value_set_boolean(value, truth) };
    Ok(())
}

/// # Safety
///
/// As [`to_value`].
unsafe fn float_to_value(
    py: Python<'_>,
    kind: GType,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: alive, by the caller's promise.
    let number = unsafe { ffi::PyFloat_AsDouble(object) };
    // SAFETY: Python is held.
    if number == -1.0 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(Pending::is_set());
    }
    if kind == gobject_ffi::G_TYPE_DOUBLE {
        // SAFETY: a value of this kind.
        unsafe { gobject_ffi::g_value_set_double(value, number) };
        return Ok(());
    }
    if number.is_finite() && number.abs() > f32::MAX.into() {
        let line = format!("{number:e} is out of range for gfloat: up to {:e}", f32::MAX);
        return Err(Pending::new(py, Kind::Overflow, &line));
    }
    #[expect(clippy::cast_possible_truncation, reason = "to the nearest float, as C does")]
    let number = number as f32;
    // SAFETY: a value of this kind.
    unsafe { gobject_ffi::g_value_set_float(value, number) };
    Ok(())
}

/// # Safety
///
/// As [`to_value`], of a signed kind.
unsafe fn signed_to_value(
    py: Python<'_>,
    kind: GType,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    let (name, least, most) = match kind {
        gobject_ffi::G_TYPE_CHAR => ("gchar", i8::MIN.into(), i8::MAX.into()),
        gobject_ffi::G_TYPE_INT => ("gint", c_int::MIN.into(), c_int::MAX.into()),
        gobject_ffi::G_TYPE_LONG => ("glong", c_long::MIN, c_long::MAX),
        _ => ("gint64", i64::MIN, i64::MAX),
    };
    // SAFETY: alive, by the caller's promise.
    let number = unsafe { integer(py, object, name, least, most) }?;
    match kind {
        gobject_ffi::G_TYPE_CHAR => {
            let number = i8::try_from(number).unwrap_or_default();
            // SAFETY: a value of this kind; so are the others.
            unsafe { gobject_ffi::g_value_set_schar(value, number) };
        }
        gobject_ffi::G_TYPE_INT => {
            let number = c_int::try_from(number).unwrap_or_default();
            // SAFETY: as above.
            unsafe { gobject_ffi::g_value_set_int(value, number) };
        }
        gobject_ffi::G_TYPE_LONG => {
            let number = c_long::try_from(number).unwrap_or_default();
            // SAFETY: as above.
            unsafe { gobject_ffi::g_value_set_long(value, number) };
        }
        // SAFETY: as above.
        _ => unsafe { gobject_ffi::g_value_set_int64(value, number) },
    }
    Ok(())
}

/// # Safety
///
/// As [`to_value`], of an unsigned kind.
unsafe fn unsigned_to_value(
    py: Python<'_>,
    kind: GType,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    let (name, most) = match kind {
        gobject_ffi::G_TYPE_UCHAR => ("guchar", u8::MAX.into()),
        gobject_ffi::G_TYPE_UINT => ("guint", c_uint::MAX.into()),
        gobject_ffi::G_TYPE_ULONG => ("gulong", c_ulong::MAX),
        _ => ("guint64", u64::MAX),
    };
    // SAFETY: alive, by the caller's promise.
    let number = unsafe { unsigned(py, object, name, most) }?;
    match kind {
        gobject_ffi::G_TYPE_UCHAR => {
            let number = u8::try_from(number).unwrap_or_default();
            // SAFETY: a value of this kind; so are the others.
            unsafe { gobject_ffi::g_value_set_uchar(value, number) };
        }
        gobject_ffi::G_TYPE_UINT => {
            let number = c_uint::try_from(number).unwrap_or_default();
            // SAFETY: as above.
            unsafe { gobject_ffi::g_value_set_uint(value, number) };
        }
        gobject_ffi::G_TYPE_ULONG => {
            let number = c_ulong::try_from(number).unwrap_or_default();
            // SAFETY: as above.
            unsafe { gobject_ffi::g_value_set_ulong(value, number) };
        }
        // SAFETY: as above.
        _ => unsafe { gobject_ffi::g_value_set_uint64(value, number) },
    }
    Ok(())
}

/// Whether an object can stand for an integer.
pub(super) fn is_index(object: *mut PyObject) -> bool {
    // SAFETY: alive, as every caller's is, and Python is held.
    unsafe { ffi::PyIndex_Check(object) != 0 }
}

/// A signed integer in a range.
///
/// # Safety
///
/// `object` is alive.
pub(super) unsafe fn integer(
    py: Python<'_>,
    object: *mut PyObject,
    name: &str,
    least: i64,
    most: i64,
) -> Result<i64, Pending> {
    // SAFETY: by the caller's promise.
    let index = unsafe { index(py, object, name) }?;
    let mut overflow = 0;
    // SAFETY: an int.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(index.as_ptr(), &raw mut overflow) };
    if overflow == 0 && (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(out_of_range(py, &index, name, &format!("{least} to {most}")))
}

/// An unsigned integer up to a bound.
///
/// # Safety
///
/// `object` is alive.
pub(super) unsafe fn unsigned(
    py: Python<'_>,
    object: *mut PyObject,
    name: &str,
    most: u64,
) -> Result<u64, Pending> {
    // SAFETY: by the caller's promise.
    let index = unsafe { index(py, object, name) }?;
    // SAFETY: an int.
    let number = unsafe { ffi::PyLong_AsUnsignedLongLong(index.as_ptr()) };
    // SAFETY: Python is held.
    let failed = number == u64::MAX && !unsafe { ffi::PyErr_Occurred() }.is_null();
    if !failed && number <= most {
        return Ok(number);
    }
    // SAFETY: Python is held; ours says more.
    unsafe { ffi::PyErr_Clear() };
    Err(out_of_range(py, &index, name, &format!("0 to {most}")))
}

/// `operator.index(object)`, with an error that says what is wanted.
///
/// # Safety
///
/// `object` is alive.
unsafe fn index<'py>(py: Python<'py>, object: *mut PyObject, name: &str) -> Answer<'py> {
    if !is_index(object) {
        // SAFETY: by the caller's promise.
        let got = unsafe { kind_of(object) };
        let line = format!("a {name} is made from an int, not from {got}");
        return Err(Pending::new(py, Kind::Type, &line));
    }
    // SAFETY: alive.
    let raw = unsafe { ffi::PyNumber_Index(object) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

fn out_of_range(py: Python<'_>, number: &Object<'_>, name: &str, range: &str) -> Pending {
    let line = format!("{} is out of range for {name}: {range}", number.to_text());
    Pending::new(py, Kind::Overflow, &line)
}
