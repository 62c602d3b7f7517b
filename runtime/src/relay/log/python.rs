//! The log's functions in the extension module `_raddle`, which `raddle/log.py` and `_log.py` call.

use core::ptr;
use std::time::{Duration, Instant};

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};

use super::level::{BANDS, Level};
use super::outward::{self, Outward};
use super::{Fields, Record, Target, Value, desk, worker};
use crate::arguments::{Argument, Call};
use crate::cpython;
use crate::gate::control;
use crate::object::{Answer, Kind, Object, Pending};
use crate::row::{function, function_alone};

/// The rows for the method table of `_raddle`.
pub(crate) const METHODS: [PyMethodDef; 8] = [
    function_alone(c"log_start", log_start, c"Start the log's worker."),
    function(c"log_stop", log_stop, c"Stop the log's worker; say whether all was handed over."),
    function(c"log_flush", log_flush, c"Wait until all is handed over; say whether it is."),
    function_alone(c"log_stats", log_stats, c"What became of the records, as a dict."),
    function(c"log_write", log_write, c"Push a record."),
    function(c"log_refresh", log_refresh, c"Ask threshold(name) for each target that there is."),
    function(c"log_has_sink", log_has_sink, c"Whether the host offers a log of this name."),
    function(c"log_send", log_send, c"Send a record to a log of the host's."),
];

fn log_start(py: Python<'_>) -> Answer<'_> {
    worker::start().map_err(|error| Pending::new(py, Kind::Runtime, error.message()))?;
    Ok(Object::none(py))
}

/// Refuses to wait where the worker cannot be let in: code of a subinterpreter is not what gives Python up
/// to it.
fn may_wait(py: Python<'_>) -> Result<(), Pending> {
    if cpython::is_main_interpreter(py) {
        return Ok(());
    }
    let line = "the log's worker belongs to the main interpreter: wait for it there";
    Err(Pending::new(py, Kind::Runtime, line))
}

/// How long a wait of Python's main thread leaves signals alone.
const SLICE: Duration = Duration::from_millis(50);

/// Waits in slices, between which Python's signal handlers run.
fn wait<'py>(
    py: Python<'py>,
    timeout: Option<Duration>,
    mut wait: impl FnMut(Duration) -> bool,
) -> Answer<'py> {
    let deadline = control::deadline(timeout);
    loop {
        let left = deadline.map_or(SLICE, |end| end.saturating_duration_since(Instant::now()));
        if wait(left.min(SLICE)) {
            return Ok(Object::flag(py, true));
        }
        // SAFETY: Python is held.
        if unsafe { ffi::PyErr_CheckSignals() } != 0 {
            return Err(Pending::is_set());
        }
        if control::is_past(deadline) || worker::is_handing() {
            return Ok(Object::flag(py, false));
        }
    }
}

