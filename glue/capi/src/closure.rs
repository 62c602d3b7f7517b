//! `raddle-closure.h`: Python callables as closures and signal handlers, and values for Python.

use core::ffi::{c_char, c_uint, c_ulong, c_void};
use core::ptr;

use ::glib::ffi::{GDestroyNotify, GType};
use ::glib::gobject_ffi::{GCallback, GClosure, GValue};
use pyo3_ffi::PyObject;
use raddle_glib::{closure, signal, value};

use crate::{
    boundary::guard,
    pointer,
    status::{RaddleStatus, answer, refuse},
};

/// See `raddle-closure.h`.
///
/// # Safety
///
/// `callable` is NULL or a live object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_closure_new(callable: *mut PyObject) -> *mut GClosure {
    // SAFETY: by the caller's promise.
    let made = || unsafe { pointer::callable(callable) }.and_then(closure::new);
    guard(|| made().unwrap_or_else(|error| none(refuse(&error))))
}

/// NULL, for a function that answers with a pointer, after its message was kept.
fn none<T>(_: RaddleStatus) -> *mut T {
    ptr::null_mut()
}

/// See `raddle-closure.h`.
///
/// # Safety
///
/// `instance` is NULL or an instance of some type, alive; `signal` is NULL or a text, `callable` NULL
/// or a live object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_signal_connect(
    instance: *mut c_void,
    signal: *const c_char,
    callable: *mut PyObject,
    flags: c_uint,
) -> c_ulong {
    guard(|| {
        let connect = || {
            // SAFETY: by the caller's promise.
            let object = unsafe { pointer::object(instance) }?;
            // SAFETY: by the caller's promise.
            let signal = unsafe { pointer::c_text(signal) }?;
            let after = pointer::connect_flags(flags)?;
            // SAFETY: by the caller's promise.
            let callable = unsafe { pointer::callable(callable) }?;
            // SAFETY: by the caller's promise.
            unsafe { signal::connect(object, signal, callable, after) }
        };
        connect().unwrap_or_else(|error| no_id(refuse(&error)))
    })
}

/// 0, for a function that answers with a handler's id, after its message was kept.
fn no_id(_: RaddleStatus) -> c_ulong {
    0
}

/// See `raddle-closure.h`.
///
/// # Safety
///
/// `handler` is NULL or takes what the closure is invoked with and then `data`; `notify` is NULL or
/// may be called with `data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_signal_wrap(
    handler: GCallback,
    data: *mut c_void,
    notify: GDestroyNotify,
) -> *mut GClosure {
    guard(|| match handler {
        // SAFETY: by the caller's promise.
        Some(handler) => unsafe { signal::wrap(handler, data, notify) },
        None => {
            if let Some(notify) = notify {
                // SAFETY: by the caller's promise.
                unsafe { notify(data) };
            }
            none(refuse(&pointer::null()))
        }
    })
}

/// See `raddle-closure.h`.
///
/// # Safety
///
/// `value` is NULL or a value; `out` is NULL or points to memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_value_to_python(
    value: *const GValue,
    out: *mut *mut PyObject,
) -> RaddleStatus {
    guard(|| {
        let convert = || {
            // SAFETY: by the caller's promise.
            let value = unsafe { pointer::value(value.cast_mut()) }?;
            // SAFETY: initialised.
            let make = || pointer::held(|py| unsafe { value::convert_to_python(py, value) });
            // SAFETY: by the caller's promise.
            unsafe { pointer::put(out, make) }
        };
        answer(convert())
    })
}

/// See `raddle-closure.h`.
///
/// # Safety
///
/// `value` is NULL or a value, `object` NULL or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_value_from_python(
    value: *mut GValue,
    object: *mut PyObject,
) -> RaddleStatus {
    guard(|| {
        let convert = || {
            // SAFETY: by the caller's promise.
            let value = unsafe { pointer::value(value) }?;
            if object.is_null() {
                return Err(pointer::null());
            }
            // SAFETY: by the caller's promise.
            pointer::held(|py| unsafe { value::convert_from_python(py, object, value) })
        };
        answer(convert())
    })
}

/// See `raddle-closure.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_object_get_type() -> GType {
    guard(value::object_type)
}
