//! The asyncio.Future behind an operation: settled once, on its loop's thread; and never forgotten.
//!
//! Native code keeps it in a capsule. Whoever drops the last reference to that, on whichever thread,
//! has the gate drop it where Python is held, and there the capsule's destructor fails a future that
//! nobody has settled.

use core::cell::Cell;
use core::ffi::{CStr, c_void};
use core::ptr;
use std::sync::Weak;

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};

use super::operation::{Core, MakeOutcome, Outcome};
use super::python;
use crate::error::{Error, Status};
use crate::gate::{Raised, Ref, control};
use crate::object::{self, Object, Pending};
use crate::table::Table;

const PROMISE: &CStr = c"raddle.promise";
const OPERATION: &CStr = c"raddle.operation";

/// What the capsule points to: owned references, null once the future is being settled.
struct Owed {
    asyncio: Cell<*mut PyObject>,
    future: Cell<*mut PyObject>,
}

impl Owed {
    /// Takes both out, if they are there.
    fn take<'py>(&self, py: Python<'py>) -> Option<(Object<'py>, Object<'py>)> {
        // SAFETY: owned, or null.
        let asyncio = unsafe { Object::owned(py, self.asyncio.replace(ptr::null_mut())) };
        // SAFETY: owned, or null.
        let future = unsafe { Object::owned(py, self.future.replace(ptr::null_mut())) };
        asyncio.ok().zip(future.ok())
    }
}

/// A future that native code has promised to settle. Dropping it fails the future.
#[derive(Debug)]
pub(super) struct Promise(Ref);

impl Promise {
    pub(super) fn new(
        py: Python<'_>,
        asyncio: &Object<'_>,
        future: &Object<'_>,
    ) -> Result<Self, Pending> {
        for object in [asyncio, future] {
            // SAFETY: alive, and Python is held.
            unsafe { ffi::Py_INCREF(object.as_ptr()) };
        }
        let owed =
            Owed { asyncio: Cell::new(asyncio.as_ptr()), future: Cell::new(future.as_ptr()) };
        let capsule = capsule(py, PROMISE, owed, forget_promise)?;
        Ok(Self(python::reference(py, capsule)))
    }

    /// Settles the future, unless it is done: at once if `here` is its loop, which is running this; or
    /// else by a call that the loop is given. An exception that asks for an end is left set as well.
    pub(super) fn settle(self, py: Python<'_>, here: Option<*mut PyObject>, outcome: Outcome) {
        let Some(capsule) = self.0.try_bind(py) else { return };
        // SAFETY: a capsule of that name.
        let owed = unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), PROMISE.as_ptr()) };
        // SAFETY: as long as the capsule, and Python is held.
        let Some(owed) = unsafe { &*owed.cast::<Owed>() }.take(py) else { return };
        let (asyncio, future) = (owed.0.as_ptr(), owed.1.as_ptr());
        match python::asks(py, future, c"done") {
            // Cancelled, as a rule: there is nobody to make anything for.
            Ok(true) => return,
            Ok(false) => {}
            Err(pending) => return report(py, pending),
        }
        let (name, value) = made(py, outcome);
        let Some(value) = value else { return };
        let asks_for_end = name == SET_EXCEPTION && end_is_asked_for(&value);
        let result = if here == Some(asyncio) {
            set(py, future, name, &value)
        } else {
            hand_over(py, asyncio, future, name, &value)
        };
        if let Err(pending) = result {
            report(py, pending);
        }
        if asks_for_end {
            leave_set(py, &value);
        }
    }
}

const SET_RESULT: &CStr = c"set_result";
const SET_EXCEPTION: &CStr = c"set_exception";

/// What the future is told, and by which method.
fn made<'py>(py: Python<'py>, outcome: Outcome) -> (&'static CStr, Option<Object<'py>>) {
    let make = |make: MakeOutcome| {
        let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| make(py)));
        made.unwrap_or_else(|panic| {
            super::entry::raise_panic(py, &*panic);
            None
        })
    };
    let (name, object) = match outcome {
        Outcome::Value(value) => (SET_RESULT, make(value)),
        Outcome::Exception(exception) => (SET_EXCEPTION, make(exception)),
        Outcome::Failure(error) => return (SET_EXCEPTION, failure(py, &error)),
    };
    if let Some(object) = object {
        // SAFETY: an owned reference.
        return (name, unsafe { Object::owned(py, object.into_ptr()) }.ok());
    }
    // SAFETY: an owned reference, or null.
    let raised = unsafe { Object::owned(py, control::take_pending()) }.ok();
    let line = "what was to make the result gave nothing and raised nothing";
    (SET_EXCEPTION, raised.or_else(|| failure(py, &Error::new(Status::Python, line))))
}

