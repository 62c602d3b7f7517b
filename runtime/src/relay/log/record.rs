//! A record, and how a thread pushes it: copied into the ring once, and nothing else.
#![forbid(unsafe_code)]

use core::fmt;

use super::drops::now;
use super::fields::Buffer;
use super::level::Level;
use super::post::Mode;
use super::target::{ASK, Target};
use super::who::Who;
use super::worker::{LOG, Log};

/// What is logged. Text is UTF-8; what is not is replaced when the record is handed over.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// To whom.
    pub target: &'static Target,
    /// How bad it is.
    pub level: Level,
    /// What is to be read.
    pub message: &'a [u8],
    /// The source file, or nothing.
    pub file: &'a [u8],
    /// The line in it.
    pub line: u32,
    /// The function, or nothing.
    pub function: &'a [u8],
    /// The structured fields, as [`Fields::as_bytes`](super::Fields::as_bytes) has them.
    pub fields: &'a [u8],
}

/// The part of a record that is of one size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) target: &'static Target,
    pub(super) who: Who,
    /// Nanoseconds since 1970.
    pub(super) time: u64,
    pub(super) level: i32,
    pub(super) line: u32,
    message: u32,
    file: u16,
    function: u16,
    /// Nobody knew the logger's level: the worker has to ask.
    pub(super) ask: bool,
}

/// The parts of a record that were copied one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) file: &'a [u8],
    pub(super) function: &'a [u8],
    pub(super) message: &'a [u8],
    pub(super) fields: &'a [u8],
}

/// The first bytes, as many as a length of 16 bits can tell.
fn short(bytes: &[u8]) -> (&[u8], u16) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    (&bytes[..length.into()], length)
}

impl Head {
    /// Takes the copied bytes apart.
    pub(super) fn parts<'a>(&self, bytes: &'a [u8]) -> Parts<'a> {
        let (file, rest) = bytes.split_at(self.file.into());
        let (function, rest) = rest.split_at(self.function.into());
        let (message, fields) = rest.split_at(self.message as usize);
        Parts { file, function, message, fields }
    }
}

/// Pushes a record, whatever its level. Any thread, at any time; never waits, takes no lock, needs
/// no Python.
///
/// Ask the target first ([`Target::is_enabled`]), before anything is formatted.
#[inline]
pub fn push(record: &Record<'_>) {
    LOG.push(record);
}

impl Log {
    #[inline]
    fn push(&'static self, record: &Record<'_>) {
        if !matches!(self.post.mode(), Mode::Awake | Mode::Asleep) && !self.is_taken() {
            return self.write(&head(record), record);
        }
        if super::worker::is_handing() {
            self.note_loop();
            return;
        }
        let head = head(record);
        let (file, _) = short(record.file);
        let (function, _) = short(record.function);
        let message = &record.message[..head.message as usize];
        if !self.ring.push(head, [file, function, message, record.fields]) {
            self.drops.count(record.level, head.time);
            return;
        }
        match self.post.published() {
            Mode::Awake => {}
            Mode::Asleep => self.ring_bell(),
            // Python may have started since this was asked, and have found the ring empty.
            Mode::Idle => drop(self.is_taken()),
            Mode::Closed => self.sweep_if_gone(),
        }
    }
}

#[inline]
fn head(record: &Record<'_>) -> Head {
    let time = now();
    Head {
        target: record.target,
        who: Who::here(time),
        time,
        level: record.level.0,
        line: record.line,
        message: u32::try_from(record.message.len()).unwrap_or(u32::MAX),
        file: short(record.file).1,
        function: short(record.function).1,
        ask: record.target.threshold() == ASK,
    }
}

/// Formats and pushes a record, if its target wants it.
#[doc(hidden)] // For the macro.
pub fn push_formatted(
    target: &'static Target,
    level: Level,
    (file, line): (&'static str, u32),
    message: fmt::Arguments<'_>,
    fields: &[u8],
) {
    let mut buffer = Buffer::new();
    let message = match message.as_str() {
        Some(text) => text.as_bytes(),
        None => {
            // A value that cannot be formatted: what was written until then is the message.
            let _written = fmt::write(&mut buffer, message);
            buffer.as_bytes()
        }
    };
    push(&Record { target, level, message, file: file.as_bytes(), line, function: b"", fields });
}

/// Logs to a [target](crate::relay::log::Target) from any thread: a level, a format, and before it
/// fields in braces.
///
/// ```
/// use raddle::relay::log::{Level, Target};
/// let target = Target::named("net.receiver");
/// raddle::log!(target, Level::INFO, "listening on port {}", 7148);
/// raddle::log!(target, Level::WARNING, { heap = 12_u64, late = true }, "a heap is incomplete");
/// ```
#[macro_export]
macro_rules! log {
    ($target:expr, $level:expr, { $($name:ident = $value:expr),+ $(,)? }, $($format:tt)+) => {{
        let (target, level): (&'static $crate::relay::log::Target, _) = ($target, $level);
        if target.is_enabled(level) {
            let mut fields = $crate::relay::log::Fields::new();
            $(fields.add(stringify!($name), $value);)+
            $crate::relay::log::push_formatted(
                target, level, (file!(), line!()), format_args!($($format)+),
                fields.as_bytes(),
            );
        }
    }};
    ($target:expr, $level:expr, $($format:tt)+) => {{
        let (target, level): (&'static $crate::relay::log::Target, _) = ($target, $level);
        if target.is_enabled(level) {
            $crate::relay::log::push_formatted(
                target, level, (file!(), line!()), format_args!($($format)+),
                &[],
            );
        }
    }};
}
