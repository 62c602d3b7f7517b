//! How many forks lie between this process and the one that first asked: what was made at another
//! count belongs to a parent.

use std::sync::Once;

use crate::primitive::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

/// The count in this process. Only compared for equality, with what this function said before.
#[inline]
pub(crate) fn count() -> u64 {
    // Relaxed: written by the only thread of a child that was just forked.
    FORKS.load(Ordering::Relaxed)
}

/// Watches this process's forks from now on. Returns the count.
pub(crate) fn watch() -> u64 {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a function that may run at any fork, for as long as the process lives.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    count()
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
