//! How far this process's Python is, as raddle knows: one record behind one lock.
//!
//! | phase      | since                | may start | may adopt | who moves it on                   |
//! |------------|----------------------|-----------|-----------|-----------------------------------|
//! | Idle       | birth, or a stop     | yes       | yes       | start, adopt                      |
//! | Starting   | start, adopt         | no        | no        | the same call                     |
//! | Running    | the gate was opened  | no        | the same  | stop, abandon, Python's own end   |
//! | Finalizing | nobody was inside    | no        | no        | the same stop                     |
//! | Abandoned  | abandon              | no        | no        | nobody                            |
//! | Broken     | CPython's init failed| no        | no        | nobody                            |

use std::thread::{self, ThreadId};

use pyo3_ffi::PyThreadState;

use crate::error::{Error, Status};
use crate::primitive::{Mutex, MutexGuard, lock};

/// How far this process's Python is.
#[derive(Debug)]
pub(super) enum Life {
    Idle,
    Starting,
    Running(Running),
    Finalizing,
    Abandoned,
    /// With the reason: CPython cannot try again after a failed start.
    Broken(String),
}

/// A Python with its gate, open or closing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) generation: u64,
    /// Python's main thread.
    pub(super) thread: ThreadId,
    /// The main thread's state, given up; null if Python was adopted.
    pub(super) main: *mut PyThreadState,
}

// SAFETY: the state is only used on the thread whose id is beside it.
unsafe impl Send for Running {}

impl Running {
    /// Whether somebody else started this Python and will end it.
    pub(super) fn is_adopted(&self) -> bool {
        self.main.is_null()
    }

    pub(super) fn is_here(&self) -> bool {
        self.thread == thread::current().id()
    }
}

static LIFE: Mutex<Life> = Mutex::new(Life::Idle);

/// The record. Never held while Python is waited for or runs.
pub(super) fn life() -> MutexGuard<'static, Life> {
    lock(&LIFE)
}

/// The runtime of `generation`, if it has not stopped.
pub(super) fn running(generation: u64) -> Option<Running> {
    match *life() {
        Life::Running(running) if running.generation == generation => Some(running),
        _ => None,
    }
}

impl Life {
    /// Moves from Idle to Starting, or says why that cannot be.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        match self {
            Self::Idle => {
                *self = Self::Starting;
                Ok(())
            }
            Self::Abandoned => Err(Error::new(
                Status::Busy,
                "the runtime was abandoned: this process cannot start Python again",
            )),
            Self::Broken(line) => Err(Error::new(
                Status::Start,
                format!(
                    "Python failed to start before and cannot try again in this process: {line}"
                ),
            )),
            _ => Err(Error::new(
                Status::AlreadyStarted,
                "Python is started already in this process: stop its runtime first",
            )),
        }
    }
}
