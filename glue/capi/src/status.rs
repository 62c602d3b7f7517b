//! `raddle-status.h`: what a function answers, and the message behind it.
//!
//! The message lies on the heap behind a thread-local pointer that has no destructor, so it can be
//! set and read until the thread's last instruction; a late duty of the thread frees it.

use core::{
    cell::Cell,
    ffi::{c_char, c_uint},
    ptr,
};
use std::ffi::CString;

use raddle::{Error, Status, weave};

use crate::boundary::guard;

/// A `RaddleStatus`, which may be any number when it comes from C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct RaddleStatus(c_uint);

impl RaddleStatus {
    /// `RADDLE_STATUS_OK`: it was done.
    pub const OK: Self = Self(0);

    /// The number, as the code of an error.
    pub(crate) fn code(self) -> core::ffi::c_int {
        self.0.cast_signed()
    }
}

impl From<Status> for RaddleStatus {
    #[inline]
    fn from(status: Status) -> Self {
        Self(status as c_uint)
    }
}

thread_local! {
    /// From [`CString::into_raw`], or null.
    static MESSAGE: Cell<*mut c_char> = const { Cell::new(ptr::null_mut()) };
}

/// The status for `result`; keeps the message of an error.
#[inline]
pub(crate) fn answer<E: Into<Error>>(result: Result<(), E>) -> RaddleStatus {
    match result {
        Ok(()) => RaddleStatus::OK,
        Err(error) => refuse(&error.into()),
    }
}

/// The status of `error`, whose message is kept.
#[cold]
pub(crate) fn refuse(error: &Error) -> RaddleStatus {
    let line = error.message().replace(['\0', '\n'], " ");
    let message = CString::new(line).unwrap_or_default().into_raw();
    let old = MESSAGE.replace(message);
    if old.is_null() {
        // Without memory for the duty the message stays when the thread ends: a few bytes.
        let _kept = weave::at_thread_exit(|| free(MESSAGE.replace(ptr::null_mut())));
    } else {
        free(old);
    }
    error.status().into()
}

fn free(message: *mut c_char) {
    if !message.is_null() {
        // SAFETY: what MESSAGE holds came from CString::into_raw, and MESSAGE has let go of it.
        drop(unsafe { CString::from_raw(message) });
    }
}

/// The status that a number from C is, if it is that of a failure.
pub(crate) fn known(number: c_uint) -> Option<Status> {
    let all = [
        Status::Null,
        Status::Invalid,
        Status::NotStarted,
        Status::AlreadyStarted,
        Status::Closed,
        Status::WrongThread,
        Status::WrongOrder,
        Status::Busy,
        Status::Version,
        Status::Start,
        Status::Python,
        Status::NoMemory,
        Status::Stopped,
        Status::TimedOut,
    ];
    all.into_iter().find(|status| *status as c_uint == number)
}

/// See `raddle-status.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_status_name(status: RaddleStatus) -> *const c_char {
    let name = match status.0 {
        0 => c"RADDLE_STATUS_OK",
        1 => c"RADDLE_STATUS_NULL",
        2 => c"RADDLE_STATUS_INVALID",
        3 => c"RADDLE_STATUS_NOT_STARTED",
        4 => c"RADDLE_STATUS_ALREADY_STARTED",
        5 => c"RADDLE_STATUS_CLOSED",
        6 => c"RADDLE_STATUS_WRONG_THREAD",
        7 => c"RADDLE_STATUS_WRONG_ORDER",
        8 => c"RADDLE_STATUS_BUSY",
        9 => c"RADDLE_STATUS_VERSION",
        10 => c"RADDLE_STATUS_START",
        11 => c"RADDLE_STATUS_PYTHON",
        12 => c"RADDLE_STATUS_NO_MEMORY",
        13 => c"RADDLE_STATUS_STOPPED",
        14 => c"RADDLE_STATUS_TIMED_OUT",
        _ => c"RADDLE_STATUS_UNKNOWN",
    };
    name.as_ptr()
}

/// See `raddle-status.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_last_error_message() -> *const c_char {
    guard(|| {
        let message = MESSAGE.get();
        if message.is_null() { c"".as_ptr() } else { message.cast_const() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::CStr;

    fn message() -> String {
        // SAFETY: never null, and ends with a NUL.
        let text = unsafe { CStr::from_ptr(raddle_last_error_message()) };
        text.to_string_lossy().into_owned()
    }

    #[test]
    fn a_success_leaves_the_message_alone() {
        assert_eq!(answer(Err(Error::new(Status::Busy, "one\ntwo"))), Status::Busy.into());
        assert_eq!(answer(Ok::<(), Error>(())), RaddleStatus::OK);
        assert_eq!(message(), "one two");
    }

    #[test]
    fn the_message_is_the_last_failure_s() {
        refuse(&Error::new(Status::Null, "first"));
        refuse(&Error::new(Status::Invalid, "second"));
        assert_eq!(message(), "second");
    }

    #[test]
    fn every_status_has_its_rust_name() {
        let all = [
            Status::Null,
            Status::Invalid,
            Status::NotStarted,
            Status::AlreadyStarted,
            Status::Closed,
            Status::WrongThread,
            Status::WrongOrder,
            Status::Busy,
            Status::Version,
            Status::Start,
            Status::Python,
            Status::NoMemory,
            Status::Stopped,
            Status::TimedOut,
        ];
        for status in all {
            // SAFETY: static text that ends with a NUL.
            let name = unsafe { CStr::from_ptr(raddle_status_name(status.into())) };
            let name = name.to_string_lossy().replace("RADDLE_STATUS_", "").replace('_', "");
            assert_eq!(name, format!("{status:?}").to_uppercase());
        }
    }
}
