//! The few things that completions ask of Python and of asyncio, on bare pointers.

use core::ffi::CStr;
use core::ptr;
use std::ffi::CString;
use std::sync::Arc;

use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::{self as ffi, PyObject};

use super::queue::Why;
use crate::error::{Error, Status};
use crate::gate::{Raised, Ref, control};
use crate::object::{Kind, Object, Pending};
use crate::relay::wait::Interrupted;
use crate::shelf::{self, Key};

/// The most that any method here is called with, the object itself included.
const MOST: usize = 6;

/// Raises why something was not taken.
pub(super) fn raise(py: Python<'_>, why: Why) -> Pending {
    match why {
        Why::Interrupted(Interrupted::Raised(raised)) => {
            raised.put_back(py);
            Pending::is_set()
        }
        // Python ended, and is not held: there is nobody to answer.
        Why::Interrupted(Interrupted::Closed(_)) => loop {
            std::thread::park();
        },
        why => raise_error(py, &why.into()),
    }
}

/// Raises an error of raddle's own.
pub(super) fn raise_error(py: Python<'_>, error: &Error) -> Pending {
    match error.status() {
        Status::Stopped => match shelf::get(py, Key::Stopped) {
            Ok(class) => {
                let line = CString::new(error.message()).unwrap_or_default();
                // SAFETY: Python is held; an exception's type, and a text that ends with a NUL.
                unsafe { ffi::PyErr_SetString(class, line.as_ptr()) };
                Pending::is_set()
            }
            Err(pending) => pending,
        },
        Status::Invalid | Status::Null => Pending::new(py, Kind::Value, error.message()),
        _ => Pending::new(py, Kind::Runtime, error.message()),
    }
}

/// `receiver.name(*arguments)`. All are alive.
pub(super) fn call_method<'py>(
    py: Python<'py>,
    receiver: *mut PyObject,
    name: &CStr,
    arguments: &[*mut PyObject],
) -> Result<Object<'py>, Pending> {
    // SAFETY: Python is held; a name that ends with a NUL.
    let name = unsafe { ffi::PyUnicode_FromString(name.as_ptr()) };
    // SAFETY: as that function returns.
    let name = unsafe { Object::answered(py, name) }?;
    // The first place is the callee's to use for a while.
    let mut all = [ptr::null_mut(); MOST + 1];
    all[1] = receiver;
    let count = 1 + arguments.len();
    all[2..=count].copy_from_slice(arguments);
    let flags = count | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
    // SAFETY: a str, `count` objects that are alive with a free place before them, no keywords.
    let raw = unsafe {
        ffi::PyObject_VectorcallMethod(name.as_ptr(), all[1..].as_ptr(), flags, ptr::null_mut())
    };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// Hands what a completion raised to the exception handler of the loop that ran it.
pub(super) fn tell_loop(
    asyncio: &Bound<'_, PyAny>,
    raised: Raised,
    about: Option<Bound<'_, PyAny>>,
) {
    let py = asyncio.py();
    raised.put_back(py);
    // SAFETY: an owned reference, or null where Python was restarted meanwhile.
    let Ok(exception) = (unsafe { Object::owned(py, control::take_pending()) }) else { return };
    let about = about.map_or_else(
        || Object::none(py),
        // SAFETY: an owned reference.
        |about| unsafe { Object::owned(py, about.into_ptr()) }.unwrap_or_else(|_| Object::none(py)),
    );
    let message = Object::text(py, "Exception in a completion");
    let context = [("message", message), ("exception", Ok(exception)), ("callable", Ok(about))];
    let Ok(context) = Object::dict(py, context) else { return };
    let told = call_method(py, asyncio.as_ptr(), c"call_exception_handler", &[context.as_ptr()]);
    if told.is_err()
        && let Some(raised) = Raised::take(py)
    {
        raised.report(asyncio);
    }
}

/// `asyncio.get_running_loop()`.
pub(super) fn running_loop(py: Python<'_>) -> Result<Object<'_>, Pending> {
    // SAFETY: a name that ends with a NUL.
    let raw = unsafe { ffi::PyImport_ImportModule(c"asyncio".as_ptr()) };
    // SAFETY: as that function returns.
    let asyncio = unsafe { Object::answered(py, raw) }?;
    call_method(py, asyncio.as_ptr(), c"get_running_loop", &[])
}

/// Whether `loop.name()` is true.
pub(super) fn asks(py: Python<'_>, asyncio: *mut PyObject, name: &CStr) -> Result<bool, Pending> {
    let answer = call_method(py, asyncio, name, &[])?;
    // SAFETY: alive, and Python is held.
    match unsafe { ffi::PyObject_IsTrue(answer.as_ptr()) } {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Pending::is_set()),
    }
}

/// `object.name`.
pub(super) fn attribute<'py>(
    py: Python<'py>,
    object: *mut PyObject,
    name: &CStr,
) -> Result<Object<'py>, Pending> {
    // SAFETY: Python is held; an object that is alive, and a name that ends with a NUL.
    let raw = unsafe { ffi::PyObject_GetAttrString(object, name.as_ptr()) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// An `int`.
pub(super) fn integer(py: Python<'_>, value: i64) -> Result<Object<'_>, Pending> {
    // SAFETY: Python is held.
    let raw = unsafe { ffi::PyLong_FromLongLong(value) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// A reference of any thread's to the object.
pub(super) fn reference(py: Python<'_>, object: Object<'_>) -> Ref {
    // SAFETY: owned, and Python is held.
    Ref::new(unsafe { Bound::from_owned_ptr(py, object.into_ptr()) })
}

/// The object, as PyO3 has it.
pub(super) fn bound<'py>(py: Python<'py>, object: Object<'py>) -> Bound<'py, PyAny> {
    // SAFETY: owned, and Python is held.
    unsafe { Bound::from_owned_ptr(py, object.into_ptr()) }
}

/// An object that is not kept alive, if it can be helped.
#[derive(Clone, Debug)]
pub(super) struct Distant {
    /// A weak reference to it, or itself.
    reference: Arc<Ref>,
    is_weak: bool,
}

impl Distant {
    pub(super) fn new(py: Python<'_>, object: &Object<'_>) -> Result<Self, Pending> {
        // SAFETY: alive, and Python is held; no function to call at its end.
        let weak = unsafe { ffi::PyWeakref_NewRef(object.as_ptr(), ptr::null_mut()) };
        // SAFETY: as that function returns.
        let weak = unsafe { Object::owned(py, weak) };
        let is_weak = weak.is_ok();
        // SAFETY: alive.
        let itself = || unsafe { Object::borrowed(py, object.as_ptr()) };
        let Some(kept) = weak.ok().or_else(itself) else { return Err(Pending::is_set()) };
        Ok(Self { reference: Arc::new(reference(py, kept)), is_weak })
    }

    /// Whether this is a clone of the other.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.reference, &other.reference)
    }

    /// The object, if it is still there.
    pub(super) fn get<'py>(&self, py: Python<'py>) -> Option<Object<'py>> {
        let kept = self.reference.try_bind(py)?;
        if !self.is_weak {
            // SAFETY: alive.
            return unsafe { Object::borrowed(py, kept.as_ptr()) };
        }
        // SAFETY: Python is held; a weak reference is called without arguments.
        let raw = unsafe { ffi::PyObject_CallNoArgs(kept.as_ptr()) };
        // SAFETY: as that function returns.
        let object = unsafe { Object::owned(py, raw) }.ok()?;
        // SAFETY: Python is held.
        (object.as_ptr() != unsafe { ffi::Py_None() }).then_some(object)
    }
}
