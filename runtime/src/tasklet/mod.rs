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
//!
//! # From Rust
//!
//! [`spawn()`] runs a closure as a tasklet, [`spawn_callable`] a Python callable; a [`Tasklet`] is joined for
//! what it gives. [`Channel`]s carry values of one type, and their [`Sender`]s and [`Receiver`]s are for
//! threads without Python. [`raw`] has everything else, on bare objects.
//!
//! ```
//! use raddle::tasklet::{self, Channel, Fault, JoinError};
//!
//! let runtime = raddle::Runtime::start(&raddle::Options::new())?;
//! let answer = raddle::enter(|py| {
//!     let (questions, answers) = (Channel::<u32>::new(py)?, Channel::<u32>::new(py)?);
//!     let (asked, told) = (questions.clone(), answers.clone());
//!     let worker = tasklet::spawn(py, move |py| {
//!         for question in asked.iter(py) {
//!             told.send(py, question? * 2)?;
//!         }
//!         Ok::<(), Fault>(())
//!     })?;
//!     questions.send(py, 21).map_err(Fault::from)?;
//!     let answer = answers.receive(py)?;
//!     questions.close(py);
//!     worker.kill(py)?; // What it waits for fails with `Fault::Killed`: it lets go and returns.
//!     assert!(matches!(worker.join(py)?, Err(Fault::Killed)));
//!     Ok::<_, JoinError>(answer)
//! })??;
//! assert_eq!(answer, 42);
//! runtime.stop(None)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A tasklet that is killed, or cannot have what it waits for, is told so by a [`Fault`]: `?` lets go of
//! what it has. A panic ends its tasklet and is what a join gives; it never crosses a frame of CPython's.

#![expect(clippy::inline_always, reason = "a switch is made of these, and has 45 ns")]

mod bell;
mod bomb;
mod channel;
mod channel_type;
mod context;
mod count;
pub mod drive;
mod fault;
mod hooks;
mod join;
pub(crate) mod kinds;
mod lines;
mod meeting;
pub(crate) mod module;
mod native;
mod ops;
mod parcel;
mod pickle;
mod queue;
pub mod raw;
mod raw_channel;
pub mod reply;
mod schedule;
mod scheduler;
mod small_types;
mod spawn;
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
mod turns;
mod typed;
pub mod wait;
mod watchdog;
mod watches;

pub use thread::end_thread;

pub use fault::Fault;
pub use join::{JoinError, Tasklet};
pub use native::{Receiver, Sender};
pub use spawn::{spawn, spawn_callable, spawn_local};
pub use turns::{
    current, kill_all, run, run_count, run_times, run_within, schedule, schedule_remove,
};
pub use typed::{BACKLOG, Channel, Preference, SendError};

/// Python's exit handlers run.
pub(crate) fn python_exits() {
    thread::python_exits();
}

/// In a child of `os.fork`.
pub(crate) fn after_fork_in_child() {
    timer::after_fork_in_child();
}
