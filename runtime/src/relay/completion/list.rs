//! The list under a queue of completions: any thread adds to it without waiting, one thread at a
//! time takes from it, and whoever adds first learns that the taker has to be woken.
//!
//! A chain, as the gate's pile is, with three marks in the place of an empty head.
//!
//! | head   | meaning                               | the bell   | adding            | taking          |
//! |--------|---------------------------------------|------------|-------------------|-----------------|
//! | IDLE   | empty, nobody looks                   | is silent  | links, then rings | finds nothing   |
//! | AWAKE  | empty, the taker will look again      | has rung   | links             | finds nothing   |
//! | a node | something is there                    | has rung * | links             | leaves AWAKE    |
//! | CLOSED | for good                              |            | is refused        | finds nothing   |
//!
//! (*) or is about to: whoever left IDLE rings right after. So the bell rings once from IDLE to IDLE,
//! however much is added in between, and a poll inside of what is being run still sees it.
//!
//! The taker keeps what it took but did not look at yet in `rest`. Who the taker is stands in one
//! word: 0, or its thread's token, with the last bit set when the list was closed behind its back.
//! Then it is the taker that gives the rest away.

use core::mem::ManuallyDrop;
use core::{fmt, ptr};

pub use crate::chain::Chain;
use crate::chain::{Head, Loose, Node};
use crate::primitive::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

const IDLE: usize = 0;
const AWAKE: usize = 1;
const CLOSED: usize = 2;
/// In the word of the taker: the list was closed meanwhile.
const WAS_CLOSED: u64 = 1;

/// A list that many add to and one takes from.
pub struct List<T> {
    head: Head<T>,
    /// What was taken and not looked at yet, oldest first. The taker's own.
    rest: AtomicPtr<Node<T>>,
    taker: AtomicU64,
    /// How many claims the taker has open. The taker's own.
    depth: AtomicU32,
}

// SAFETY: as for the head: what is in `rest` is the taker's, whoever that is.
unsafe impl<T: Send> Sync for List<T> {}
// SAFETY: the same, for what is in `rest` when the list itself moves.
unsafe impl<T: Send> Send for List<T> {}

impl<T> List<T> {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self {
            head: Head::new(),
            rest: AtomicPtr::new(ptr::null_mut()),
            taker: AtomicU64::new(0),
            depth: AtomicU32::new(0),
        }
    }

    /// Adds a value. Returns whether the caller has to ring the bell now.
    ///
    /// # Errors
    ///
    /// Gives the value back if the list is closed.
    pub fn push(&self, value: T) -> Result<bool, T> {
        let mut seen = self.head.look();
        if seen.is(CLOSED) {
            return Err(value);
        }
        let mut value = Loose::new(value);
        loop {
            if seen.is(CLOSED) {
                return Err(value.into_value());
            }
            // What `try_idle` did before is seen: the ringing comes after the hushing before it.
            match self.head.link(value, &seen) {
                Ok(()) => return Ok(seen.is(IDLE)),
                Err(again) => (value, seen) = again,
            }
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.head.look().is(CLOSED)
    }

    /// Whether the thread of this token is the taker.
    pub fn is_taken_by(&self, token: u64) -> bool {
        // Relaxed: a thread knows by itself what it has claimed.
        self.taker.load(Ordering::Relaxed) & !WAS_CLOSED == token
    }

    /// Makes this thread the taker, or lets it be one once more. `token` is its thread's own number:
    /// even, and not 0. `None` if another thread takes, or
    /// is closing the list.
    pub fn claim(&self, token: u64) -> Option<Claim<'_, T>> {
        // Acquire: pairs with the Release of the last taker, whose `rest` we go on with. Release and
        // Acquire: who is refused because somebody closes the list sees that it is closed.
        match self.taker.compare_exchange(0, token, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {}
            Err(taker) if taker & !WAS_CLOSED == token => {}
            Err(_) => return None,
        }
        // Relaxed: the taker's own.
        let depth = self.depth.load(Ordering::Relaxed);
        self.depth.store(depth + 1, Ordering::Relaxed);
        Some(Claim { list: self, token })
    }

    /// Closes the list, and gives what was in it. What another thread has taken already and not
    /// looked at yet, that thread is left with ([`Claim::release`]).
    pub fn close(&self, token: u64) -> Chain<T> {
        let (before, newest) = self.head.swap(CLOSED);
        if before.is(CLOSED) {
            return Chain::empty();
        }
        loop {
            if let Some(claim) = self.claim(token) {
                let mut all = claim.take_rest();
                all.append(newest);
                return all;
            }
            // Somebody takes: asks them. AcqRel: as in `claim`, and for what stands before.
            let taker = self.taker.load(Ordering::Relaxed);
            let asked = taker | WAS_CLOSED;
            if taker != 0
                && self
                    .taker
                    .compare_exchange(taker, asked, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            {
                return newest;
            }
        }
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        drop(self.close(2));
    }
}

