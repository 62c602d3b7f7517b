//! `raddle-stopper.h`: stopping things, by name, before Python ends.

use core::ffi::{CStr, c_char, c_uint, c_void};
use core::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use raddle::relay::stopper::{Stage, Stopper, at_exit};
use raddle::{Error, Status};

use crate::boundary::guard;
use crate::pointer;
use crate::status::{RaddleStatus, answer, raddle_last_error_message, raddle_status_name};

/// See `raddle-stopper.h`. Stays registered when it is dropped.
#[derive(Debug)]
pub struct RaddleStopper(ManuallyDrop<Stopper>);

type Func = unsafe extern "C" fn(user_data: *mut c_void) -> RaddleStatus;
type Notify = unsafe extern "C" fn(user_data: *mut c_void);

/// A callback with what it owns: dropping it notifies.
struct Callback {
    func: Option<Func>,
    user_data: *mut c_void,
    notify: Option<Notify>,
}

// SAFETY: the header says that both functions may be called on any thread.
unsafe impl Send for Callback {}

impl Callback {
    fn call(self) -> Result<(), String> {
        // SAFETY: whoever registered it promised that it may be called.
        let status = self.func.map(|func| unsafe { func(self.user_data) });
        match status.filter(|status| *status != RaddleStatus::OK) {
            None => Ok(()),
            Some(status) => Err(said(status)),
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(notify) = self.notify {
            // SAFETY: whoever registered it promised that it may be called, once.
            unsafe { notify(self.user_data) };
        }
    }
}

/// What a function that failed has to say: its status, and this thread's message.
fn said(status: RaddleStatus) -> String {
    let text = |text: *const c_char| {
        // SAFETY: both functions answer with a text that ends with a NUL.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    };
    let (name, message) = (text(raddle_status_name(status)), text(raddle_last_error_message()));
    if message.is_empty() { name } else { format!("{name}: {message}") }
}

fn stage(number: c_uint) -> Result<Stage, Error> {
    let stage = Stage::ALL.into_iter().find(|stage| *stage as c_uint == number);
    stage.ok_or_else(|| Error::new(Status::Invalid, "a RaddleStage is one of RADDLE_STAGE_…"))
}

/// See `raddle-stopper.h`.
///
/// # Safety
///
/// `name` is NULL or ends with a NUL; `func` and `notify` may be called once with `user_data`, on any
/// thread; `out` is NULL or points to memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_stopper_new(
    name: *const c_char,
    stage_number: c_uint,
    timeout_ms: i64,
    func: Option<unsafe extern "C" fn(user_data: *mut c_void) -> RaddleStatus>,
    user_data: *mut c_void,
    notify: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    out: *mut *mut RaddleStopper,
) -> RaddleStatus {
    let callback = Callback { func, user_data, notify };
    guard(|| {
        // SAFETY: by the caller's promise.
        let name = unsafe { pointer::text(name) };
        let make = || {
            pointer::required(callback.func)?;
            let patience = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
            let name = pointer::required(name?)?;
            at_exit(stage(stage_number)?, name, patience, move || callback.call())
        };
        answer(make().map(|stopper| {
            if out.is_null() {
                stopper.keep();
            } else {
                let stopper = Arc::new(RaddleStopper(ManuallyDrop::new(stopper)));
                // SAFETY: by the caller's promise.
                unsafe { out.write(Arc::into_raw(stopper).cast_mut()) };
            }
        }))
    })
}

/// See `raddle-stopper.h`. NULL gives NULL.
///
/// # Safety
///
/// `stopper` is NULL or a stopper of which the caller has a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_stopper_ref(stopper: *mut RaddleStopper) -> *mut RaddleStopper {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::share(stopper) });
    stopper
}

/// See `raddle-stopper.h`. NULL is ignored.
///
/// # Safety
///
/// `stopper` is NULL or a stopper, of which the caller gives up a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_stopper_unref(stopper: *mut RaddleStopper) {
    // SAFETY: by the caller's promise.
    guard(|| drop(unsafe { pointer::take_shared(stopper) }));
}

/// See `raddle-stopper.h`. NULL is not there.
///
/// # Safety
///
/// `stopper` is NULL or a stopper.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_stopper_remove(stopper: *mut RaddleStopper) -> bool {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::borrow(stopper) }.is_ok_and(|stopper| stopper.0.take_back()))
}
