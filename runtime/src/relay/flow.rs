//! What a ring waits by: one semaphore counts its free places, another what is in it.
//!
//! ```text
//!   push:  take a place  -> put the item into its slot -> count it     \  no wait between the
//!   pop:   take an item's count -> take it out -> give the place back  /  first step and the last
//! ```
//!
//! A stop closes the *places* at once: no push begins any more. What has taken a place by then goes
//! through, and what is inside may be popped. The *items* are stopped by whoever sees the last place
//! come home, the stop or a pop: so nobody is told that the ring has ended while an item is on its
//! way into it, and none is left behind.
//!
//! A child of a fork finds the ring as other threads of its parent left it, in the middle of a push
//! perhaps: there it is stopped, and what is inside is left alone.
#![forbid(unsafe_code)]

use std::io;

use super::fork;
use super::semaphore::Semaphore;
use super::wait::{Tag, Until, WaitError};
use crate::error::{Error, Status};
use crate::primitive::{AtomicU64, Ordering};

/// The largest ring: its slots are allocated when it is made, and a mistake should not be all memory.
const MOST: u32 = 1 << 24;

/// The counts of a ring, without its slots.
#[derive(Debug)]
pub(super) struct Flow {
    places: Semaphore,
    items: Semaphore,
    capacity: u32,
    /// The count of forks at which it was made.
    forks: u64,
    producers: AtomicU64,
    pushes: AtomicU64,
    deepest: AtomicU64,
}

/// What went through a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingStats {
    /// How many items are inside now.
    pub length: u64,
    /// How many fit.
    pub capacity: u64,
    /// The most that were inside at once.
    pub max_length: u64,
    /// How many were pushed.
    pub pushes: u64,
    /// How many were popped.
    pub pops: u64,
    /// How often a push had to wait for room.
    pub push_waits: u64,
    /// How often a pop had to wait for an item.
    pub pop_waits: u64,
}

impl Flow {
    pub(super) fn new(capacity: u32) -> io::Result<Self> {
        if !(1..=MOST).contains(&capacity) {
            let line = "a ring has room for 1 to 16777216 items";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, line));
        }
        Ok(Self {
            places: Semaphore::new(capacity)?,
            items: Semaphore::new(0)?,
            capacity,
            forks: fork::watch(),
            producers: AtomicU64::new(0),
            pushes: AtomicU64::new(0),
            deepest: AtomicU64::new(0),
        })
    }

    /// Whether this process made it.
    #[inline]
    pub(super) fn is_ours(&self) -> bool {
        self.forks == fork::count()
    }

    fn ours(&self) -> Result<(), WaitError> {
        if self.is_ours() { Ok(()) } else { Err(WaitError::Stopped) }
    }

    /// Begins a push: a place is this thread's, which fills it and calls [`pushed`](Self::pushed).
    #[inline]
    pub(super) fn try_push(&self) -> Result<(), WaitError> {
        self.ours()?;
        self.places.try_take::<false>()
    }

    /// [`try_push`](Self::try_push) that waits.
    #[inline]
    pub(super) fn push<W: Tag>(
        &self,
        tag: W,
        until: Until,
    ) -> Result<(), WaitError<W::Interrupted>> {
        self.ours().map_err(WaitError::widen)?;
        self.places.take_until::<W, false>(tag, until)
    }

    /// An item is in the slots.
    #[inline]
    pub(super) fn pushed(&self) {
        // Before it can be popped, so that no figure shows more pops than pushes. Relaxed: a figure.
        self.pushes.fetch_add(1, Ordering::Relaxed);
        // There are no more items than places, and these fit.
        let Ok(word) = self.items.add(1) else { return };
        let length = u64::from(word.tokens());
        if length > self.deepest.load(Ordering::Relaxed) {
            self.deepest.fetch_max(length, Ordering::Relaxed);
        }
    }

    /// Begins a pop: an item is this thread's, which takes one out and calls [`popped`](Self::popped).
    #[inline]
    pub(super) fn try_pop(&self) -> Result<(), WaitError> {
        self.ours()?;
        self.items.try_take::<true>()
    }

    /// [`try_pop`](Self::try_pop) that waits.
    #[inline]
    pub(super) fn pop<W: Tag>(
        &self,
        tag: W,
        until: Until,
    ) -> Result<(), WaitError<W::Interrupted>> {
        self.ours().map_err(WaitError::widen)?;
        self.items.take_until::<W, true>(tag, until)
    }

    /// An item is out of the slots.
    #[inline]
    pub(super) fn popped(&self) {
        // There are never more places than at the start.
        let Ok(word) = self.places.add(1) else { return };
        if word.is_stopped() && word.tokens() == self.capacity {
            self.items.stop();
        }
    }

    /// Refuses pushes from now on, and wakes everybody who waits, unless there is something for him.
    pub(super) fn stop(&self) {
        self.places.stop();
        // Of this look and the last pop's putting back, the later sees both the stop and the place.
        if self.places.look().tokens() == self.capacity || !self.is_ours() {
            self.items.stop();
        }
    }

    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.places.is_stopped() || !self.is_ours()
    }

    pub(super) fn add_producer(&self) {
        // Relaxed: a count; what producers have done is published by their pushes.
        self.producers.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a producer away; the last one stops the ring. Says whether it did.
    pub(super) fn remove_producer(&self) -> Result<bool, Error> {
        let mut producers = self.producers.load(Ordering::Relaxed);
        loop {
            let Some(left) = producers.checked_sub(1) else {
                let line = "a producer was removed that nobody had added";
                return Err(Error::new(Status::WrongOrder, line));
            };
            // Relaxed: as in `add_producer`.
            match self.producers.compare_exchange_weak(
                producers,
                left,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) if left == 0 => {
                    self.stop();
                    return Ok(true);
                }
                Ok(_) => return Ok(false),
                Err(now) => producers = now,
            }
        }
    }

    pub(super) fn producers(&self) -> u64 {
        self.producers.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        if self.is_ours() { self.items.value() as usize } else { 0 }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity as usize
    }

    pub(super) fn stats(&self) -> RingStats {
        let length = u64::from(self.items.value());
        let pushes = self.pushes.load(Ordering::Relaxed);
        RingStats {
            length,
            capacity: self.capacity.into(),
            max_length: self.deepest.load(Ordering::Relaxed),
            pushes,
            // One that is on its way in is not yet there to be popped.
            pops: pushes.saturating_sub(length),
            push_waits: self.places.waits(),
            pop_waits: self.items.waits(),
        }
    }

    /// Readable while there may be an item, or none any more.
    #[cfg(not(raddle_loom))]
    pub(super) fn fd(&self) -> std::os::fd::RawFd {
        self.items.fd()
    }

    /// Readable while there may be room, or it is stopped.
    #[cfg(not(raddle_loom))]
    pub(super) fn room_fd(&self) -> std::os::fd::RawFd {
        self.places.fd()
    }
}
