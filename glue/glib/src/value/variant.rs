//! `GVariant` to plain values and back, where PyGObject's own wrapper is not to be had.
//!
//! | signature            | Python                   | Python, taken  | signature       |
//! |----------------------|--------------------------|----------------|-----------------|
//! | b                    | bool                     | bool           | b               |
//! | y n q i u x t h      | int                      | int            | x, or t if big  |
//! | d                    | float                    | float          | d               |
//! | s o g                | str                      | str            | s               |
//! | ay                   | bytes                    | bytes          | ay              |
//! | a{k...}              | dict                     | dict, str keys | a{sv}           |
//! | a...                 | list                     | list           | av              |
//! | (...)                | tuple                    | tuple          | (...)           |
//! | m...                 | None, or what is in it   | None           | a NULL variant  |
//! | v                    | what is in it            | raddle.GValue  | as it was       |

use core::ffi::{CStr, c_char};
use core::ptr;

use glib::ffi::{self as glib_ffi, GVariant};
use glib::gobject_ffi::{self, GValue};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};
use raddle::object::{Kind, Object, Pending};

use super::{Answer, is_none, kind_of, number, text, text_of, unwrapped};
use crate::pygobject;

/// How deep containers may lie in one another; GLib's own bound for what comes from outside is 64.
const DEEPEST: u32 = 64;

/// # Safety
///
/// `variant` is null or alive.
pub(super) unsafe fn to_python(py: Python<'_>, variant: *mut GVariant) -> Answer<'_> {
    if variant.is_null() {
        return Ok(Object::none(py));
    }
    // SAFETY: alive, by the caller's promise; so it is in each of the following.
    let class = unsafe { glib_ffi::g_variant_classify(variant) };
    let raw = match class {
        glib_ffi::G_VARIANT_CLASS_BOOLEAN => {
            // SAFETY: a variant of this class; so are the others.
            let truth = unsafe { glib_ffi::g_variant_get_boolean(variant) };
            // SAFETY: Python is held.
            unsafe { ffi::PyBool_FromLong(truth.into()) }
        }
        glib_ffi::G_VARIANT_CLASS_BYTE => {
            // SAFETY: as above.
            int(unsafe { glib_ffi::g_variant_get_byte(variant) }.into())
        }
        glib_ffi::G_VARIANT_CLASS_INT16 => {
            // SAFETY: as above.
            int(unsafe { glib_ffi::g_variant_get_int16(variant) }.into())
        }
        glib_ffi::G_VARIANT_CLASS_UINT16 => {
            // SAFETY: as above.
            int(unsafe { glib_ffi::g_variant_get_uint16(variant) }.into())
        }
        glib_ffi::G_VARIANT_CLASS_INT32 => {
            // SAFETY: as above.
            int(unsafe { glib_ffi::g_variant_get_int32(variant) }.into())
        }
        glib_ffi::G_VARIANT_CLASS_UINT32 => {
            // SAFETY: as above.
            int(unsafe { glib_ffi::g_variant_get_uint32(variant) }.into())
        }
        // SAFETY: as above.
        glib_ffi::G_VARIANT_CLASS_INT64 => int(unsafe { glib_ffi::g_variant_get_int64(variant) }),
        glib_ffi::G_VARIANT_CLASS_HANDLE => {
            // SAFETY: as above.
            int(unsafe { glib_ffi::g_variant_get_handle(variant) }.into())
        }
        glib_ffi::G_VARIANT_CLASS_UINT64 => {
            // SAFETY: as above.
            let number = unsafe { glib_ffi::g_variant_get_uint64(variant) };
            // SAFETY: Python is held.
            unsafe { ffi::PyLong_FromUnsignedLongLong(number) }
        }
        glib_ffi::G_VARIANT_CLASS_DOUBLE => {
            // SAFETY: as above.
            let number = unsafe { glib_ffi::g_variant_get_double(variant) };
            // SAFETY: Python is held.
            unsafe { ffi::PyFloat_FromDouble(number) }
        }
        glib_ffi::G_VARIANT_CLASS_STRING
        | glib_ffi::G_VARIANT_CLASS_OBJECT_PATH
        | glib_ffi::G_VARIANT_CLASS_SIGNATURE => {
            // SAFETY: as above.
            let start = unsafe { glib_ffi::g_variant_get_string(variant, ptr::null_mut()) };
            // SAFETY: a text, kept by the variant.
            return unsafe { text::or_none(py, start) };
        }
        // SAFETY: by the caller's promise.
        _ => return unsafe { container(py, class, variant) },
    };
    // SAFETY: owned, or null with an exception, as each of those functions returns.
    unsafe { Object::answered(py, raw) }
}

fn int(number: i64) -> *mut PyObject {
    // SAFETY: Python is held, as the caller's token says.
    unsafe { ffi::PyLong_FromLongLong(number) }
}

/// A child that is dropped with its guard.
struct Child(*mut GVariant);

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { glib_ffi::g_variant_unref(self.0) };
    }
}

