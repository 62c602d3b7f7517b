//! A chain of values: any thread links one in front of the others without waiting, one takes them
//! whole, oldest first. Under the gate's pile and the list of completions.
//!
//! Treiber's stack (Treiber 1986, IBM RJ 5118), but never popped: the taker takes the head away, so no
//! node is looked at by two threads and there is no ABA. Then it turns the chain round.
//!
//! A head that leads to no node is a *mark*, one of a few numbers, which may say why: 0 to begin with.

use core::mem::ManuallyDrop;
use core::{fmt, ptr};

use crate::primitive::{AtomicPtr, Ordering, UnsafeCell};
#[cfg(not(raddle_loom))]
use crate::spare as memory;

/// Where nodes live: loom looks at those of the allocator.
#[cfg(raddle_loom)]
mod memory {
    pub(super) fn put<T>(value: T) -> *mut T {
        Box::into_raw(Box::new(value))
    }

    /// # Safety
    ///
    /// `place` came from [`put`], and nobody uses it any more.
    pub(super) unsafe fn take<T>(place: *mut T) -> T {
        // SAFETY: by the caller's promise.
        *unsafe { Box::from_raw(place) }
    }
}

/// A value, and what it is in front of. The link is a cell, so that the models see who touches it: what
/// they find of the link holds for the value beside it.
pub(crate) struct Node<T> {
    value: T,
    next: UnsafeCell<*mut Node<T>>,
}

/// The largest mark: no node has such an address.
const LAST_MARK: usize = 3;

/// What a head was seen to be.
pub(crate) struct Seen<T>(*mut Node<T>);

impl<T> Seen<T> {
    #[inline]
    pub(crate) fn is_mark(&self) -> bool {
        self.0.addr() <= LAST_MARK
    }

    #[inline]
    pub(crate) fn is(&self, mark: usize) -> bool {
        self.0.addr() == mark
    }
}

/// A value that is not linked yet.
pub(crate) struct Loose<T>(*mut Node<T>);

impl<T> Loose<T> {
    #[inline]
    pub(crate) fn new(value: T) -> Self {
        Self(memory::put(Node { value, next: UnsafeCell::new(ptr::null_mut()) }))
    }

    pub(crate) fn into_value(self) -> T {
        // SAFETY: from `new`, and nobody else has seen it.
        unsafe { memory::take(self.0) }.value
    }
}

/// Where a chain begins.
pub(crate) struct Head<T>(AtomicPtr<Node<T>>);

// SAFETY: a value goes in on one thread and comes out on one other, owned; nobody borrows it.
unsafe impl<T: Send> Sync for Head<T> {}
// SAFETY: the same, for the values that are linked when the head itself moves.
unsafe impl<T: Send> Send for Head<T> {}

impl<T> Head<T> {
    /// A head with the mark 0.
    #[cfg(not(raddle_loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// A head with the mark 0.
    #[cfg(raddle_loom)]
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// What it is now; out of date at once.
    #[inline]
    pub(crate) fn look(&self) -> Seen<T> {
        // Relaxed: a hint, or a guess for an exchange.
        Seen(self.0.load(Ordering::Relaxed))
    }

    /// Links a value in front of what was seen, if that is still so; if not, gives it back, with what
    /// is seen now. Also acquires what was done before a mark was [changed](Self::change).
    #[inline]
    pub(crate) fn link(&self, value: Loose<T>, seen: &Seen<T>) -> Result<(), (Loose<T>, Seen<T>)> {
        let older = if seen.is_mark() { ptr::null_mut() } else { seen.0 };
        // SAFETY: alive, and ours until the exchange below publishes it.
        let next = unsafe { &(*value.0).next };
        // SAFETY: as above.
        next.with_mut(|next| unsafe { next.write(older) });
        // Release: publishes the node to the Acquire of `take` and `swap`; the exchanges of those who
        // link form one release sequence, so the newest node's publication carries the older ones'.
        // Acquire: pairs with the Release of `change`.
        match self.0.compare_exchange_weak(seen.0, value.0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(now) => Err((value, Seen(now))),
        }
    }

