//! Who may enter, and how a stop waits for those who are inside.
//!
//! One word says how far the runtime is; one flag per thread says that the thread is inside. An
//! entry sets its flag and then reads the word; a stop writes the word and then reads the flags.
//! Between the two stands an asymmetric fence (membarrier(2)), so an entry pays no atomic
//! read-modify-write: a shared in-flight counter costs 11 ns and anti-scales, this costs 0.6.
//!
//! | phase       | set by                  | entries from outside | those inside, short visits     |
//! |-------------|-------------------------|----------------------|--------------------------------|
//! | NOT_STARTED | nobody                  | refused              | there are none                 |
//! | OPEN        | start, adopt            | admitted             | go on                          |
//! | FENCED      | the same, no membarrier | admitted             | go on                          |
//! | CLOSING     | stop                    | refused              | go on; the stop waits for them |
//! | FINALIZING  | stop, nobody inside     | refused              | visits refused; whoever holds  |
//! |             |                         |                      | Python (finalizers) may nest   |
//! | ENDED       | stop                    | refused              | there are none                 |
//! | ABANDONED   | abandon                 | refused              | go on, until the process ends  |
//! | FORKED      | a plain fork's child    | refused              | refused                        |
//! | FORKED_     | the same, of an         | refused              | refused                        |
//! | ABANDONED   | abandoned runtime       |                      |                                |
//!
//! A *visit* is a touch of Python's memory by a thread that may not be registered here: handing a
//! dead thread's state over, or asking the main thread to drain. Visits are counted.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::error::Closed;
use crate::primitive::{
    AtomicU32, AtomicU64, Condvar, Mutex, MutexGuard, Ordering, full_fence, heavy_fence,
    light_fence, lock,
};

const PHASE_BITS: u32 = 8;
const PHASE_MASK: u64 = (1 << PHASE_BITS) - 1;

// No phase is 0, so that no word is what a zeroed thread slot remembers.
const NOT_STARTED: u64 = 1;
const OPEN: u64 = 2;
const FENCED: u64 = 3;
const CLOSING: u64 = 4;
const FINALIZING: u64 = 5;
const ENDED: u64 = 6;
const ABANDONED: u64 = 7;
const FORKED: u64 = 8;
const FORKED_ABANDONED: u64 = 9;

/// How long a stop sleeps before it looks again by itself.
const RECHECK: Duration = Duration::from_millis(20);

/// A generation (which start of Python this is) and a phase, as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u64);

impl Word {
    /// Which start of Python in this process, from 1; 0 before the first.
    #[must_use]
    pub const fn generation(self) -> u64 {
        self.0 >> PHASE_BITS
    }

    const fn phase(self) -> u64 {
        self.0 & PHASE_MASK
    }

    const fn at(self, phase: u64) -> Self {
        Self(self.0 & !PHASE_MASK | phase)
    }

    /// Whether an entry from outside would be admitted.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self.phase(), OPEN | FENCED)
    }

    /// Whether the runtime was given up: a stop that waits shall stop waiting.
    #[must_use]
    pub const fn is_abandoned(self) -> bool {
        self.phase() == ABANDONED
    }

    /// Whether Python's memory is there for those who are inside or visit.
    #[must_use]
    pub const fn is_alive(self) -> bool {
        matches!(self.phase(), OPEN | FENCED | CLOSING | ABANDONED)
    }

    /// Whether Python is being finalized.
    #[must_use]
    pub const fn is_finalizing(self) -> bool {
        self.phase() == FINALIZING
    }

    /// Whether a thread that holds Python already may nest an entry.
    #[must_use]
    pub const fn may_nest(self) -> bool {
        self.is_alive() || self.phase() == FINALIZING
    }

    /// What [`Admission::admit_under`] may be told, or 0 where each entry needs the full fence.
    #[must_use]
    pub const fn to_remember(self) -> u64 {
        if self.phase() == OPEN { self.0 } else { 0 }
    }

    /// Whether this process is a child of a plain fork, which leaves Python as it is.
    #[must_use]
    pub const fn is_forked(self) -> bool {
        matches!(self.phase(), FORKED | FORKED_ABANDONED)
    }

    /// Why nobody is let in.
    #[must_use]
    pub const fn refusal(self) -> Closed {
        match self.phase() {
            NOT_STARTED => Closed::NotStarted,
            ENDED => Closed::Stopped,
            ABANDONED => Closed::Abandoned,
            FORKED | FORKED_ABANDONED => Closed::Forked,
            _ => Closed::Stopping,
        }
    }
}

/// One thread's "I am inside". Written by its thread, read by a stop.
#[derive(Debug)]
pub struct Inside(AtomicU32);