/// # Safety
///
/// `variant` is a container with more than `index` children.
unsafe fn child(variant: *mut GVariant, index: usize) -> Child {
    // SAFETY: by the caller's promise; gives a reference.
    Child(unsafe { glib_ffi::g_variant_get_child_value(variant, index) })
}

/// # Safety
///
/// `variant` is alive, and of that class.
unsafe fn container(
    py: Python<'_>,
    class: glib_ffi::GVariantClass,
    variant: *mut GVariant,
) -> Answer<'_> {
    // SAFETY: alive.
    let signature = unsafe { glib_ffi::g_variant_get_type_string(variant) };
    // SAFETY: a text that lives as long as the variant.
    let signature = unsafe { CStr::from_ptr(signature) };
    if signature == c"ay" {
        // SAFETY: alive.
        let size = unsafe { glib_ffi::g_variant_get_size(variant) };
        // SAFETY: alive; null if there are none.
        let start = unsafe { glib_ffi::g_variant_get_data(variant) };
        // SAFETY: so many bytes.
        let raw = unsafe { ffi::PyBytes_FromStringAndSize(start.cast(), size.cast_signed()) };
        // SAFETY: as that function returns.
        return unsafe { Object::answered(py, raw) };
    }
    // SAFETY: a container.
    let count = unsafe { glib_ffi::g_variant_n_children(variant) };
    if matches!(class, glib_ffi::G_VARIANT_CLASS_VARIANT | glib_ffi::G_VARIANT_CLASS_MAYBE) {
        if count == 0 {
            return Ok(Object::none(py));
        }
        // SAFETY: it has one child.
        let inner = unsafe { child(variant, 0) };
        // SAFETY: alive.
        return unsafe { to_python(py, inner.0) };
    }
    if signature.to_bytes().starts_with(b"a{") {
        // SAFETY: an array of entries, so many.
        return unsafe { dict(py, variant, count) };
    }
    // SAFETY: Python is held.
    let raw = unsafe { ffi::PyList_New(0) };
    // SAFETY: as that function returns.
    let list = unsafe { Object::answered(py, raw) }?;
    for index in 0..count {
        // SAFETY: it has so many children.
        let inner = unsafe { child(variant, index) };
        // SAFETY: alive.
        let item = unsafe { to_python(py, inner.0) }?;
        // SAFETY: a list and an object.
        if unsafe { ffi::PyList_Append(list.as_ptr(), item.as_ptr()) } != 0 {
            return Err(Pending::is_set());
        }
    }
    if class == glib_ffi::G_VARIANT_CLASS_ARRAY {
        return Ok(list);
    }
    // A tuple, or an entry that lies outside a dict.
    // SAFETY: a list.
    let raw = unsafe { ffi::PyList_AsTuple(list.as_ptr()) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// # Safety
///
/// `variant` is an array of that many entries.
unsafe fn dict(py: Python<'_>, variant: *mut GVariant, count: usize) -> Answer<'_> {
    // SAFETY: Python is held.
    let raw = unsafe { ffi::PyDict_New() };
    // SAFETY: as that function returns.
    let dict = unsafe { Object::answered(py, raw) }?;
    for index in 0..count {
        // SAFETY: it has so many children.
        let entry = unsafe { child(variant, index) };
        // SAFETY: an entry has a key and a value.
        let key = unsafe { child(entry.0, 0) };
        // SAFETY: as above.
        let value = unsafe { child(entry.0, 1) };
        // SAFETY: alive.
        let key = unsafe { to_python(py, key.0) }?;
        // SAFETY: alive.
        let value = unsafe { to_python(py, value.0) }?;
        // SAFETY: a dict and two objects.
        if unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) } != 0 {
            return Err(Pending::is_set());
        }
    }
    Ok(dict)
}

