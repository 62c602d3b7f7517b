//! Arguments of GLib's kinds, of functions that Python calls: contexts and priorities.
//!
//! `raddle::arguments` binds them to their names, and reads those of Python's own kinds.

use glib::{MainContext, Priority};
use pyo3_ffi as ffi;
use raddle::arguments::Argument;
use raddle::class;
use raddle::object::{Kind, Pending};

use crate::main_context::Context;

/// The context that an argument is the face of.
pub(crate) fn context(argument: Argument<'_>) -> Result<MainContext, Pending> {
    let py = argument.py();
    let object = argument.object();
    let context = match &object {
        Some(object) => class::of::<Context>(py, object)?,
        None => None,
    };
    let context = context.map(|context| context.0.clone());
    context.ok_or_else(|| Pending::new(py, Kind::Type, "the context must be a raddle.MainContext"))
}

/// A priority of a source's, which must be there.
pub(crate) fn priority(argument: Argument<'_>) -> Result<Priority, Pending> {
    // SAFETY: alive; anything but an int is refused.
    let priority = unsafe { ffi::PyLong_AsLong(argument.as_ptr()) };
    // SAFETY: Python is held.
    if priority == -1 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(Pending::is_set());
    }
    let priority = i32::try_from(priority);
    let refuse = |_| Pending::new(argument.py(), Kind::Value, "a priority is an int of 32 bits");
    priority.map(Priority::from).map_err(refuse)
}
