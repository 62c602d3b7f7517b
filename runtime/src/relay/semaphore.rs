//! A counting semaphore that can be stopped, and whose descriptor anybody may poll.
//!
//! All there is to know is one word; the bell is touched only when somebody waits or polls:
//!
//! | bits   | name      | set by                       | means                                            |
//! |--------|-----------|------------------------------|--------------------------------------------------|
//! | 0..32  | `TOKENS`  | put, get                     | how many may be taken                            |
//! | 32..61 | `WAITERS` | whoever begins or ends a wait| how many wait: a put rings the bell for them     |
//! | 61     | `POLLED`  | `fd`, for good               | somebody polls: as if one waited for ever        |
//! | 62     | `RUNG`    | whoever is about to ring     | the bell is readable, or will be in a moment     |
//! | 63     | `STOPPED` | `stop`, for good             | what is there may be taken, and then no more     |
//!
//! A put rings only if `RUNG` is not there yet, and whoever finds no token takes `RUNG` back before
//! it sleeps. Bit and bell cannot change in one step, and others may change both in between. So
//! whoever has changed the bit *settles*: it makes the bell as the bit is, and looks at the bit once
//! more, until it finds it unchanged. The last to touch the bell has seen the bit afterwards, so in
//! the end the two agree: no wake-up is lost, and nobody spins at a bell that rings for nothing.
#![forbid(unsafe_code)]

use core::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::wait::{Tag, Until, WaitError};
use crate::error::{Error, Status};
use crate::primitive::{AtomicU64, Ordering};

const TOKENS: u64 = u32::MAX as u64;
const WAITER: u64 = 1 << 32;
const WAITERS: u64 = ((1 << 29) - 1) << 32;
const POLLED: u64 = 1 << 61;
const RUNG: u64 = 1 << 62;
const STOPPED: u64 = 1 << 63;

/// A counting semaphore. Share it by reference or in an `Arc`; nothing about it needs Python.
///
/// # Examples
///
/// ```
/// use raddle::relay::{Plain, Semaphore, WaitError};
/// let semaphore = Semaphore::new(1)?;
/// assert!(semaphore.get(Plain).is_ok());
/// assert_eq!(semaphore.try_get(), Err(WaitError::TimedOut));
/// semaphore.stop();
/// assert_eq!(semaphore.get(Plain), Err(WaitError::Stopped));
/// # Ok::<(), std::io::Error>(())
/// ```
// A cache line and its neighbour of its own: two of them side by side are used by different threads.
#[repr(align(128))]
pub struct Semaphore {
    word: AtomicU64,
    /// How often somebody had to wait.
    waits: AtomicU64,
    bell: Bell,
}

impl Semaphore {
    /// A semaphore with so many tokens.
    ///
    /// # Errors
    ///
    /// If the process may open no more descriptors: later there is no such error.
    pub fn new(tokens: u32) -> io::Result<Self> {
        let word = AtomicU64::new(tokens.into());
        Ok(Self { word, waits: AtomicU64::new(0), bell: Bell::new()? })
    }

    /// Adds `tokens`, and wakes who waits for them. Never waits. What is put into a semaphore that
    /// was stopped may be taken like what was there before.
    ///
    /// # Errors
    ///
    /// [`Status::Invalid`] if there would be more than `u32::MAX`: none is added then.
    #[inline]
    pub fn put(&self, tokens: u32) -> Result<(), Error> {
        self.add(tokens).map(|_| ())
    }

