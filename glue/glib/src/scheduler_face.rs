//! `raddle.attach_scheduler` and its like, as the module `_raddle_glib` has them.

use core::ptr;

use pyo3::{Bound, Python};
use pyo3_ffi::{self as ffi, Py_ssize_t, PyMethodDef, PyObject};
use raddle::arguments::{bind, timeout};
use raddle::class;
use raddle::object::{Kind, Object, Pending, answer};
use raddle::{Error, Raised, Ref};

use crate::scheduler::{self, Turns};
use crate::{arguments, main_loop};

/// The functions of this part.
pub(crate) const FUNCTIONS: [PyMethodDef; 2] = [
    class::method(
        c"attach_scheduler",
        attach,
        c"attach_scheduler(context, budget, priority, on_error)\n--\n\nHave a context run this thread's tasklets.",
    ),
    class::method(
        c"detach_scheduler",
        detach,
        c"detach_scheduler(context)\n--\n\nHave it run them no longer.",
    ),
];

fn failed(py: Python<'_>, error: &Error) -> Pending {
    Pending::new(py, Kind::Runtime, error.message())
}

unsafe extern "C" fn attach(
    _: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    let names = [c"context", c"budget", c"priority", c"on_error"];
    // SAFETY: what CPython called with.
    let bound =
        unsafe { bind(py, "attach_scheduler", names, names.len(), arguments, count, keywords) };
    answer(bound.and_then(|[context, budget, priority, on_error]| {
        // SAFETY: an argument.
        let context = unsafe { arguments::context(py, context) }?;
        // SAFETY: an argument.
        let Some(budget) = (unsafe { timeout(py, budget) })? else {
            return Err(Pending::new(py, Kind::Value, "a budget is a number of seconds"));
        };
        // SAFETY: an argument.
        let priority = unsafe { arguments::priority(py, priority) }?;
        let turns = Turns { budget, priority };
        scheduler::attach_scheduler(&context, turns).map_err(|error| failed(py, &error))?;
        // SAFETY: an argument.
        let told = unsafe { told(py, on_error) }?;
        scheduler::on_scheduler_error(&context, told).map_err(|error| failed(py, &error))?;
        Ok(Object::none(py))
    }))
}

/// What calls `on_error` with an exception; nothing for None.
///
/// # Safety
///
/// `on_error` is alive.
unsafe fn told(
    py: Python<'_>,
    on_error: *mut PyObject,
) -> Result<Option<impl Fn(Python<'_>, &Bound<'_, pyo3::PyAny>) + Send + Sync + 'static>, Pending> {
    // SAFETY: Python is held.
    if on_error == unsafe { ffi::Py_None() } {
        return Ok(None);
    }
    // SAFETY: alive.
    if unsafe { ffi::PyCallable_Check(on_error) } == 0 {
        return Err(Pending::new(py, Kind::Type, "on_error is a callable, or None"));
    }
    // SAFETY: alive.
    let on_error = Ref::new(unsafe { Bound::from_borrowed_ptr(py, on_error) });
    Ok(Some(move |py: Python<'_>, exception: &Bound<'_, pyo3::PyAny>| {
        let Some(callable) = on_error.try_bind(py) else { return };
        let end = ptr::null_mut::<PyObject>();
        // SAFETY: a callable, an object and the null that ends the list.
        let result = unsafe {
            ffi::PyObject_CallFunctionObjArgs(callable.as_ptr(), exception.as_ptr(), end)
        };
        // SAFETY: owned, or null.
        unsafe { ffi::Py_XDECREF(result) };
        if let Some(raised) = Raised::take(py) {
            main_loop::raise(raised, &callable);
        }
    }))
}

unsafe extern "C" fn detach(
    _: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: what CPython called with.
    let bound =
        unsafe { bind(py, "detach_scheduler", [c"context"], 1, arguments, count, keywords) };
    answer(bound.and_then(|[context]| {
        // SAFETY: an argument.
        let context = unsafe { arguments::context(py, context) }?;
        scheduler::detach_scheduler(&context).map_err(|error| failed(py, &error))?;
        Ok(Object::none(py))
    }))
}
