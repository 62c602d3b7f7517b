//! `_raddle.Semaphore`: the semaphore, as Python sees it. Its waits always release Python.
#![forbid(unsafe_code)]

use core::ffi::CStr;
use std::sync::Arc;

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyGetSetDef, PyMethodDef, PyType_Slot};

use super::{lifted, raise};
use crate::arguments::{Call, Creation};
use crate::class::{self, Class};
use crate::error::Error;
use crate::object::{Answer, Kind, Object, Pending};
use crate::relay::live::{self, Stop};
use crate::relay::semaphore::Semaphore;
use crate::relay::wait::{ReleasePython, WaitError};
use crate::row::{method, method_alone, property};
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

    fn new(call: Creation<'_>) -> Result<Self, Pending> {
        let [value] = call.bind("Semaphore", [c"value"], 0)?;
        let value = value.number("value", 0, 0)?;
        let semaphore = Semaphore::new(value)
            .map_err(|error| Pending::new(call.py(), Kind::Os, &error.to_string()))?;
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
    method(
        c"put",
        Face::put,
        c"put($self, /, n=1)\n--\n\nAdd n tokens and wake who waits for them. Never waits.",
    ),
    method(
        c"get",
        Face::get,
        c"get($self, /, timeout=None)\n--\n\nTake a token, waiting for it with Python released; False if the time passes first.",
    ),
    method_alone(
        c"try_get",
        Face::try_get,
        c"try_get($self, /)\n--\n\nTake a token if one is there; say whether it was.",
    ),
    method_alone(
        c"stop",
        Face::stop,
        c"stop($self, /)\n--\n\nWake everybody who waits, for good: they get what is left, and then Stopped.",
    ),
    method_alone(
        c"fileno",
        Face::fileno,
        c"fileno($self, /)\n--\n\nA descriptor to poll: readable while there may be a token. Call try_get when it is.",
    ),
    method(
        c"__enter__",
        Face::enter,
        c"__enter__($self, /)\n--\n\nTake a token, waiting for it.",
    ),
    method(
        c"__exit__",
        Face::exit,
        c"__exit__($self, kind=None, exception=None, trace=None, /)\n--\n\nPut the token back.",
    ),
    PyMethodDef::zeroed(),
]);

static PROPERTIES: Table<[PyGetSetDef; 4]> = Table::new([
    property(c"value", Face::value, c"How many tokens are there."),
    property(c"waits", Face::waits, c"How often somebody had to wait."),
    property(c"stopped", Face::stopped, c"Whether it was stopped."),
    class::no_property(),
]);

fn overflow(py: Python<'_>, error: &Error) -> Pending {
    Pending::new(py, Kind::Overflow, error.message())
}

/// True, False if the time has passed, or an exception.
fn whether(py: Python<'_>, result: Result<(), WaitError<super::Interrupted>>) -> Answer<'_> {
    match result {
        Ok(()) => Ok(Object::flag(py, true)),
        Err(WaitError::TimedOut) => Ok(Object::flag(py, false)),
        Err(error) => Err(raise(py, error, Pending::is_set)),
    }
}

impl Face {
    fn put<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [n] = call.bind("put", [c"n"], 0)?;
        let tokens = n.number("n", 0, 1)?;
        self.0.put(tokens).map_err(|error| overflow(call.py(), &error))?;
        Ok(Object::none(call.py()))
    }

    fn get<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [timeout] = call.bind("get", [c"timeout"], 0)?;
        let timeout = timeout.timeout()?;
        whether(call.py(), self.0.get_for(ReleasePython, timeout))
    }

    fn try_get<'py>(&self, py: Python<'py>) -> Answer<'py> {
        whether(py, self.0.try_get().map_err(WaitError::widen))
    }

    fn stop<'py>(&self, py: Python<'py>) -> Answer<'py> {
        Stop::stop(&*self.0);
        Ok(Object::none(py))
    }

    fn fileno<'py>(&self, py: Python<'py>) -> Answer<'py> {
        lifted(py, Object::signed(py, self.0.fd().into()))
    }

    fn enter<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [] = call.bind("__enter__", [], 0)?;
        let result = self.0.get(ReleasePython);
        result.map_err(|error| raise(call.py(), error, Pending::is_set))?;
        Ok(call.itself())
    }

    fn exit<'py>(&self, call: Call<'py>) -> Answer<'py> {
        self.0.put(1).map_err(|error| overflow(call.py(), &error))?;
        Ok(Object::none(call.py()))
    }

    fn value<'py>(&self, py: Python<'py>) -> Answer<'py> {
        lifted(py, Object::integer(py, self.0.value().into()))
    }

    fn waits<'py>(&self, py: Python<'py>) -> Answer<'py> {
        lifted(py, Object::integer(py, self.0.waits()))
    }

    fn stopped<'py>(&self, py: Python<'py>) -> Answer<'py> {
        Ok(Object::flag(py, self.0.is_stopped()))
    }
}
