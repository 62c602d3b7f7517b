//! Enums and flags: members of Python classes that are made for their types.
//!
//! An IntEnum or IntFlag is made when a value of its type comes first, from what GObject knows of the
//! type, and is kept on the shelf, in a dict. A value that has no name there stays an int.

use core::ffi::{CStr, c_uint};
use core::slice;

use glib::ffi::GType;
use glib::gobject_ffi::{self, GEnumClass, GFlagsClass, GValue};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};
use raddle::object::{self, Kind, Object, Pending};
use raddle::shelf::{self, Key};

use super::number::{self, is_index};
use super::{Answer, text, text_of, type_name, wrong};
use crate::pygobject;

/// Where the dict of classes is: from the GType's number to the class.
const CLASSES: Key = Key::Above6;

/// Puts an empty dict on the shelf.
pub(crate) fn add(py: Python<'_>, _module: *mut PyObject) -> object::Result<()> {
    // SAFETY: Python is held.
    let raw = unsafe { ffi::PyDict_New() };
    // SAFETY: as that function returns.
    shelf::put(CLASSES, unsafe { Object::owned(py, raw) }?);
    Ok(())
}

/// One named value.
struct Row {
    name: String,
    nick: String,
    number: i64,
}

/// The class of an enum or flags type, for as long as this is kept.
struct Class(*mut gobject_ffi::GTypeClass);

impl Class {
    fn of(kind: GType) -> Self {
        // SAFETY: a type that has a class.
        Self(unsafe { gobject_ffi::g_type_class_ref(kind) }.cast())
    }

    fn rows(&self, is_flags: bool) -> Vec<Row> {
        if is_flags {
            // SAFETY: the class of a flags type.
            let class = unsafe { &*self.0.cast::<GFlagsClass>() };
            // SAFETY: so many values, kept by the class; null for none.
            let values = unsafe { listed(class.values, class.n_values) };
            let row = |value: &gobject_ffi::GFlagsValue| {
                // SAFETY: the texts of a value live as long as its class.
                unsafe { row(value.value_name, value.value_nick, value.value.into()) }
            };
            return values.iter().map(row).collect();
        }
        // SAFETY: the class of an enum type.
        let class = unsafe { &*self.0.cast::<GEnumClass>() };
        // SAFETY: so many values, kept by the class; null for none.
        let values = unsafe { listed(class.values, class.n_values) };
        let row = |value: &gobject_ffi::GEnumValue| {
            // SAFETY: the texts of a value live as long as its class.
            unsafe { row(value.value_name, value.value_nick, value.value.into()) }
        };
        values.iter().map(row).collect()
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        // SAFETY: referenced since `of`.
        unsafe { gobject_ffi::g_type_class_unref(self.0.cast()) };
    }
}

/// # Safety
///
/// `start` is null, or points to `count` values that live during `'a`.
unsafe fn listed<'a, T>(start: *const T, count: c_uint) -> &'a [T] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { slice::from_raw_parts(start, count as usize) }
}

/// # Safety
///
/// Both end with a NUL.
unsafe fn row(name: *const core::ffi::c_char, nick: *const core::ffi::c_char, number: i64) -> Row {
    // SAFETY: by the caller's promise.
    let text = |start| unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned();
    Row { name: text(name), nick: text(nick), number }
}

/// # Safety
///
/// `value` is initialised for an enum or flags.
pub(super) unsafe fn to_python(py: Python<'_>, value: *const GValue) -> Answer<'_> {
    // SAFETY: by the caller's promise.
    let kind = unsafe { (*value).g_type };
    let is_flags = is_flags(kind);
    let number = if is_flags {
        // SAFETY: a value of this kind.
        unsafe { gobject_ffi::g_value_get_flags(value) }.into()
    } else {
        // SAFETY: a value of this kind.
        unsafe { gobject_ffi::g_value_get_enum(value) }.into()
    };
    // SAFETY: Python is held.
    let raw = unsafe { ffi::PyLong_FromLongLong(number) };
    // SAFETY: as that function returns.
    let plain = unsafe { Object::answered(py, raw) }?;
    let Some(class) = class(py, kind, is_flags) else { return Ok(plain) };
    let end = core::ptr::null_mut::<PyObject>();
    // SAFETY: a class, its argument, and the null that ends the list.
    let raw = unsafe { ffi::PyObject_CallFunctionObjArgs(class.as_ptr(), plain.as_ptr(), end) };
    // SAFETY: as that function returns.
    Ok(unsafe { Object::owned(py, raw) }.unwrap_or(plain))
}

fn is_flags(kind: GType) -> bool {
    super::fundamental(kind) == gobject_ffi::G_TYPE_FLAGS
}

/// The Python class of a type, made if there is none; `None` if it cannot be.
fn class<'py>(py: Python<'py>, kind: GType, is_flags: bool) -> Option<Object<'py>> {
    let Ok(classes) = shelf::get(py, CLASSES) else {
        // SAFETY: Python is held; it is ending, and a plain int will do.
        unsafe { ffi::PyErr_Clear() };
        return None;
    };
    let key = Object::integer(py, kind as u64).ok()?;
    // SAFETY: a dict and a key.
    let known = unsafe { ffi::PyDict_GetItemWithError(classes, key.as_ptr()) };
    // SAFETY: lent, or null.
    if let Some(known) = unsafe { Object::borrowed(py, known) } {
        return Some(known);
    }
    let class = make(py, kind, is_flags).ok()?;
    // SAFETY: a dict, a key and a value; without memory the class is made anew next time.
    if unsafe { ffi::PyDict_SetItem(classes, key.as_ptr(), class.as_ptr()) } != 0 {
        // SAFETY: Python is held.
        unsafe { ffi::PyErr_Clear() };
    }
    Some(class)
}

