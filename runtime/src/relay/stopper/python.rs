//! Exit stoppers in Python: callables as stoppers, and what fails in `sys.unraisablehook`.

use std::time::Duration;

use pyo3::{Bound, Python};
use pyo3_ffi::{self as ffi, PyMethodDef};

use super::{Failure, PATIENCE, Stage, add, remove};
use crate::arguments::{Argument, Call};
use crate::error::{Error, Status};
use crate::gate::{Raised, Ref, enter};
use crate::object::{Answer, Kind, Object, Pending};
use crate::{cpython, row};

/// The rows for the method table of `_raddle`.
pub(crate) const METHODS: [PyMethodDef; 2] = [
    row::function(
        c"add_exit_stopper",
        add_exit_stopper,
        c"Have a callable called before Python ends; returns what it is removed by.",
    ),
    row::function(
        c"remove_exit_stopper",
        remove_exit_stopper,
        c"Take an exit stopper back; say whether it was still there.",
    ),
];

/// `add_exit_stopper(name, call, timeout=5.0, stage="pools") -> (generation, id)`.
fn add_exit_stopper(call: Call<'_>) -> Answer<'_> {
    let py = call.py();
    let names = [c"name", c"call", c"timeout", c"stage"];
    let [name, call, timeout, stage] = call.bind("add_exit_stopper", names, 2)?;
    if !cpython::is_main_interpreter(py) {
        let line = "exit stoppers belong to the main interpreter: raddle serves no other";
        return Err(Pending::new(py, Kind::Runtime, line));
    }
    let name = text(name, "an exit stopper's name")?;
    let call = call.callable("an exit stopper is something to be called")?;
    let (patience, stage) = (patience(timeout)?, stage_of(stage)?);
    let stopper = add(stage, &name, patience, Box::new(move || call_it(&call).err()));
    let (generation, id) = stopper.map_err(|error| raise(py, &error))?.into_id();
    let found = Object::tuple(py, [Object::integer(py, generation), Object::integer(py, id)]);
    found.map_err(|raised| raised.set(py))
}

/// `remove_exit_stopper(generation, id) -> bool`.
fn remove_exit_stopper(call: Call<'_>) -> Answer<'_> {
    let names = [c"generation", c"id"];
    let [generation, id] = call.bind("remove_exit_stopper", names, 2)?;
    Ok(Object::flag(call.py(), remove(number(generation)?, number(id)?)))
}

fn number(argument: Argument<'_>) -> Result<u64, Pending> {
    // SAFETY: alive; anything but an int is refused with an exception.
    let number = unsafe { ffi::PyLong_AsUnsignedLongLong(argument.as_ptr()) };
    // SAFETY: Python is held.
    if number == u64::MAX && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(Pending::is_set());
    }
    Ok(number)
}

fn text(argument: Argument<'_>, what: &str) -> Result<String, Pending> {
    // SAFETY: alive.
    let is_text = |text: &Object<'_>| unsafe { ffi::PyUnicode_Check(text.as_ptr()) } != 0;
    match argument.object().filter(is_text) {
        Some(text) => Ok(text.to_text()),
        None => Err(Pending::new(argument.py(), Kind::Type, &format!("{what} is a str"))),
    }
}

fn patience(argument: Argument<'_>) -> Result<Duration, Pending> {
    if argument.is_left_out() {
        return Ok(PATIENCE);
    }
    if argument.is_none() {
        let line = "an exit stopper has a time that it may take, in seconds";
        return Err(Pending::new(argument.py(), Kind::Value, line));
    }
    Ok(argument.timeout()?.unwrap_or(Duration::MAX))
}

fn stage_of(argument: Argument<'_>) -> Result<Stage, Pending> {
    if argument.is_left_out() {
        return Ok(Stage::Pools);
    }
    let name = text(argument, "a stage")?;
    Stage::ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| {
        let line =
            format!("'{name}' is no stage: one is 'refuse', 'pools', 'completions' or 'log'");
        Pending::new(argument.py(), Kind::Value, &line)
    })
}

fn raise(py: Python<'_>, error: &Error) -> Pending {
    let kind = if error.status() == Status::Invalid { Kind::Value } else { Kind::Runtime };
    Pending::new(py, kind, error.message())
}

/// Enters Python and calls the callable.
fn call_it(call: &Ref) -> Result<(), Failure> {
    enter(|py| {
        let Some(call) = call.try_bind(py) else { return Ok(()) };
        // SAFETY: Python is held, and the callable alive.
        let result = unsafe { ffi::PyObject_CallNoArgs(call.as_ptr()) };
        if result.is_null() {
            return Raised::take(py).map_or(Ok(()), |raised| Err(raised.into()));
        }
        // SAFETY: owned.
        unsafe { ffi::Py_DECREF(result) };
        Ok(())
    })?
}

/// Hands an exception to `sys.unraisablehook`; says whether Python could be entered for it.
pub(super) fn report_raised(name: &str, raised: Raised) -> bool {
    let told = enter(|py| match Object::text(py, &format!("the exit stopper '{name}'")) {
        // SAFETY: alive, owned by `about`.
        Ok(about) => raised.report(&unsafe { Bound::from_borrowed_ptr(py, about.as_ptr()) }),
        Err(_) => drop(raised),
    });
    told.is_ok()
}

/// The same for a line, as a RuntimeError.
pub(super) fn report(name: &str, line: &str) -> bool {
    let made = enter(|py| {
        let _set = Pending::new(py, Kind::Runtime, line);
        Raised::take(py)
    });
    made.is_ok_and(|raised| raised.is_some_and(|raised| report_raised(name, raised)))
}
