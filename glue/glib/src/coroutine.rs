//! A coroutine as the work of a host: run by the event loop of a context, what it returns in a
//! `GValue`, what it raises in a `GError`.
//!
//! ```text
//!   any thread                      the context's thread
//!   ----------                      --------------------
//!   start: call_soon_threadsafe --> a task; tied to the GCancellable
//!                                   the task is done --> Outcome --> done, then notify
//!                                   the loop is closed before --------------> notify
//! ```

use core::ffi::{CStr, c_void};
use core::ptr;

use glib::ffi::{self as glib_ffi, GError};
use glib::gobject_ffi::{GObject, GValue};
use glib::translate::{FromGlibPtrNone as _, ToGlibPtr as _};
use glib::{MainContext, Object as GlibObject, prelude::IsA};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject, PyType_Slot};
use raddle::arguments::Creation;
use raddle::class::{self, Class};
use raddle::object::{self, Kind, Object, Pending};
use raddle::primitive::{Mutex, lock};
use raddle::shelf::Key;
use raddle::table::Table;
use raddle::{Error, Ref, Status};

use crate::call::Work;
use crate::callable::Visit;
use crate::{cancellable, event_loop, value};

/// What asyncio calls with the task that is done. Its end is that of the work.
#[derive(Debug)]
pub(crate) struct Outcome(Mutex<Option<Box<Work>>>);

static METHODS: Table<[PyMethodDef; 1]> = Table::new([PyMethodDef::zeroed()]);

impl Class for Outcome {
    const NAME: &'static CStr = c"raddle.asyncio.Outcome";
    const DOC: &'static CStr = c"What a host is told through when its coroutine is done.";
    const KEY: Key = crate::module::OUTCOME;

    fn new(call: Creation<'_>) -> Result<Self, Pending> {
        let line = "an Outcome comes from a host and is not made by hand";
        Err(Pending::new(call.py(), Kind::Type, line))
    }

    fn methods() -> *mut PyMethodDef {
        METHODS.start()
    }

    fn slots() -> Vec<PyType_Slot> {
        let call: ffi::ternaryfunc = call;
        vec![PyType_Slot { slot: ffi::Py_tp_call, pfunc: call as *mut c_void }]
    }
}

unsafe extern "C" fn call(
    this: *mut PyObject,
    arguments: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: a tuple; lends, or raises if there is no argument.
    let task = unsafe { ffi::PyTuple_GetItem(arguments, 0) };
    if task.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: CPython calls an object of the type.
    let outcome = unsafe { class::value::<Outcome>(this) };
    let work = lock(&outcome.0).take();
    if let Some(work) = work {
        // SAFETY: alive; on the thread that runs the context, with Python held, as was promised.
        unsafe { work.end_as(py, task) };
    }
    Object::none(py).into_ptr()
}

/// Has the event loop of `context` call what `work` calls and await what that returns; the work's end
/// is told on the thread that runs the context, with Python held. Any thread.
///
/// # Errors
///
/// As [`event_loop`](crate::event_loop()); [`Status::Invalid`] if `cancellable` is no `GCancellable`. The work
/// is dropped then.
///
/// # Safety
///
/// `cancellable` is null or alive; the work's functions may be called as [`Done`](crate::call::Done) says.
pub unsafe fn start(
    context: &MainContext,
    cancellable: *mut GObject,
    work: Box<Work>,
) -> Result<(), Error> {
    let event_loop = event_loop::event_loop(context)?;
    // SAFETY: alive, by the caller's promise.
    if !cancellable.is_null() && !unsafe { cancellable::is_one(cancellable) } {
        return Err(Error::new(Status::Invalid, "the cancellable is no GCancellable"));
    }
    let visit = Visit::begin()?;
    let py = visit.py();
    let start = || -> object::Result<()> {
        let start = Object::import(py, c"raddle._gio")?.attribute(c"start")?;
        let of = |reference: &Ref| {
            let bound = reference.try_bind(py).ok_or_else(|| object::raised(py))?;
            // SAFETY: alive.
            unsafe { Object::borrowed(py, bound.as_ptr()) }.ok_or_else(|| object::raised(py))
        };
        let function = of(work.callable());
        let cancellable = if cancellable.is_null() {
            Ok(Object::none(py))
        } else {
            // SAFETY: alive, by the caller's promise.
            let face = unsafe { value::object_to_python(py, cancellable) };
            face.map_err(|_set| object::raised(py))
        };
        let outcome = class::new(py, Outcome(Mutex::new(Some(work))));
        let outcome = outcome.map_err(|_set| object::raised(py));
        start.call([of(&event_loop), function, cancellable, outcome]).map(drop)
    };
    start().map_err(|raised| Error::new(Status::Python, raised.0))
}

/// Has the event loop of `context` call `callable` and await what it returns, a coroutine say, and calls
/// `done` with what that comes to: a value of type `kind`, or of the one that fits if that is
/// [`glib::Type::INVALID`], or an error as [`call`](crate::call()) gives them. May be called on any thread.
///
/// `done` is called on the thread that runs the context, with Python held; it is dropped without being
/// called if the loop is closed before. If `cancellable`, a `GCancellable`, is cancelled, on whichever
/// thread, the task is, and the error is `G_IO_ERROR_CANCELLED`; a task that is cancelled in Python
/// cancels it.
///
/// # Errors
///
/// As [`event_loop`](crate::event_loop()); [`Status::Invalid`] if it is not callable, or `cancellable` is no
/// `GCancellable`.
pub fn spawn<F>(
    context: &MainContext,
    callable: impl Into<Ref>,
    kind: glib::Type,
    cancellable: Option<&impl IsA<GlibObject>>,
    done: F,
) -> Result<(), Error>
where
    F: FnOnce(Result<glib::Value, glib::Error>) + Send + 'static,
{
    let cancellable = cancellable.map(|object| object.as_ref().clone());
    let raw = cancellable.as_ref().map_or(ptr::null_mut(), |object| object.to_glib_none().0);
    let kind = glib::translate::IntoGlib::into_glib(kind);
    let data = Box::into_raw(Box::new(Some(done))).cast();
    let work = Work::new(callable.into(), kind, Some(tell::<F>), data, Some(forget::<F>));
    let work = work.inspect_err(|_| {
        // SAFETY: the box above, which nobody else has got.
        unsafe { forget::<F>(data) };
    })?;
    // SAFETY: alive; two functions for this very data, which is Send.
    unsafe { start(context, raw, work) }
}

unsafe extern "C" fn tell<F>(value: *const GValue, error: *const GError, data: *mut c_void)
where
    F: FnOnce(Result<glib::Value, glib::Error>),
{
    // SAFETY: the box of `spawn`, which only one thread has at a time.
    let done = unsafe { (*data.cast::<Option<F>>()).take() };
    let result = if error.is_null() {
        // SAFETY: a value, which is copied.
        Ok(unsafe { glib::Value::from_glib_none(value) })
    } else {
        // SAFETY: an error, which is copied.
        Err(unsafe { glib::Error::from_glib_none(error) })
    };
    if let Some(done) = done {
        done(result);
    }
}

unsafe extern "C" fn forget<F>(data: glib_ffi::gpointer) {
    // SAFETY: the box of `spawn`, once.
    drop(unsafe { Box::from_raw(data.cast::<Option<F>>()) });
}
