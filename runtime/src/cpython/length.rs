//! How many items a list or a deque has, as a thread sees it that need not hold Python.
//!
//! Both keep the number in the head that every object of variable size has. That is promised for
//! a list (`PyList_GET_SIZE` is a macro) and only so for a deque, from 3.11 to 3.15; whoever counts on
//! it asks [`shows_length`] first.

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject, PyVarObject};

use crate::object::{Object, Result};
use crate::primitive::{AtomicPtr, Ordering};

/// The number of items, at some moment of late: another thread may be changing it.
///
/// # Safety
///
/// A list or a deque that stays alive during the call.
#[must_use]
pub unsafe fn length_unheld(object: *mut PyObject) -> usize {
    // SAFETY: alive, by the caller's promise, and begins as every object of variable size does.
    let place = unsafe { &raw mut (*object.cast::<PyVarObject>()).ob_size };
    // SAFETY: aligned, alive, and as wide as a pointer. Python's own writes race with this read as they
    // do with each other on a free-threaded build: a word that is written whole.
    let word = unsafe { AtomicPtr::<()>::from_ptr(place.cast()) };
    // Relaxed: a number to decide by whether to look again with Python held.
    word.load(Ordering::Relaxed).addr()
}

/// Whether the objects of this type show their number so: tried on one with three items, made by
/// calling the type with a tuple.
///
/// # Errors
///
/// What Python raised.
pub fn shows_length(py: Python<'_>, class: &Object<'_>) -> Result<bool> {
    let items = Object::tuple(py, [0, 1, 2].map(|item| Object::integer(py, item)))?;
    let three = class.call([Ok(items)])?;
    // SAFETY: alive.
    let kind = unsafe { ffi::Py_TYPE(three.as_ptr()) };
    // SAFETY: alive while its object is.
    let size = unsafe { (*kind).tp_basicsize };
    if size.unsigned_abs() < size_of::<PyVarObject>() {
        return Ok(false);
    }
    // SAFETY: alive, and large enough to have the word in question.
    Ok(unsafe { length_unheld(three.as_ptr()) } == 3)
}
