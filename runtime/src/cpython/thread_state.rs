//! Thread states: which one is current, which one PyGILState remembers, making and burying them.

use core::ffi::{c_int, c_void};

use pyo3_ffi::{PyInterpreterState, PyThreadState};

use super::shim;
#[cfg(not(Py_3_12))]
use crate::primitive::{AtomicPtr, Ordering};

// PyO3 declares neither on every version.
unsafe extern "C" {
    #[cfg(not(Py_3_12))]
    static raddle_py_current_at: *const AtomicPtr<PyThreadState>;
    #[cfg(all(Py_3_12, not(Py_3_13)))]
    fn _PyThreadState_UncheckedGet() -> *mut PyThreadState;
    #[cfg(Py_3_13)]
    fn PyThreadState_GetUnchecked() -> *mut PyThreadState;
}

/// The current thread state, or null.
///
/// From 3.12 on this thread's own. On 3.11 the one of whichever thread holds Python: then it is
/// only good for comparing, since its owner may free it at any moment.
#[inline(always)]
pub(crate) fn current() -> *mut PyThreadState {
    #[cfg(not(Py_3_12))]
    {
        // SAFETY: a constant of the shim.
        let at = unsafe { raddle_py_current_at };
        // SAFETY: points into libpython's one _PyRuntime, whose field is an atomic pointer.
        let state = unsafe { &*at };
        // Relaxed: only compared, and equal to this thread's own only by this thread's doing.
        state.load(Ordering::Relaxed)
    }
    #[cfg(all(Py_3_12, not(Py_3_13)))]
    // SAFETY: reads one variable of libpython, also before start and after the end.
    return unsafe { _PyThreadState_UncheckedGet() };
    #[cfg(Py_3_13)]
    // SAFETY: reads one variable of libpython, also before start and after the end.
    return unsafe { PyThreadState_GetUnchecked() };
}

/// Whether `current` says that this thread holds Python; `kept` is the state that the gate keeps
/// for it, or null.
#[inline]
pub(crate) fn is_held_by(current: *mut PyThreadState, kept: *mut PyThreadState) -> bool {
    if current.is_null() {
        return false;
    }
    // On 3.11 a state that is this thread's is current only while this thread runs it.
    cfg!(Py_3_12) || current == kept || current == gilstate()
}

/// [`is_held_by`] for a thread that has a kept state, which then is the only one it may hold by,
/// subinterpreters' on 3.11 apart.
#[inline(always)]
pub(crate) fn is_held_by_kept(current: *mut PyThreadState, kept: *mut PyThreadState) -> bool {
    if cfg!(Py_3_12) { !current.is_null() } else { current == kept }
}

/// The state that PyGILState remembers for this thread, or null.
#[inline]
pub(crate) fn gilstate() -> *mut PyThreadState {
    // SAFETY: asks thread-specific storage; null before start and after the end.
    unsafe { pyo3_ffi::PyGILState_GetThisThreadState() }
}

/// Makes a state for this thread, not attached; null if there is no memory.
///
/// # Safety
///
/// `interpreter` is alive and stays so during the call.
pub(crate) unsafe fn new_state(interpreter: *mut PyInterpreterState) -> *mut PyThreadState {
    // SAFETY: alive by the caller's promise; needs no GIL, and must run on the owning thread
    // because the state is bound to the thread that calls.
    let state = unsafe { pyo3_ffi::PyThreadState_New(interpreter) };
    if !state.is_null() {
        // SAFETY: ours, made a line ago and not attached.
        unsafe { shim::raddle_py_find_gilstate_slot(state) };
    }
    state
}

/// Makes this thread's PyGILState forget `stale`; the pointer is compared, never followed.
pub(crate) fn forget_gilstate(stale: *mut PyThreadState) {
    // SAFETY: touches this thread's own slot only.
    unsafe { shim::raddle_py_forget_gilstate(stale) };
}

/// Prepares a state for being found and deleted by others, as its owner's last touch.
///
/// # Safety
///
/// `state` is this thread's, alive and not attached.
pub(crate) unsafe fn orphan(state: *mut PyThreadState) {
    forget_gilstate(state);
    // SAFETY: alive and nobody's but ours, by the caller's promise.
    unsafe { shim::raddle_py_orphan(state) };
}

/// Attaches with `state`, waiting; says whether an exception is set on it.
///
/// # Safety
///
/// `state` is this thread's and alive, and this thread holds nothing.
#[inline(always)]
pub(crate) unsafe fn attach(state: *mut PyThreadState) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { shim::raddle_py_attach(state) != 0 }
}

/// Gives Python up, if `state` is current and no exception is set; says whether it did.
///
/// # Safety
///
/// `state` is this thread's and alive.
#[inline(always)]
pub(crate) unsafe fn detach(state: *mut PyThreadState) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { shim::raddle_py_detach(state) == 0 }
}

/// Clears and frees an orphan. Runs finalizers.
///
/// # Safety
///
/// This thread holds Python with the orphan's interpreter; the orphan is nobody else's.
pub(crate) unsafe fn reap(state: *mut PyThreadState) {
    // SAFETY: by the caller's promise.
    unsafe { shim::raddle_py_reap(state) };
}

/// Whether the state that is current on this thread is of the main interpreter.
pub(crate) fn is_main_interpreter(_held: pyo3::Python<'_>) -> bool {
    // SAFETY: Python is held.
    let here = unsafe { pyo3_ffi::PyInterpreterState_Get() };
    // SAFETY: reads one variable of libpython.
    here == unsafe { pyo3_ffi::PyInterpreterState_Main() }
}

/// Has Python's main thread call `call(NULL)` between two bytecodes. Does not wait for it; if Python's
/// list is full, nothing is called.
///
/// # Safety
///
/// `interpreter` is the main one and alive; `call` is sound with Python held.
pub(crate) unsafe fn call_on_main_thread(
    interpreter: *mut PyInterpreterState,
    call: extern "C" fn(*mut c_void) -> c_int,
) {
    // SAFETY: alive by the caller's promise; needs no GIL.
    unsafe { shim::raddle_py_call_on_main_thread(interpreter, call) };
}