/// The right to take from a list. Several on one thread share what was taken.
#[derive(Debug)]
pub struct Claim<'a, T> {
    list: &'a List<T>,
    token: u64,
}

impl<T> Claim<'_, T> {
    /// The oldest value, if there is one. Nothing any more once the list was closed.
    pub fn pop(&self) -> Option<T> {
        // Relaxed: only a wish to stop early; `release` looks again.
        if self.list.taker.load(Ordering::Relaxed) & WAS_CLOSED != 0 {
            return None;
        }
        // Relaxed: the taker's own, as long as there is a claim.
        let rest = self.list.rest.load(Ordering::Relaxed);
        // SAFETY: from `into_raw` below, and the taker's.
        let mut rest = unsafe { Chain::from_raw(rest) };
        let value = rest.next().or_else(|| {
            rest = self.take();
            rest.next()
        });
        self.list.rest.store(rest.into_raw(), Ordering::Relaxed);
        value
    }

    /// Takes all that was added, and stays awake.
    fn take(&self) -> Chain<T> {
        let mut seen = self.list.head.look();
        loop {
            // IDLE stays IDLE: the bell is silent, and a poll inside of what is run next relies on
            // whoever adds ringing it.
            if seen.is_mark() {
                return Chain::empty();
            }
            match self.list.head.take(&seen, AWAKE) {
                Ok(chain) => return chain,
                Err(now) => seen = now,
            }
        }
    }

    /// Whether there is nothing to pop right now.
    pub fn is_empty(&self) -> bool {
        // Relaxed: the taker's own, and a hint.
        self.list.rest.load(Ordering::Relaxed).is_null() && self.list.head.look().is_mark()
    }

    /// Goes to sleep after the bell was hushed. `false` if something was added meanwhile: whoever
    /// added it did not ring, so the caller has to, and to take on.
    #[must_use]
    pub fn try_idle(&self) -> bool {
        match self.list.head.change(AWAKE, IDLE) {
            Ok(()) => true,
            Err(now) => now.is_mark(),
        }
    }

    /// Stops taking. Gives what was taken and not looked at if the list was closed meanwhile;
    /// otherwise that stays for the next taker.
    pub fn release(self) -> Chain<T> {
        ManuallyDrop::new(self).let_go()
    }

    fn let_go(&self) -> Chain<T> {
        let list = self.list;
        // Relaxed: the taker's own.
        let depth = list.depth.load(Ordering::Relaxed) - 1;
        list.depth.store(depth, Ordering::Relaxed);
        // Release: the next taker's claim acquires `rest` and `depth`.
        if depth > 0
            || list
                .taker
                .compare_exchange(self.token, 0, Ordering::Release, Ordering::Relaxed)
                .is_ok()
        {
            return Chain::empty();
        }
        // Closed behind our back: nobody takes any more, and what is left is ours to give away.
        let rest = self.take_rest();
        list.taker.store(0, Ordering::Release);
        rest
    }

    /// What was taken and not looked at.
    fn take_rest(&self) -> Chain<T> {
        // Relaxed: the taker's own.
        let rest = self.list.rest.swap(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: from `into_raw` in `pop`, and the taker's.
        unsafe { Chain::from_raw(rest) }
    }
}

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        drop(self.let_go());
    }
}

