//! `raddle-worker.h`: Python callables as the work of native threads.

use core::ffi::{c_int, c_uint, c_void};
use core::ptr;

use ::glib::ffi::{self, GDestroyNotify, GError, GThreadPool, GType};
use ::glib::gobject_ffi::GValue;
use pyo3_ffi::PyObject;
use raddle_glib::call::{self, Work};

use crate::{
    boundary::guard,
    pointer,
    status::{RaddleStatus, answer},
};

unsafe extern "C" {
    // Of GLib 2.70, which glib-sys has behind a feature.
    fn g_thread_pool_new_full(
        run: ffi::GFunc,
        data: *mut c_void,
        throw_away: GDestroyNotify,
        max_threads: c_int,
        exclusive: c_int,
        error: *mut *mut GError,
    ) -> *mut GThreadPool;
}

/// See `raddle-worker.h`.
///
/// # Safety
///
/// `callable` is NULL or alive, of the present runtime's; `value` is NULL or a value's memory, zeroed;
/// `error` is NULL or points to NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_call(
    callable: *mut PyObject,
    kind: GType,
    value: *mut GValue,
    error: *mut *mut GError,
) -> c_int {
    guard(|| {
        // SAFETY: by the caller's promise.
        let called = match unsafe { pointer::callable(callable) } {
            Ok(callable) => call::call_raw(&callable, kind),
            Err(refused) => Err(raddle_glib::failure::of_error(&refused)),
        };
        // SAFETY: by the caller's promise.
        unsafe { pointer::give(called, value, error) }
    })
}

/// See `raddle-worker.h`.
///
/// # Safety
///
/// As [`raddle_call`]; there are `n_arguments` values, initialised, or `arguments` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_call_with_values(
    callable: *mut PyObject,
    kind: GType,
    n_arguments: c_uint,
    arguments: *const GValue,
    value: *mut GValue,
    error: *mut *mut GError,
) -> c_int {
    guard(|| {
        // SAFETY: by the caller's promise.
        let arguments = unsafe { pointer::slice(arguments, n_arguments as usize) };
        let callable = if arguments.len() < n_arguments as usize {
            Err(pointer::null())
        } else {
            // SAFETY: by the caller's promise.
            unsafe { pointer::callable(callable) }
        };
        let called = match callable {
            // SAFETY: so many values.
            Ok(callable) => unsafe {
                call::call_with_values_raw(&callable, kind, arguments.len(), arguments.as_ptr())
            },
            Err(refused) => Err(raddle_glib::failure::of_error(&refused)),
        };
        // SAFETY: by the caller's promise.
        unsafe { pointer::give(called, value, error) }
    })
}

/// See `raddle-worker.h`.
///
/// # Safety
///
/// `error` is NULL or points to NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_thread_pool_new(
    max_threads: c_int,
    exclusive: c_int,
    error: *mut *mut GError,
) -> *mut GThreadPool {
    // SAFETY: two functions for what `raddle_thread_pool_push` pushes, and the caller's promise.
    guard(|| unsafe {
        g_thread_pool_new_full(
            Some(run),
            ptr::null_mut(),
            Some(throw_away),
            max_threads,
            exclusive,
            error,
        )
    })
}

unsafe extern "C" fn run(work: *mut c_void, _: *mut c_void) {
    // SAFETY: what was pushed, given back once.
    if let Some(work) = unsafe { pointer::take_box::<Work>(work.cast()) } {
        // SAFETY: as whoever pushed it promised.
        guard(|| unsafe { work.run() });
    }
}

unsafe extern "C" fn throw_away(work: *mut c_void) {
    // SAFETY: what was pushed, given back once.
    guard(|| drop(unsafe { pointer::take_box::<Work>(work.cast()) }));
}

/// See `raddle-worker.h`.
///
/// # Safety
///
/// `pool` is NULL or was made by `raddle_thread_pool_new`; `callable` is NULL or alive; `done` and
/// `notify` are NULL or may be called with `data` on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_thread_pool_push(
    pool: *mut GThreadPool,
    callable: *mut PyObject,
    kind: GType,
    done: Option<unsafe extern "C" fn(*const GValue, *const GError, *mut c_void)>,
    data: *mut c_void,
    notify: GDestroyNotify,
) -> RaddleStatus {
    guard(|| {
        let push = || {
            if pool.is_null() {
                return Err(pointer::null());
            }
            // SAFETY: by the caller's promise.
            let callable = unsafe { pointer::callable(callable) }?;
            Work::new(callable, kind, done, data, notify)
        };
        match push() {
            Ok(work) => {
                let work = Box::into_raw(work);
                // SAFETY: a pool, which owns the work from here on: a thread that could not be
                // started now is started when the next one ends.
                unsafe { ffi::g_thread_pool_push(pool, work.cast(), ptr::null_mut()) };
                RaddleStatus::OK
            }
            Err(error) => {
                if let Some(notify) = notify {
                    // SAFETY: by the caller's promise.
                    unsafe { notify(data) };
                }
                answer(Err::<(), _>(error))
            }
        }
    })
}
