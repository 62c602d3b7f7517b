//! `raddle-completion.h`: operations that native code does and Python awaits.

use core::ffi::{c_char, c_uint, c_void};
use std::sync::Arc;

use pyo3_ffi::PyObject;
use raddle::relay::completion::{Data, Operation};
use raddle::{Entry, Error, Status};

use crate::boundary::guard;
use crate::completion::{RaddleCompletions, held, made};
use crate::pointer;
use crate::status::{RaddleStatus, answer};

/// See `raddle-completion.h`.
#[derive(Debug)]
pub struct RaddleOperation(Operation);

/// Does something with the operation behind a pointer.
///
/// # Safety
///
/// `operation` is NULL or an operation.
unsafe fn with(
    operation: *mut RaddleOperation,
    body: impl FnOnce(&Operation) -> Result<(), Error>,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::borrow(operation) }.and_then(|operation| body(&operation.0))))
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue; `cancel` may be called once with `user_data` on the loop's thread,
/// `notify` once on any thread; `out` and `out_future` are NULL or memory for a pointer each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_new(
    completions: *mut RaddleCompletions,
    cancel: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    user_data: *mut c_void,
    notify: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    out: *mut *mut RaddleOperation,
    out_future: *mut *mut PyObject,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let data = unsafe { Data::new(user_data, notify) };
        // SAFETY: by the caller's promise.
        let completions = unsafe { pointer::borrow(completions) };
        answer(completions.and_then(|completions| {
            if out.is_null() || out_future.is_null() {
                return Err(pointer::null());
            }
            held()?;
            let entry = Entry::new()?;
            let call = move || {
                if let Some(cancel) = cancel {
                    // SAFETY: by the caller's promise.
                    unsafe { cancel(data.user_data()) };
                }
            };
            let (operation, future) = completions.queue().start(entry.py(), call)?;
            let operation = Arc::into_raw(Arc::new(RaddleOperation(operation))).cast_mut();
            // SAFETY: by the caller's promise.
            unsafe { out.write(operation) };
            // SAFETY: by the caller's promise.
            unsafe { out_future.write(future.into_ptr()) };
            Ok(())
        }))
    })
}

/// See `raddle-completion.h`. NULL gives NULL.
///
/// # Safety
///
/// `operation` is NULL or an operation of which the caller has a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_ref(
    operation: *mut RaddleOperation,
) -> *mut RaddleOperation {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::share(operation) });
    operation
}

/// See `raddle-completion.h`. NULL is ignored.
///
/// # Safety
///
/// `operation` is NULL or an operation, of which the caller gives up a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_unref(operation: *mut RaddleOperation) {
    // SAFETY: by the caller's promise.
    guard(|| drop(unsafe { pointer::take_shared(operation) }));
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `operation` is NULL or an operation. `make` may be called once with `user_data` on any thread that
/// holds Python, `notify` once on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_finish(
    operation: *mut RaddleOperation,
    make: Option<unsafe extern "C" fn(user_data: *mut c_void) -> *mut PyObject>,
    user_data: *mut c_void,
    notify: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let data = unsafe { Data::new(user_data, notify) };
    let finish = |operation: &Operation| {
        let make = pointer::required(make)?;
        // SAFETY: by the caller's promise.
        operation.finish_with(move |py| unsafe { made(py, make, &data) })
    };
    // SAFETY: by the caller's promise.
    unsafe { with(operation, finish) }
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// As [`raddle_operation_finish`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_fail_with(
    operation: *mut RaddleOperation,
    make: Option<unsafe extern "C" fn(user_data: *mut c_void) -> *mut PyObject>,
    user_data: *mut c_void,
    notify: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let data = unsafe { Data::new(user_data, notify) };
    let fail = |operation: &Operation| {
        let make = pointer::required(make)?;
        // SAFETY: by the caller's promise.
        operation.fail_with(move |py| unsafe { made(py, make, &data) })
    };
    // SAFETY: by the caller's promise.
    unsafe { with(operation, fail) }
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `operation` is NULL or an operation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_finish_none(
    operation: *mut RaddleOperation,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { with(operation, Operation::finish_none) }
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `operation` is NULL or an operation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_finish_bool(
    operation: *mut RaddleOperation,
    value: bool,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { with(operation, |operation| operation.finish(value)) }
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `operation` is NULL or an operation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_finish_int64(
    operation: *mut RaddleOperation,
    value: i64,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { with(operation, |operation| operation.finish(value)) }
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `operation` is NULL or an operation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_finish_double(
    operation: *mut RaddleOperation,
    value: f64,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { with(operation, |operation| operation.finish(value)) }
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `operation` is NULL or an operation, `text` NULL or text that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_finish_utf8(
    operation: *mut RaddleOperation,
    text: *const c_char,
) -> RaddleStatus {
    let finish = |operation: &Operation| {
        // SAFETY: by the caller's promise.
        let text = pointer::required(unsafe { pointer::text(text) }?)?;
        operation.finish(text.to_owned())
    };
    // SAFETY: by the caller's promise.
    unsafe { with(operation, finish) }
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `operation` is NULL or an operation, `bytes` NULL or so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_finish_bytes(
    operation: *mut RaddleOperation,
    bytes: *const c_void,
    length: usize,
) -> RaddleStatus {
    let finish = |operation: &Operation| {
        if bytes.is_null() && length > 0 {
            return Err(pointer::null());
        }
        // SAFETY: by the caller's promise.
        let bytes = unsafe { pointer::slice(bytes.cast::<u8>(), length) };
        operation.finish_bytes(bytes.to_owned())
    };
    // SAFETY: by the caller's promise.
    unsafe { with(operation, finish) }
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `operation` is NULL or an operation, `message` NULL or text that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_fail(
    operation: *mut RaddleOperation,
    status: c_uint,
    message: *const c_char,
) -> RaddleStatus {
    let fail = |operation: &Operation| {
        // SAFETY: by the caller's promise.
        let message = pointer::required(unsafe { pointer::text(message) }?)?;
        let status = crate::status::known(status).ok_or_else(|| {
            let line = "an operation fails with a RaddleStatus other than RADDLE_STATUS_OK";
            Error::new(Status::Invalid, line)
        })?;
        operation.fail(status, message)
    };
    // SAFETY: by the caller's promise.
    unsafe { with(operation, fail) }
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `operation` is NULL or an operation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_operation_is_cancelled(operation: *mut RaddleOperation) -> bool {
    guard(|| {
        // SAFETY: by the caller's promise.
        unsafe { pointer::borrow(operation) }.is_ok_and(|operation| operation.0.is_cancelled())
    })
}