fn make<'py>(py: Python<'py>, kind: GType, is_flags: bool) -> object::Result<Object<'py>> {
    let base =
        Object::import(py, c"enum")?.attribute(if is_flags { c"IntFlag" } else { c"IntEnum" })?;
    let rows = Class::of(kind).rows(is_flags);
    let member = |row: &Row| {
        let name = row.nick.to_uppercase().replace('-', "_");
        // SAFETY: Python is held.
        let number = unsafe { ffi::PyLong_FromLongLong(row.number) };
        // SAFETY: as that function returns.
        let number = unsafe { Object::owned(py, number) };
        Object::tuple(py, [Object::text(py, &name), number])
    };
    base.call([Object::text(py, &type_name(kind)), Object::list(py, rows.iter().map(member))])
}

/// # Safety
///
/// `value` is initialised for an enum or flags, and `object` alive.
pub(super) unsafe fn to_value(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: by the caller's promise.
    let kind = unsafe { (*value).g_type };
    let is_flags = is_flags(kind);
    let name = type_name(kind);
    let number = if text::is_str(object) {
        // SAFETY: a str.
        let text = unsafe { text_of(py, object) }?;
        by_name(py, kind, is_flags, &text.to_string_lossy())?
    } else if is_index(object) {
        // SAFETY: alive, by the caller's promise.
        unsafe { in_type(py, object, kind, &name, is_flags) }?
    } else if let Some(api) = pygobject::find(py) {
        // SAFETY: by the caller's promise.
        return unsafe { api.to_value(py, object, value) };
    } else {
        // SAFETY: alive, by the caller's promise.
        return Err(wrong(py, kind, &unsafe { super::kind_of(object) }));
    };
    if is_flags {
        let bits = c_uint::try_from(number).unwrap_or_default();
        // SAFETY: a value of this kind.
        unsafe { gobject_ffi::g_value_set_flags(value, bits) };
    } else {
        let number = i32::try_from(number).unwrap_or_default();
        // SAFETY: a value of this kind.
        unsafe { gobject_ffi::g_value_set_enum(value, number) };
    }
    Ok(())
}

/// A number that the type has a name for, or bits that all have one.
///
/// # Safety
///
/// `object` is alive.
unsafe fn in_type(
    py: Python<'_>,
    object: *mut PyObject,
    kind: GType,
    name: &str,
    is_flags: bool,
) -> Result<i64, Pending> {
    let (least, most) =
        if is_flags { (0, u32::MAX.into()) } else { (i32::MIN.into(), i32::MAX.into()) };
    // SAFETY: by the caller's promise.
    let number = unsafe { number::integer(py, object, name, least, most) }?;
    let rows = Class::of(kind).rows(is_flags);
    let known = if is_flags {
        number & !rows.iter().fold(0, |mask, row| mask | row.number) == 0
    } else {
        rows.iter().any(|row| row.number == number)
    };
    if known {
        return Ok(number);
    }
    Err(Pending::new(py, Kind::Value, &format!("{number} is no value of {name}")))
}

/// The number of a nick or a full name; of flags, of several with `|` between.
fn by_name(py: Python<'_>, kind: GType, is_flags: bool, text: &str) -> Result<i64, Pending> {
    let rows = Class::of(kind).rows(is_flags);
    let mut number = 0;
    let parts: Vec<&str> = if is_flags { text.split('|').collect() } else { vec![text] };
    for part in parts.into_iter().map(str::trim).filter(|part| !(is_flags && part.is_empty())) {
        let Some(row) = rows.iter().find(|row| row.nick == part || row.name == part) else {
            let line = format!("'{part}' is no value of {}", type_name(kind));
            return Err(Pending::new(py, Kind::Value, &line));
        };
        number |= row.number;
    }
    Ok(number)
}

const _: () = assert!(size_of::<GType>() <= size_of::<u64>());
