//! Python references on threads that do not hold Python: dropped anywhere, held by nobody.
//!
//! | type                | owns | may be dropped on            | where the finalizer runs              |
//! |---------------------|------|------------------------------|---------------------------------------|
//! | [`Ref`]             | yes  | any thread, held or not      | here if held; else where the next     |
//! |                     |      |                              | entry is, or on Python's main thread  |
//! | [`decref`]          | one  | any thread, held or not      | the same                              |
//! | [`Handle`]          | no   | any thread                   | there is nothing to finalize          |
//! | `pyo3::Py`          | yes  | any thread, but PyO3 waits   | here if attached by PyO3; else where  |
//! |                     |      | for its own next attach      | PyO3 attaches next                    |
//! | `pyo3::Bound`       | yes  | its own thread, held         | here                                  |

use core::ffi::{c_int, c_void};
use core::{fmt, marker::PhantomData, ptr};

use pyo3::{Bound, Py, PyAny, Python};
use pyo3_ffi::PyObject;

use super::{GATE, entry, reaper};
use crate::cpython;
use crate::error::{Error, Status};
use crate::primitive::Ordering;

/// A reference that a thread without Python has dropped.
#[derive(Debug)]
pub(super) struct Dropped {
    object: *mut PyObject,
    generation: u64,
}

// SAFETY: the reference was given up; whoever takes it off the pile owns it.
unsafe impl Send for Dropped {}

/// Drops one reference, on any thread, held or not, ended or not. Never waits.
///
/// Null is ignored. After the end of Python the reference is leaked on purpose and counted.
///
/// # Safety
///
/// `object` is null or a reference that the caller owns, of the runtime that is there now.
pub unsafe fn decref(object: *mut PyObject) {
    // SAFETY: by the caller's promise.
    unsafe { decref_of(object, GATE.admission.word().generation()) }
}

/// [`decref`] of an object that came from `generation`.
///
/// # Safety
///
/// As [`decref`], but of that generation.
unsafe fn decref_of(object: *mut PyObject, generation: u64) {
    if object.is_null() {
        return;
    }
    let word = GATE.admission.word();
    if generation != word.generation() || !word.may_nest() {
        GATE.leaked.fetch_add(1, Ordering::Relaxed);
        return;
    }
    if entry::may_drop() {
        // SAFETY: Python is held, its generation is the object's, and the caller owns one.
        unsafe { pyo3_ffi::Py_DECREF(object) };
        return;
    }
    if GATE.drops.push(Dropped { object, generation }) {
        ask_for_drain(generation);
    }
}

/// Asks Python's main thread to drain between two bytecodes, in case that nobody enters for long.
pub(super) fn ask_for_drain(generation: u64) {
    GATE.admission.visit(generation, || {
        // Relaxed: the visit has read the word with SeqCst, and the interpreter is older.
        let interpreter = GATE.interpreter.load(Ordering::Relaxed);
        // SAFETY: Python is alive by the visit's promise. If its list is full, the next entry drains.
        unsafe { cpython::call_on_main_thread(interpreter, drain_pending) };
    });
}

extern "C" fn drain_pending(_: *mut c_void) -> c_int {
    // SAFETY: Python calls pending calls on its main thread, held.
    unsafe { drain() };
    0
}

/// Drops what was dropped elsewhere, and clears what dead threads left.
///
/// # Safety
///
/// This thread holds Python, with the gate's interpreter.
#[cold]
pub(crate) unsafe fn drain() {
    let generation = GATE.admission.word().generation();
    let (mut dropped, mut leaked) = (0, 0);
    for reference in GATE.drops.take() {
        if reference.generation == generation {
            // SAFETY: held, alive since its generation is, and ours since it came off the pile.
            unsafe { pyo3_ffi::Py_DECREF(reference.object) };
            dropped += 1;
        } else {
            leaked += 1;
        }
    }
    GATE.decrefs.fetch_add(dropped, Ordering::Relaxed);
    GATE.leaked.fetch_add(leaked, Ordering::Relaxed);
    // SAFETY: by the caller's promise.
    unsafe { reaper::drain() };
}

/// Counts what was dropped when nobody drained any more.
pub(super) fn leak() {
    let leaked = GATE.drops.take().count() as u64;
    GATE.leaked.fetch_add(leaked, Ordering::Relaxed);
}

