//! The relay's types in `_raddle`, and what their waits raise.

mod semaphore;
mod stopped;

use pyo3::Python;

use super::completion;
use super::wait::{Interrupted, WaitError};
use crate::class;
use crate::object::Pending;

/// What adds each of them to the module.
pub(crate) const CLASSES: [class::Add; 3] =
    [stopped::add, class::add::<semaphore::Face>, completion::ADD];

/// Raises why a wait ended; `too_late` raises that the time has passed.
fn raise(
    py: Python<'_>,
    error: WaitError<Interrupted>,
    too_late: impl FnOnce() -> Pending,
) -> Pending {
    match error {
        WaitError::Stopped => stopped::raise(py),
        WaitError::TimedOut => too_late(),
        WaitError::Interrupted(Interrupted::Raised(raised)) => {
            raised.put_back(py);
            Pending::is_set()
        }
        WaitError::Interrupted(Interrupted::Closed(_)) => never_return(),
    }
}

/// For a thread that was called by a Python that has ended meanwhile: its caller is gone. CPython
/// itself hangs such threads (from 3.14 on).
fn never_return() -> ! {
    loop {
        std::thread::park();
    }
}
