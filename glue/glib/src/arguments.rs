//! Arguments of GLib's kinds, of functions that Python calls: contexts and priorities.
//!
//! `raddle::arguments` binds them to their names, and reads those of Python's own kinds.

use glib::{MainContext, Priority};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};
use raddle::class;
use raddle::object::{Kind, Object, Pending};

use crate::main_context::Context;

/// The context that an argument is the face of.
///
/// # Safety
///
/// `argument` is null or alive.
pub(crate) unsafe fn context(
    py: Python<'_>,
    argument: *mut PyObject,
) -> Result<MainContext, Pending> {
    // SAFETY: by the caller's promise.
    let object = unsafe { Object::borrowed(py, argument) };
    let context = match &object {
        Some(object) => class::of::<Context>(py, object)?,
        None => None,
    };
    let context = context.map(|context| context.0.clone());
    context.ok_or_else(|| Pending::new(py, Kind::Type, "the context must be a raddle.MainContext"))
}

/// A priority of a source's.
///
/// # Safety
///
/// `argument` is alive.
pub(crate) unsafe fn priority(
    py: Python<'_>,
    argument: *mut PyObject,
) -> Result<Priority, Pending> {
    // SAFETY: alive; anything but an int is refused.
    let priority = unsafe { ffi::PyLong_AsLong(argument) };
    // SAFETY: Python is held.
    if priority == -1 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(Pending::is_set());
    }
    let priority = i32::try_from(priority);
    let refuse = |_| Pending::new(py, Kind::Value, "a priority is an int of 32 bits");
    priority.map(Priority::from).map_err(refuse)
}