/// An owned Python object that may be sent to and dropped on any thread.
///
/// Unlike [`Py`], whose drop on a thread that PyO3 has not attached waits for PyO3's next attach,
/// this one is released by raddle's next entry or by Python's main thread, and a drop after the
/// end of Python leaks on purpose.
pub struct Ref<T = PyAny> {
    object: ptr::NonNull<PyObject>,
    generation: u64,
    kind: PhantomData<Py<T>>,
}

// SAFETY: the object is only used with Python held, and `decref_of` may be called anywhere.
unsafe impl<T> Send for Ref<T> {}
// SAFETY: a shared `Ref` gives nothing without Python held.
unsafe impl<T> Sync for Ref<T> {}

impl<T> Ref<T> {
    /// Takes over the reference of `object`.
    #[must_use]
    pub fn new(object: Bound<'_, T>) -> Self {
        let raw = object.unbind().into_ptr();
        let generation = GATE.admission.word().generation();
        // SAFETY: a `Py` is never null.
        let object = unsafe { ptr::NonNull::new_unchecked(raw) };
        Self { object, generation, kind: PhantomData }
    }

    /// Another reference to the same object.
    #[must_use]
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self::new(self.bind(py))
    }

    /// The object, to be used while Python is held.
    ///
    /// # Panics
    ///
    /// If Python was restarted since the reference was made: the object went with it.
    #[must_use]
    pub fn bind<'py>(&self, py: Python<'py>) -> Bound<'py, T> {
        match self.try_bind(py) {
            Some(object) => object,
            None => {
                panic!("this reference is to an object of a Python that has ended: make it anew")
            }
        }
    }

    /// [`bind`](Self::bind), or `None` if Python was restarted since the reference was made.
    #[must_use]
    pub fn try_bind<'py>(&self, py: Python<'py>) -> Option<Bound<'py, T>> {
        if self.generation != GATE.admission.word().generation() {
            return None;
        }
        // SAFETY: alive, since this reference keeps it and its generation is the present one.
        let any = unsafe { Bound::from_borrowed_ptr(py, self.object.as_ptr()) };
        // SAFETY: `new` took it from a `Bound<T>`.
        Some(unsafe { any.cast_into_unchecked() })
    }
}

impl Ref {
    /// The object and its generation, which is all that a reference is.
    #[cfg(not(Py_GIL_DISABLED))]
    pub(super) fn into_parts(self) -> (*mut PyObject, u64) {
        let this = core::mem::ManuallyDrop::new(self);
        (this.object.as_ptr(), this.generation)
    }

    /// The reference again; `None` of null.
    ///
    /// # Safety
    ///
    /// What [`into_parts`](Self::into_parts) gave, once; or null.
    #[cfg(not(Py_GIL_DISABLED))]
    pub(super) unsafe fn from_parts(object: *mut PyObject, generation: u64) -> Option<Self> {
        let object = ptr::NonNull::new(object)?;
        Some(Self { object, generation, kind: PhantomData })
    }

    /// Takes over a reference that the caller of this crate's own owns; not null.
    pub(super) fn of_owned(py: Python<'_>, object: *mut PyObject) -> Self {
        // SAFETY: owned and not null, as this module's callers know.
        Self::new(unsafe { Bound::from_owned_ptr(py, object) })
    }
}

impl<T> Drop for Ref<T> {
    fn drop(&mut self) {
        // SAFETY: owned since `new`, and of that generation.
        unsafe { decref_of(self.object.as_ptr(), self.generation) };
    }
}

impl<T> From<Bound<'_, T>> for Ref<T> {
    fn from(object: Bound<'_, T>) -> Self {
        Self::new(object)
    }
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ref").field(&self.object).finish()
    }
}

/// A Python object that somebody else keeps alive: copying or forgetting one touches no count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(*mut PyObject);

// SAFETY: an address; `get` looks whether Python is held.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// A handle to `object`, which may be null.
    #[must_use]
    pub const fn new(object: *mut PyObject) -> Self {
        Self(object)
    }

    /// The object's address, if this thread holds Python.
    ///
    /// # Errors
    ///
    /// [`Status::WrongOrder`] if it does not.
    pub fn get(self) -> Result<*mut PyObject, Error> {
        if entry::is_held() {
            return Ok(self.0);
        }
        Err(Error::new(
            Status::WrongOrder,
            "a handle was asked for its object on a thread that does not hold Python: enter first",
        ))
    }
}