impl Inside {
    /// Outside.
    #[cfg(not(raddle_loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Outside.
    #[cfg(raddle_loom)]
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Whether the thread is inside.
    #[must_use]
    pub fn is_set(&self) -> bool {
        // Acquire: pairs with the Release in `Admission::depart`, so that a stop that reads
        // "outside" also sees all that the entry did.
        self.0.load(Ordering::Acquire) != 0
    }
}

impl Default for Inside {
    fn default() -> Self {
        Self::new()
    }
}

/// The gatekeeper: the word, the count of visits, and the place where a stop waits.
#[derive(Debug)]
pub struct Admission {
    word: AtomicU64,
    visits: AtomicU32,
    waiting: Mutex<()>,
    left: Condvar,
}

impl Admission {
    /// A gate that was never opened.
    #[cfg(not(raddle_loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            word: AtomicU64::new(NOT_STARTED),
            visits: AtomicU32::new(0),
            waiting: Mutex::new(()),
            left: Condvar::new(),
        }
    }

    /// A gate that was never opened.
    #[cfg(raddle_loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            word: AtomicU64::new(NOT_STARTED),
            visits: AtomicU32::new(0),
            waiting: Mutex::new(()),
            left: Condvar::new(),
        }
    }

    /// How far the runtime is.
    #[inline]
    pub fn word(&self) -> Word {
        // Acquire: pairs with `open`, so that who sees an open gate sees its interpreter too.
        Word(self.word.load(Ordering::Acquire))
    }

    /// Lets the thread of `inside` in, if the gate is open.
    ///
    /// # Errors
    ///
    /// Says why not; then the flag is as it was.
    #[inline]
    pub fn admit(&self, inside: &Inside) -> Result<Word, Closed> {
        // Relaxed: the fence below orders it before the load, for a stop that fences heavily.
        inside.0.store(1, Ordering::Relaxed);
        light_fence();
        let word = self.word();
        if word.phase() == OPEN { Ok(word) } else { self.admit_slowly(inside) }
    }

    /// [`admit`](Self::admit) for a thread that knows the word of its last entry: lets it in if
    /// nothing has changed since, and otherwise leaves the flag down.
    #[inline]
    pub fn admit_under(&self, inside: &Inside, known: u64) -> bool {
        // Relaxed: as in `admit`.
        inside.0.store(1, Ordering::Relaxed);
        light_fence();
        if self.word().0 == known {
            return true;
        }
        self.depart(inside);
        false
    }

    #[cold]
    fn admit_slowly(&self, inside: &Inside) -> Result<Word, Closed> {
        full_fence();
        let word = self.word();
        if word.is_open() {
            return Ok(word);
        }
        self.depart(inside);
        Err(word.refusal())
    }

    /// The thread of `inside` is outside again.
    #[inline]
    pub fn depart(&self, inside: &Inside) {
        // Release: see `Inside::is_set`.
        inside.0.store(0, Ordering::Release);
        light_fence();
        if self.word().phase() != OPEN {
            self.depart_slowly();
        }
    }

    #[cold]
    fn depart_slowly(&self) {
        full_fence();
        if !self.word().is_open() {
            self.wake();
        }
    }

    /// Wakes a stop, so that it looks again at who is left.
    pub fn wake(&self) {
        // The lock makes the stop either see what changed or be asleep when it is woken.
        drop(lock(&self.waiting));
        self.left.notify_all();
    }

    /// Runs `visit` with the promise that Python's memory stays, if it is `generation`'s.
    pub fn visit<R>(&self, generation: u64, visit: impl FnOnce() -> R) -> Option<R> {
        self.visits.fetch_add(1, Ordering::SeqCst);
        // Pairs with the fence in `visits`: either we see that the stop has gone on to finalize,
        // or the stop sees us.
        full_fence();
        let word = self.word();
        let there = word.is_alive() && word.generation() == generation;
        let result = there.then(visit);
        // Release, and Acquire in `visits`: what the visit did is done when the stop goes on.
        self.visits.fetch_sub(1, Ordering::SeqCst);
        full_fence();
        if !self.word().is_open() {
            self.wake();
        }
        result
    }

    /// How many visits are under way.
    pub fn visits(&self) -> u32 {
        full_fence();
        self.visits.load(Ordering::SeqCst)
    }

    /// Opens the gate for a new generation; `asymmetric` says that the heavy fence is there.
    pub fn open(&self, asymmetric: bool) -> Word {
        let phase = if asymmetric { OPEN } else { FENCED };
        let word = Word((self.word().generation() + 1) << PHASE_BITS | phase);
        self.word.store(word.0, Ordering::SeqCst);
        word
    }

    /// Refuses entries from now on. Returns whether this call closed an open gate.
    pub fn close(&self) -> bool {
        let closed = self.advance(Word::is_open, CLOSING);
        // From here on each thread either reads CLOSING or has shown its flag.
        heavy_fence();
        closed
    }

    /// The point of no return: refuses visits too. Returns whether the gate was closing.
    ///
    /// A visit that began before may still be under way: [`wait`](Self::wait) once more.
    pub fn begin_finalizing(&self) -> bool {
        self.advance(|word| word.phase() == CLOSING, FINALIZING)
    }

    /// Python has ended.
    pub fn end(&self) {
        self.advance(|word| word.phase() != ABANDONED, ENDED);
    }

    /// Nobody enters any more, and Python stays as it is.
    pub fn abandon(&self) {
        self.advance(|word| !matches!(word.phase(), NOT_STARTED | ENDED), ABANDONED);
        heavy_fence();
        self.wake();
    }

    /// Keeps stops from changing who waits, as for the time of a fork.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        lock(&self.waiting)
    }

    /// This process is a forked child; whether Python knows is not known yet.
    pub fn fork(&self) {
        self.visits.store(0, Ordering::SeqCst);
        self.advance(Word::is_abandoned, FORKED_ABANDONED);
        self.advance(Word::is_alive, FORKED);
    }

    /// Python has cleaned up after the fork: the gate is open in the child, unless the runtime was
    /// abandoned before.
    pub fn reopen_in_child(&self, asymmetric: bool) {
        self.advance(|word| word.phase() == FORKED_ABANDONED, ABANDONED);
        self.advance(|word| word.phase() == FORKED, if asymmetric { OPEN } else { FENCED });
    }

    /// Waits until `nobody` says that nobody is inside and no visit is under way, at most until
    /// `deadline`. Returns whether it came to that.
    pub fn wait(&self, deadline: Option<Instant>, mut nobody: impl FnMut() -> bool) -> bool {
        let mut guard = lock(&self.waiting);
        loop {
            if nobody() && self.visits() == 0 {
                return true;
            }
            let patience = deadline.map(|when| when.saturating_duration_since(Instant::now()));
            if patience == Some(Duration::ZERO) {
                return false;
            }
            // A bound of its own too: what `nobody` looks at may change without a wake-up.
            let nap = patience.unwrap_or(RECHECK).min(RECHECK);
            guard = match self.left.wait_timeout(guard, nap) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn advance(&self, from: impl Fn(Word) -> bool, phase: u64) -> bool {
        let mut word = Word(self.word.load(Ordering::SeqCst));
        while from(word) {
            let next = word.at(phase).0;
            match self.word.compare_exchange(word.0, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => word = Word(now),
            }
        }
        false
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(raddle_loom)))] // Single-threaded facts; tests/loom/admission.rs has the interleavings.
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_was_never_opened_refuses() {
        let (gate, inside) = (Admission::new(), Inside::new());
        assert_eq!(gate.admit(&inside), Err(Closed::NotStarted));
        assert!(!inside.is_set());
    }

    #[test]
    fn a_closing_gate_refuses_and_waits_for_those_inside() {
        let (gate, inside, late) = (Admission::new(), Inside::new(), Inside::new());
        gate.open(true);
        assert!(gate.admit(&inside).is_ok());
        assert!(gate.close());
        assert_eq!(gate.admit(&late), Err(Closed::Stopping));
        assert!(!gate.wait(Some(Instant::now()), || !inside.is_set()));
        gate.depart(&inside);
        assert!(gate.wait(Some(Instant::now()), || !inside.is_set()));
    }

    #[test]
    fn a_gate_without_membarrier_admits_too() {
        let (gate, inside) = (Admission::new(), Inside::new());
        gate.open(false);
        assert!(gate.admit(&inside).is_ok());
    }

    #[test]
    fn visits_end_with_their_generation() {
        let gate = Admission::new();
        let first = gate.open(true).generation();
        assert_eq!(gate.visit(first, || 7), Some(7));
        gate.close();
        assert_eq!(gate.visit(first, || 7), Some(7));
        gate.begin_finalizing();
        assert_eq!(gate.visit(first, || 7), None);
        gate.end();
        let second = gate.open(true).generation();
        assert_eq!(second, first + 1);
        assert_eq!(gate.visit(first, || 7), None);
    }

    #[test]
    fn an_abandoned_gate_never_opens() {
        let (gate, inside) = (Admission::new(), Inside::new());
        gate.open(true);
        gate.abandon();
        gate.end();
        gate.fork();
        assert_eq!(gate.admit(&inside), Err(Closed::Forked));
        gate.reopen_in_child(true);
        assert_eq!(gate.admit(&inside), Err(Closed::Abandoned));
    }
}