#[cfg(all(test, not(raddle_loom)))] // Single-threaded facts; tests/loom/completion.rs has the interleavings.
mod tests {
    use super::*;
    use std::rc::Rc;

    const HERE: u64 = 8;
    const THERE: u64 = 16;

    #[test]
    fn the_first_after_idle_rings_and_no_other() {
        let list = List::new();
        assert_eq!(list.push(1), Ok(true));
        assert_eq!(list.push(2), Ok(false));
        let claim = list.claim(HERE).expect("nobody takes");
        assert_eq!(claim.pop(), Some(1));
        assert_eq!(list.push(3), Ok(false));
        assert_eq!((claim.pop(), claim.pop(), claim.pop()), (Some(2), Some(3), None));
        assert_eq!(list.push(4), Ok(false), "the taker is awake");
        assert!(!claim.try_idle(), "something was added");
        assert_eq!((claim.pop(), claim.pop()), (Some(4), None));
        assert!(claim.try_idle() && claim.try_idle());
        assert_eq!(list.push(5), Ok(true));
    }

    #[test]
    fn an_inner_claim_goes_on_where_the_outer_one_is() {
        let list = List::new();
        (0..4).for_each(|n| assert!(list.push(n).is_ok()));
        let outer = list.claim(HERE).expect("nobody takes");
        assert_eq!(outer.pop(), Some(0));
        let inner = list.claim(HERE).expect("the same thread");
        assert!(list.claim(THERE).is_none());
        assert_eq!(inner.pop(), Some(1));
        // In the order of tasklets rather than of a stack.
        assert_eq!(outer.release().count(), 0);
        assert!(list.claim(THERE).is_none());
        assert_eq!(inner.pop(), Some(2));
        assert_eq!(inner.release().count(), 0);
        let other = list.claim(THERE).expect("nobody takes any more");
        assert!(!other.is_empty());
        assert_eq!((other.pop(), other.pop()), (Some(3), None));
        assert!(other.is_empty());
    }

    #[test]
    fn closing_gives_all_that_was_not_looked_at() {
        let list = List::new();
        (0..3).for_each(|n| assert!(list.push(n).is_ok()));
        let claim = list.claim(HERE).expect("nobody takes");
        assert_eq!(claim.pop(), Some(0));
        assert_eq!(list.push(3), Ok(false));
        assert_eq!(list.close(HERE).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((list.push(4), claim.pop()), (Err(4), None));
        assert!(list.is_closed());
        assert_eq!(claim.release().count() + list.close(HERE).count(), 0);
    }

    #[test]
    fn closing_elsewhere_leaves_the_taker_with_what_it_took() {
        let list = List::new();
        (0..3).for_each(|n| assert!(list.push(n).is_ok()));
        let claim = list.claim(HERE).expect("nobody takes");
        assert_eq!(claim.pop(), Some(0));
        assert_eq!(list.push(3), Ok(false));
        assert_eq!(list.close(THERE).collect::<Vec<_>>(), [3]);
        assert_eq!(claim.pop(), None);
        assert_eq!(claim.release().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_nobody_took_is_dropped_with_the_list() {
        let value = Rc::new(());
        let list = List::new();
        (0..3).for_each(|_| assert!(list.push(value.clone()).is_ok()));
        let claim = list.claim(HERE).expect("nobody takes");
        assert!(claim.pop().is_some());
        drop(claim);
        assert!(list.push(value.clone()).is_ok());
        drop(list);
        assert_eq!(Rc::strong_count(&value), 1);
    }
}
