//! Exit stoppers in Python: callables as stoppers, and what fails in `sys.unraisablehook`.

use std::time::Duration;

use pyo3::{Bound, Python};
use pyo3_ffi::{self as ffi, Py_ssize_t, PyMethodDef, PyObject};

use super::{Failure, PATIENCE, Stage, add, remove};
use crate::arguments::{self, Bound as Arguments, bind};
use crate::error::{Error, Status};
use crate::gate::{Raised, Ref, enter};
use crate::object::{Kind, Object, Pending, answer};
use crate::{class, cpython};

/// The rows for the method table of `_raddle`.
pub(crate) const METHODS: [PyMethodDef; 2] = [
    class::method(
        c"add_exit_stopper",
        add_exit_stopper,
        c"Have a callable called before Python ends; returns what it is removed by.",
    ),
    class::method(
        c"remove_exit_stopper",
        remove_exit_stopper,
        c"Take an exit stopper back; say whether it was still there.",
    ),
];

/// `add_exit_stopper(name, call, timeout=5.0, stage="pools") -> (generation, id)`.
unsafe extern "C" fn add_exit_stopper(
    _module: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    let names = [c"name", c"call", c"timeout", c"stage"];
    // SAFETY: what CPython called this with.
    let bound = unsafe { bind(py, "add_exit_stopper", names, 2, arguments, count, keywords) };
    answer(bound.and_then(|bound| register(py, bound)))
}

fn register(py: Python<'_>, bound: Arguments<4>) -> Result<Object<'_>, Pending> {
    let [name, call, timeout, stage] = bound;
    if !cpython::is_main_interpreter(py) {
        let line = "exit stoppers belong to the main interpreter: raddle serves no other";
        return Err(Pending::new(py, Kind::Runtime, line));
    }
    // SAFETY: alive during the call; so are the others.
    let name = unsafe { text(py, "an exit stopper's name", name) }?;
    // SAFETY: as above.
    if unsafe { ffi::PyCallable_Check(call) } == 0 {
        return Err(Pending::new(py, Kind::Type, "an exit stopper is something to be called"));
    }
    // SAFETY: as above.
    let patience = unsafe { patience(py, timeout) }?;
    // SAFETY: as above.
    let stage = unsafe { stage_of(py, stage) }?;
    // SAFETY: alive, and Python is held.
    let call = Ref::new(unsafe { Bound::from_borrowed_ptr(py, call) });
    let stopper = add(stage, &name, patience, Box::new(move || call_it(&call).err()));
    let (generation, id) = stopper.map_err(|error| raise(py, &error))?.into_id();
    let found = Object::tuple(py, [Object::integer(py, generation), Object::integer(py, id)]);
    found.map_err(|raised| Pending::new(py, Kind::Runtime, &raised.0))
}

/// `remove_exit_stopper(generation, id) -> bool`.
unsafe extern "C" fn remove_exit_stopper(
    _module: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    let names = [c"generation", c"id"];
    // SAFETY: what CPython called this with.
    let bound = unsafe { bind(py, "remove_exit_stopper", names, 2, arguments, count, keywords) };
    let removed = bound.and_then(|[generation, id]| {
        // SAFETY: alive during the call.
        let generation = unsafe { number(generation) }?;
        // SAFETY: as above.
        let id = unsafe { number(id) }?;
        let removed = Object::truth(py, remove(generation, id));
        removed.map_err(|raised| Pending::new(py, Kind::Runtime, &raised.0))
    });
    answer(removed)
}

/// # Safety
///
/// `object` is alive, and Python held.
unsafe fn number(object: *mut PyObject) -> Result<u64, Pending> {
    // SAFETY: by the caller's promise.
    let number = unsafe { ffi::PyLong_AsUnsignedLongLong(object) };
    // SAFETY: Python is held.
    if number == u64::MAX && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(Pending::is_set());
    }
    Ok(number)
}

/// # Safety
///
/// `object` is alive.
unsafe fn text(py: Python<'_>, what: &str, object: *mut PyObject) -> Result<String, Pending> {
    // SAFETY: by the caller's promise.
    let given = unsafe { Object::borrowed(py, object) };
    // SAFETY: as above.
    match given.filter(|_| unsafe { ffi::PyUnicode_Check(object) } != 0) {
        Some(text) => Ok(text.to_text()),
        None => Err(Pending::new(py, Kind::Type, &format!("{what} is a str"))),
    }
}

/// # Safety
///
/// `argument` is null or alive.
unsafe fn patience(py: Python<'_>, argument: *mut PyObject) -> Result<Duration, Pending> {
    if argument.is_null() {
        return Ok(PATIENCE);
    }
    // SAFETY: Python is held.
    if argument == unsafe { ffi::Py_None() } {
        let line = "an exit stopper has a time that it may take, in seconds";
        return Err(Pending::new(py, Kind::Value, line));
    }
    // SAFETY: by the caller's promise.
    Ok(unsafe { arguments::timeout(py, argument) }?.unwrap_or(Duration::MAX))
}

/// # Safety
///
/// `argument` is null or alive.
unsafe fn stage_of(py: Python<'_>, argument: *mut PyObject) -> Result<Stage, Pending> {
    if argument.is_null() {
        return Ok(Stage::Pools);
    }
    // SAFETY: by the caller's promise.
    let name = unsafe { text(py, "a stage", argument) }?;
    Stage::ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| {
        let line =
            format!("'{name}' is no stage: one is 'refuse', 'pools', 'completions' or 'log'");
        Pending::new(py, Kind::Value, &line)
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
