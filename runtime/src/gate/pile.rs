//! A list that any thread adds to without waiting, and one thread takes whole.
//!
//! Treiber's stack (Treiber 1986, IBM RJ 5118), but never popped: the taker swaps the head for
//! null, so no node is looked at by two threads and there is no ABA. The taker turns the chain
//! round: what was pushed first comes out first.

use core::{fmt, ptr};

use crate::primitive::{AtomicPtr, Ordering};

struct Node<T> {
    value: T,
    next: *mut Node<T>,
}

/// A list that any thread adds to, and whoever takes it takes whole.
pub struct Pile<T> {
    head: AtomicPtr<Node<T>>,
}

// SAFETY: a value goes in on one thread and comes out on one other, owned; nobody borrows it.
unsafe impl<T: Send> Sync for Pile<T> {}
// SAFETY: the same, for the values that are inside when the pile itself moves.
unsafe impl<T: Send> Send for Pile<T> {}

impl<T> Pile<T> {
    /// An empty pile.
    #[cfg(not(raddle_loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// An empty pile.
    #[cfg(raddle_loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Adds a value. Returns whether the pile was empty before: then its taker wants to know.
    pub fn push(&self, value: T) -> bool {
        let node = Box::into_raw(Box::new(Node { value, next: ptr::null_mut() }));
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the node is ours until the exchange below publishes it.
            unsafe { (*node).next = head };
            // Release: publishes the node to the Acquire in `take`.
            match self.head.compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return head.is_null(),
                Err(now) => head = now,
            }
        }
    }

    /// Whether there is nothing in it. May be out of date at once.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Relaxed: a hint; `take` synchronizes.
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Takes all that is in it, oldest first.
    pub fn take(&self) -> Taken<T> {
        // Acquire: pairs with the Release of each push; the exchanges of the pushes form one
        // release sequence, so the newest node's publication carries the older ones'.
        let mut chain = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        let mut turned = ptr::null_mut();
        while !chain.is_null() {
            // SAFETY: the swap made the whole chain ours, and each node came from Box::into_raw.
            let node = unsafe { &mut *chain };
            chain = core::mem::replace(&mut node.next, turned);
            turned = node;
        }
        Taken { next: turned }
    }
}

impl<T> Default for Pile<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Pile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pile").field("is_empty", &self.is_empty()).finish()
    }
}

impl<T> Drop for Pile<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// What was taken off a pile, oldest first. Dropping it drops what was not looked at.
pub struct Taken<T> {
    next: *mut Node<T>,
}

impl<T> Iterator for Taken<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: the chain is ours alone since `take`, and each node came from Box::into_raw.
        let node = unsafe { Box::from_raw(self.next) };
        self.next = node.next;
        Some(node.value)
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl<T> fmt::Debug for Taken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(raddle_loom)))] // Single-threaded facts; tests/loom/pile.rs has the interleavings.
mod tests {
    use super::*;

    #[test]
    fn what_went_in_first_comes_out_first() {
        let pile = Pile::new();
        assert!(pile.push(1));
        assert!(!pile.push(2));
        assert!(!pile.push(3));
        assert_eq!(pile.take().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(pile.is_empty());
    }

    #[test]
    fn what_nobody_took_is_dropped_with_the_pile() {
        let value = std::rc::Rc::new(());
        let pile = Pile::new();
        pile.push(value.clone());
        pile.push(value.clone());
        let mut taken = pile.take();
        pile.push(value.clone());
        assert!(taken.next().is_some());
        drop(taken);
        drop(pile);
        assert_eq!(std::rc::Rc::strong_count(&value), 1);
    }
}
