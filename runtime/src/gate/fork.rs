//! Forks: a child keeps the forking thread's slot and nothing of the others'.
//!
//! `os.fork` tells Python, which frees the other threads' states in the child; then the gate opens
//! again. A plain fork leaves Python with locks that nobody will release: the gate stays closed.

use core::cell::RefCell;
use core::ptr;
use std::sync::Once;

use super::slot::Slot;
use super::{GATE, reaper, registry};
use crate::primitive::{AtomicU32, MutexGuard, Ordering, heavy_fence_is_there, lock};

/// In the order in which a stop takes them.
type Locks = (MutexGuard<'static, ()>, MutexGuard<'static, registry::Registry>);

thread_local! {
    /// The gate's locks, from before the fork to after it, on the thread that forks.
    static HELD: RefCell<Option<Locks>> = const { RefCell::new(None) };
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// How many forks this process came by, counted from the first start of Python on.
#[inline(always)]
pub(crate) fn count() -> u32 {
    // Relaxed: changes while only one thread is there.
    COUNT.load(Ordering::Relaxed)
}

/// Watches this process's forks from now on.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: three functions that may run at any fork, for as long as the process lives.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

extern "C" fn before() {
    let waiting = GATE.admission.hold();
    let guard = (waiting, lock(&GATE.registry));
    // A thread whose thread-locals are gone forks without the lock: nothing better is left.
    let _kept = HELD.try_with(|held| held.borrow_mut().replace(guard));
}

extern "C" fn in_parent() {
    let _released = HELD.try_with(|held| held.borrow_mut().take());
}

extern "C" fn in_child() {
    in_parent();
    COUNT.fetch_add(1, Ordering::Relaxed);
    GATE.admission.fork();
    Slot::here().set_aside();
    registry::forget_others();
    // Python frees these states by itself, or nobody ever runs it again.
    reaper::forget_all();
}

/// Python has cleaned up in the child of `os.fork`: opens the gate there.
pub(crate) fn after_in_child() {
    let slot = Slot::here();
    slot.take_up();
    // The state that this thread holds is Python's main one now: used, and never given back. Any
    // other that was kept is gone.
    slot.kept.set(ptr::null_mut());
    slot.ready.set(0);
    GATE.admission.reopen_in_child(heavy_fence_is_there());
}