fn log_stop(call: Call<'_>) -> Answer<'_> {
    let py = call.py();
    may_wait(py)?;
    let [limit] = call.bind("stop", [c"timeout"], 0)?;
    let limit = limit.timeout()?;
    let Some(goal) = worker::ask_to_stop() else { return Ok(Object::flag(py, false)) };
    wait(py, limit, worker::wait_for_end)?;
    Ok(Object::flag(py, worker::let_go(goal)))
}

fn log_flush(call: Call<'_>) -> Answer<'_> {
    may_wait(call.py())?;
    let [limit] = call.bind("flush", [c"timeout"], 0)?;
    let limit = limit.timeout()?;
    let goal = worker::goal();
    wait(call.py(), limit, |slice| worker::flush_to(goal, slice))
}

fn log_stats(py: Python<'_>) -> Answer<'_> {
    let stats = worker::stats();
    let dropped = BANDS.iter().zip(stats.dropped);
    let dropped = dropped.map(|(name, count)| (*name, Object::integer(py, count)));
    let figures = [
        ("handed", Object::integer(py, stats.handed)),
        ("errors", Object::integer(py, stats.errors)),
        ("waiting", Object::integer(py, stats.waiting)),
        ("looped", Object::integer(py, stats.looped)),
        ("elsewhere", Object::integer(py, stats.elsewhere)),
        ("lost", Object::integer(py, stats.lost)),
        ("dropped", Object::dict(py, dropped)),
    ];
    Object::dict(py, figures).map_err(|raised| raised.set(py))
}

/// The UTF-8 of a `str`; what has none is escaped.
fn text(py: Python<'_>, argument: *mut PyObject) -> Result<String, Pending> {
    let errors = c"backslashreplace".as_ptr();
    // SAFETY: alive; anything but a str is refused with an exception.
    let bytes = unsafe { ffi::PyUnicode_AsEncodedString(argument, c"utf-8".as_ptr(), errors) };
    // SAFETY: as that function returns.
    let bytes = unsafe { Object::answered(py, bytes) }?;
    // SAFETY: bytes.
    let start = unsafe { ffi::PyBytes_AsString(bytes.as_ptr()) };
    // SAFETY: bytes.
    let length = unsafe { ffi::PyBytes_Size(bytes.as_ptr()) };
    // SAFETY: as many bytes as are said, alive as long as the object.
    let slice = unsafe { core::slice::from_raw_parts(start.cast::<u8>(), length.unsigned_abs()) };
    Ok(String::from_utf8_lossy(slice).into_owned())
}

/// A number that need not be exact beyond 32 bits: the nearest that there is.
fn number(argument: *mut PyObject) -> Result<i32, Pending> {
    let mut overflow = 0;
    // SAFETY: alive; anything but an int is refused with an exception.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(argument, &raw mut overflow) };
    // SAFETY: Python is held.
    if value == -1 && overflow == 0 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(Pending::is_set());
    }
    let nearest = value.clamp(i32::MIN.into(), i32::MAX.into());
    Ok(match overflow {
        0 => i32::try_from(nearest).unwrap_or(i32::MAX),
        1.. => i32::MAX,
        _ => i32::MIN,
    })
}

/// The fields of a dict, typed where native fields have the type, else by `str()`.
fn fields(py: Python<'_>, dict: *mut PyObject) -> Result<Fields, Pending> {
    let mut fields = Fields::new();
    each(py, dict, |name, value| {
        let name = text(py, name)?;
        let pointer = value.as_ptr();
        // SAFETY: alive, as below.
        if unsafe { ffi::Py_IsNone(pointer) } != 0 {
            fields.add(name, Value::None);
        // SAFETY: as above.
        } else if unsafe { ffi::PyBool_Check(pointer) } != 0 {
            // SAFETY: as above.
            fields.add(name, unsafe { ffi::Py_IsTrue(pointer) } != 0);
        // SAFETY: as above.
        } else if unsafe { ffi::PyFloat_Check(pointer) } != 0 {
            // SAFETY: a float.
            fields.add(name, unsafe { ffi::PyFloat_AsDouble(pointer) });
        // SAFETY: as above.
        } else if unsafe { ffi::PyLong_Check(pointer) } != 0 {
            let mut overflow = 0;
            // SAFETY: an int.
            let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(pointer, &raw mut overflow) };
            if overflow == 0 {
                fields.add(name, number);
            } else {
                fields.add(name, value.to_text().as_str());
            }
        } else {
            fields.add(name, value.to_text().as_str());
        }
        Ok(())
    })?;
    Ok(fields)
}

/// Calls `body` with each name and value of a dict. A copy of it, as the values' `str` runs Python.
fn each(
    py: Python<'_>,
    dict: *mut PyObject,
    mut body: impl FnMut(*mut PyObject, Object<'_>) -> Result<(), Pending>,
) -> Result<(), Pending> {
    // SAFETY: alive; anything but a dict is refused with an exception.
    let copy = unsafe { ffi::PyDict_Copy(dict) };
    // SAFETY: as that function returns.
    let copy = unsafe { Object::answered(py, copy) }?;
    let (mut at, mut name, mut value) = (0, ptr::null_mut(), ptr::null_mut());
    // SAFETY: a dict that nobody else knows; lends both.
    while unsafe { ffi::PyDict_Next(copy.as_ptr(), &raw mut at, &raw mut name, &raw mut value) }
        != 0
    {
        // SAFETY: lent, alive.
        let Some(value) = (unsafe { Object::borrowed(py, value) }) else { continue };
        body(name, value)?;
    }
    Ok(())
}

fn log_write(call: Call<'_>) -> Answer<'_> {
    let py = call.py();
    let names = [c"level", c"target", c"message", c"file", c"line", c"function", c"fields"];
    let bound = call.bind("log_write", names, names.len())?.map(Argument::as_ptr);
    let [level, target, message, file, line, function, dict] = bound;
    let target = Target::named(&text(py, target)?);
    let level = Level(number(level)?);
    if target.is_enabled(level) {
        let (message, file) = (text(py, message)?, text(py, file)?);
        let (function, fields) = (text(py, function)?, fields(py, dict)?);
        super::push(&Record {
            target,
            level,
            message: message.as_bytes(),
            file: file.as_bytes(),
            line: u32::try_from(number(line)?).unwrap_or(0),
            function: function.as_bytes(),
            fields: fields.as_bytes(),
        });
    }
    Ok(Object::none(py))
}

fn log_refresh(call: Call<'_>) -> Answer<'_> {
    let py = call.py();
    let [threshold] = call.bind("log_refresh", [c"threshold"], 1)?;
    if let Some(threshold) = threshold.object() {
        desk::refresh(py, &threshold).map_err(|raised| raised.set(py))?;
    }
    Ok(Object::none(py))
}

fn log_has_sink(call: Call<'_>) -> Answer<'_> {
    let [name] = call.bind("log_has_sink", [c"name"], 1)?;
    let name = text(call.py(), name.as_ptr())?;
    Ok(Object::flag(call.py(), outward::sink(&name).is_some()))
}

fn log_send(call: Call<'_>) -> Answer<'_> {
    let py = call.py();
    let names = [
        c"sink",
        c"level",
        c"logger",
        c"message",
        c"file",
        c"line",
        c"function",
        c"thread",
        c"fields",
    ];
    let bound = call.bind("log_send", names, names.len())?.map(Argument::as_ptr);
    let [name, level, logger, message, file, line, function, thread, dict] = bound;
    let name = text(py, name)?;
    let Some(sink) = outward::sink(&name) else {
        let line = format!("this host offers no log of the name {name}");
        return Err(Pending::new(py, Kind::Runtime, &line));
    };
    let [logger, message, file, function, thread] =
        [logger, message, file, function, thread].map(|argument| text(py, argument));
    let mut fields = Vec::new();
    each(py, dict, |name, value| {
        fields.push((text(py, name)?, value.to_text()));
        Ok(())
    })?;
    sink(&Outward {
        logger: &logger?,
        level: Level(number(level)?),
        message: &message?,
        file: &file?,
        line: u32::try_from(number(line)?).unwrap_or(0),
        function: &function?,
        thread: &thread?,
        fields: &fields,
    });
    Ok(Object::none(py))
}
