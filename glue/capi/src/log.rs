//! `raddle-log.h`: logging to Python from threads that must not wait for it.

use core::ffi::{c_char, c_int};
use std::borrow::Cow;
use std::time::Duration;

use raddle::relay::log::{self, Fields, Level, Record, Target, Value};
use raddle::{Error, Status};

use crate::boundary::guard;
use crate::pointer;
use crate::status::{RaddleStatus, answer};

/// See `raddle-log.h`. A [`Target`] begins with the same.
#[derive(Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "the header describes them")]
pub struct RaddleLogTarget {
    pub threshold: i32,
}

/// See `raddle-log.h`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "the header describes them")]
pub struct RaddleLogField {
    pub name: *const c_char,
    pub kind: i32,
    pub length: i64,
    pub integer: i64,
    pub unsigned_integer: u64,
    pub number: f64,
    pub text: *const c_char,
}

/// See `raddle-log.h`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "the header describes them")]
pub struct RaddleLogStats {
    pub handed: u64,
    pub errors: u64,
    pub waiting: u64,
    pub looped: u64,
    pub elsewhere: u64,
    pub lost: u64,
    pub dropped: [u64; 6],
}

/// The target of a name.
///
/// # Safety
///
/// `domain` is NULL or ends with a NUL.
unsafe fn target(domain: *const c_char) -> &'static Target {
    // SAFETY: by the caller's promise.
    let name = unsafe { pointer::bytes(domain) }.unwrap_or_default();
    Target::named(&String::from_utf8_lossy(name))
}

/// See `raddle-log.h`.
///
/// # Safety
///
/// `domain` is NULL or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_log_target(domain: *const c_char) -> *const RaddleLogTarget {
    // SAFETY: by the caller's promise.
    guard(|| core::ptr::from_ref(unsafe { target(domain) }).cast())
}

/// See `raddle-log.h`.
///
/// # Safety
///
/// `domain` is NULL or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_log_enabled(level: c_int, domain: *const c_char) -> bool {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { target(domain) }.is_enabled(Level(level)))
}

/// See `raddle-log.h`.
///
/// # Safety
///
/// The texts are NULL or end with a NUL; `fields` is NULL or has `n_fields` fields.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_log_message(
    level: c_int,
    domain: *const c_char,
    file: *const c_char,
    line: c_int,
    func: *const c_char,
    message: *const c_char,
    fields: *const RaddleLogField,
    n_fields: usize,
) {
    guard(|| {
        // SAFETY: by the caller's promise, as each of these.
        let target = unsafe { target(domain) };
        // SAFETY: as above.
        let Some(message) = (unsafe { pointer::bytes(message) }) else { return };
        if !target.is_enabled(Level(level)) {
            return;
        }
        // SAFETY: as above.
        let fields = unsafe { pointer::slice(fields, n_fields) };
        // SAFETY: as above.
        let fields = unsafe { copied(fields) };
        log::push(&Record {
            target,
            level: Level(level),
            message,
            // SAFETY: as above.
            file: unsafe { pointer::bytes(file) }.unwrap_or_default(),
            line: u32::try_from(line).unwrap_or(0),
            // SAFETY: as above.
            function: unsafe { pointer::bytes(func) }.unwrap_or_default(),
            fields: fields.as_ref().map_or(&[][..], Fields::as_bytes),
        });
    });
}

/// The fields in the ring's own form; nothing if there are none.
///
/// # Safety
///
/// Their names are NULL or end with a NUL, and their texts are NULL or as long as they say.
unsafe fn copied(fields: &[RaddleLogField]) -> Option<Fields> {
    if fields.is_empty() {
        return None;
    }
    let mut copied = Fields::new();
    for field in fields {
        // SAFETY: by the caller's promise.
        let Some(name) = (unsafe { pointer::bytes(field.name) }) else { continue };
        let text = || -> &[u8] {
            match usize::try_from(field.length) {
                // SAFETY: by the caller's promise.
                Ok(length) => unsafe { pointer::slice(field.text.cast(), length) },
                // SAFETY: by the caller's promise.
                Err(_) => unsafe { pointer::bytes(field.text) }.unwrap_or_default(),
            }
        };
        let value = match field.kind {
            1 => Value::Bool(field.integer != 0),
            2 => Value::Int(field.integer),
            3 => Value::UInt(field.unsigned_integer),
            4 => Value::Float(field.number),
            5 => Value::Text(text()),
            6 => Value::Bytes(text()),
            _ => Value::None,
        };
        copied.add(name, value);
    }
    Some(copied)
}

/// See `raddle-log.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_log_start() -> RaddleStatus {
    guard(|| answer(log::start()))
}

/// A time in milliseconds; for ever if it is negative.
fn timeout(milliseconds: i64) -> Option<Duration> {
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}

fn all_or(line: impl Into<Cow<'static, str>>, all: bool) -> Result<(), Error> {
    if all { Ok(()) } else { Err(Error::new(Status::Busy, line)) }
}

/// See `raddle-log.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_log_flush(timeout_ms: i64) -> RaddleStatus {
    let line = "records are waiting for Python's handlers: flush again, or give them more time";
    guard(|| answer(all_or(line, log::flush(timeout(timeout_ms)))))
}

/// See `raddle-log.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_log_stop(timeout_ms: i64) -> RaddleStatus {
    let line = "not every record could be handed over in time: the rest went to stderr";
    guard(|| answer(all_or(line, log::stop(timeout(timeout_ms)))))
}

/// See `raddle-log.h`.
///
/// # Safety
///
/// `out` is NULL or points to memory for the figures.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_log_get_stats(out: *mut RaddleLogStats) -> RaddleStatus {
    let figures = || {
        let log::Stats { handed, errors, waiting, looped, elsewhere, lost, dropped } = log::stats();
        Ok(RaddleLogStats { handed, errors, waiting, looped, elsewhere, lost, dropped })
    };
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::put(out, figures) }))
}