/// # Safety
///
/// `value` is initialised for a variant, and `object` alive.
pub(super) unsafe fn to_value(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: alive, by the caller's promise.
    let is_held = unsafe { crate::opaque::held(py, object) }?.is_some();
    if is_held || is_none(object) || pygobject::find(py).is_some_and(|_| !is_plain(object)) {
        // SAFETY: by the caller's promise.
        return unsafe { unwrapped(py, object, value) };
    }
    // SAFETY: alive, by the caller's promise.
    let variant = unsafe { make(py, object, 0) }?;
    // SAFETY: a value of this kind, and a variant whose floating reference it sinks.
    unsafe { gobject_ffi::g_value_set_variant(value, variant) };
    Ok(())
}

/// Whether raddle makes a variant of it by itself, PyGObject or not.
fn is_plain(object: *mut PyObject) -> bool {
    // SAFETY: alive, as every caller's is.
    let is = |check: unsafe fn(*mut PyObject) -> i32| unsafe { check(object) } != 0;
    text::is_str(object)
        || number::is_index(object)
        || is(ffi::PyFloat_Check)
        || is(ffi::PyBytes_Check)
        || is(ffi::PyDict_Check)
        || is(ffi::PyList_Check)
        || is(ffi::PyTuple_Check)
}

/// A variant made of a plain value, with a floating reference.
///
/// # Safety
///
/// `object` is alive.
unsafe fn make(
    py: Python<'_>,
    object: *mut PyObject,
    depth: u32,
) -> Result<*mut GVariant, Pending> {
    // SAFETY: alive, by the caller's promise.
    let is = |check: unsafe fn(*mut PyObject) -> i32| unsafe { check(object) } != 0;
    if depth > DEEPEST {
        return Err(Pending::new(py, Kind::Value, "containers too deep for a GVariant"));
    }
    if is(ffi::PyBool_Check) {
        // SAFETY: Python's own True, of which there is one.
        let truth = object == unsafe { ffi::Py_True() };
        // SAFETY: a number.
        return Ok(unsafe { glib_ffi::g_variant_new_boolean(truth.into()) });
    }
    if is(ffi::PyFloat_Check) {
        // SAFETY: a float.
        let number = unsafe { ffi::PyFloat_AsDouble(object) };
        // SAFETY: a number.
        return Ok(unsafe { glib_ffi::g_variant_new_double(number) });
    }
    if text::is_str(object) {
        // SAFETY: a str.
        let text = unsafe { text_of(py, object) }?;
        if text.to_str().is_err() {
            return Err(Pending::new(py, Kind::Value, "a GVariant's text is UTF-8"));
        }
        // SAFETY: UTF-8 that ends with a NUL.
        return Ok(unsafe { glib_ffi::g_variant_new_string(text.as_ptr()) });
    }
    if number::is_index(object) {
        // SAFETY: alive, by the caller's promise.
        return unsafe { integer(py, object) };
    }
    if is(ffi::PyBytes_Check) {
        // SAFETY: a bytes object.
        let start = unsafe { ffi::PyBytes_AsString(object) };
        // SAFETY: as above.
        let length = unsafe { ffi::PyBytes_Size(object) };
        // SAFETY: so many bytes, which are copied, and the type of one.
        return Ok(unsafe {
            glib_ffi::g_variant_new_fixed_array(
                c"y".as_ptr().cast(),
                start.cast_const().cast(),
                length.unsigned_abs(),
                1,
            )
        });
    }
    if is(ffi::PyDict_Check) {
        // SAFETY: a dict.
        return unsafe { dict_to_variant(py, object, depth) };
    }
    if is(ffi::PyList_Check) || is(ffi::PyTuple_Check) {
        let is_list = is(ffi::PyList_Check);
        // SAFETY: a list or a tuple.
        return unsafe { row_to_variant(py, object, depth, is_list) };
    }
    // SAFETY: alive, by the caller's promise.
    let got = unsafe { kind_of(object) };
    let line = format!("a GVariant cannot be made from {got}");
    Err(Pending::new(py, Kind::Type, &line))
}

/// # Safety
///
/// `object` is alive.
unsafe fn integer(py: Python<'_>, object: *mut PyObject) -> Result<*mut GVariant, Pending> {
    // An int64 if it fits, an uint64 if that does.
    // SAFETY: by the caller's promise.
    let number = unsafe { number::integer(py, object, "gint64", i64::MIN, i64::MAX) };
    match number {
        // SAFETY: a number.
        Ok(number) => Ok(unsafe { glib_ffi::g_variant_new_int64(number) }),
        Err(_) => {
            // SAFETY: Python is held.
            unsafe { ffi::PyErr_Clear() };
            // SAFETY: by the caller's promise.
            let number = unsafe { number::unsigned(py, object, "guint64", u64::MAX) }?;
            // SAFETY: a number.
            Ok(unsafe { glib_ffi::g_variant_new_uint64(number) })
        }
    }
}

