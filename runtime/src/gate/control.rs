//! Opening and closing the gate: for the part of raddle that starts and stops Python.

use core::ptr;
use std::time::{Duration, Instant};

use pyo3_ffi::PyInterpreterState;

pub(crate) use super::python::take_pending;
use super::registry::{self, Remaining};
use super::slot::Slot;
use super::{GATE, fork, reference};
use crate::error::Closed;
use crate::primitive::{Ordering, heavy_fence_is_there};

/// How the gate of a generation behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Each entry reads the clock twice.
    pub(crate) timing: bool,
    /// A dying thread clears its state itself.
    pub(crate) reap_here: bool,
}

/// Opens the gate to `interpreter` and says which generation it is, from 1.
///
/// # Safety
///
/// `interpreter` is alive, and stays so until the gate was closed and [`wait`] came back true. This
/// thread holds Python with it.
pub(crate) unsafe fn open(interpreter: *mut PyInterpreterState, manner: Manner) -> u64 {
    fork::watch();
    // SAFETY: Python is held, and whoever attached in an earlier generation has left or hangs.
    unsafe { GATE.view.renew() };
    GATE.interpreter.store(interpreter, Ordering::Relaxed);
    GATE.timing.store(manner.timing, Ordering::Relaxed);
    GATE.reap_here.store(manner.reap_here, Ordering::Relaxed);
    GATE.admission.open(heavy_fence_is_there()).generation()
}

/// Refuses entries from now on. Returns whether this call closed an open gate.
pub(crate) fn close() -> bool {
    GATE.admission.close()
}

/// Waits, at most until `deadline`, until nobody is inside. The caller does not hold Python. Returns
/// whether it came to that; not if the runtime is abandoned meanwhile.
pub(crate) fn wait(deadline: Option<Instant>) -> bool {
    GATE.admission.wait(deadline, || is_abandoned() || registry::nobody_is_inside())
        && !is_abandoned()
}

/// Who is inside.
pub(crate) fn remaining() -> Vec<Remaining> {
    registry::inside()
}

/// The last thing before Python is finalized: drops what was dropped and clears what is dead,
/// then refuses visits and waits for the short ones that had begun.
///
/// # Safety
///
/// This thread holds Python with the gate's interpreter; the gate is closed and nobody is inside.
pub(crate) unsafe fn begin_finalizing() {
    // Relaxed: the change of phase below publishes it.
    GATE.finalizer.store(ptr::from_ref(Slot::here()).cast_mut(), Ordering::Relaxed);
    GATE.admission.begin_finalizing();
    // A visit touches a few words and never waits for Python unless a host asked dying threads to
    // clear their own states; so Python is given up while these finish.
    // SAFETY: held, by the caller's promise.
    let state = unsafe { pyo3_ffi::PyEval_SaveThread() };
    GATE.admission.wait(None, || true);
    // SAFETY: given up two lines ago; only finalizing frees states, and that is up to the caller.
    unsafe { pyo3_ffi::PyEval_RestoreThread(state) };
    // SAFETY: held, by the caller's promise.
    unsafe { reference::drain() };
}

/// Python has ended: what was dropped too late, or is from now on, is leaked and counted.
pub(crate) fn end() {
    GATE.admission.end();
    reference::leak();
}

/// Nobody enters any more, and Python stays as it is.
pub(crate) fn abandon() {
    GATE.admission.abandon();
}

/// Whether the runtime was given up: then a stop waits no longer.
pub(crate) fn is_abandoned() -> bool {
    GATE.admission.word().is_abandoned()
}

/// Whether an entry from outside would be let in now.
pub(crate) fn is_open() -> bool {
    GATE.admission.word().is_open()
}

/// The generation whose gate is open.
pub(crate) fn open_generation() -> Result<u64, Closed> {
    let word = GATE.admission.word();
    if word.is_open() { Ok(word.generation()) } else { Err(word.refusal()) }
}

/// Whether this process is a child of a plain `fork`: Python in it must be left as it is.
pub(crate) fn is_forked() -> bool {
    GATE.admission.word().is_forked()
}

/// Which start of Python in this process this is; 0 before the first. Never waits.
#[must_use]
pub fn generation() -> u64 {
    GATE.admission.word().generation()
}

/// Whether a deadline has passed.
pub(crate) fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Whether this thread has no entry and no release open.
pub(crate) fn is_outside() -> bool {
    Slot::here().is_outside()
}

/// A deadline that is `timeout` away; `None` means for as long as it takes.
pub(crate) fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}
