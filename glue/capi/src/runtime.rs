//! `raddle-runtime.h`: starting, adopting and stopping Python.

use core::ffi::{c_char, c_int};
use core::ptr;
use std::ffi::CString;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use raddle::{Error, Options, Runtime, Status, embed};

use crate::{
    boundary::{guard, one_line_per_panic},
    pointer,
    status::{RaddleStatus, answer},
};

/// See `raddle-runtime.h`.
#[derive(Debug)]
pub struct RaddleOptions(Options);

/// See `raddle-runtime.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_options_new() -> *mut RaddleOptions {
    guard(|| Box::into_raw(Box::new(RaddleOptions(Options::new()))))
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL, or from `raddle_options_new` and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_free(options: *mut RaddleOptions) {
    // SAFETY: by the caller's promise.
    guard(|| drop(unsafe { pointer::take_box(options) }));
}

/// Changes a record by a text that may be NULL.
///
/// # Safety
///
/// `options` is NULL or a record that no other thread uses now; `text` is NULL or ends with a NUL.
unsafe fn set(
    options: *mut RaddleOptions,
    text: *const c_char,
    change: impl FnOnce(&mut Options, Option<&str>) -> Result<(), Error>,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let options = unsafe { pointer::borrow_mut(options) };
        // SAFETY: by the caller's promise.
        let text = unsafe { pointer::text(text) };
        answer(options.and_then(|options| change(&mut options.0, text?)))
    })
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record of this thread's; `program_name` is NULL or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_set_program_name(
    options: *mut RaddleOptions,
    program_name: *const c_char,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { set(options, program_name, |to, text| store(&mut to.program_name, text)) }
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record of this thread's; `home` is NULL or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_set_home(
    options: *mut RaddleOptions,
    home: *const c_char,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { set(options, home, |to, text| store(&mut to.home, text)) }
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record of this thread's; `venv` is NULL or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_set_venv(
    options: *mut RaddleOptions,
    venv: *const c_char,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { set(options, venv, |to, text| store(&mut to.venv, text)) }
}

fn store<T: for<'a> From<&'a str>>(to: &mut Option<T>, text: Option<&str>) -> Result<(), Error> {
    *to = text.map(T::from);
    Ok(())
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record of this thread's; `argv` is NULL or has `argc` texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_set_argv(
    options: *mut RaddleOptions,
    argc: c_int,
    argv: *const *const c_char,
) -> RaddleStatus {
    let change = |to: &mut Options, _: Option<&str>| {
        // SAFETY: by the caller's promise.
        let texts = unsafe { pointer::texts(argc, argv) }?;
        to.argv = texts.into_iter().map(str::to_owned).collect();
        Ok(())
    };
    // SAFETY: by the caller's promise; there is no other text.
    unsafe { set(options, ptr::null(), change) }
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record of this thread's; `folder` is NULL or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_add_search_path(
    options: *mut RaddleOptions,
    folder: *const c_char,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { set(options, folder, |to, text| add(&mut to.search_paths, text)) }
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record of this thread's; `folder` is NULL or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_add_plugin_folder(
    options: *mut RaddleOptions,
    folder: *const c_char,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { set(options, folder, |to, text| add(&mut to.plugin_folders, text)) }
}

fn add<T: for<'a> From<&'a str>>(to: &mut Vec<T>, text: Option<&str>) -> Result<(), Error> {
    to.push(T::from(pointer::required(text)?));
    Ok(())
}

