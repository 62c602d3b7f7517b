//! A list that any thread adds to without waiting, and one thread takes whole: a chain, and nothing
//! else to know of it.
#![forbid(unsafe_code)]

use core::fmt;

pub use crate::chain::Chain;
use crate::chain::{Head, Loose};

/// What the head is while the pile is empty.
const EMPTY: usize = 0;

/// A list that any thread adds to, and whoever takes it takes whole.
pub struct Pile<T> {
    head: Head<T>,
}

impl<T> Pile<T> {
    /// An empty pile.
    #[cfg(not(raddle_loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { head: Head::new() }
    }

    /// An empty pile.
    #[cfg(raddle_loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { head: Head::new() }
    }

    /// Adds a value. Returns whether the pile was empty before: then its taker wants to know.
    pub fn push(&self, value: T) -> bool {
        let (mut value, mut seen) = (Loose::new(value), self.head.look());
        loop {
            match self.head.link(value, &seen) {
                Ok(()) => return seen.is(EMPTY),
                Err(again) => (value, seen) = again,
            }
        }
    }

    /// Whether there is nothing in it. May be out of date at once.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.look().is(EMPTY)
    }

    /// Takes all that is in it, oldest first.
    pub fn take(&self) -> Chain<T> {
        self.head.swap(EMPTY).1
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