/// A RuntimeError, or what fits better, with the status as an attribute.
fn failure<'py>(py: Python<'py>, error: &Error) -> Option<Object<'py>> {
    let _set = python::raise_error(py, error);
    // SAFETY: an owned reference, or null.
    let exception = unsafe { Object::owned(py, control::take_pending()) }.ok()?;
    let status = Object::integer(py, error.status() as u64).ok()?;
    // SAFETY: two objects that are alive, and a name that ends with a NUL.
    let set = unsafe {
        ffi::PyObject_SetAttrString(exception.as_ptr(), c"status".as_ptr(), status.as_ptr())
    };
    // Without the attribute it is an exception still.
    let _set = object::check(py, set);
    Some(exception)
}

/// `future.name(value)`; if that is refused, the future fails with why.
fn set(
    py: Python<'_>,
    future: *mut PyObject,
    name: &CStr,
    value: &Object<'_>,
) -> Result<(), Pending> {
    if python::call_method(py, future, name, &[value.as_ptr()]).is_ok() {
        return Ok(());
    }
    // StopIteration, or no exception at all: then that is what went wrong.
    // SAFETY: an owned reference, or null.
    let Ok(why) = (unsafe { Object::owned(py, control::take_pending()) }) else { return Ok(()) };
    python::call_method(py, future, SET_EXCEPTION, &[why.as_ptr()]).map(drop)
}

/// Has the loop settle the future, from whatever thread.
fn hand_over(
    py: Python<'_>,
    asyncio: *mut PyObject,
    future: *mut PyObject,
    name: &CStr,
    value: &Object<'_>,
) -> Result<(), Pending> {
    if python::asks(py, asyncio, c"is_closed")? {
        return Ok(()); // Nobody awaits anything on it any more.
    }
    let name = Object::text(py, &name.to_string_lossy()).map_err(|raised| raised.set(py))?;
    let settle = function(py, &SETTLE, None)?;
    let arguments = [settle.as_ptr(), future, name.as_ptr(), value.as_ptr()];
    python::call_method(py, asyncio, c"call_soon_threadsafe", &arguments).map(drop)
}

fn end_is_asked_for(exception: &Object<'_>) -> bool {
    // SAFETY: a class that lives as long as the interpreter.
    let interrupt = unsafe { ffi::PyExc_KeyboardInterrupt };
    // SAFETY: as above.
    let exit = unsafe { ffi::PyExc_SystemExit };
    // SAFETY: Python is held; two objects that are alive.
    let is = |kind| unsafe { ffi::PyErr_GivenExceptionMatches(exception.as_ptr(), kind) } != 0;
    is(interrupt) || is(exit)
}

fn leave_set(_held: Python<'_>, exception: &Object<'_>) {
    // SAFETY: alive; an object's type is alive while the object is.
    let kind = unsafe { ffi::Py_TYPE(exception.as_ptr()) };
    // SAFETY: an exception's type and an instance of it.
    unsafe { ffi::PyErr_SetObject(kind.cast(), exception.as_ptr()) };
}

fn report(py: Python<'_>, _pending: Pending) {
    if let Some(raised) = Raised::take(py) {
        raised.report(&py.None().into_bound(py));
    }
}

/// Has `core` told when the future is done.
pub(super) fn when_done(
    py: Python<'_>,
    future: &Object<'_>,
    core: Weak<Core>,
) -> Result<(), Pending> {
    let capsule = capsule(py, OPERATION, core, forget_operation)?;
    let callback = function(py, &DONE, Some(&capsule))?;
    python::call_method(py, future.as_ptr(), c"add_done_callback", &[callback.as_ptr()]).map(drop)
}

static DONE: Table<PyMethodDef> = Table::new(PyMethodDef {
    ml_name: c"operation_done".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: operation_done },
    ml_flags: ffi::METH_O,
    ml_doc: ptr::null(),
});

static SETTLE: Table<PyMethodDef> = Table::new(PyMethodDef {
    ml_name: c"settle".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: settle },
    ml_flags: ffi::METH_VARARGS,
    ml_doc: ptr::null(),
});