/// Changes one switch of a record.
///
/// # Safety
///
/// `options` is NULL or a record that no other thread uses now.
unsafe fn switch(options: *mut RaddleOptions, change: impl FnOnce(&mut Options)) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::borrow_mut(options) }.map(|options| change(&mut options.0))))
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record of this thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_set_signal_handlers(
    options: *mut RaddleOptions,
    install: bool,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { switch(options, |to| to.signal_handlers = install) }
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record of this thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_set_timing(
    options: *mut RaddleOptions,
    timing: bool,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { switch(options, |to| to.timing = timing) }
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record of this thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_set_reap_on_exit(
    options: *mut RaddleOptions,
    here: bool,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { switch(options, |to| to.reap_on_exit = here) }
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record of this thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_options_set_answer_ft_utils(
    options: *mut RaddleOptions,
    answer: bool,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { switch(options, |to| to.answer_ft_utils = answer) }
}

/// See `raddle-runtime.h`. A reference is one count of an `Arc`.
#[derive(Debug)]
pub struct RaddleRuntime(Runtime);

fn shared(runtime: Runtime) -> *mut RaddleRuntime {
    Arc::into_raw(Arc::new(RaddleRuntime(runtime))).cast_mut()
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `options` is NULL or a record; `out` is NULL or points to memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_runtime_new(
    options: *const RaddleOptions,
    out: *mut *mut RaddleRuntime,
) -> RaddleStatus {
    one_line_per_panic();
    guard(|| {
        // SAFETY: by the caller's promise; NULL stands for a fresh record.
        let options = unsafe { pointer::borrow(options) };
        let options = options.map_or_else(|_| Options::new(), |options| options.0.clone());
        // SAFETY: by the caller's promise.
        answer(unsafe { pointer::put(out, || Runtime::start(&options).map(shared)) })
    })
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `out` is NULL or points to memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_runtime_adopt(out: *mut *mut RaddleRuntime) -> RaddleStatus {
    one_line_per_panic();
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::put(out, || Runtime::adopt().map(shared)) }))
}

/// See `raddle-runtime.h`. NULL gives NULL.
///
/// # Safety
///
/// `runtime` is NULL or a runtime of which the caller has a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_runtime_ref(runtime: *mut RaddleRuntime) -> *mut RaddleRuntime {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::share(runtime) });
    runtime
}

/// See `raddle-runtime.h`. NULL is ignored.
///
/// # Safety
///
/// `runtime` is NULL or a runtime, of which the caller gives up a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_runtime_unref(runtime: *mut RaddleRuntime) {
    // SAFETY: by the caller's promise.
    guard(|| drop(unsafe { pointer::take_shared(runtime) }));
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `runtime` is NULL or a runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_runtime_stop(
    runtime: *mut RaddleRuntime,
    timeout_ms: i64,
) -> RaddleStatus {
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    guard(|| {
        // SAFETY: by the caller's promise.
        let runtime = unsafe { pointer::borrow(runtime) };
        answer(runtime.and_then(|runtime| Ok(runtime.0.stop(timeout)?)))
    })
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `runtime` is NULL or a runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_runtime_abandon(runtime: *mut RaddleRuntime) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::borrow(runtime) }.map(|runtime| runtime.0.abandon())))
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `runtime` is NULL or a runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_runtime_set_latency(
    runtime: *mut RaddleRuntime,
    microseconds: i64,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let runtime = unsafe { pointer::borrow(runtime) };
        let latency = u64::try_from(microseconds).map(Duration::from_micros);
        let latency = latency.map_err(|_| Error::new(Status::Invalid, "a latency is not negative"));
        answer(runtime.and_then(|runtime| runtime.0.set_latency(latency?)))
    })
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `runtime` is NULL or a runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_runtime_get_generation(runtime: *mut RaddleRuntime) -> u64 {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::borrow(runtime) }.map_or(0, |runtime| runtime.0.generation()))
}

/// See `raddle-runtime.h`.
///
/// # Safety
///
/// `runtime` is NULL or a runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_runtime_is_open(runtime: *mut RaddleRuntime) -> bool {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::borrow(runtime) }.is_ok_and(|runtime| runtime.0.is_open()))
}

/// See `raddle-runtime.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_python_abi() -> *const c_char {
    static ABI: OnceLock<CString> = OnceLock::new();
    guard(|| ABI.get_or_init(|| CString::new(embed::python_abi()).unwrap_or_default()).as_ptr())
}
