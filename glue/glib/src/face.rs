//! What Python calls: `raddle.connect` and its like.

use core::ffi::c_ulong;

use glib::gobject_ffi::{self, GObject};
use pyo3::{Bound, Python};
use pyo3_ffi::{self as ffi, Py_ssize_t, PyMethodDef, PyObject};
use raddle::Ref;
use raddle::arguments::{bind, number, truth};
use raddle::class;
use raddle::object::{Kind, Object, Pending, answer};

use crate::value::{self, Answer, kind_of, text_of};
use crate::{failure, signal};

/// The functions of this part.
pub(crate) const METHODS: [PyMethodDef; 3] = [
    class::method(
        c"connect",
        connect,
        c"connect(instance, signal, handler, after=False)\n--\n\nCalls handler(instance, *arguments) whenever the signal is emitted; gives the handler's id.",
    ),
    class::method(
        c"disconnect",
        disconnect,
        c"disconnect(instance, id)\n--\n\nRemoves a handler.",
    ),
    class::method(
        c"wrap_object",
        wrap_object,
        c"wrap_object(address)\n--\n\nPython's face of the GObject at an address.",
    ),
];

/// The object behind Python's face of one.
///
/// # Safety
///
/// `instance` is alive.
pub(crate) unsafe fn object(
    py: Python<'_>,
    instance: *mut PyObject,
) -> Result<*mut GObject, Pending> {
    // SAFETY: by the caller's promise.
    match unsafe { value::native(py, instance) }? {
        Some(object) => Ok(object),
        None => {
            // SAFETY: by the caller's promise.
            let got = unsafe { kind_of(instance) };
            let line = format!("a GObject is wanted, not {got}");
            Err(Pending::new(py, Kind::Type, &line))
        }
    }
}

/// # Safety
///
/// `object` is alive, and the others are null or alive.
unsafe fn connect_to<'py>(
    py: Python<'py>,
    object: *mut GObject,
    signal: *mut PyObject,
    handler: *mut PyObject,
    after: *mut PyObject,
) -> Answer<'py> {
    // SAFETY: alive.
    let signal = unsafe { text_of(py, signal) }?;
    // SAFETY: null or alive.
    let after = unsafe { truth(after, false) }?;
    // SAFETY: alive.
    if unsafe { ffi::PyCallable_Check(handler) } == 0 {
        // SAFETY: alive.
        let got = unsafe { kind_of(handler) };
        let line = format!("a handler is callable, {got} is not");
        return Err(Pending::new(py, Kind::Type, &line));
    }
    // SAFETY: alive, and Python is held.
    let handler = Ref::new(unsafe { Bound::from_borrowed_ptr(py, handler) });
    // SAFETY: alive, by the caller's promise.
    match unsafe { signal::connect(object, &signal, handler, after) } {
        Ok(id) => {
            Ok(Object::integer(py, id)
                .map_err(|raised| Pending::new(py, Kind::Runtime, &raised.0))?)
        }
        Err(error) => Err(failure::raise(py, &error)),
    }
}

unsafe extern "C" fn connect(
    _: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    let names = [c"instance", c"signal", c"handler", c"after"];
    // SAFETY: as CPython called this.
    let bound = unsafe { bind(py, "connect", names, 3, arguments, count, keywords) };
    answer(bound.and_then(|[instance, signal, handler, after]| {
        // SAFETY: alive.
        let object = unsafe { object(py, instance) }?;
        // SAFETY: alive while its face is, which the caller keeps.
        unsafe { connect_to(py, object, signal, handler, after) }
    }))
}

/// `raddle.GObject.connect`.
pub(crate) unsafe extern "C" fn connect_method(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    let names = [c"signal", c"handler", c"after"];
    // SAFETY: as CPython called this.
    let bound = unsafe { bind(py, "connect", names, 2, arguments, count, keywords) };
    answer(bound.and_then(|[signal, handler, after]| {
        // SAFETY: alive.
        let object = unsafe { object(py, this) }?;
        // SAFETY: alive while its face is, which the caller keeps.
        unsafe { connect_to(py, object, signal, handler, after) }
    }))
}

/// # Safety
///
/// `object` is alive, and `id` too.
unsafe fn disconnect_from<'py>(
    py: Python<'py>,
    object: *mut GObject,
    id: *mut PyObject,
) -> Answer<'py> {
    // SAFETY: alive.
    let id = c_ulong::from(unsafe { number(py, "id", id, 1, 0) }?);
    // SAFETY: alive, and a number.
    let there = unsafe { gobject_ffi::g_signal_handler_is_connected(object, id) };
    if there == glib::ffi::GFALSE {
        return Err(Pending::new(py, Kind::Value, &format!("no handler {id} is connected")));
    }
    // SAFETY: a handler of the object's.
    unsafe { gobject_ffi::g_signal_handler_disconnect(object, id) };
    Ok(Object::none(py))
}

unsafe extern "C" fn disconnect(
    _: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    let names = [c"instance", c"id"];
    // SAFETY: as CPython called this.
    let bound = unsafe { bind(py, "disconnect", names, 2, arguments, count, keywords) };
    answer(bound.and_then(|[instance, id]| {
        // SAFETY: alive.
        let object = unsafe { object(py, instance) }?;
        // SAFETY: alive while its face is, which the caller keeps.
        unsafe { disconnect_from(py, object, id) }
    }))
}

/// `raddle.GObject.disconnect`.
pub(crate) unsafe extern "C" fn disconnect_method(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: as CPython called this.
    let bound = unsafe { bind(py, "disconnect", [c"id"], 1, arguments, count, keywords) };
    answer(bound.and_then(|[id]| {
        // SAFETY: alive.
        let object = unsafe { object(py, this) }?;
        // SAFETY: alive while its face is, which the caller keeps.
        unsafe { disconnect_from(py, object, id) }
    }))
}

unsafe extern "C" fn wrap_object(
    _: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: as CPython called this.
    let bound = unsafe { bind(py, "wrap_object", [c"address"], 1, arguments, count, keywords) };
    answer(bound.and_then(|[address]| {
        // SAFETY: alive; null with an exception if it is no number.
        let address = unsafe { ffi::PyLong_AsVoidPtr(address) };
        if address.is_null() {
            // SAFETY: Python is held.
            unsafe { ffi::PyErr_Clear() };
            return Err(Pending::new(py, Kind::Value, "an object's address is an int, not 0"));
        }
        // SAFETY: whoever has an address in Python promises what it would in C.
        unsafe { value::object_to_python(py, address.cast()) }
    }))
}
