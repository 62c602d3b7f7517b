//! Circular chains: the run queue of a thread, and those who wait at a channel.
//!
//! ```text
//!   run queue                          channel
//!     current -> t1 -> t2 -> t3          head -> t1 -> t2
//!        ^________________|               ^_____________|
//! ```
//!
//! A run queue is entered at its current tasklet; "at the end" is before that. A channel's chain goes
//! through the channel itself.
#![expect(clippy::inline_always, reason = "a switch is made of these")]

use core::cell::Cell;
use core::ptr;

/// A place in at most one chain: null while in none.
#[derive(Debug)]
pub(super) struct Link {
    next: Cell<*const Link>,
    prev: Cell<*const Link>,
    /// The link of a channel, where its chain begins and ends.
    is_head: bool,
}

impl Link {
    /// A tasklet's.
    pub(super) const fn new() -> Self {
        Self { next: Cell::new(ptr::null()), prev: Cell::new(ptr::null()), is_head: false }
    }

    /// A channel's; [`begin`](Self::begin) once it has its address.
    pub(super) const fn head() -> Self {
        Self { next: Cell::new(ptr::null()), prev: Cell::new(ptr::null()), is_head: true }
    }

    /// Makes this a chain of its own.
    #[inline(always)]
    pub(super) fn begin(&self) {
        self.next.set(self);
        self.prev.set(self);
    }

    #[inline(always)]
    pub(super) fn is_linked(&self) -> bool {
        !self.next.get().is_null()
    }

    #[inline(always)]
    pub(super) const fn is_head(&self) -> bool {
        self.is_head
    }

    #[inline(always)]
    pub(super) fn next(&self) -> *const Self {
        self.next.get()
    }

    #[inline(always)]
    pub(super) fn prev(&self) -> *const Self {
        self.prev.get()
    }

    /// Puts this before `other`, which is in a chain.
    #[inline(always)]
    pub(super) fn insert_before(&self, other: &Self) {
        let prev = other.prev.get();
        self.prev.set(prev);
        self.next.set(other);
        // SAFETY: chains hold live links only: whoever is destroyed is taken out first.
        unsafe { (*prev).next.set(self) };
        other.prev.set(self);
    }

    /// Takes this out of its chain. Returns what came after it: null if it was alone.
    #[inline(always)]
    pub(super) fn remove(&self) -> *const Self {
        let (next, prev) = (self.next.replace(ptr::null()), self.prev.replace(ptr::null()));
        if next == ptr::from_ref(self) {
            return ptr::null();
        }
        // SAFETY: as above.
        unsafe { (*prev).next.set(next) };
        // SAFETY: as above.
        unsafe { (*next).prev.set(prev) };
        next
    }
}
