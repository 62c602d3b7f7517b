//! `raddle.Reply`: something that is called once, by whomever, and a tasklet that waits for it.
//!
//! It stands where a callback is wanted: `GAsyncReadyCallback`, a future's `add_done_callback`, a native
//! thread's completion. Who calls it never waits and never switches: the tasklet becomes runnable on its
//! own thread, whose loop is woken.

use core::cell::Cell;
use core::ffi::{CStr, c_int, c_void};
use core::ptr;
use std::time::Duration;

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject, PyType_Slot};

use super::ops::{self, Raw, answer, answered, refuse};
use super::raw::Failed;
use super::scheduler::Scheduler;
use super::state::Task;
use super::wait;
use crate::arguments::{Call, Creation};
use crate::class::{self, Class, no_property};
use crate::gate::monotonic_ns;
use crate::object::{Answer, Kind, Object, Pending};
use crate::row::{method, property};
use crate::shelf::Key;
use crate::table::Table;

/// A reply. All of it is used with Python held.
pub struct Reply {
    /// Owned; null while nobody has called, or after a wait that took it.
    value: Cell<Raw>,
    /// Who waits: suspended in [`Reply::wait`], and owned, since its thread may end meanwhile.
    waiter: Cell<Option<Task>>,
}

// SAFETY: used with Python held only, as every function here says; a free-threaded Python is refused.
unsafe impl Send for Reply {}
// SAFETY: as above.
unsafe impl Sync for Reply {}

impl core::fmt::Debug for Reply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Reply").field("value", &self.value.get()).finish_non_exhaustive()
    }
}

impl Default for Reply {
    fn default() -> Self {
        Self::new()
    }
}

impl Reply {
    /// One that nobody has given yet. Needs no Python.
    #[must_use]
    pub const fn new() -> Self {
        Self { value: Cell::new(ptr::null_mut()), waiter: Cell::new(None) }
    }

    /// Whether it was given, and not taken since.
    #[must_use]
    pub fn is_there(&self) -> bool {
        !self.value.get().is_null()
    }

    /// Gives it: `value` is owned, and taken. Python is held, on whichever thread. Of two that come before
    /// the first was taken the second is dropped.
    pub fn give(&self, value: *mut PyObject) {
        if self.is_there() {
            ops::decref(value);
            return;
        }
        self.value.set(value);
        if let Some(waiter) = self.waiter.get() {
            wait::wake(waiter, ops::new_none());
        }
    }

    /// Takes it, suspending the tasklet that calls until it is there: at most for a time. Owned; null
    /// without an exception if the time passed.
    ///
    /// # Errors
    ///
    /// RuntimeError if another tasklet waits for it; what is raised in this one.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<*mut PyObject, Failed> {
        self.wait_here(timeout, ptr::null())
    }

    fn wait_here(&self, timeout: Option<Duration>, extent: *const Raw) -> Result<Raw, Pending> {
        let s = Scheduler::here()?;
        let me = s.caller()?;
        if self.waiter.get().is_some() {
            return refuse("another tasklet waits for this reply");
        }
        let until = timeout.and_then(|time| {
            let time = u64::try_from(time.as_nanos()).ok()?;
            monotonic_ns().checked_add(time)
        });
        while !self.is_there() {
            if until.is_some_and(|until| until <= monotonic_ns()) {
                break;
            }
            me.incref();
            self.waiter.set(Some(me));
            let woken = wait::wait(s, until, extent);
            self.waiter.set(None);
            me.decref();
            ops::decref(woken?);
        }
        Ok(self.value.replace(ptr::null_mut()))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let value = self.value.get();
        if !value.is_null() {
            // SAFETY: owned; this thread may not hold Python.
            unsafe { crate::gate::decref(value) };
        }
    }
}

/// The value of a `raddle.Reply`.
#[derive(Debug)]
pub(crate) struct Face(Reply);

impl Class for Face {
    const NAME: &'static CStr = c"raddle.Reply";
    const DOC: &'static CStr = c"Reply()\n--\n\nA callback that a tasklet waits for.";
    const KEY: Key = Key::Reply;

    fn new(call: Creation<'_>) -> Result<Self, Pending> {
        let [] = call.bind("Reply", [], 0)?;
        Ok(Self(Reply::new()))
    }

    fn methods() -> *mut PyMethodDef {
        TABLE.start()
    }

    fn slots() -> Vec<PyType_Slot> {
        let call: ffi::ternaryfunc = call;
        vec![
            PyType_Slot { slot: ffi::Py_tp_call, pfunc: call as *mut c_void },
            PyType_Slot { slot: ffi::Py_tp_getset, pfunc: PROPERTIES.start() },
        ]
    }

    fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        if self.0.is_there() { visit(self.0.value.get()) } else { 0 }
    }

    fn clear(&self, _: Python<'_>) {
        ops::xdecref(self.0.value.replace(ptr::null_mut()));
    }
}

static TABLE: Table<[PyMethodDef; 2]> = Table::new([
    method(
        c"wait",
        Face::wait,
        c"wait($self, /, timeout=None)\n--\n\nWhat it was called with, as a tuple; suspends this tasklet until it was. TimeoutError if the time passes first.",
    ),
    PyMethodDef::zeroed(),
]);

static PROPERTIES: Table<[ffi::PyGetSetDef; 2]> = Table::new([
    property(c"done", Face::done, c"Whether it was called, and nobody has waited for that since."),
    no_property(),
]);

/// The reply of an object that CPython calls a method of.
///
/// # Safety
///
/// `object` is of the type, and alive during `'a`.
unsafe fn of<'a>(object: Raw) -> &'a Reply {
    // SAFETY: by the caller's promise.
    &unsafe { class::value::<Face>(object) }.0
}

unsafe extern "C" fn call(object: Raw, positional: Raw, named: Raw) -> Raw {
    // SAFETY: null, or a dict.
    if !named.is_null() && unsafe { ffi::PyDict_Size(named) } > 0 {
        return answer(ops::raise(Kind::Type, "a reply takes no keyword arguments"));
    }
    // SAFETY: CPython calls an object of the type.
    unsafe { of(object) }.give(ops::incref(positional));
    ops::new_none()
}

impl Face {
    fn wait<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [timeout] = call.bind("wait", [c"timeout"], 0)?;
        let value = self.0.wait_here(timeout.timeout()?, call.extent())?;
        if value.is_null() {
            return ops::raise(Kind::Timeout, "no reply came in time");
        }
        answered(Ok(value))
    }

    fn done<'py>(&self, py: Python<'py>) -> Answer<'py> {
        Ok(Object::flag(py, self.0.is_there()))
    }
}
