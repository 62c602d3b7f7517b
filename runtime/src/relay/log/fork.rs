//! Forks: a child has no worker and no record of the parent's; its own first record starts one.

use core::cell::RefCell;
use std::sync::Once;

use super::worker::{LOG, Office};
use crate::primitive::MutexGuard;
use crate::relay::fork;

type Locks = (MutexGuard<'static, Office>, MutexGuard<'static, u64>);

thread_local! {
    /// The log's locks, from before the fork to after it, on the thread that forks.
    static HELD: RefCell<Option<Locks>> = const { RefCell::new(None) };
}

/// Watches this process's forks from now on.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        fork::watch();
        // SAFETY: three functions that may run at any fork, for as long as the process lives.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

extern "C" fn before() {
    let guards = (LOG.office(), LOG.ring.hold());
    // A thread whose thread-locals are gone forks without the locks: nothing better is left.
    let _kept = HELD.try_with(|held| held.borrow_mut().replace(guards));
}

extern "C" fn in_parent() {
    let _released = HELD.try_with(|held| held.borrow_mut().take());
}

extern "C" fn in_child() {
    in_parent();
    LOG.ring.forget();
    LOG.forget(&mut LOG.office());
}
