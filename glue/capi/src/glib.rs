//! `raddle-glib.h`: Python on a GLib main loop.

use core::ffi::{c_int, c_uint, c_void};
use std::time::Duration;

use ::glib::{IOCondition, MainContext, SourceId, ffi, translate::from_glib};
use pyo3_ffi::PyObject;
use raddle::{Entry, Error, Ref, Status, gate};
use raddle_glib::RunError;

use crate::{
    boundary::guard,
    completion::RaddleCompletions,
    pointer,
    status::{RaddleStatus, answer},
};

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `context` is NULL or a main context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_main_context_attach(
    context: *mut ffi::GMainContext,
    hold: c_uint,
    chain: ffi::GPollFunc,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let attach = |hold| raddle_glib::attach(&unsafe { pointer::context(context) }, hold, chain);
    guard(|| answer(pointer::hold(hold).and_then(attach)))
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `context` is NULL or a main context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_main_context_detach(
    context: *mut ffi::GMainContext,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    guard(|| answer(raddle_glib::detach(&unsafe { pointer::context(context) })))
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `object` is NULL, or a reference of the present runtime's that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_destroy_notify(object: *mut c_void) {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { gate::decref(object.cast()) });
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `context` is NULL or a main context, `callable` NULL or a live object, `out_id` NULL or memory
/// for the id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_idle_add(
    context: *mut ffi::GMainContext,
    priority: c_int,
    callable: *mut PyObject,
    out_id: *mut c_uint,
) -> RaddleStatus {
    let make = |context: &_, callable| raddle_glib::idle_add(context, priority.into(), callable);
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { add(context, callable, out_id, make) }))
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// As [`raddle_idle_add`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_timeout_add(
    context: *mut ffi::GMainContext,
    priority: c_int,
    interval_ms: c_uint,
    callable: *mut PyObject,
    out_id: *mut c_uint,
) -> RaddleStatus {
    let interval = Duration::from_millis(interval_ms.into());
    let make = |context: &_, callable| {
        raddle_glib::timeout_add(context, priority.into(), interval, callable)
    };
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { add(context, callable, out_id, make) }))
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// As [`raddle_idle_add`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_fd_add(
    context: *mut ffi::GMainContext,
    priority: c_int,
    fd: c_int,
    condition: c_uint,
    callable: *mut PyObject,
    out_id: *mut c_uint,
) -> RaddleStatus {
    // SAFETY: bits, of which glib keeps those it does not know.
    let condition: IOCondition = unsafe { from_glib(condition) };
    let make = |context: &_, callable| {
        raddle_glib::fd_add(context, priority.into(), fd, condition, callable)
    };
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { add(context, callable, out_id, make) }))
}

/// Has `make` add a source that calls `callable`, and writes its id.
///
/// # Safety
///
/// As [`raddle_idle_add`].
unsafe fn add(
    context: *mut ffi::GMainContext,
    callable: *mut PyObject,
    out_id: *mut c_uint,
    make: impl FnOnce(&MainContext, Ref) -> Result<SourceId, Error>,
) -> Result<(), Error> {
    // SAFETY: by the caller's promise.
    let context = unsafe { pointer::context(context) };
    // SAFETY: by the caller's promise.
    let callable = unsafe { pointer::callable(callable) }?;
    let id = make(&context, callable)?;
    if !out_id.is_null() {
        // SAFETY: by the caller's promise.
        unsafe { out_id.write(id.as_raw()) };
    }
    Ok(())
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `context` is NULL or a main context, `callable` NULL or a live object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_main_context_invoke(
    context: *mut ffi::GMainContext,
    priority: c_int,
    callable: *mut PyObject,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let context = unsafe { pointer::context(context) };
    let invoke = |callable| raddle_glib::invoke(&context, priority.into(), callable);
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::callable(callable) }.and_then(invoke)))
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue, `context` NULL or a main context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_attach(
    completions: *mut RaddleCompletions,
    context: *mut ffi::GMainContext,
    priority: c_int,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let completions = unsafe { pointer::borrow(completions) };
        // SAFETY: by the caller's promise.
        let context = unsafe { pointer::context(context) };
        let attach = |queue: &RaddleCompletions| {
            raddle_glib::attach_completions(&context, priority.into(), queue.queue())
        };
        answer(completions.and_then(attach))
    })
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_detach(
    completions: *mut RaddleCompletions,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let completions = unsafe { pointer::borrow(completions) };
        answer(completions.and_then(|queue| raddle_glib::detach_completions(queue.queue())))
    })
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `main_loop` is NULL or a main loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_main_loop_run(main_loop: *mut ffi::GMainLoop) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let main_loop = unsafe { pointer::main_loop(main_loop) };
        answer(main_loop.and_then(|main_loop| raddle_glib::run(&main_loop).map_err(set_again)))
    })
}

/// The error to answer with; its exception is Python's current one again where Python is held.
fn set_again(error: RunError) -> Error {
    let line = error.to_string();
    match error {
        RunError::Closed(closed) => closed.into(),
        RunError::Raised(raised) => {
            if gate::is_held()
                && let Ok(entry) = Entry::new()
            {
                raised.put_back(entry.py());
            }
            Error::new(Status::Python, line)
        }
    }
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `fields` is NULL or has `n_fields` fields, as GLib describes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_glib_log_writer(
    level: ffi::GLogLevelFlags,
    fields: *const ffi::GLogField,
    n_fields: usize,
    user_data: *mut c_void,
) -> ffi::GLogWriterOutput {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { raddle_glib::log_writer(level, fields, n_fields, user_data) })
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `former` may be called with `user_data` on any thread for good, `notify` with it once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_glib_log_install(
    former: ffi::GLogWriterFunc,
    user_data: *mut c_void,
    notify: ffi::GDestroyNotify,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { raddle_glib::install_log_writer(former, user_data, notify) }))
}
