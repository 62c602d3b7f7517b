//! `raddle.GValue`: a copy of a value that Python has no plain form for.
//!
//! A boxed record, a param spec, whatever else there is: code in Python may keep it, look at its type,
//! compare it and give it back.

use core::ffi::{CStr, c_void};
use core::ptr;

use glib::gobject_ffi::{self, GParamSpec, GValue};
use glib::translate::{FromGlibPtrNone as _, ToGlibPtr as _};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyGetSetDef, PyMethodDef, PyObject, PyType_Slot};
use raddle::arguments::Creation;
use raddle::class::{self, Class};
use raddle::object::{Answer, Kind, Object, Pending, answer};
use raddle::row::property;
use raddle::shelf::Key;
use raddle::table::Table;

use crate::value::{self, text, type_name};

/// The Rust value of a `raddle.GValue`.
#[derive(Debug)]
pub(crate) struct Opaque(glib::Value);

// SAFETY: never changed after it was made; copying and freeing what is in it is what its type's own
// table does on whichever thread.
unsafe impl Send for Opaque {}
// SAFETY: as above.
unsafe impl Sync for Opaque {}

impl Opaque {
    fn raw(&self) -> *const GValue {
        self.0.to_glib_none().0
    }

    /// The pointer that the value is made of.
    fn address(&self) -> *mut c_void {
        // SAFETY: initialised; null for what is made of something else than a pointer.
        let fits = unsafe { gobject_ffi::g_value_fits_pointer(self.raw()) };
        if fits == glib::ffi::GFALSE {
            return ptr::null_mut();
        }
        // SAFETY: made of a pointer.
        unsafe { gobject_ffi::g_value_peek_pointer(self.raw()) }
    }
}

static METHODS: Table<[PyMethodDef; 1]> = Table::new([PyMethodDef::zeroed()]);
static PROPERTIES: Table<[PyGetSetDef; 4]> = Table::new([
    property(c"type_name", Opaque::type_name, c"The name of its GType."),
    property(c"address", Opaque::address_of, c"Where its record is, as an int."),
    property(c"name", Opaque::name, c"The name of the property, if it is a param spec."),
    class::no_property(),
]);

impl Class for Opaque {
    const NAME: &'static CStr = c"raddle.GValue";
    const DOC: &'static CStr = c"A copy of a GLib value that has no plain form in Python.";
    const KEY: Key = Key::Above5;

    fn new(call: Creation<'_>) -> Result<Self, Pending> {
        let line = "a raddle.GValue comes from GLib and is not made by hand";
        Err(Pending::new(call.py(), Kind::Type, line))
    }

    fn methods() -> *mut PyMethodDef {
        METHODS.start()
    }

    fn slots() -> Vec<PyType_Slot> {
        let repr: ffi::reprfunc = repr;
        vec![
            PyType_Slot { slot: ffi::Py_tp_getset, pfunc: PROPERTIES.start() },
            PyType_Slot { slot: ffi::Py_tp_repr, pfunc: repr as *mut c_void },
        ]
    }
}

/// A handle with a copy of `value`.
///
/// # Safety
///
/// `value` is initialised.
pub(crate) unsafe fn copy(py: Python<'_>, value: *const GValue) -> Answer<'_> {
    // SAFETY: by the caller's promise; copies.
    let copy = unsafe { glib::Value::from_glib_none(value) };
    class::new(py, Opaque(copy))
}

/// The value in a handle, which keeps it; `None` if `object` is none.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn held(
    py: Python<'_>,
    object: *mut PyObject,
) -> Result<Option<*const GValue>, Pending> {
    // SAFETY: by the caller's promise.
    let Some(object) = (unsafe { Object::borrowed(py, object) }) else { return Ok(None) };
    Ok(class::of::<Opaque>(py, &object)?.map(Opaque::raw))
}

/// # Safety
///
/// `object` is a handle, alive.
unsafe fn opaque<'a>(object: *mut PyObject) -> &'a Opaque {
    // SAFETY: by the caller's promise.
    unsafe { class::value(object) }
}

fn kind(opaque: &Opaque) -> glib::ffi::GType {
    // SAFETY: initialised.
    unsafe { (*opaque.raw()).g_type }
}

impl Opaque {
    fn type_name<'py>(&self, py: Python<'py>) -> Answer<'py> {
        text(py, &type_name(kind(self)))
    }

    fn address_of<'py>(&self, py: Python<'py>) -> Answer<'py> {
        Object::integer(py, self.address().addr() as u64).map_err(|raised| raised.set(py))
    }

    fn name<'py>(&self, py: Python<'py>) -> Answer<'py> {
        // SAFETY: a type, or a number that is none.
        let is_param = unsafe { gobject_ffi::g_type_is_a(kind(self), gobject_ffi::G_TYPE_PARAM) };
        let spec: *mut GParamSpec = self.address().cast();
        if is_param == glib::ffi::GFALSE || spec.is_null() {
            // SAFETY: read only, and written by Python before anybody holds it.
            let kind = unsafe { ffi::PyExc_AttributeError };
            // SAFETY: Python is held; an exception's class and a text.
            unsafe { ffi::PyErr_SetString(kind, c"only a param spec has a name".as_ptr()) };
            return Err(Pending::is_set());
        }
        // SAFETY: a param spec, which the handle keeps.
        let name = unsafe { gobject_ffi::g_param_spec_get_name(spec) };
        // SAFETY: its name, kept by it.
        unsafe { value::text_or_none(py, name) }
    }
}

unsafe extern "C" fn repr(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: a handle, as CPython saw to.
    let opaque = unsafe { opaque(object) };
    answer(text(
        py,
        &format!("<raddle.GValue {} at {:p}>", type_name(kind(opaque)), opaque.address()),
    ))
}