    /// [`put`](Self::put); gives the word as it is then.
    #[inline]
    pub(super) fn add(&self, tokens: u32) -> Result<Word, Error> {
        // Relaxed: the exchange below reads it anew.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if (word & TOKENS) + u64::from(tokens) > TOKENS {
                return Err(too_many());
            }
            let wake = word & (WAITERS | POLLED) != 0 && word & RUNG == 0;
            let next = word + u64::from(tokens) + if wake { RUNG } else { 0 };
            // Release: whoever takes a token sees what was done before it was put.
            match self.word.compare_exchange_weak(word, next, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => {
                    if wake {
                        self.settle();
                    }
                    return Ok(Word(next));
                }
                Err(now) => word = now,
            }
        }
    }

    /// Takes a token if one is there. Never waits.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`] if there is none, [`WaitError::Stopped`] if there will be none.
    #[inline]
    pub fn try_get(&self) -> Result<(), WaitError> {
        self.try_take::<true>()
    }

    /// [`try_get`](Self::try_get), or if `LEFT` is not set, one that the stop refuses at once.
    #[inline]
    pub(super) fn try_take<const LEFT: bool>(&self) -> Result<(), WaitError> {
        let result = self.take::<LEFT>();
        if result == Err(WaitError::TimedOut) && self.is_polled_in_vain() {
            return self.take_or_quieten::<LEFT>(false);
        }
        result
    }

    /// Takes a token, waiting for it.
    ///
    /// # Errors
    ///
    /// [`WaitError::Stopped`] if there is none left and there will be none;
    /// [`WaitError::Interrupted`] as the tag says, and no token is lost by that.
    #[inline]
    pub fn get<W: Tag>(&self, tag: W) -> Result<(), WaitError<W::Interrupted>> {
        self.take_until::<W, true>(tag, Until::Ever)
    }

    /// [`get`](Self::get) that waits for so long at most, to the millisecond.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`WaitError::TimedOut`].
    #[inline]
    pub fn get_within<W: Tag>(
        &self,
        tag: W,
        timeout: Duration,
    ) -> Result<(), WaitError<W::Interrupted>> {
        self.take_until::<W, true>(tag, Until::In(timeout))
    }

    /// [`get`](Self::get) or [`get_within`](Self::get_within), as there is a timeout or none.
    ///
    /// # Errors
    ///
    /// As they.
    #[cfg(not(raddle_loom))]
    pub fn get_for<W: Tag>(
        &self,
        tag: W,
        timeout: Option<Duration>,
    ) -> Result<(), WaitError<W::Interrupted>> {
        self.take_until::<W, true>(tag, Until::within(timeout))
    }

    /// [`get`](Self::get), or if `LEFT` is not set, one that the stop refuses at once.
    #[inline]
    pub(super) fn take_until<W: Tag, const LEFT: bool>(
        &self,
        tag: W,
        until: Until,
    ) -> Result<(), WaitError<W::Interrupted>> {
        match self.take::<LEFT>() {
            Err(WaitError::TimedOut) => self.wait::<W, LEFT>(tag, until.deadline()),
            result => result.map_err(WaitError::widen),
        }
    }

    /// Takes a token if one is there, and leaves the bell alone.
    #[inline]
    fn take<const LEFT: bool>(&self) -> Result<(), WaitError> {
        // Relaxed: the exchange below reads it anew, as does whoever is told of the stop.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & TOKENS == 0 || !LEFT && word & STOPPED != 0 {
                if word & STOPPED == 0 {
                    return Err(WaitError::TimedOut);
                }
                // Acquire: see `stop`.
                self.look();
                return Err(WaitError::Stopped);
            }
            // Acquire: see `add`.
            match self.word.compare_exchange_weak(
                word,
                word - 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    /// Whether somebody polls a bell that rang for tokens which are gone.
    #[inline]
    fn is_polled_in_vain(&self) -> bool {
        // Relaxed: `take_or_quieten` reads it anew.
        self.word.load(Ordering::Relaxed) & (POLLED | RUNG) == POLLED | RUNG
    }

    /// Takes a token if one is there; if not, the bell is silent afterwards, until the next put.
    /// `rang` says that the bell was heard, whatever the word says of it.
    #[cold]
    fn take_or_quieten<const LEFT: bool>(&self, mut rang: bool) -> Result<(), WaitError> {
        loop {
            match self.take::<LEFT>() {
                Err(WaitError::TimedOut) => {}
                result => return result,
            }
            // Relaxed: only a guess for the exchange below.
            let word = self.word.load(Ordering::Relaxed);
            if word & (TOKENS | STOPPED) != 0 {
                continue;
            }
            if word & RUNG != 0 {
                // Relaxed: `settle` reads it anew, and nothing is handed over.
                let taken = self.word.compare_exchange(
                    word,
                    word & !RUNG,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                if taken.is_err() {
                    continue;
                }
            } else if !rang {
                return Err(WaitError::TimedOut);
            }
            rang = false;
            self.settle();
        }
    }

    /// Makes the bell as `RUNG` says, whoever else does so at the same time.
    #[cold]
    fn settle(&self) {
        loop {
            let rung = self.look().0 & RUNG;
            if rung == 0 {
                self.bell.hush();
            } else {
                self.bell.ring();
            }
            // Whoever touched the bell before this thread did, changed the bit before that; and the
            // bell, a descriptor of the kernel's, orders the two threads.
            if self.look().0 & RUNG == rung {
                return;
            }
        }
    }

    #[cold]
    fn wait<W: Tag, const LEFT: bool>(
        &self,
        tag: W,
        deadline: Option<Instant>,
    ) -> Result<(), WaitError<W::Interrupted>> {
        let _waiting = Waiting::begin(self);
        let mut rang = false;
        loop {
            match self.take_or_quieten::<LEFT>(rang) {
                Err(WaitError::TimedOut) => {}
                result => return result.map_err(WaitError::widen),
            }
            rang = tag.wait(&self.bell, deadline).map_err(WaitError::Interrupted)?;
            if !rang {
                return self.take::<LEFT>().map_err(WaitError::widen);
            }
        }
    }

    /// Wakes everybody who waits, for good. Whoever comes then takes what is left, and after that is
    /// told [`WaitError::Stopped`]. Never waits.
    pub fn stop(&self) {
        // AcqRel: who is told so sees what was done before.
        self.word.fetch_or(STOPPED | RUNG, Ordering::AcqRel);
        self.settle();
    }

    /// Whether it was stopped.
    #[must_use]
    #[inline]
    pub fn is_stopped(&self) -> bool {
        self.look().is_stopped()
    }

    /// How many tokens are there. May be out of date at once.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.look().tokens()
    }

    /// How often somebody had to wait.
    #[must_use]
    pub fn waits(&self) -> u64 {
        // Relaxed: a figure.
        self.waits.load(Ordering::Relaxed)
    }

    /// The word as it is now.
    #[inline]
    pub(super) fn look(&self) -> Word {
        // Acquire: pairs with the Release of a put and of the stop.
        Word(self.word.load(Ordering::Acquire))
    }

    /// From now on the bell rings for somebody who polls it.
    fn be_polled(&self) {
        // AcqRel: as a put.
        let before = self.word.fetch_or(POLLED, Ordering::AcqRel);
        if before & TOKENS != 0 && before & RUNG == 0 {
            // As a put of what is there would have done.
            self.word.fetch_or(RUNG, Ordering::AcqRel);
            self.settle();
        }
    }

    /// A descriptor that is readable while there may be a token, or none any more: to be polled, not
    /// read. Whoever polls it calls [`try_get`](Self::try_get), which makes it unreadable when it
    /// finds nothing.
    #[cfg(not(raddle_loom))]
    #[must_use]
    pub fn fd(&self) -> std::os::fd::RawFd {
        self.be_polled();
        self.bell.fd()
    }

    /// Polls, as somebody else's loop would.
    #[cfg(raddle_loom)]
    pub fn poll(&self) {
        self.be_polled();
        self.bell.wait();
    }

    /// What somebody else's loop would find.
    #[cfg(raddle_loom)]
    pub fn is_readable(&self) -> bool {
        self.bell.has_rung()
    }
}

