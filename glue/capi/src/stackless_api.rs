//! `stackless_api.h`: the C API of Stackless Python, on raddle's tasklets.
//!
//! Its functions answer as CPython's do: -1 or null with an exception set. A thread that does not hold
//! Python has nowhere to set one, so the reason goes where the rest of raddle's C API leaves its own.

use core::ffi::{c_int, c_long, c_ulong};
use core::{mem, ptr};

use pyo3_ffi::PyObject;
use raddle::tasklet::raw::{self, Answer, Failed, Hook, ScheduleHook};
use raddle::{Error, Status, gate};

use crate::boundary::guard;
use crate::stackless_channel::PyChannel_TypePtr;
use crate::stackless_tasklet::{PyTasklet_TypePtr, PyTaskletObject};
use crate::status;

/// Has the two pointers follow the types of the Python that runs.
pub(crate) fn install() {
    raw::mirror_types(&PyTasklet_TypePtr, &PyChannel_TypePtr);
}

/// Whether this thread holds Python; if not, its last error says so.
pub(crate) fn is_held() -> bool {
    if gate::is_held() {
        return true;
    }
    let line = "this thread does not hold Python: enter it first";
    status::refuse(&Error::new(Status::WrongOrder, line));
    false
}

/// Answers with an object, or null.
pub(crate) fn object(call: impl FnOnce() -> Answer) -> *mut PyObject {
    guard(|| if is_held() { call().unwrap_or(ptr::null_mut()) } else { ptr::null_mut() })
}

/// Answers with a number, or -1.
pub(crate) fn number(call: impl FnOnce() -> Result<c_int, Failed>) -> c_int {
    guard(|| if is_held() { call().unwrap_or(-1) } else { -1 })
}

/// Answers with 0, or -1.
pub(crate) fn done(call: impl FnOnce() -> Result<(), Failed>) -> c_int {
    number(|| call().map(|()| 0))
}

/// Answers a switch with 0, or -1; what the switch returned is of no use in C.
pub(crate) fn switched(call: impl FnOnce() -> Answer) -> c_int {
    number(|| {
        let object = call()?;
        // SAFETY: a new reference, with Python held.
        unsafe { pyo3_ffi::Py_DECREF(object) };
        Ok(0)
    })
}

/// Answers nothing: an exception is handed to `sys.unraisablehook`, which names `about`.
pub(crate) fn silent(about: *mut PyObject, call: impl FnOnce() -> Result<(), Failed>) {
    guard(|| {
        if is_held() && call().is_err() {
            // SAFETY: Python is held with an exception set; null, or an object that the caller lends.
            unsafe { pyo3_ffi::PyErr_WriteUnraisable(about) };
        }
    });
}

/// See `stackless_api.h`.
///
/// # Safety
///
/// `retval` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyStackless_Schedule(
    retval: *mut PyObject,
    remove: c_int,
) -> *mut PyObject {
    object(|| raw::schedule(retval, remove != 0))
}

/// See `stackless_api.h`.
///
/// # Safety
///
/// `retval` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyStackless_Schedule_nr(
    retval: *mut PyObject,
    remove: c_int,
) -> *mut PyObject {
    object(|| raw::schedule(retval, remove != 0))
}

/// See `stackless_api.h`.
#[unsafe(no_mangle)]
pub extern "C" fn PyStackless_GetRunCount() -> c_int {
    number(raw::run_count)
}

/// See `stackless_api.h`.
#[unsafe(no_mangle)]
pub extern "C" fn PyStackless_GetCurrent() -> *mut PyObject {
    object(raw::current)
}

/// See `stackless_api.h`.
#[unsafe(no_mangle)]
pub extern "C" fn PyStackless_GetCurrentId() -> c_ulong {
    guard(raw::current_id)
}

/// See `stackless_api.h`.
#[unsafe(no_mangle)]
pub extern "C" fn PyStackless_RunWatchdog(timeout: c_long) -> *mut PyObject {
    object(|| raw::run_from_main(timeout))
}

/// See `stackless_api.h`.
#[unsafe(no_mangle)]
pub extern "C" fn PyStackless_RunWatchdogEx(timeout: c_long, flags: c_int) -> *mut PyObject {
    object(|| raw::run_watchdog(timeout, flags))
}

/// See `stackless_api.h`.
///
/// # Safety
///
/// `callable` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyStackless_SetChannelCallback(callable: *mut PyObject) -> c_int {
    done(|| raw::set_hook(Hook::Channel, callable))
}

/// See `stackless_api.h`.
///
/// # Safety
///
/// `callable` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyStackless_SetScheduleCallback(callable: *mut PyObject) -> c_int {
    done(|| raw::set_hook(Hook::Schedule, callable))
}

/// See `stackless_api.h`.
///
/// # Safety
///
/// `func` may be called at each switch from now on, until another one is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyStackless_SetScheduleFastcallback(
    func: Option<
        unsafe extern "C" fn(from: *mut PyTaskletObject, to: *mut PyTaskletObject) -> c_int,
    >,
) {
    // SAFETY: the two differ in the type that the same pointers are given.
    let hook = unsafe { mem::transmute::<Option<_>, Option<ScheduleHook>>(func) };
    guard(|| raw::set_fast_hook(hook));
}

/// See `stackless_api.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyStackless_Call_Main(
    func: *mut PyObject,
    args: *mut PyObject,
    kwds: *mut PyObject,
) -> *mut PyObject {
    object(|| raw::call_main(func, args, kwds))
}
