//! Tasklets and channels: Stackless Python's, on stock CPython.
//!
//! ```text
//!   thread state (one per thread)        scheduler (one per thread)
//!     running fields  <- swap ->           run queue: current -> t1 -> t2
//!                                          main, watchdogs
//!   stack that runs   <- switch ->       tasklet
//!   gate's record     <- exchange ->       stack: C calls, record, Python's data
//!                                        channel: t3 -> t4, who wait
//! ```
//!
//! A tasklet has a stack of its own, and while it runs, the running fields of its thread's one thread
//! state; while it sleeps, a thread state that nothing attaches shows its frames to tools. See
//! `docs/design/tasklets.md` for why. Everything here runs with Python held, and whatever may switch is
//! called by CPython directly: PyO3 counts attachments per thread, and a sleeping call would leave
//! its count wrong.

#![expect(clippy::inline_always, reason = "a switch is made of these, and has 45 ns")]

mod bell;
mod bomb;
mod channel;
mod channel_type;
mod context;
mod count;
pub mod drive;
mod hooks;
pub(crate) mod kinds;
mod lines;
pub(crate) mod module;
mod ops;
mod pickle;
mod queue;
pub mod raw;
mod raw_channel;
pub mod reply;
mod schedule;
mod scheduler;
mod small_types;
mod stack;
mod start;
mod state;
mod switch;
mod task;
mod tasklet_type;
pub(crate) mod thread;
mod throw;
mod timer;
mod tools;
mod trace;
pub mod wait;
mod watchdog;
mod watches;

pub use thread::end_thread;

/// Python's exit handlers run.
pub(crate) fn python_exits() {
    thread::python_exits();
}

/// In a child of `os.fork`.
pub(crate) fn after_fork_in_child() {
    timer::after_fork_in_child();
}
