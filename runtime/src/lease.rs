//! A value that its owner may take back at any moment, while others are using it.
//!
//! What a closure calls is such a value: one thread disconnects the handler while another one is
//! inside it. Who is inside keeps the value; who comes later does not get it; the last one out drops
//! it, or the owner does if nobody is inside.
//!
//! ```text
//!   word = users inside | REVOKED | TAKEN
//!
//!   connected      n users            use: n + 1         revoke: disconnecting or invalidated
//!   disconnecting  n users, REVOKED   use: refused       the last one out: invalidated
//!   invalidated    REVOKED, TAKEN     use: refused       the value was dropped
//!   finalised      the lease itself is dropped, and the value with it if that is still there
//! ```
//!
//! Whoever finds nobody inside after the revocation takes the value, and one does so alone: a refused
//! user is counted for an instant, and looks again on its way out.

use core::cell::UnsafeCell;
use core::ops::Deref;

use crate::primitive::{AtomicU64, Ordering};

const REVOKED: u64 = 1 << 62;
const TAKEN: u64 = 1 << 63;

/// A value that may be taken back.
#[derive(Debug)]
pub struct Lease<T> {
    word: AtomicU64,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: users share `&T`, on any thread; whoever drops it may be on any thread.
unsafe impl<T: Send + Sync> Sync for Lease<T> {}

impl<T> Lease<T> {
    /// A lease of `value`.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { word: AtomicU64::new(0), value: UnsafeCell::new(Some(value)) }
    }

    /// The value, for as long as the guard is kept; `None` once it was taken back. Never waits.
    #[inline]
    #[must_use]
    pub fn use_it(&self) -> Option<InUse<'_, T>> {
        // Acquire: with the taker's release, who is refused sees nothing of the value; and nobody
        // reads it who did not count first.
        if self.word.fetch_add(1, Ordering::Acquire) & REVOKED != 0 {
            self.go_out();
            return None;
        }
        Some(InUse(self))
    }

    /// How many are using it now, and whether it was taken back: for a look, nothing is decided by it.
    #[must_use]
    pub fn look(&self) -> (u64, bool) {
        let word = self.word.load(Ordering::Relaxed);
        (word & (REVOKED - 1), word & REVOKED != 0)
    }

    /// Takes the value back: nobody gets it any more, and it is dropped now or by the last user.
    /// Says whether this was the first time. Never waits.
    pub fn revoke(&self) -> bool {
        // AcqRel: what happened before the revocation is seen by whoever drops the value.
        let first = self.word.fetch_or(REVOKED, Ordering::AcqRel) & REVOKED == 0;
        self.take_if_alone();
        first
    }

    #[inline]
    fn go_out(&self) {
        // Release: all that this user did with the value is before its drop by another.
        if self.word.fetch_sub(1, Ordering::AcqRel) & REVOKED != 0 {
            self.take_if_alone();
        }
    }

    #[cold]
    fn take_if_alone(&self) {
        // Acquire: the last uses of others are before the drop. Succeeds for one thread, once.
        let alone = self.word.compare_exchange(
            REVOKED,
            REVOKED | TAKEN,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if alone.is_ok() {
            // SAFETY: revoked with nobody inside, so nobody has a reference and nobody gets one; and
            // TAKEN is set once, by this thread.
            let value = unsafe { (*self.value.get()).take() };
            drop(value);
        }
    }
}

/// A value that is being used, and stays until this is dropped.
#[derive(Debug)]
pub struct InUse<'a, T>(&'a Lease<T>);

impl<T> Deref for InUse<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: counted before it was revoked: nobody takes it until this user is out.
        let value = unsafe { &*self.0.value.get() };
        match value {
            Some(value) => value,
            None => unreachable!("the value stays while somebody is counted"),
        }
    }
}

impl<T> Drop for InUse<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.go_out();
    }
}

#[cfg(all(test, not(raddle_loom)))]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn who_is_inside_keeps_the_value_and_who_comes_later_gets_none() {
        let value = Rc::new(());
        let lease = Lease::new(Rc::clone(&value));
        let inside = lease.use_it();
        assert!(lease.revoke());
        assert!(!lease.revoke());
        assert!(lease.use_it().is_none());
        assert_eq!((Rc::strong_count(&value), lease.look()), (2, (1, true)));
        drop(inside);
        assert_eq!((Rc::strong_count(&value), lease.look()), (1, (0, true)));
        assert!(lease.use_it().is_none());
    }

    #[test]
    fn a_lease_that_is_dropped_unrevoked_drops_its_value() {
        let value = Rc::new(());
        let lease = Lease::new(Rc::clone(&value));
        assert!(lease.use_it().is_some_and(|used| Rc::strong_count(&used) == 2));
        drop(lease);
        assert_eq!(Rc::strong_count(&value), 1);
    }
}
