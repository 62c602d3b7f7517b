//! `raddle-reference.h`: Python references on threads that do not hold Python.

use core::{ffi::c_void, ptr};

use pyo3_ffi::PyObject;
use raddle::gate::{self, Handle};

use crate::{boundary::guard, status::refuse};

/// See `raddle-reference.h`.
///
/// # Safety
///
/// `object` is NULL, or a reference of the present runtime's that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_decref(object: *mut PyObject) {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { gate::decref(object) });
}

/// See `raddle-reference.h`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RaddleHandle {
    raddle_private: *mut c_void,
}

/// See `raddle-reference.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_handle_get(handle: RaddleHandle) -> *mut PyObject {
    guard(|| {
        let object = Handle::new(handle.raddle_private.cast()).get();
        object.unwrap_or_else(|error| {
            refuse(&error);
            ptr::null_mut()
        })
    })
}