/// Something that is being filled; what is in it goes with it if it is not ended.
struct Builder(glib_ffi::GVariantBuilder);

impl Builder {
    fn new(signature: &'static CStr) -> Self {
        // SAFETY: a record that may be all zero, and is written by the next call.
        let mut builder = Self(unsafe { core::mem::zeroed() });
        let kind: *const c_char = signature.as_ptr();
        // SAFETY: a record of our own, and a signature, which is a type.
        unsafe { glib_ffi::g_variant_builder_init(&raw mut builder.0, kind.cast()) };
        builder
    }

    /// # Safety
    ///
    /// `variant` is of the type that comes next; its floating reference is taken.
    unsafe fn add(&mut self, variant: *mut GVariant) {
        // SAFETY: initialised, and by the caller's promise.
        unsafe { glib_ffi::g_variant_builder_add_value(&raw mut self.0, variant) };
    }

    fn end(mut self) -> *mut GVariant {
        // SAFETY: complete: an array or a tuple may end anywhere. Clearing it afterwards does nothing.
        unsafe { glib_ffi::g_variant_builder_end(&raw mut self.0) }
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // SAFETY: initialised, or ended.
        unsafe { glib_ffi::g_variant_builder_clear(&raw mut self.0) };
    }
}

/// # Safety
///
/// `object` is a list or a tuple.
unsafe fn row_to_variant(
    py: Python<'_>,
    object: *mut PyObject,
    depth: u32,
    is_list: bool,
) -> Result<*mut GVariant, Pending> {
    let mut builder = Builder::new(if is_list { c"av" } else { c"r" });
    // SAFETY: a sequence.
    for index in 0..unsafe { ffi::PySequence_Size(object) } {
        // SAFETY: a sequence, which raises if it has shrunk meanwhile.
        let raw = unsafe { ffi::PySequence_GetItem(object, index) };
        // SAFETY: as that function returns.
        let item = unsafe { Object::answered(py, raw) }?;
        // SAFETY: alive.
        let mut inner = unsafe { make(py, item.as_ptr(), depth + 1) }?;
        if is_list {
            // SAFETY: a variant with a floating reference.
            inner = unsafe { glib_ffi::g_variant_new_variant(inner) };
        }
        // SAFETY: a variant in an array of variants, or anything in a tuple.
        unsafe { builder.add(inner) };
    }
    Ok(builder.end())
}

/// # Safety
///
/// `object` is a dict.
unsafe fn dict_to_variant(
    py: Python<'_>,
    object: *mut PyObject,
    depth: u32,
) -> Result<*mut GVariant, Pending> {
    let mut builder = Builder::new(c"a{sv}");
    // A copy, so that nobody changes it meanwhile.
    // SAFETY: a dict.
    let raw = unsafe { ffi::PyDict_Items(object) };
    // SAFETY: as that function returns.
    let items = unsafe { Object::answered(py, raw) }?;
    // SAFETY: a list.
    for index in 0..unsafe { ffi::PyList_Size(items.as_ptr()) } {
        // SAFETY: a pair, lent by the list, which nobody else has.
        let pair = unsafe { ffi::PyList_GetItem(items.as_ptr(), index) };
        // SAFETY: a pair's first, lent by it.
        let key = unsafe { ffi::PyTuple_GetItem(pair, 0) };
        // SAFETY: its second.
        let value = unsafe { ffi::PyTuple_GetItem(pair, 1) };
        // SAFETY: alive.
        let key = unsafe { text_of(py, key) }?;
        if key.to_str().is_err() {
            return Err(Pending::new(py, Kind::Value, "a GVariant's text is UTF-8"));
        }
        // SAFETY: alive.
        let inner = unsafe { make(py, value, depth + 1) }?;
        // SAFETY: UTF-8 that ends with a NUL.
        let key = unsafe { glib_ffi::g_variant_new_string(key.as_ptr()) };
        // SAFETY: a variant with a floating reference.
        let inner = unsafe { glib_ffi::g_variant_new_variant(inner) };
        // SAFETY: two variants with floating references, the first a text.
        let entry = unsafe { glib_ffi::g_variant_new_dict_entry(key, inner) };
        // SAFETY: an entry from a text to a variant.
        unsafe { builder.add(entry) };
    }
    Ok(builder.end())
}
