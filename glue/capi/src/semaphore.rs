//! `raddle-semaphore.h`: counting, waiting, stopping.

use core::ffi::{c_int, c_uint};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use raddle::relay::{Interrupted, Plain, ReleasePython, Semaphore, WaitError};
use raddle::{Error, Status};

use crate::boundary::guard;
use crate::pointer;
use crate::status::{RaddleStatus, answer};

/// See `raddle-semaphore.h`. A reference is one count of an `Arc`.
#[derive(Debug)]
pub struct RaddleSemaphore(Semaphore);

/// Waits by the tag that a `RaddleWait` is.
pub(crate) fn by_flag<R>(
    wait: c_uint,
    plain: impl FnOnce(Plain) -> Result<R, WaitError>,
    release: impl FnOnce(ReleasePython) -> Result<R, WaitError<Interrupted>>,
) -> Result<R, Error> {
    let result = match wait {
        0 => plain(Plain).map_err(WaitError::widen),
        1 => release(ReleasePython),
        _ => {
            let line = "a RaddleWait is RADDLE_WAIT_PLAIN or _RELEASE_PYTHON";
            return Err(Error::new(Status::Invalid, line));
        }
    };
    result.map_err(|error| match error {
        WaitError::Interrupted(interrupted) => interrupted.leave_set(),
        error => error.into(),
    })
}

/// How long a wait may take; nothing for ever.
pub(crate) fn timeout(milliseconds: i64) -> Option<Duration> {
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}

/// Why nothing was made.
pub(crate) fn refused(error: &io::Error) -> Error {
    let invalid = error.kind() == io::ErrorKind::InvalidInput;
    let status = if invalid { Status::Invalid } else { Status::NoMemory };
    Error::new(status, error.to_string())
}

/// See `raddle-semaphore.h`.
///
/// # Safety
///
/// `out` is NULL or points to memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_semaphore_new(
    tokens: u32,
    out: *mut *mut RaddleSemaphore,
) -> RaddleStatus {
    let make = || {
        let semaphore = Semaphore::new(tokens).map_err(|error| refused(&error))?;
        Ok(Arc::into_raw(Arc::new(RaddleSemaphore(semaphore))).cast_mut())
    };
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::put(out, make) }))
}

/// See `raddle-semaphore.h`. NULL gives NULL.
///
/// # Safety
///
/// `semaphore` is NULL or one of which the caller has a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_semaphore_ref(
    semaphore: *mut RaddleSemaphore,
) -> *mut RaddleSemaphore {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::share(semaphore) });
    semaphore
}

/// See `raddle-semaphore.h`. NULL is ignored.
///
/// # Safety
///
/// `semaphore` is NULL or one of which the caller gives up a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_semaphore_unref(semaphore: *mut RaddleSemaphore) {
    // SAFETY: by the caller's promise.
    guard(|| drop(unsafe { pointer::take_shared(semaphore) }));
}

/// See `raddle-semaphore.h`.
///
/// # Safety
///
/// `semaphore` is NULL or a semaphore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_semaphore_put(
    semaphore: *mut RaddleSemaphore,
    tokens: u32,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let semaphore = unsafe { pointer::borrow(semaphore) };
    guard(|| answer(semaphore.and_then(|semaphore| semaphore.0.put(tokens))))
}

/// See `raddle-semaphore.h`.
///
/// # Safety
///
/// `semaphore` is NULL or a semaphore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_semaphore_try_get(semaphore: *mut RaddleSemaphore) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let semaphore = unsafe { pointer::borrow(semaphore) };
    guard(|| answer(semaphore.and_then(|semaphore| Ok(semaphore.0.try_get()?))))
}

/// See `raddle-semaphore.h`.
///
/// # Safety
///
/// `semaphore` is NULL or a semaphore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_semaphore_get(
    semaphore: *mut RaddleSemaphore,
    timeout_ms: i64,
    wait: c_uint,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let semaphore = unsafe { pointer::borrow(semaphore) };
    let timeout = timeout(timeout_ms);
    guard(|| {
        answer(semaphore.and_then(|semaphore| {
            let semaphore = &semaphore.0;
            by_flag(
                wait,
                |tag| semaphore.get_for(tag, timeout),
                |tag| semaphore.get_for(tag, timeout),
            )
        }))
    })
}

/// See `raddle-semaphore.h`.
///
/// # Safety
///
/// `semaphore` is NULL or a semaphore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_semaphore_stop(semaphore: *mut RaddleSemaphore) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let semaphore = unsafe { pointer::borrow(semaphore) };
    guard(|| answer(semaphore.map(|semaphore| semaphore.0.stop())))
}

/// See `raddle-semaphore.h`.
///
/// # Safety
///
/// `semaphore` is NULL or a semaphore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_semaphore_is_stopped(semaphore: *mut RaddleSemaphore) -> bool {
    // SAFETY: by the caller's promise.
    let semaphore = unsafe { pointer::borrow(semaphore) };
    guard(|| semaphore.is_ok_and(|semaphore| semaphore.0.is_stopped()))
}

/// See `raddle-semaphore.h`.
///
/// # Safety
///
/// `semaphore` is NULL or a semaphore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_semaphore_get_value(semaphore: *mut RaddleSemaphore) -> u32 {
    // SAFETY: by the caller's promise.
    let semaphore = unsafe { pointer::borrow(semaphore) };
    guard(|| semaphore.map_or(0, |semaphore| semaphore.0.value()))
}

/// See `raddle-semaphore.h`.
///
/// # Safety
///
/// `semaphore` is NULL or a semaphore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_semaphore_get_fd(semaphore: *mut RaddleSemaphore) -> c_int {
    // SAFETY: by the caller's promise.
    let semaphore = unsafe { pointer::borrow(semaphore) };
    guard(|| semaphore.map_or(-1, |semaphore| semaphore.0.fd()))
}
