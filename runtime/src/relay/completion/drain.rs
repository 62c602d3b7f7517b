//! Running what was posted: in batches, with a budget, and nobody's failure is another's.
#![forbid(unsafe_code)]

use core::fmt;
use std::time::{Duration, Instant};

use pyo3::{Bound, PyAny, Python};

use super::entry::Work;
use super::list::Claim;
use super::python;
use super::queue::{Completions, State, count, discard, here};
use crate::error::{Error, Status};
use crate::gate::{Entry, Raised, Ref};
use crate::relay::fork;

/// How often the clock is looked at: it costs as much as a short completion does.
const CLOCK_EVERY: u32 = 8;

/// How much is run in one go, so that others get their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many.
    pub count: u32,
    /// So long, give or take what eight of them take.
    pub time: Duration,
}

impl Budget {
    /// All there is.
    pub const ALL: Self = Self { count: u32::MAX, time: Duration::MAX };
}

impl Default for Budget {
    fn default() -> Self {
        Self { count: 10_000, time: Duration::from_millis(4) }
    }
}

/// What a drain did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// How many were run.
    pub ran: u32,
    /// Whether the budget ended before they did: the descriptor is readable still.
    pub left: bool,
}

/// Why a drain ended early. What was not run is still there, and the descriptor readable.
#[derive(Debug)]
#[non_exhaustive]
pub enum DrainError {
    /// One of them raised a KeyboardInterrupt or a SystemExit.
    Raised(Raised),
    /// Another thread is draining the queue.
    Elsewhere,
}

impl fmt::Display for DrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raised(raised) => raised.fmt(f),
            Self::Elsewhere => f.write_str("another thread is draining this queue"),
        }
    }
}

impl core::error::Error for DrainError {}

impl From<DrainError> for Error {
    fn from(error: DrainError) -> Self {
        match error {
            DrainError::Raised(raised) => raised.into(),
            DrainError::Elsewhere => Self::new(Status::WrongThread, error.to_string()),
        }
    }
}

impl Completions {
    /// Runs what was posted, oldest first, until nothing is left or the budget is spent.
    ///
    /// What one of them raises is handed to `sys.unraisablehook`, and the others still run; only
    /// KeyboardInterrupt and SystemExit end the drain. A drain inside of what is being run goes on
    /// with what comes next.
    ///
    /// # Errors
    ///
    /// [`DrainError`]; what was not run stays, and nothing is lost.
    pub fn drain(&self, py: Python<'_>, budget: Budget) -> Result<Drained, DrainError> {
        self.drain_for(py, budget, None)
    }

    /// [`drain`](Self::drain) for the asyncio loop that owns the queue, whose exception handler is
    /// told.
    pub(super) fn drain_for(
        &self,
        py: Python<'_>,
        budget: Budget,
        asyncio: Option<&Bound<'_, PyAny>>,
    ) -> Result<Drained, DrainError> {
        let state = self.0.state();
        let Some(claim) = state.list.claim(here()) else {
            // Whoever closes a list claims it for a moment, to take what is left.
            let is_closed = state.list.is_closed();
            return if is_closed { Ok(Drained::default()) } else { Err(DrainError::Elsewhere) };
        };
        let forks = fork::count();
        let pending = Raised::take(py);
        // The loop's thread may be a daemon of Python's, which to 3.13 is ended where it takes Python
        // when that is ending, and here that would be in the middle of Rust. Inside it is waited for.
        let inside = Entry::staying();
        let mut batch = Batch { queue: self, state, raised: 0, ran: 0, asyncio };
        let ended = batch.run(py, &claim, budget);
        let (ran, raised) = (u64::from(batch.ran), batch.raised);
        count(&state.figures.ran, ran);
        count(&state.figures.raised, raised);
        count(&state.figures.drains, 1);
        state.figures.largest.fetch_max(ran, crate::primitive::Ordering::Relaxed);
        if forks == fork::count() {
            // Closed meanwhile by another thread: what this one has taken, it drops.
            discard(state, claim.release());
        } else {
            // A child, and all of it its parent's.
            let _left = core::mem::ManuallyDrop::new(claim);
        }
        if self.is_closed() {
            self.fail_owed(py);
        }
        drop(inside);
        if let Some(pending) = pending {
            pending.put_back(py);
        }
        ended
    }
}

/// One drain.
struct Batch<'a> {
    queue: &'a Completions,
    state: &'a State,
    ran: u32,
    raised: u64,
    asyncio: Option<&'a Bound<'a, PyAny>>,
}

impl Batch<'_> {
    fn run(
        &mut self,
        py: Python<'_>,
        claim: &Claim<'_, Work>,
        budget: Budget,
    ) -> Result<Drained, DrainError> {
        let bell = &self.queue.0.bell;
        let deadline = Instant::now().checked_add(budget.time);
        let forks = fork::count();
        loop {
            let is_spent = self.ran >= budget.count
                || self.ran.is_multiple_of(CLOCK_EVERY)
                    && self.ran > 0
                    && deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_spent && !claim.is_empty() {
                return Ok(self.leave_the_rest());
            }
            let Some(work) = claim.pop() else {
                bell.hush();
                if claim.try_idle() {
                    return Ok(Drained { ran: self.ran, left: false });
                }
                // Added between the two, by somebody who relied on the bell.
                bell.ring();
                continue;
            };
            self.ran += 1;
            if let Some(places) = &self.state.places {
                // No more than were taken: there is room for them.
                let _put = places.put(1);
            }
            let about = work.run(py, self.asyncio.map(Bound::as_ptr));
            if let Some(raised) = Raised::take(py) {
                self.raised += 1;
                if raised.asks_for_end() {
                    self.leave_the_rest();
                    return Err(DrainError::Raised(raised));
                }
                self.report(py, raised, about);
            }
            if forks != fork::count() {
                // What was run has forked, and this is the child: the rest is its parent's.
                return Ok(Drained { ran: self.ran, left: false });
            }
        }
    }

    /// Sees to it that somebody comes back.
    fn leave_the_rest(&self) -> Drained {
        // Readable it is already; those who poll for changes hear it again.
        self.queue.0.bell.ring();
        Drained { ran: self.ran, left: true }
    }

    fn report(&self, py: Python<'_>, raised: Raised, about: Option<Ref>) {
        let about = about.as_ref().and_then(|about| about.try_bind(py));
        match self.asyncio {
            Some(asyncio) => python::tell_loop(asyncio, raised, about),
            None => raised.report(&about.unwrap_or_else(|| py.None().into_bound(py).into_any())),
        }
    }
}
