//! `_raddle.Semaphore`: the semaphore, as Python sees it. Its waits always release Python.

use core::ffi::{CStr, c_void};
use std::sync::Arc;

use pyo3::Python;
use pyo3_ffi::{self as ffi, Py_ssize_t, PyGetSetDef, PyMethodDef, PyObject, PyType_Slot};

use super::raise;
use crate::arguments;
use crate::class::{self, Class};
use crate::object::{self, Kind, Object, Pending};
use crate::relay::live::{self, Stop};
use crate::relay::semaphore::Semaphore;
use crate::relay::wait::{ReleasePython, WaitError};
use crate::shelf::Key;
use crate::table::Table;

/// What a Python object of this type carries.
pub(super) struct Face(Arc<Semaphore>);

impl Stop for Semaphore {
    fn stop(&self) {
        Self::stop(self);
    }
}

impl Class for Face {
    const NAME: &'static CStr = c"_raddle.Semaphore";
    const DOC: &'static CStr =
        c"Semaphore(value=0)\n--\n\nA counting semaphore that can be stopped and polled.";
    const KEY: Key = Key::Semaphore;

    fn new(
        py: Python<'_>,
        positional: *mut PyObject,
        keywords: *mut PyObject,
    ) -> Result<Self, Pending> {
        // SAFETY: CPython calls `__new__` with such.
        let [value] =
            unsafe { arguments::bind_tuple(py, "Semaphore", [c"value"], 0, positional, keywords) }?;
        // SAFETY: lent by the caller, or null.
        let value = unsafe { arguments::number(py, "value", value, 0, 0) }?;
        let semaphore = Semaphore::new(value)
            .map_err(|error| Pending::new(py, Kind::Os, &error.to_string()))?;
        let semaphore = Arc::new(semaphore);
        live::add(&semaphore);
        Ok(Self(semaphore))
    }

    fn methods() -> *mut PyMethodDef {
        METHODS.start()
    }

    fn slots() -> Vec<PyType_Slot> {
        vec![PyType_Slot { slot: ffi::Py_tp_getset, pfunc: PROPERTIES.start() }]
    }
}

static METHODS: Table<[PyMethodDef; 8]> = Table::new([
    class::method(
        c"put",
        put,
        c"put($self, /, n=1)\n--\n\nAdd n tokens and wake who waits for them. Never waits.",
    ),
    class::method(
        c"get",
        get,
        c"get($self, /, timeout=None)\n--\n\nTake a token, waiting for it with Python released; False if the time passes first.",
    ),
    class::method_alone(
        c"try_get",
        try_get,
        c"try_get($self, /)\n--\n\nTake a token if one is there; say whether it was.",
    ),
    class::method_alone(
        c"stop",
        stop,
        c"stop($self, /)\n--\n\nWake everybody who waits, for good: they get what is left, and then Stopped.",
    ),
    class::method_alone(
        c"fileno",
        fileno,
        c"fileno($self, /)\n--\n\nA descriptor to poll: readable while there may be a token. Call try_get when it is.",
    ),
    class::method_alone(
        c"__enter__",
        enter,
        c"__enter__($self, /)\n--\n\nTake a token, waiting for it.",
    ),
    class::method(
        c"__exit__",
        exit,
        c"__exit__($self, kind=None, exception=None, trace=None, /)\n--\n\nPut the token back.",
    ),
    PyMethodDef::zeroed(),
]);

static PROPERTIES: Table<[PyGetSetDef; 4]> = Table::new([
    class::property(c"value", value, c"How many tokens are there."),
    class::property(c"waits", waits, c"How often somebody had to wait."),
    class::property(c"stopped", stopped, c"Whether it was stopped."),
    class::no_property(),
]);

/// The semaphore of an object that CPython calls a method of.
///
/// # Safety
///
/// `object` is of this type, and alive during `'a`.
unsafe fn semaphore<'a>(object: *mut PyObject) -> &'a Semaphore {
    // SAFETY: by the caller's promise.
    &unsafe { class::value::<Face>(object) }.0
}

