//! Weave's functions in the extension module `_raddle`, which `raddle/weave.py` puts its gate before.
//!
//! The arguments are parsed as `ft_utils` parses them, so that mistakes get the same exceptions.

use core::{
    ffi::{CStr, c_void},
    mem, ptr,
};
use std::{
    thread,
    time::{Duration, Instant},
};

use pyo3_ffi as ffi;

use super::Destructor;
use crate::exit;

/// The rows for the method table of `_raddle`.
pub(crate) const METHODS: [ffi::PyMethodDef; 3] = [
    method(
        c"register_native_destructor",
        register_native_destructor,
        c"Register a native destructor for a native variable of this thread.",
    ),
    method(
        c"unregister_native_destructor",
        unregister_native_destructor,
        c"Take back this thread's destructors for a native variable; say whether there were any.",
    ),
    method(
        c"wait_for_native_destructors",
        wait_for_native_destructors,
        c"Wait until the destructors of a thread that is ending have run; say whether they have.",
    ),
];

const fn method(
    name: &'static CStr,
    function: ffi::PyCFunction,
    doc: &'static CStr,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: ffi::METH_VARARGS,
        ml_doc: doc.as_ptr(),
    }
}

unsafe extern "C" fn register_native_destructor(
    _module: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let (mut variable, mut destructor) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: Python calls with its lock and a tuple; the format takes two objects, lent to us.
    let parsed = unsafe {
        ffi::PyArg_ParseTuple(args, c"OO".as_ptr(), &raw mut variable, &raw mut destructor)
    };
    if parsed == 0 {
        return ptr::null_mut();
    }
    // SAFETY: Python's lock is held, and both objects live as long as the tuple.
    let Some(variable) = (unsafe { address(variable) }) else {
        return ptr::null_mut();
    };
    // SAFETY: as above.
    let Some(destructor) = (unsafe { address(destructor) }) else {
        return ptr::null_mut();
    };
    // SAFETY: the caller vouches for the number, as `ctypes` would; 0 is a missing destructor.
    let destructor = unsafe { mem::transmute::<*mut c_void, Option<Destructor>>(destructor) };
    // SAFETY: whoever passes the two numbers vouches for the call they stand for.
    match unsafe { super::register_native_destructor(variable.cast(), destructor) } {
        Ok(()) => none(),
        // SAFETY: Python's lock is held.
        Err(_) => unsafe { ffi::PyErr_NoMemory() },
    }
}

unsafe extern "C" fn unregister_native_destructor(
    _module: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let mut variable = ptr::null_mut();
    // SAFETY: Python calls with its lock and a tuple; the format takes one object, lent to us.
    if unsafe { ffi::PyArg_ParseTuple(args, c"O".as_ptr(), &raw mut variable) } == 0 {
        return ptr::null_mut();
    }
    // SAFETY: Python's lock is held, and the object lives as long as the tuple.
    let Some(variable) = (unsafe { address(variable) }) else {
        return ptr::null_mut();
    };
    truth(super::unregister_native_destructor(variable.cast()))
}

/// `wait_for_native_destructors(ident: int, native_id: int, seconds: float) -> bool`; forever if
/// `seconds` is negative.
unsafe extern "C" fn wait_for_native_destructors(
    _module: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let (mut ident, mut native, mut seconds) = (0_u64, 0_u32, -1_f64);
    // SAFETY: Python calls with its lock and a tuple; K, I and d fill these three types.
    let parsed = unsafe {
        ffi::PyArg_ParseTuple(
            args,
            c"KId".as_ptr(),
            &raw mut ident,
            &raw mut native,
            &raw mut seconds,
        )
    };
    if parsed == 0 {
        return ptr::null_mut();
    }
    // Too long for a duration is forever, too.
    let deadline = Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|duration| Instant::now().checked_add(duration));
    // The thread is on its last steps: look often at first, then leave it the processor.
    let mut pause = Duration::from_micros(20);
    while exit::has_duties(ident, native) {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return truth(false);
        }
        // SAFETY: Python's lock is held, and its state comes back below.
        let state = unsafe { ffi::PyEval_SaveThread() };
        thread::sleep(left.map_or(pause, |left| left.min(pause)));
        pause = (pause * 2).min(Duration::from_millis(2));
        // SAFETY: this thread gave that state up just now.
        unsafe { ffi::PyEval_RestoreThread(state) };
        // SAFETY: Python's lock is held.
        if unsafe { ffi::PyErr_CheckSignals() } != 0 {
            return ptr::null_mut();
        }
    }
    truth(true)
}

/// The address that a Python integer stands for, or `None` with an exception set.
///
/// # Safety
///
/// Python's lock is held, and `number` is an object.
unsafe fn address(number: *mut ffi::PyObject) -> Option<*mut c_void> {
    // SAFETY: the caller's promise.
    let address = unsafe { ffi::PyLong_AsVoidPtr(number) };
    // SAFETY: the caller's promise; NULL is an address as well, so the exception decides.
    if address.is_null() && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return None;
    }
    Some(address)
}

/// A new reference to `None`; Python's lock is held in every caller.
fn none() -> *mut ffi::PyObject {
    // SAFETY: only functions that Python calls come here.
    let none = unsafe { ffi::Py_None() };
    // SAFETY: as above.
    unsafe { ffi::Py_NewRef(none) }
}

/// A new reference to `True` or `False`; Python's lock is held in every caller.
fn truth(value: bool) -> *mut ffi::PyObject {
    // SAFETY: only functions that Python calls come here.
    unsafe { ffi::PyBool_FromLong(value.into()) }
}