/// `operation_done(future)`, which the loop calls: its self is the capsule of the operation.
unsafe extern "C" fn operation_done(
    capsule: *mut PyObject,
    future: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: a capsule of that name, alive as long as the function.
    let core = unsafe { ffi::PyCapsule_GetPointer(capsule, OPERATION.as_ptr()) };
    // SAFETY: what `when_done` put there, alive as long as the capsule.
    let core = unsafe { &*core.cast::<Weak<Core>>() };
    object::answer(python::asks(py, future, c"cancelled").map(|was_cancelled| {
        if let Some(core) = core.upgrade() {
            core.done(was_cancelled);
        }
        Object::none(py)
    }))
}

/// `settle(future, name, value)`, which the loop calls: unless the future is done by then.
unsafe extern "C" fn settle(_: *mut PyObject, arguments: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    let item = |index| {
        // SAFETY: a tuple; lends an object, or raises.
        let raw = unsafe { ffi::PyTuple_GetItem(arguments, index) };
        // SAFETY: null, or alive.
        unsafe { Object::borrowed(py, raw) }.ok_or(Pending::is_set())
    };
    let settled = || {
        let (future, name, value) = (item(0)?, item(1)?, item(2)?);
        if !python::asks(py, future.as_ptr(), c"done")? {
            let name = if name.to_text() == "set_result" { SET_RESULT } else { SET_EXCEPTION };
            set(py, future.as_ptr(), name, &value)?;
        }
        Ok(Object::none(py))
    };
    object::answer(settled())
}

/// A builtin function.
fn function<'py>(
    py: Python<'py>,
    definition: &'static Table<PyMethodDef>,
    own: Option<&Object<'_>>,
) -> Result<Object<'py>, Pending> {
    let own = own.map_or(ptr::null_mut(), Object::as_ptr);
    // SAFETY: a definition that lives for ever, and an object that is alive, or null.
    let raw = unsafe { ffi::PyCFunction_NewEx(definition.start(), own, ptr::null_mut()) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// A capsule around a value, which `forget` takes out again.
fn capsule<'py, T>(
    py: Python<'py>,
    name: &'static CStr,
    value: T,
    forget: unsafe extern "C" fn(*mut PyObject),
) -> Result<Object<'py>, Pending> {
    let value: *mut c_void = Box::into_raw(Box::new(value)).cast();
    // SAFETY: a pointer that is not null, and a name that lives for ever. Without memory for the
    // capsule the value stays: a few bytes, and what it refers to.
    let raw = unsafe { ffi::PyCapsule_New(value, name.as_ptr(), Some(forget)) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// What a capsule of ours points to, as its destructor finds it.
///
/// # Safety
///
/// `raw` is such a capsule of `T`, and this is its destructor.
unsafe fn taken<T>(raw: *mut PyObject, name: &CStr) -> Box<T> {
    // SAFETY: by the caller's promise.
    let value = unsafe { ffi::PyCapsule_GetPointer(raw, name.as_ptr()) };
    // SAFETY: from Box::into_raw in `capsule`, and the capsule is no more.
    unsafe { Box::from_raw(value.cast()) }
}

unsafe extern "C" fn forget_operation(raw: *mut PyObject) {
    // SAFETY: a capsule of `when_done`.
    drop(unsafe { taken::<Weak<Core>>(raw, OPERATION) });
}

unsafe extern "C" fn forget_promise(raw: *mut PyObject) {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: a capsule of `Promise::new`.
    let owed = unsafe { taken::<Owed>(raw, PROMISE) };
    if owed.future.get().is_null() {
        return;
    }
    let pending = Raised::take(py);
    if let Some((asyncio, future)) = owed.take(py)
        && let Err(pending) = fail_forgotten(py, &asyncio, &future)
    {
        report(py, pending);
    }
    if let Some(pending) = pending {
        pending.put_back(py);
    }
}

fn fail_forgotten(
    py: Python<'_>,
    asyncio: &Object<'_>,
    future: &Object<'_>,
) -> Result<(), Pending> {
    if python::asks(py, future.as_ptr(), c"done")? {
        return Ok(());
    }
    let line = "the operation ended without a result: its queue was dropped";
    let Some(error) = failure(py, &Error::new(Status::Stopped, line)) else { return Ok(()) };
    hand_over(py, asyncio.as_ptr(), future.as_ptr(), SET_EXCEPTION, &error)
}
