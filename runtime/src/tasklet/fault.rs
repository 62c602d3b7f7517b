//! Why a tasklet that gave way goes on without what it wanted.
#![forbid(unsafe_code)]

use core::fmt;

use pyo3::Python;

use super::ops::{self, Parts};
use super::{kinds, lines};
use crate::error::{Error, Status};
use crate::gate::Raised;
use crate::object::{Kind, Pending};

/// Why a tasklet that gave way, or wanted to, goes on without what it wanted.
///
/// A tasklet that gets [`Killed`](Self::Killed) is to let go of what it has and return, which `?` does.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The channel is closed and nobody was left to meet there, or its Python has ended.
    Closed,
    /// Nobody could have woken it: all tasklets wait, and no native end of their channels is there.
    WouldDeadlock,
    /// It is not allowed to wait (`block_trap`), or nobody is to switch (`switch_trap`).
    Trapped,
    /// It was killed while it was suspended.
    Killed,
    /// Somebody cleared the channel: it goes on with nothing.
    LetGo,
    /// An exception was raised in it, or (in the main tasklet, or one that runs others) in a tasklet
    /// that did not catch it.
    Raised(Raised),
}

impl Fault {
    /// Takes the exception that is set.
    pub(super) fn take(_pending: Pending) -> Self {
        let exit = kinds::tasklet_exit();
        if !exit.is_null() && ops::raised_is(exit) {
            ops::forget_raised();
            return Self::Killed;
        }
        let Some(raised) = Raised::take(ops::held()) else { return Self::LetGo };
        let is = |kind: &str, line: &str| {
            raised
                .line()
                .strip_prefix(kind)
                .is_some_and(|said| said.strip_prefix(": ") == Some(line))
        };
        let refused = |line| is("RuntimeError", line);
        if [lines::DEADLOCK, lines::RECEIVING, lines::SENDING].into_iter().any(refused) {
            Self::WouldDeadlock
        } else if [lines::BLOCK_TRAP, lines::SWITCH_TRAP].into_iter().any(refused) {
            Self::Trapped
        } else if is("ValueError", lines::CLOSED) {
            Self::Closed
        } else {
            Self::Raised(raised)
        }
    }

    /// Sets it as the exception that Python would have seen: for a native function that Python called.
    pub fn put_back(self, py: Python<'_>) {
        let kind = match self {
            Self::Killed => {
                let exit = kinds::tasklet_exit();
                if exit.is_null() {
                    Kind::Runtime
                } else {
                    let none = core::ptr::null_mut();
                    let parts = Parts { kind: ops::incref(exit), value: none, traceback: none };
                    return ops::put_raised(parts);
                }
            }
            Self::Raised(raised) => return raised.put_back(py),
            Self::Closed => Kind::Value,
            Self::WouldDeadlock | Self::Trapped | Self::LetGo => Kind::Runtime,
        };
        let _set = Pending::new(py, kind, self.line());
    }

    fn line(&self) -> &str {
        match self {
            Self::Closed => lines::CLOSED,
            Self::WouldDeadlock => lines::DEADLOCK,
            Self::Trapped => lines::BLOCK_TRAP,
            Self::Killed => "the tasklet was killed",
            Self::LetGo => "the channel was cleared",
            Self::Raised(raised) => raised.line(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.line())
    }
}

impl core::error::Error for Fault {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let status = match fault {
            Fault::Closed => Status::Closed,
            Fault::Raised(_) | Fault::Killed => Status::Python,
            Fault::WouldDeadlock | Fault::Trapped | Fault::LetGo => Status::WrongOrder,
        };
        Self::new(status, fault.line().to_owned())
    }
}
