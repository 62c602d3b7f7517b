//! `raddle.Stopped`: what a wait raises for something that was stopped.

use core::ptr;

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};

use crate::cpython;
use crate::object::{self, Object, Pending};
use crate::shelf::{self, Key};

/// Makes the exception, and puts it into the module and on the shelf.
pub(super) fn add(py: Python<'_>, module: *mut PyObject) -> object::Result<()> {
    let doc = c"What was waited for was stopped, and there is nothing left in it.";
    // SAFETY: Python is held; an exception's type, which lives as long as the interpreter.
    let base = unsafe { ffi::PyExc_RuntimeError };
    let name = c"raddle.Stopped".as_ptr();
    // SAFETY: two texts that end with a NUL, a base, and no dict.
    let raw = unsafe { ffi::PyErr_NewExceptionWithDoc(name, doc.as_ptr(), base, ptr::null_mut()) };
    // SAFETY: as that function returns.
    let class = unsafe { Object::owned(py, raw) }?;
    // SAFETY: a module, a name that ends with a NUL, and an object.
    let status =
        unsafe { ffi::PyObject_SetAttrString(module, c"Stopped".as_ptr(), class.as_ptr()) };
    object::check(py, status)?;
    if cpython::is_main_interpreter(py) {
        shelf::put(Key::Stopped, class);
    }
    Ok(())
}

/// Raises it.
pub(super) fn raise(py: Python<'_>) -> Pending {
    match super::exception(py, Key::Stopped, c"_raddle", c"Stopped") {
        Ok(class) => {
            let line = c"it was stopped, and there is nothing left in it";
            // SAFETY: Python is held; an exception's type, and a text that ends with a NUL.
            unsafe { ffi::PyErr_SetString(class, line.as_ptr()) };
            Pending::is_set()
        }
        Err(pending) => pending,
    }
}