unsafe extern "C" fn put(
    object: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held; so it does all functions of this file.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: a method is called with an object of its type; so are all of this file.
    let semaphore = unsafe { semaphore(object) };
    // SAFETY: what CPython called with.
    let bound = unsafe { arguments::bind(py, "put", [c"n"], 0, arguments, count, names) };
    // SAFETY: lent by the caller, or null.
    let tokens = bound.and_then(|[n]| unsafe { arguments::number(py, "n", n, 0, 1) });
    object::answer(tokens.and_then(|tokens| {
        semaphore.put(tokens).map_err(|error| Pending::new(py, Kind::Overflow, error.message()))?;
        Ok(Object::none(py))
    }))
}

unsafe extern "C" fn get(
    object: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as in `put`.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: as in `put`.
    let semaphore = unsafe { semaphore(object) };
    // SAFETY: what CPython called with.
    let bound = unsafe { arguments::bind(py, "get", [c"timeout"], 0, arguments, count, names) };
    // SAFETY: lent by the caller, or null.
    let timeout = bound.and_then(|[timeout]| unsafe { arguments::timeout(py, timeout) });
    object::answer(timeout.and_then(|timeout| {
        let result = semaphore.get_for(ReleasePython, timeout);
        answer(py, result)
    }))
}

unsafe extern "C" fn try_get(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as in `put`.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: as in `put`.
    let semaphore = unsafe { semaphore(object) };
    object::answer(answer(py, semaphore.try_get().map_err(WaitError::widen)))
}

/// True, False if the time has passed, or an exception.
fn answer<'py>(
    py: Python<'py>,
    result: Result<(), WaitError<super::Interrupted>>,
) -> Result<Object<'py>, Pending> {
    match result {
        Ok(()) => Ok(Object::flag(py, true)),
        Err(WaitError::TimedOut) => Ok(Object::flag(py, false)),
        Err(error) => Err(raise(py, error, Pending::is_set)),
    }
}

unsafe extern "C" fn stop(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as in `put`.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: as in `put`.
    unsafe { semaphore(object) }.stop();
    Object::none(py).into_ptr()
}

unsafe extern "C" fn fileno(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as in `put`.
    let fd = unsafe { semaphore(object) }.fd();
    // SAFETY: Python is held.
    unsafe { ffi::PyLong_FromLong(fd.into()) }
}

unsafe extern "C" fn enter(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as in `put`.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: as in `put`.
    let result = unsafe { semaphore(object) }.get(ReleasePython);
    if let Err(error) = result {
        return object::answer(Err(raise(py, error, Pending::is_set)));
    }
    // SAFETY: alive during the call.
    unsafe { ffi::Py_NewRef(object) }
}

unsafe extern "C" fn exit(
    object: *mut PyObject,
    _: *const *mut PyObject,
    _: Py_ssize_t,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as in `put`.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: as in `put`.
    let result = unsafe { semaphore(object) }.put(1);
    object::answer(match result {
        Ok(()) => Ok(Object::none(py)),
        Err(error) => Err(Pending::new(py, Kind::Overflow, error.message())),
    })
}

unsafe extern "C" fn value(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: as in `put`.
    let value = unsafe { semaphore(object) }.value();
    // SAFETY: Python is held.
    unsafe { ffi::PyLong_FromUnsignedLongLong(value.into()) }
}

unsafe extern "C" fn waits(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: as in `put`.
    let waits = unsafe { semaphore(object) }.waits();
    // SAFETY: Python is held.
    unsafe { ffi::PyLong_FromUnsignedLongLong(waits) }
}

unsafe extern "C" fn stopped(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: as in `put`.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: as in `put`.
    let stopped = unsafe { semaphore(object) }.is_stopped();
    Object::flag(py, stopped).into_ptr()
}
