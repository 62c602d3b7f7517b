//! How far this process's Python is, as raddle knows: one record behind one lock.
//!
//! | phase      | since                 | may start | may adopt | who moves it on                 |
//! |------------|-----------------------|-----------|-----------|---------------------------------|
//! | Idle       | birth, or a stop      | yes       | yes       | start, adopt                    |
//! | Starting   | start, adopt          | no        | no        | the same call                   |
//! | Running    | the gate was opened   | no        | the same  | stop, abandon, Python's own end |
//! | Finalizing | nobody was inside     | no        | no        | the same stop                   |
//! | Abandoned  | abandon               | no        | no        | nobody                          |
//! | Broken     | CPython's start failed| no        | no        | nobody                          |

use core::cell::RefCell;
use core::ffi::c_int;
use std::sync::Once;
use std::thread::{self, ThreadId};

use pyo3_ffi::{PyInterpreterState, PyThreadState};

use crate::cpython;
use crate::error::{Error, Status};
use crate::gate::control;
use crate::primitive::{Mutex, MutexGuard, lock};
use crate::shelf;

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
    pub(super) interpreter: *mut PyInterpreterState,
    /// Python's main thread, or the one that adopted it.
    pub(super) thread: ThreadId,
    /// The main thread's state, given up; null if Python was adopted, or cannot be finalized here.
    pub(super) main: *mut PyThreadState,
}

// SAFETY: the state is only used on the thread whose id is beside it, and an interpreter belongs to
// no thread.
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
                format!("Python failed to start before, and cannot try again: {line}"),
            )),
            _ => Err(Error::new(
                Status::AlreadyStarted,
                "Python is started already in this process: stop its runtime first",
            )),
        }
    }
}

/// Has [`python_ended`] called at the very end of the Python that runs.
pub(super) fn watch_the_end() {
    // SAFETY: a function that may run at any time. It fails if 32 are registered already; then the
    // end is known by the exit hook and by `stop`.
    let _full: c_int = unsafe { pyo3_ffi::Py_AtExit(Some(python_ended)) };
}

/// Python has ended, whoever ended it.
extern "C" fn python_ended() {
    control::end();
    shelf::forget();
    let mut life = life();
    if matches!(*life, Life::Running(_)) {
        // Not by a stop of ours, which would have moved it to Finalizing.
        *life = Life::Idle;
    }
}

thread_local! {
    /// The record's lock, from before a fork to after it, on the thread that forks.
    static HELD: RefCell<Option<MutexGuard<'static, Life>>> = const { RefCell::new(None) };
}

/// Keeps forks from copying a record that another thread is changing. After the gate's own watch,
/// so that a fork takes this lock first, as `abandon` does.
pub(super) fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: functions that may run at any fork, for as long as the process lives.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) };
    });
}

extern "C" fn before_fork() {
    crate::relay::stopper::before_fork();
    let guard = life();
    // A thread whose thread-locals are gone forks without the lock: nothing better is left.
    let _kept = HELD.try_with(|held| held.borrow_mut().replace(guard));
}

extern "C" fn after_fork() {
    let _released = HELD.try_with(|held| held.borrow_mut().take());
    crate::relay::stopper::after_fork();
}

/// In a child of `os.fork`: the thread that forked is Python's main thread now, and holds it.
pub(super) fn after_fork_in_child() {
    if let Life::Running(running) = &mut *life() {
        // From 3.13 on CPython finalizes by the state that its first main thread had, which the fork
        // freed unless that thread forked. Such a child is left unfinalized, as if it were adopted.
        let may_finalize = running.is_here() || cfg!(not(Py_3_13));
        running.thread = thread::current().id();
        if !running.is_adopted() {
            running.main = if may_finalize { cpython::current() } else { core::ptr::null_mut() };
        }
    }
}
