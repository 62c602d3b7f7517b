//! `GValue` to Python and back.
//!
//! | type                          | arrives as                     | is taken from                     |
//! |-------------------------------|--------------------------------|-----------------------------------|
//! | char to uint64                | int                            | int (`__index__`), in range       |
//! | boolean                       | bool                           | anything, by its truth            |
//! | float, double                 | float                          | float, int                        |
//! | string                        | str, None for NULL             | str, None                         |
//! | pointer                       | int, None for NULL             | int, None                         |
//! | GType                         | its name `*`                   | a name `*`                        |
//! | enum, flags                   | a member of an IntEnum made for the type, of an IntFlag `*` | int, nick `*` |
//! | strv                          | list of str                    | a sequence of str                 |
//! | GBytes                        | bytes `*`                      | what has a buffer `*`             |
//! | GVariant                      | plain values `*`               | plain values `*`                  |
//! | GError                        | raddle.GError `*`              | what has domain, code and message |
//! | object, interface             | raddle.GObject `*`             | that, or a wrapper of PyGObject's |
//! | RADDLE_TYPE_OBJECT            | the object                     | anything                          |
//! | other boxed, param specs, ... | raddle.GValue, a copy `*`      | such a copy, None `*`             |
//!
//! `*`: with PyGObject in the process, as its own wrapper, and from its own wrapper too.

mod boxed;
mod enumeration;
mod number;
mod text;
mod variant;

use core::ffi::{CStr, c_char};

use glib::gobject_ffi::{self, GTypeInstance, GValue};
use glib::translate::FromGlib as _;
use glib::{ffi as glib_ffi, ffi::GType};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};
use raddle::Raised;
use raddle::object::{Kind, Object, Pending};

use crate::object as handle;
use crate::pygobject::{self, Api};

pub(crate) use raddle::object::Answer;

pub use self::boxed::object_type;
pub(crate) use self::boxed::{error_type, guess};
pub(crate) use self::enumeration::add as add_enumerations;
pub(crate) use self::text::{or_none as text_or_none, text, text_of};

