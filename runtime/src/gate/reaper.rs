//! What happens to a thread's state when the thread ends.
//!
//! Clearing a state runs finalizers and so needs Python, but a dying thread must not wait for it:
//! somebody may be joining the thread with Python held. So it hands the state over, and whoever
//! enters next clears it. On a free-threaded Python nobody is waited for, and the owner clears it
//! itself; a host may ask for the same on any Python.

use core::ptr;

use pyo3_ffi::PyThreadState;

use super::registry;
use super::slot::{Kind, Slot};
use super::{GATE, entry, reference};
use crate::cpython;
use crate::exit::Phase;
use crate::primitive::Ordering;

/// A state whose thread is dead or has given it back.
#[derive(Debug)]
pub(super) struct Orphan {
    state: *mut PyThreadState,
    generation: u64,
}

// SAFETY: `cpython::orphan` made the state nobody's; whoever takes it off the pile owns it.
unsafe impl Send for Orphan {}

/// Runs on each registered thread as it ends.
pub(super) fn thread_ends(phase: Phase) {
    let slot = Slot::here();
    slot.ending.set(true);
    entry::leave_all(slot);
    give_back(slot, phase);
    registry::unregister(slot);
    slot.trim();
    slot.ending.set(false);
}

/// Gives this thread's kept state back, waiting for nobody.
///
/// In the late phase CPython (up to 3.13) may have lost sight of the state, so it is never cleared
/// there: a finalizer that asks for Python would make a second state and wait for itself.
pub(super) fn give_back(slot: &Slot, phase: Phase) {
    slot.ready.set(0);
    let kept = slot.kept.replace(ptr::null_mut());
    if kept.is_null() {
        return;
    }
    let generation = slot.generation.get();
    let here =
        phase == Phase::Early && (cfg!(Py_GIL_DISABLED) || GATE.reap_here.load(Ordering::Relaxed));
    // Refused while Python is ending or gone: then it is Python that frees the state.
    let given = GATE.admission.visit(generation, || {
        if here {
            // SAFETY: this thread's, alive by the visit's promise, and not attached: it is outside.
            unsafe { clear_here(kept) };
        } else {
            // SAFETY: as above.
            unsafe { cpython::orphan(kept) };
            GATE.orphans.push(Orphan { state: kept, generation });
        }
    });
    if given.is_none() {
        // What 3.15 remembers of it would outlive it, and be taken for a state of the next Python.
        cpython::forget_gilstate(kept);
    } else if !here {
        reference::ask_for_drain(generation);
    }
}

/// Attaches, clears and frees this thread's state.
///
/// # Safety
///
/// `state` is this thread's, alive and not attached.
pub(super) unsafe fn clear_here(state: *mut PyThreadState) {
    // SAFETY: by the caller's promise.
    unsafe { pyo3_ffi::PyEval_RestoreThread(state) };
    // SAFETY: attached a line ago.
    unsafe { pyo3_ffi::PyThreadState_Clear(state) };
    // SAFETY: attached and cleared; gives Python up too.
    unsafe { pyo3_ffi::PyThreadState_DeleteCurrent() };
    count_reaped();
}

fn count_reaped() {
    GATE.reaped.fetch_add(1, Ordering::Relaxed);
}

/// Clears what dead threads left behind.
///
/// # Safety
///
/// This thread holds Python, with the gate's interpreter.
pub(super) unsafe fn drain() {
    let generation = GATE.admission.word().generation();
    for orphan in GATE.orphans.take() {
        // One of an earlier generation was freed with its interpreter.
        if orphan.generation == generation {
            // SAFETY: alive, since its generation is, and ours since it came off the pile.
            unsafe { cpython::reap(orphan.state) };
            count_reaped();
        }
    }
}

/// In a forked child: Python has freed the orphans, or will never run.
pub(super) fn forget_all() {
    drop(GATE.orphans.take());
}

/// Whether the frames of an ending thread say that it holds Python by an entry.
pub(super) fn holds_by_entry(slot: &Slot) -> bool {
    slot.top().is_some_and(|frame| frame.kind == Kind::Attach)
}
