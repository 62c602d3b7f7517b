//! `raddle-weave.h`: functions that run when a thread ends.

use core::ffi::c_void;

use raddle::weave;

use crate::boundary::guard;
use crate::pointer::null;
use crate::status::{RaddleStatus, answer};

/// See `raddle-weave.h`.
///
/// # Safety
///
/// `func` may be called with `user_data` when this thread ends, and returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_at_thread_exit(
    func: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    user_data: *mut c_void,
) -> RaddleStatus {
    guard(|| {
        answer(func.ok_or_else(null).and_then(|func| {
            // SAFETY: by the caller's promise.
            unsafe { weave::call_at_thread_exit(func, user_data) }
        }))
    })
}