    /// Takes what is linked, if it was seen and is still so, and leaves a mark; if not, says what is
    /// seen now.
    #[inline]
    pub(crate) fn take(&self, seen: &Seen<T>, leave: usize) -> Result<Chain<T>, Seen<T>> {
        let leave = mark(leave);
        // Acquire: see `link`.
        match self.0.compare_exchange_weak(seen.0, leave, Ordering::Acquire, Ordering::Relaxed) {
            // SAFETY: out of the head, and so ours alone.
            Ok(newest) => Ok(unsafe { Chain::turned(newest) }),
            Err(now) => Err(Seen(now)),
        }
    }

    /// Leaves a mark, and gives what was there: a mark, or what was linked.
    pub(crate) fn swap(&self, leave: usize) -> (Seen<T>, Chain<T>) {
        // Acquire: see `link`. Release: whoever sees the mark sees what was done before.
        let newest = self.0.swap(mark(leave), Ordering::AcqRel);
        // SAFETY: out of the head, and so ours alone.
        (Seen(newest), unsafe { Chain::turned(newest) })
    }

    /// Puts a mark in place of another; if that is not there, says what is. What was done before is
    /// seen by whoever links a value to the new mark.
    pub(crate) fn change(&self, from: usize, to: usize) -> Result<(), Seen<T>> {
        let (from, to) = (mark(from), mark(to));
        match self.0.compare_exchange(from, to, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(now) => Err(Seen(now)),
        }
    }
}

fn mark<T>(which: usize) -> *mut Node<T> {
    debug_assert!(which <= LAST_MARK);
    ptr::without_provenance_mut(which)
}

impl<T> Drop for Head<T> {
    fn drop(&mut self) {
        drop(self.swap(0));
    }
}

/// Values that were taken, oldest first. Dropping it drops what was not looked at.
pub struct Chain<T> {
    first: *mut Node<T>,
}

// SAFETY: it owns its values.
unsafe impl<T: Send> Send for Chain<T> {}

impl<T> Chain<T> {
    pub(crate) const fn empty() -> Self {
        Self { first: ptr::null_mut() }
    }

    /// Makes of what was linked, newest first, a chain that is oldest first.
    ///
    /// # Safety
    ///
    /// It is the caller's alone.
    #[inline]
    unsafe fn turned(newest: *mut Node<T>) -> Self {
        let (mut rest, mut first) = (newest, ptr::null_mut());
        while !Seen(rest).is_mark() {
            // SAFETY: alive, and ours alone, by the caller's promise.
            let next = unsafe { &(*rest).next };
            // SAFETY: as above.
            let older = next.with_mut(|next| unsafe { next.replace(first) });
            first = rest;
            rest = older;
        }
        Self { first }
    }

    /// The chain as a pointer, for [`from_raw`](Self::from_raw): null if it is empty.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut Node<T> {
        ManuallyDrop::new(self).first
    }

    /// # Safety
    ///
    /// `first` came from [`into_raw`](Self::into_raw), or is null, and nobody else has it.
    #[inline]
    pub(crate) const unsafe fn from_raw(first: *mut Node<T>) -> Self {
        Self { first }
    }

    /// Puts others behind what is in it.
    pub(crate) fn append(&mut self, others: Self) {
        let mut last = self.first;
        if last.is_null() {
            self.first = others.into_raw();
            return;
        }
        loop {
            // SAFETY: alive, and ours alone.
            let next = unsafe { &(*last).next };
            // SAFETY: as above.
            let newer = next.with(|next| unsafe { next.read() });
            if newer.is_null() {
                // SAFETY: as above.
                next.with_mut(|next| unsafe { next.write(others.into_raw()) });
                return;
            }
            last = newer;
        }
    }
}

impl<T> Iterator for Chain<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: ours alone, and from `Loose::new`.
        let node = unsafe { memory::take(self.first) };
        // SAFETY: moved out of the chain, where nobody else sees it.
        self.first = node.next.with(|next| unsafe { next.read() });
        Some(node.value)
    }
}

impl<T> Drop for Chain<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl<T> fmt::Debug for Chain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("is_empty", &self.first.is_null()).finish()
    }
}