/// What a semaphore's word said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word(u64);

impl Word {
    #[inline]
    pub(super) fn tokens(self) -> u32 {
        (self.0 & TOKENS) as u32
    }

    #[inline]
    pub(super) fn is_stopped(self) -> bool {
        self.0 & STOPPED != 0
    }
}

#[cold]
fn too_many() -> Error {
    Error::new(Status::Invalid, "a semaphore has room for 4294967295 tokens: none was put")
}

/// Somebody waits, and the puts know.
struct Waiting<'a>(&'a Semaphore);

impl<'a> Waiting<'a> {
    fn begin(semaphore: &'a Semaphore) -> Self {
        // Relaxed: a put either reads this, or is read by the look that follows: it is one word.
        semaphore.word.fetch_add(WAITER, Ordering::Relaxed);
        semaphore.waits.fetch_add(1, Ordering::Relaxed);
        Self(semaphore)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Relaxed: a put that still counts this one rings once for nothing.
        self.0.word.fetch_sub(WAITER, Ordering::Relaxed);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.look();
        f.debug_struct("Semaphore")
            .field("value", &word.tokens())
            .field("is_stopped", &word.is_stopped())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(raddle_loom)))] // Single-threaded facts; tests/loom/semaphore.rs has the interleavings.
mod tests {
    use super::super::wait::Plain;
    use super::*;

