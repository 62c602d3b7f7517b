//! What runs when a thread ends, in two phases.
//!
//! ```text
//! thread function returns, or pthread_exit
//!   |
//!   |  early   thread_local! Drop          Python's own per-thread data is intact
//!   |          newest hook first           the gate gives its thread state up here
//!   v
//!   |  late    one pthread key             Python is done with the thread
//!   |          oldest duty first           weave's destructors run here
//!   v
//! the thread is gone, and pthread_join returns
//! ```
//!
//! CPython keeps its pointer to the thread's state under a pthread key up to 3.13, and glibc wipes
//! that key while the keys are destroyed. A finalizer that asks for Python from there finds no state,
//! makes a second one and waits for itself. So whatever may touch Python is early, and all that is
//! late keeps away from it.
//!
//! Two kinds of thread reach the late phase without an early one: the main thread when it ends by
//! `pthread_exit`, and a thread that registers its first hook from another key's destructor. Their
//! hooks run late, and are told so. A main thread that returns from `main` has an early phase only.

mod early;
mod late;
mod roll;

pub(crate) use early::{at_early_exit, early_passed};
pub(crate) use late::{Duty, at_late_exit, drop_destructors};
pub(crate) use roll::has_duties;

/// When a hook is being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before pthread's keys are destroyed: Python may be entered.
    Early,
    /// While they are destroyed: Python must be left alone.
    Late,
}
