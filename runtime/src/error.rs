//! What raddle answers when it cannot do a thing: a status for machines, one line for people.
#![forbid(unsafe_code)]

use core::fmt;
use std::borrow::Cow;

/// What kind of refusal an [`Error`] is. The numbers are the C ABI's `RaddleStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Status {
    /// A pointer that must not be NULL was.
    Null = 1,
    /// An argument is out of range or not of its kind.
    Invalid = 2,
    /// There is no runtime yet.
    NotStarted = 3,
    /// There is a runtime already.
    AlreadyStarted = 4,
    /// The runtime is stopping, has stopped, or this process was forked without `os.fork`.
    Closed = 5,
    /// Only another thread may do this.
    WrongThread = 6,
    /// A pair is being closed that is not the innermost one, or that was never opened.
    WrongOrder = 7,
    /// Somebody is still inside; nothing was ended.
    Busy = 8,
    /// The Python in this process is not the one that raddle was built for.
    Version = 9,
    /// Python could not start.
    Start = 10,
    /// Python code raised.
    Python = 11,
    /// The machine has no more to give.
    NoMemory = 12,
    /// A semaphore, ring or queue was stopped, and there is nothing left in it.
    Stopped = 13,
    /// The time has passed; of a call that does not wait: there was nothing, or no room.
    TimedOut = 14,
}

/// A refusal: its kind, and one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    message: Cow<'static, str>,
}

impl Error {
    /// Makes an error from its kind and its line.
    #[must_use]
    pub fn new(status: Status, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into() }
    }

    /// Which kind it is.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The line for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Error {}

/// Why the gate let nobody in. Nothing was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// No runtime was started or adopted in this process yet.
    NotStarted,
    /// A stop has begun; it waits for those inside.
    Stopping,
    /// Python has ended.
    Stopped,
    /// The runtime was abandoned: Python stays as it is, and nobody enters it again.
    Abandoned,
    /// This process is a child of a plain `fork`, which leaves Python unusable.
    Forked,
    /// The machine has no memory for this thread's state.
    NoMemory,
}

impl Closed {
    /// The status that C callers see.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::NotStarted => Status::NotStarted,
            Self::NoMemory => Status::NoMemory,
            _ => Status::Closed,
        }
    }

    const fn line(self) -> &'static str {
        match self {
            Self::NotStarted => "Python is not started: call raddle_runtime_new or adopt it first",
            Self::Stopping => "the runtime is stopping and lets nobody in",
            Self::Stopped => "the runtime has stopped: start a new one before entering",
            Self::Abandoned => "the runtime was abandoned: this process cannot enter Python again",
            Self::Forked => {
                "this process was forked without os.fork: Python cannot be entered in it"
            }
            Self::NoMemory => "there is no memory for a thread state: nothing was entered",
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.line())
    }
}

impl core::error::Error for Closed {}

impl From<Closed> for Error {
    fn from(closed: Closed) -> Self {
        Self::new(closed.status(), closed.line())
    }
}
