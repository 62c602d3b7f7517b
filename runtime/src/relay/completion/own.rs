//! A value that each process has for itself: a forked child begins with a fresh one.
//!
//! What its parent's threads were doing to the old one when they vanished does not matter: nobody in
//! the child looks at it any more, and nothing in it is dropped there. It is the parent's to drop.

use core::{fmt, ptr};

use crate::primitive::{AtomicPtr, Ordering};
use crate::relay::fork;

struct Since<T> {
    /// The count of forks at which it was made.
    forks: u64,
    value: T,
}

/// A value of this process's own.
pub(super) struct Own<T>(AtomicPtr<Since<T>>);

// SAFETY: it owns a `T` that threads share, and gives references to it.
unsafe impl<T: Send + Sync> Sync for Own<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for Own<T> {}

impl<T> Own<T> {
    /// One whose value is made when it is first asked for.
    pub(super) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The value, made by `make` if this process has none yet.
    #[inline]
    pub(super) fn get(&self, make: impl FnOnce() -> T) -> &T {
        // Acquire: pairs with the Release of the exchange below.
        let place = self.0.load(Ordering::Acquire);
        // SAFETY: null, or from Box::into_raw and freed by nobody while `self` is borrowed.
        match unsafe { place.as_ref() } {
            Some(since) if since.forks == fork::count() => &since.value,
            _ => self.renew(place, make()),
        }
    }

    #[cold]
    fn renew(&self, old: *mut Since<T>, value: T) -> &T {
        let fresh = Box::into_raw(Box::new(Since { forks: fork::watch(), value }));
        // AcqRel: publishes the fresh value, or finds that of another thread.
        let there = self.0.compare_exchange(old, fresh, Ordering::AcqRel, Ordering::Acquire);
        let place = there.map_or_else(
            |other| {
                // SAFETY: from the line that made it, and never published.
                drop(unsafe { Box::from_raw(fresh) });
                other
            },
            |_left_to_the_parent| fresh,
        );
        // SAFETY: from Box::into_raw, and freed by nobody while `self` is borrowed.
        unsafe { &(*place).value }
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        // Relaxed: nobody else is there.
        let place = self.0.load(Ordering::Relaxed);
        // SAFETY: null, or from Box::into_raw; nobody borrows it any more.
        let forks = unsafe { place.as_ref() }.map(|since| since.forks);
        if forks == Some(fork::count()) {
            // SAFETY: as above; a parent's is left to the parent.
            drop(unsafe { Box::from_raw(place) });
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Own<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: null, or from Box::into_raw and freed by nobody while `self` is borrowed.
        let since = unsafe { self.0.load(Ordering::Acquire).as_ref() };
        f.debug_tuple("Own").field(&since.map(|since| &since.value)).finish()
    }
}
