//! When a loop looks after Python's wake-up descriptor, which it borrows while it runs.
//!
//! The borrowing is the runtime's (`raddle::relay::wakeup`). Here we *look again* whenever Python has
//! run on this thread, before a wait: within a millisecond after a source's callable, within a tenth
//! of a second if the gate has counted another entry (an entry may have to wait, and a look costs
//! more than a call), and at once if a signal has interrupted the last wait.
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::ffi::c_int;
use std::time::{Duration, Instant};

use pyo3::Python;
use raddle::gate;
use raddle::relay::wakeup::{self, Borrowed, Signals, Wakeup};

use crate::callable::Visit;
use crate::main_loop;

/// How long code that entered by itself may keep the descriptor before we look.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same for callables of sources: a look costs more than to call one.
const LOOK_SOON: Duration = Duration::from_millis(1);

thread_local! {
    /// A signal interrupted a poll of this thread since the last look.
    static INTERRUPTED: Cell<bool> = const { Cell::new(false) };
    /// A source's callable has run on this thread since the last look.
    static CALLED: Cell<bool> = const { Cell::new(false) };
    /// The gate's count of entries at the last look.
    static SEEN: Cell<u64> = const { Cell::new(0) };
    /// When that was.
    static LOOKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// This thread's wake-up descriptor, made if there is none; `None` off Python's main thread, where
/// no signal handler of Python's runs. Python is held, and no exception set.
pub(crate) fn open(py: Python<'_>) -> Option<Borrowed> {
    LOOKED.set(Some(Instant::now()));
    match wakeup::open(py) {
        Signals::By(wakeup) => Some(wakeup),
        Signals::Never | Signals::Poll => None,
    }
}

/// A poll of this thread was interrupted by a signal.
pub(crate) fn note_interruption() {
    INTERRUPTED.set(true);
}

/// A source's callable has run, and may have put another descriptor in place.
pub(crate) fn note_call() {
    CALLED.set(true);
}

/// Entries of this thread up to now need no look: one was made since.
pub(crate) fn note_entries() {
    SEEN.set(gate::entries_here());
}

/// Looks again before a wait, if Python may have run here since the last look. Says after how many
/// milliseconds the wait must end for the next look; -1 if it need not.
pub(crate) fn before_wait() -> c_int {
    let Some(wakeup) = wakeup::here() else { return -1 };
    if !INTERRUPTED.take() {
        let every = if CALLED.get() {
            LOOK_SOON
        } else if SEEN.get() != gate::entries_here() {
            LOOK_EVERY
        } else {
            return -1;
        };
        let since = LOOKED.get().map_or(every, |looked| looked.elapsed());
        let rest = every.saturating_sub(since);
        if !rest.is_zero() {
            return c_int::try_from(rest.as_millis()).unwrap_or(0) + 1;
        }
    }
    visit(&wakeup);
    -1
}

/// Takes what arrived, and runs Python's signal handlers.
pub(crate) fn serve() {
    let Some(wakeup) = wakeup::here() else { return };
    wakeup.take_bytes();
    visit(&wakeup);
}

/// Looks, on a thread that may not hold Python; ends the loop if a handler raises.
fn visit(wakeup: &Wakeup) {
    // A gate that is closed lets no handler run: the loop is left to its host.
    if let Ok(visit) = Visit::of_dispatch() {
        LOOKED.set(Some(Instant::now()));
        if let Some(raised) = wakeup.look(visit.py())
            && let Some(left) = main_loop::end(raised)
            && let Some(about) = wakeup.about().try_bind(visit.py())
        {
            left.report(&about);
        }
    }
    SEEN.set(gate::entries_here());
    CALLED.set(false);
}
