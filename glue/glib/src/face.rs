//! What Python calls: `raddle.connect` and its like.

use core::ffi::c_ulong;

use glib::gobject_ffi::{self, GObject};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};
use raddle::arguments::{Argument, Call};
use raddle::object::{Answer, Kind, Object, Pending};
use raddle::row;

use crate::object::Handle;
use crate::value::{self, kind_of, text_of};
use crate::{failure, signal};

/// The functions of this part.
pub(crate) const METHODS: [PyMethodDef; 3] = [
    row::function(
        c"connect",
        connect,
        c"connect(instance, signal, handler, after=False)\n--\n\nCalls handler(instance, *arguments) whenever the signal is emitted; gives the handler's id.",
    ),
    row::function(
        c"disconnect",
        disconnect,
        c"disconnect(instance, id)\n--\n\nRemoves a handler.",
    ),
    row::function(
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
/// `object` is alive.
unsafe fn connect_to<'py>(
    py: Python<'py>,
    object: *mut GObject,
    [signal, handler, after]: [Argument<'py>; 3],
) -> Answer<'py> {
    // SAFETY: alive.
    let signal = unsafe { text_of(py, signal.as_ptr()) }?;
    let after = after.truth(false)?;
    // SAFETY: alive.
    let got = unsafe { kind_of(handler.as_ptr()) };
    let handler = handler.callable(&format!("a handler is callable, {got} is not"))?;
    // SAFETY: alive, by the caller's promise.
    let id = unsafe { signal::connect(object, &signal, handler, after) };
    let id = id.map_err(|error| failure::raise(py, &error))?;
    Object::integer(py, id).map_err(|raised| raised.set(py))
}

fn connect(call: Call<'_>) -> Answer<'_> {
    let names = [c"instance", c"signal", c"handler", c"after"];
    let [instance, rest @ ..] = call.bind("connect", names, 3)?;
    // SAFETY: alive.
    let object = unsafe { object(call.py(), instance.as_ptr()) }?;
    // SAFETY: alive while its face is, which the caller keeps.
    unsafe { connect_to(call.py(), object, rest) }
}

/// `raddle.GObject.connect`.
pub(crate) fn connect_method<'py>(handle: &Handle, call: Call<'py>) -> Answer<'py> {
    let arguments = call.bind("connect", [c"signal", c"handler", c"after"], 2)?;
    // SAFETY: alive while its handle is.
    unsafe { connect_to(call.py(), handle.object(), arguments) }
}

/// # Safety
///
/// `object` is alive.
unsafe fn disconnect_from<'py>(object: *mut GObject, id: Argument<'py>) -> Answer<'py> {
    let py = id.py();
    let id = c_ulong::from(id.number("id", 1, 0)?);
    // SAFETY: alive, and a number.
    let there = unsafe { gobject_ffi::g_signal_handler_is_connected(object, id) };
    if there == glib::ffi::GFALSE {
        return Err(Pending::new(py, Kind::Value, &format!("no handler {id} is connected")));
    }
    // SAFETY: a handler of the object's.
    unsafe { gobject_ffi::g_signal_handler_disconnect(object, id) };
    Ok(Object::none(py))
}

fn disconnect(call: Call<'_>) -> Answer<'_> {
    let [instance, id] = call.bind("disconnect", [c"instance", c"id"], 2)?;
    // SAFETY: alive.
    let object = unsafe { object(call.py(), instance.as_ptr()) }?;
    // SAFETY: alive while its face is, which the caller keeps.
    unsafe { disconnect_from(object, id) }
}

/// `raddle.GObject.disconnect`.
pub(crate) fn disconnect_method<'py>(handle: &Handle, call: Call<'py>) -> Answer<'py> {
    let [id] = call.bind("disconnect", [c"id"], 1)?;
    // SAFETY: alive while its handle is.
    unsafe { disconnect_from(handle.object(), id) }
}

fn wrap_object(call: Call<'_>) -> Answer<'_> {
    let [address] = call.bind("wrap_object", [c"address"], 1)?;
    // SAFETY: alive; null with an exception if it is no number.
    let address = unsafe { ffi::PyLong_AsVoidPtr(address.as_ptr()) };
    if address.is_null() {
        // SAFETY: Python is held.
        unsafe { ffi::PyErr_Clear() };
        return Err(Pending::new(call.py(), Kind::Value, "an object's address is an int, not 0"));
    }
    // SAFETY: whoever has an address in Python promises what it would in C.
    unsafe { value::object_to_python(call.py(), address.cast()) }
}
