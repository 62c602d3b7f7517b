//! The other way: records of Python's `logging` that go to a log of the host's.
//!
//! A sink is a function that the host's side of raddle offers under a name. A handler in `raddle.log`
//! asks for it by that name, so this crate knows none of those logs.
#![forbid(unsafe_code)]

use core::fmt;

use super::level::Level;
use crate::primitive::{Mutex, lock};

/// A record of Python's on its way out.
#[derive(Clone, Copy)]
pub struct Outward<'a> {
    /// The logger's name.
    pub logger: &'a str,
    /// Its level.
    pub level: Level,
    /// The formatted message.
    pub message: &'a str,
    /// The source file.
    pub file: &'a str,
    /// The line in it.
    pub line: u32,
    /// The function.
    pub function: &'a str,
    /// The thread's name.
    pub thread: &'a str,
    /// What was passed as `extra`, each value as text.
    pub fields: &'a [(String, String)],
}

impl fmt::Debug for Outward<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { logger, level, message, file, line, .. } = self;
        write!(f, "{level} {logger} {file}:{line}: {message}")
    }
}

/// What takes a record of Python's. Runs on the thread that logs, with Python held; must neither
/// wait nor run Python.
pub type Sink = fn(&Outward<'_>);

static SINKS: Mutex<Vec<(&'static str, Sink)>> = Mutex::new(Vec::new());

/// Offers a sink to Python's handlers, in place of an earlier one of the same name.
pub fn set_sink(name: &'static str, sink: Sink) {
    let mut sinks = lock(&SINKS);
    sinks.retain(|(other, _)| *other != name);
    sinks.push((name, sink));
}

/// The sink of this name.
pub(super) fn sink(name: &str) -> Option<Sink> {
    lock(&SINKS).iter().find(|(other, _)| *other == name).map(|(_, sink)| *sink)
}
