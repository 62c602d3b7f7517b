//! Whether the worker is awake, asleep or gone, as a thread that has just pushed a record sees it.
//!
//! | mode    | a record that is pushed                  | next, by whom                              |
//! |---------|------------------------------------------|--------------------------------------------|
//! | IDLE    | waits in the ring for a worker           | AWAKE, by a start                          |
//! | AWAKE   | is found by the worker, soon             | ASLEEP or CLOSED, by the worker            |
//! | ASLEEP  | wakes the worker                         | AWAKE, by that push or the worker; CLOSED  |
//! | CLOSED  | goes to stderr                           | IDLE, by the next start                    |
//!
//! A producer publishes its record and then reads the mode; the worker writes the mode and then
//! looks for records. Between the two stands the asymmetric fence of `primitive`, so a producer pays
//! no atomic read-modify-write and no full fence: either it sees the new mode, or the worker its
//! record.
#![forbid(unsafe_code)]

use crate::primitive::{
    AtomicBool, AtomicU32, Ordering, full_fence, heavy_fence, heavy_fence_is_there, light_fence,
};

const IDLE: u32 = 0;
const AWAKE: u32 = 1;
const ASLEEP: u32 = 2;
const CLOSED: u32 = 3;

/// What is to be done for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// There is no worker yet.
    Idle,
    /// A worker takes care of it.
    Awake,
    /// A worker that sleeps, or that this call has woken.
    Asleep,
    /// There is no worker any more.
    Closed,
}

/// The worker's mode, on a cache line of its own: every producer reads it, and what lies beside it in
/// the log is written for every record.
#[derive(Debug)]
#[repr(align(128))]
pub struct Post {
    mode: AtomicU32,
    /// This machine has no asymmetric fence: both sides take the full one.
    full: AtomicBool,
}

impl Post {
    /// Idle.
    #[cfg(not(raddle_loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { mode: AtomicU32::new(IDLE), full: AtomicBool::new(true) }
    }

    /// Idle.
    #[cfg(raddle_loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { mode: AtomicU32::new(IDLE), full: AtomicBool::new(true) }
    }

    /// The mode now; out of date at once.
    #[inline]
    pub fn mode(&self) -> Mode {
        // Relaxed: a hint; `published` decides.
        read(self.mode.load(Ordering::Relaxed))
    }

    /// After a record was published. If that is [`Mode::Asleep`], the caller has to ring the bell.
    #[inline]
    pub fn published(&self) -> Mode {
        // Relaxed: written before the worker is awake for the first time.
        if self.full.load(Ordering::Relaxed) {
            full_fence();
        } else {
            light_fence();
        }
        // Relaxed: the fence orders it behind the record.
        match self.mode.load(Ordering::Relaxed) {
            AWAKE => Mode::Awake,
            ASLEEP if !self.set(ASLEEP, AWAKE) => self.mode(), // Somebody else has woken it.
            mode => read(mode),
        }
    }

    /// A worker begins. False if there is one.
    pub fn begin(&self) -> bool {
        self.full.store(!heavy_fence_is_there(), Ordering::Relaxed);
        self.set(IDLE, AWAKE) || self.set(CLOSED, AWAKE)
    }

    /// The worker wants to sleep. It may, until the bell rings, if this says yes: then it calls
    /// [`wake`](Self::wake) afterwards.
    pub fn sleep(&self, has_next: impl FnOnce() -> bool) -> bool {
        if !self.set(AWAKE, ASLEEP) {
            return false;
        }
        self.fence();
        if has_next() {
            self.wake();
            return false;
        }
        true
    }

    /// The worker is awake again.
    pub fn wake(&self) {
        self.set(ASLEEP, AWAKE);
    }

    /// Sends records elsewhere from now on: those that were published before are in the ring, and
    /// every other producer sees [`Mode::Closed`]. Says whether it was open.
    pub fn close(&self) -> bool {
        // Release, Acquire: as `set`.
        let before = self.mode.swap(CLOSED, Ordering::AcqRel);
        self.fence();
        before != CLOSED
    }

    /// Back to the beginning: in a forked child, or for the next Python.
    pub fn reopen(&self) {
        self.mode.store(IDLE, Ordering::Release);
    }

    /// What other threads did before is seen, or what was done here before is seen by them.
    pub(super) fn fence(&self) {
        // The full fence is part of the heavy one.
        heavy_fence();
    }

    fn set(&self, from: u32, to: u32) -> bool {
        // Release, Acquire: what the one did before is known to the next who moves the mode.
        self.mode.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

const fn read(mode: u32) -> Mode {
    match mode {
        IDLE => Mode::Idle,
        AWAKE => Mode::Awake,
        ASLEEP => Mode::Asleep,
        _ => Mode::Closed,
    }
}

impl Default for Post {
    fn default() -> Self {
        Self::new()
    }
}