    fn is_readable(semaphore: &Semaphore) -> bool {
        semaphore.be_polled();
        semaphore.bell.has_rung()
    }

    #[test]
    fn a_stopped_semaphore_gives_what_is_left_and_then_no_more() {
        let semaphore = Semaphore::new(1).unwrap();
        semaphore.stop();
        semaphore.put(1).unwrap();
        assert_eq!(semaphore.get(Plain), Ok(()));
        assert_eq!(semaphore.try_get(), Ok(()));
        assert_eq!(semaphore.get(Plain), Err(WaitError::Stopped));
        assert_eq!(semaphore.try_get(), Err(WaitError::Stopped));
        let long = Duration::from_secs(3600);
        assert_eq!(semaphore.get_within(Plain, long), Err(WaitError::Stopped));
    }

    #[test]
    fn a_token_too_many_is_refused() {
        let semaphore = Semaphore::new(u32::MAX).unwrap();
        assert_eq!(semaphore.put(1).map_err(|error| error.status()), Err(Status::Invalid));
        assert_eq!(semaphore.value(), u32::MAX);
        assert!(semaphore.put(0).is_ok());
        assert!(!semaphore.is_stopped());
    }

    #[test]
    fn a_wait_ends_with_its_time_and_not_before() {
        let semaphore = Semaphore::new(0).unwrap();
        let begun = Instant::now();
        let wait = Duration::from_millis(20);
        assert_eq!(semaphore.get_within(Plain, wait), Err(WaitError::TimedOut));
        assert!(begun.elapsed() >= wait);
        assert_eq!(semaphore.waits(), 1);
        semaphore.put(1).unwrap();
        assert_eq!(semaphore.get_within(Plain, Duration::ZERO), Ok(()));
    }

    #[test]
    fn its_descriptor_is_readable_while_there_are_tokens() {
        let semaphore = Semaphore::new(2).unwrap();
        assert!(is_readable(&semaphore));
        assert_eq!((semaphore.try_get(), semaphore.try_get()), (Ok(()), Ok(())));
        assert_eq!(semaphore.try_get(), Err(WaitError::TimedOut));
        assert!(!is_readable(&semaphore));
        semaphore.put(3).unwrap();
        assert!(is_readable(&semaphore));
        semaphore.stop();
        (0..3).for_each(|_| semaphore.try_get().unwrap());
        assert_eq!(semaphore.try_get(), Err(WaitError::Stopped));
        assert!(is_readable(&semaphore), "whoever polls has to hear of the stop");
    }
}
