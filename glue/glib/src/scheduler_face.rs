//! `raddle.attach_scheduler` and its like, as the module `_raddle_glib` has them.

use core::ptr;

use pyo3::{Bound, Python};
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};
use raddle::arguments::{Argument, Call};
use raddle::object::{Answer, Kind, Object, Pending};
use raddle::{Error, Raised, row};

use crate::scheduler::{self, Turns};
use crate::{arguments, main_loop};

/// The functions of this part.
pub(crate) const FUNCTIONS: [PyMethodDef; 2] = [
    row::function(
        c"attach_scheduler",
        attach,
        c"attach_scheduler(context, budget, priority, on_error)\n--\n\nHave a context run this thread's tasklets.",
    ),
    row::function(
        c"detach_scheduler",
        detach,
        c"detach_scheduler(context)\n--\n\nHave it run them no longer.",
    ),
];

fn failed(py: Python<'_>, error: &Error) -> Pending {
    Pending::new(py, Kind::Runtime, error.message())
}

fn attach(call: Call<'_>) -> Answer<'_> {
    let py = call.py();
    let names = [c"context", c"budget", c"priority", c"on_error"];
    let [context, budget, priority, on_error] =
        call.bind("attach_scheduler", names, names.len())?;
    let context = arguments::context(context)?;
    let Some(budget) = budget.timeout()? else {
        return Err(Pending::new(py, Kind::Value, "a budget is a number of seconds"));
    };
    let turns = Turns { budget, priority: arguments::priority(priority)? };
    scheduler::attach_scheduler(&context, turns).map_err(|error| failed(py, &error))?;
    let told = told(on_error)?;
    scheduler::on_scheduler_error(&context, told).map_err(|error| failed(py, &error))?;
    Ok(Object::none(py))
}

/// What calls `on_error` with an exception; nothing for None.
fn told(
    on_error: Argument<'_>,
) -> Result<Option<impl Fn(Python<'_>, &Bound<'_, pyo3::PyAny>) + Send + Sync + 'static>, Pending> {
    if on_error.is_none() {
        return Ok(None);
    }
    let on_error = on_error.callable("on_error is a callable, or None")?;
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

fn detach(call: Call<'_>) -> Answer<'_> {
    let [context] = call.bind("detach_scheduler", [c"context"], 1)?;
    let context = arguments::context(context)?;
    scheduler::detach_scheduler(&context).map_err(|error| failed(call.py(), &error))?;
    Ok(Object::none(call.py()))
}