/// What Python gets for `value`.
///
/// # Safety
///
/// `value` is initialised.
pub(crate) unsafe fn to_python(py: Python<'_>, value: *const GValue) -> Answer<'_> {
    // SAFETY: by the caller's promise.
    let kind = unsafe { (*value).g_type };
    match fundamental(kind) {
        gobject_ffi::G_TYPE_OBJECT | gobject_ffi::G_TYPE_INTERFACE => {
            // SAFETY: a value that is made of one pointer, to an object or null.
            let instance = unsafe { gobject_ffi::g_value_peek_pointer(value) };
            // SAFETY: alive while the value is.
            unsafe { object(py, instance.cast(), value) }
        }
        gobject_ffi::G_TYPE_STRING => {
            // SAFETY: a value of this kind.
            let text = unsafe { gobject_ffi::g_value_get_string(value) };
            // SAFETY: a text, kept by the value, or null.
            unsafe { text::or_none(py, text) }
        }
        gobject_ffi::G_TYPE_ENUM | gobject_ffi::G_TYPE_FLAGS => match pygobject::find(py) {
            // SAFETY: by the caller's promise.
            Some(api) => unsafe { api.to_python(py, value) },
            // SAFETY: by the caller's promise, of these kinds.
            None => unsafe { enumeration::to_python(py, value) },
        },
        gobject_ffi::G_TYPE_POINTER => {
            // SAFETY: by the caller's promise, of this kind.
            unsafe { pointer(py, value) }
        }
        gobject_ffi::G_TYPE_BOXED => {
            // SAFETY: by the caller's promise, of this kind.
            unsafe { boxed::to_python(py, value) }
        }
        gobject_ffi::G_TYPE_VARIANT => match pygobject::find(py) {
            // SAFETY: by the caller's promise.
            Some(api) => unsafe { api.to_python(py, value) },
            None => {
                // SAFETY: a value of this kind.
                let variant = unsafe { gobject_ffi::g_value_get_variant(value) };
                // SAFETY: alive while the value is, or null.
                unsafe { variant::to_python(py, variant) }
            }
        },
        plain => {
            // SAFETY: by the caller's promise.
            match unsafe { number::to_python(py, plain, value) } {
                Some(answer) => answer,
                // SAFETY: by the caller's promise.
                None => unsafe { wrapped(py, value) },
            }
        }
    }
}

/// What PyGObject makes of a value, or a copy in a handle.
///
/// # Safety
///
/// `value` is initialised.
unsafe fn wrapped(py: Python<'_>, value: *const GValue) -> Answer<'_> {
    match pygobject::find(py) {
        // SAFETY: by the caller's promise.
        Some(api) => unsafe { api.to_python(py, value) },
        // SAFETY: by the caller's promise.
        None => unsafe { crate::opaque::copy(py, value) },
    }
}

/// # Safety
///
/// `instance` is null or alive, and in `value`.
unsafe fn object(py: Python<'_>, instance: *mut GTypeInstance, value: *const GValue) -> Answer<'_> {
    if instance.is_null() {
        return Ok(Object::none(py));
    }
    // SAFETY: alive, by the caller's promise.
    if !unsafe { is_object(instance) } {
        // An interface whose implementation is none.
        // SAFETY: initialised, by the caller's promise.
        return unsafe { crate::opaque::copy(py, value) };
    }
    // SAFETY: alive, and an object.
    unsafe { object_to_python(py, instance.cast()) }
}

/// Python's face of an object.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn object_to_python(
    py: Python<'_>,
    object: *mut gobject_ffi::GObject,
) -> Answer<'_> {
    match pygobject::find(py) {
        // SAFETY: by the caller's promise.
        Some(api) => unsafe { api.wrap(py, object) },
        // SAFETY: by the caller's promise.
        None => unsafe { handle::wrap(py, object) },
    }
}

/// # Safety
///
/// `instance` is alive.
unsafe fn is_object(instance: *mut GTypeInstance) -> bool {
    // SAFETY: an instance, alive.
    let is =
        unsafe { gobject_ffi::g_type_check_instance_is_a(instance, gobject_ffi::G_TYPE_OBJECT) };
    is != glib_ffi::GFALSE
}

/// # Safety
///
/// `value` is of a kind of pointer.
unsafe fn pointer(py: Python<'_>, value: *const GValue) -> Answer<'_> {
    // SAFETY: by the caller's promise.
    if unsafe { (*value).g_type } == gtype_type() {
        if let Some(api) = pygobject::find(py) {
            // SAFETY: by the caller's promise.
            return unsafe { api.to_python(py, value) };
        }
        // SAFETY: a value of this kind.
        let kind = unsafe { gobject_ffi::g_value_get_gtype(value) };
        return text(py, &type_name(kind));
    }
    // SAFETY: a value of this kind.
    let address = unsafe { gobject_ffi::g_value_get_pointer(value) };
    if address.is_null() {
        return Ok(Object::none(py));
    }
    // SAFETY: Python is held.
    let raw = unsafe { ffi::PyLong_FromVoidPtr(address) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// Puts `object` into `value`, which has its type and keeps it; on failure it keeps its content too.
///
/// # Safety
///
/// `value` is initialised, and `object` alive.
pub(crate) unsafe fn to_value(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: by the caller's promise.
    let kind = unsafe { (*value).g_type };
    match fundamental(kind) {
        gobject_ffi::G_TYPE_OBJECT | gobject_ffi::G_TYPE_INTERFACE => {
            // SAFETY: by the caller's promise, of these kinds.
            unsafe { object_to_value(py, object, value) }
        }
        gobject_ffi::G_TYPE_STRING => {
            // SAFETY: by the caller's promise, of this kind.
            unsafe { text::to_value(py, object, value) }
        }
        gobject_ffi::G_TYPE_ENUM | gobject_ffi::G_TYPE_FLAGS => {
            // SAFETY: by the caller's promise, of these kinds.
            unsafe { enumeration::to_value(py, object, value) }
        }
        gobject_ffi::G_TYPE_POINTER => {
            // SAFETY: by the caller's promise, of this kind.
            unsafe { pointer_to_value(py, object, value) }
        }
        gobject_ffi::G_TYPE_BOXED => {
            // SAFETY: by the caller's promise, of this kind.
            unsafe { boxed::to_value(py, object, value) }
        }
        gobject_ffi::G_TYPE_VARIANT => {
            // SAFETY: by the caller's promise, of this kind.
            unsafe { variant::to_value(py, object, value) }
        }
        plain => {
            // SAFETY: by the caller's promise.
            match unsafe { number::to_value(py, plain, object, value) } {
                Some(answer) => answer,
                // SAFETY: by the caller's promise.
                None => unsafe { unwrapped(py, object, value) },
            }
        }
    }
}

/// Takes a value from a handle, or has PyGObject do it.
///
/// # Safety
///
/// As [`to_value`].
unsafe fn unwrapped(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: by the caller's promise.
    let kind = unsafe { (*value).g_type };
    // SAFETY: alive, by the caller's promise.
    if let Some(held) = unsafe { crate::opaque::held(py, object) }? {
        // SAFETY: the value in a handle is initialised.
        let there = unsafe { (*held).g_type };
        // SAFETY: two types.
        if unsafe { gobject_ffi::g_type_is_a(there, kind) } == glib_ffi::GFALSE {
            return Err(wrong(py, kind, &type_name(there)));
        }
        // SAFETY: two values of types that go together.
        unsafe { gobject_ffi::g_value_copy(held, value) };
        return Ok(());
    }
    if let Some(api) = pygobject::find(py) {
        // SAFETY: by the caller's promise.
        return unsafe { api.to_value(py, object, value) };
    }
    if is_none(object) {
        // SAFETY: initialised; afterwards it holds its type's default, NULL.
        unsafe { gobject_ffi::g_value_reset(value) };
        return Ok(());
    }
    // SAFETY: alive, by the caller's promise.
    Err(wrong(py, kind, &unsafe { kind_of(object) }))
}

/// # Safety
///
/// As [`to_value`], of an object's or an interface's type.
unsafe fn object_to_value(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: by the caller's promise.
    let kind = unsafe { (*value).g_type };
    if is_none(object) {
        // SAFETY: initialised; afterwards it holds NULL.
        unsafe { gobject_ffi::g_value_reset(value) };
        return Ok(());
    }
    // SAFETY: alive, by the caller's promise.
    let Some(native) = unsafe { native(py, object) }? else {
        // SAFETY: by the caller's promise.
        return unsafe { unwrapped(py, object, value) };
    };
    // SAFETY: an object, which its Python face keeps alive.
    let there = unsafe { type_of(native) };
    // SAFETY: two types.
    if unsafe { gobject_ffi::g_type_is_a(there, kind) } == glib_ffi::GFALSE {
        return Err(wrong(py, kind, &type_name(there)));
    }
    // SAFETY: a value of a type that the object is of.
    unsafe { gobject_ffi::g_value_set_object(value, native) };
    Ok(())
}

/// The object behind Python's face of one, lent; `None` if `object` is no such face.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn native(
    py: Python<'_>,
    object: *mut PyObject,
) -> Result<Option<*mut gobject_ffi::GObject>, Pending> {
    // SAFETY: alive, by the caller's promise.
    if let Some(native) = unsafe { handle::native(py, object) }? {
        return Ok(Some(native));
    }
    let unwrap = |api: &Api| {
        // SAFETY: alive, by the caller's promise.
        unsafe { api.unwrap(object) }
    };
    match pygobject::find(py).and_then(unwrap) {
        Some(native) if native.is_null() => {
            Err(Pending::new(py, Kind::Type, "this wrapper of PyGObject's was never initialised"))
        }
        native => Ok(native),
    }
}

/// # Safety
///
/// As [`to_value`], of a kind of pointer.
unsafe fn pointer_to_value(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Pending> {
    // SAFETY: by the caller's promise.
    let kind = unsafe { (*value).g_type };
    if kind == gtype_type() && text::is_str(object) {
        // SAFETY: a str.
        let name = unsafe { text_of(py, object) }?;
        // SAFETY: a text that ends with a NUL.
        let named = unsafe { gobject_ffi::g_type_from_name(name.as_ptr()) };
        if named == 0 {
            let line = format!("there is no GType {} (yet)", name.to_string_lossy());
            return Err(Pending::new(py, Kind::Value, &line));
        }
        // SAFETY: a value of this kind.
        unsafe { gobject_ffi::g_value_set_gtype(value, named) };
        return Ok(());
    }
    let address = if is_none(object) {
        core::ptr::null_mut()
    } else if number::is_index(object) && kind != gtype_type() {
        // SAFETY: alive, by the caller's promise.
        let number = unsafe { number::unsigned(py, object, "gpointer", u64::MAX) }?;
        core::ptr::without_provenance_mut(usize::try_from(number).unwrap_or(usize::MAX))
    } else if let Some(api) = pygobject::find(py) {
        // SAFETY: by the caller's promise.
        return unsafe { api.to_value(py, object, value) };
    } else {
        // SAFETY: alive, by the caller's promise.
        return Err(wrong(py, kind, &unsafe { kind_of(object) }));
    };
    // SAFETY: a value of this kind.
    unsafe { gobject_ffi::g_value_set_pointer(value, address) };
    Ok(())
}

/// What Python gets for `value`, owned.
///
/// # Errors
///
/// What was raised.
///
/// # Safety
///
/// `value` is initialised.
pub unsafe fn convert_to_python(
    py: Python<'_>,
    value: *const GValue,
) -> Result<*mut PyObject, Raised> {
    // SAFETY: by the caller's promise.
    match unsafe { to_python(py, value) } {
        Ok(object) => Ok(object.into_ptr()),
        Err(_pending) => Err(raised(py)),
    }
}

/// Puts `object` into `value`.
///
/// # Errors
///
/// What was raised; the value keeps its content then.
///
/// # Safety
///
/// `value` is initialised, and `object` alive.
pub unsafe fn convert_from_python(
    py: Python<'_>,
    object: *mut PyObject,
    value: *mut GValue,
) -> Result<(), Raised> {
    // SAFETY: by the caller's promise.
    unsafe { to_value(py, object, value) }.map_err(|_pending| raised(py))
}

fn raised(py: Python<'_>) -> Raised {
    match Raised::take(py) {
        Some(raised) => raised,
        None => unreachable!("whoever says that an exception is set has set one"),
    }
}

/// A value of a type, with that type's default in it.
pub(crate) fn empty(kind: GType) -> glib::Value {
    // SAFETY: a number that is a GType.
    let kind = unsafe { glib::Type::from_glib(kind) };
    // SAFETY: of a type that values can be of, as the callers' come from values.
    unsafe { glib::Value::from_type_unchecked(kind) }
}

/// The type that an object is of.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn type_of(object: *mut gobject_ffi::GObject) -> GType {
    // SAFETY: by the caller's promise.
    let class = unsafe { (*object).g_type_instance.g_class };
    // SAFETY: the class of a live object.
    unsafe { (*class).g_type }
}

/// The text at `start`.
///
/// # Safety
///
/// It ends with a NUL.
pub(crate) unsafe fn native_text(start: *const c_char) -> String {
    // SAFETY: by the caller's promise.
    unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned()
}

/// The fundamental type of one.
fn fundamental(kind: GType) -> GType {
    if kind <= gobject_ffi::G_TYPE_VARIANT {
        return kind;
    }
    // SAFETY: a type.
    unsafe { gobject_ffi::g_type_fundamental(kind) }
}

fn gtype_type() -> GType {
    // SAFETY: registers the type if nobody has yet.
    unsafe { gobject_ffi::g_gtype_get_type() }
}

/// A type's name.
pub(crate) fn type_name(kind: GType) -> String {
    // SAFETY: a type, or a number that is none, which has no name.
    let name = unsafe { gobject_ffi::g_type_name(kind) };
    if name.is_null() {
        return "an invalid GType".to_owned();
    }
    // SAFETY: a text that lives as long as the type, and types are for ever.
    unsafe { native_text(name) }
}

/// The name of a Python object's type.
///
/// # Safety
///
/// `object` is alive, and Python held.
pub(crate) unsafe fn kind_of(object: *mut PyObject) -> String {
    // SAFETY: alive, by the caller's promise.
    let kind = unsafe { ffi::Py_TYPE(object) };
    // SAFETY: a live object's type.
    let name = unsafe { (*kind).tp_name };
    // SAFETY: every type has a name, as long as it lives.
    unsafe { native_text(name) }
}

/// A TypeError: the type wants something else.
pub(crate) fn wrong(py: Python<'_>, wanted: GType, got: &str) -> Pending {
    let line = format!("a {} cannot be made from {got}", type_name(wanted));
    Pending::new(py, Kind::Type, &line)
}

/// Whether `object` is None.
pub(crate) fn is_none(object: *mut PyObject) -> bool {
    // SAFETY: Python's own None, of which there is one.
    object == unsafe { ffi::Py_None() }
}
