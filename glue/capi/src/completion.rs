//! `raddle-completion.h`: queues of completions.

use core::ffi::{c_int, c_void};
use core::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use pyo3_ffi::PyObject;
use raddle::relay::completion::{Budget, Completions, Data, DrainError, Full};
use raddle::{Entry, Error, Status, gate};

use crate::boundary::guard;
use crate::pointer;
use crate::status::{RaddleStatus, answer};

/// See `raddle-completion.h`.
#[derive(Debug)]
pub struct RaddleCompletions(Completions);

impl RaddleCompletions {
    pub(crate) fn queue(&self) -> &Completions {
        &self.0
    }

    fn into_shared(queue: Completions) -> *mut Self {
        Arc::into_raw(Arc::new(Self(queue))).cast_mut()
    }
}

/// So many milliseconds; for ever if that is negative.
fn milliseconds(number: i64) -> Option<Duration> {
    u64::try_from(number).ok().map(Duration::from_millis)
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `out` is NULL or memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_new(
    capacity: u32,
    out: *mut *mut RaddleCompletions,
) -> RaddleStatus {
    let make = || {
        let made = NonZeroU32::new(capacity).map_or_else(Completions::new, Completions::bounded);
        made.map(RaddleCompletions::into_shared)
    };
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::put(out, make) }))
}

/// See `raddle-completion.h`. NULL gives NULL.
///
/// # Safety
///
/// `completions` is NULL or a queue of which the caller has a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_ref(
    completions: *mut RaddleCompletions,
) -> *mut RaddleCompletions {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::share(completions) });
    completions
}

/// See `raddle-completion.h`. NULL is ignored.
///
/// # Safety
///
/// `completions` is NULL or a queue, of which the caller gives up a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_unref(completions: *mut RaddleCompletions) {
    // SAFETY: by the caller's promise.
    guard(|| drop(unsafe { pointer::take_shared(completions) }));
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue. `func` may be called once with `user_data` on any thread that holds
/// Python, `notify` once on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_post(
    completions: *mut RaddleCompletions,
    func: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    user_data: *mut c_void,
    notify: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    unsafe { raddle_completions_post_within(completions, -1, func, user_data, notify) }
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// As [`raddle_completions_post`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_post_within(
    completions: *mut RaddleCompletions,
    timeout_ms: i64,
    func: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    user_data: *mut c_void,
    notify: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let data = unsafe { Data::new(user_data, notify) };
        let full =
            if timeout_ms == 0 { Full::Refuse } else { Full::Wait(milliseconds(timeout_ms)) };
        // SAFETY: by the caller's promise.
        let completions = unsafe { pointer::borrow(completions) };
        answer(completions.and_then(|completions| {
            let func = pointer::required(func)?;
            // SAFETY: by the caller's promise.
            unsafe { completions.0.post_func(func, data, full) }.map_err(Error::from)
        }))
    })
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue; `callable` is NULL or alive until `notify` is called. `make` may be
/// called once with `user_data` on any thread that holds Python, `notify` once on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_post_call(
    completions: *mut RaddleCompletions,
    callable: *mut PyObject,
    make: Option<unsafe extern "C" fn(user_data: *mut c_void) -> *mut PyObject>,
    user_data: *mut c_void,
    notify: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let data = unsafe { Data::new(user_data, notify) };
        // SAFETY: by the caller's promise.
        let completions = unsafe { pointer::borrow(completions) };
        answer(completions.and_then(|completions| {
            if callable.is_null() {
                return Err(pointer::null());
            }
            let full = Full::Wait(None);
            // SAFETY: by the caller's promise.
            let posted = unsafe { completions.0.post_lent(callable, make, data, full) };
            posted.map_err(Error::from)
        }))
    })
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue, `out_count` NULL or memory for the number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_drain(
    completions: *mut RaddleCompletions,
    count: u32,
    time_ms: i64,
    out_count: *mut u32,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let completions = unsafe { pointer::borrow(completions) };
        answer(completions.and_then(|completions| {
            let time = milliseconds(time_ms).unwrap_or(Duration::MAX);
            let budget = Budget { count: if count == 0 { u32::MAX } else { count }, time };
            let was_held = gate::is_held();
            let entry = Entry::new()?;
            let drained = entry.run(|py| completions.0.drain(py, budget)).map_err(|error| {
                let line = Error::new(Status::Python, error.to_string());
                match error {
                    DrainError::Raised(raised) if was_held => {
                        raised.put_back(entry.py());
                        line
                    }
                    DrainError::Raised(_) => line,
                    other => other.into(),
                }
            })?;
            if !out_count.is_null() {
                // SAFETY: by the caller's promise.
                unsafe { out_count.write(drained.ran) };
            }
            Ok(())
        }))
    })
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_close(
    completions: *mut RaddleCompletions,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::borrow(completions) }.map(|queue| queue.0.close())))
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_is_closed(completions: *mut RaddleCompletions) -> bool {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::borrow(completions) }.is_ok_and(|queue| queue.0.is_closed()))
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_get_fd(completions: *mut RaddleCompletions) -> c_int {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::borrow(completions) }.map_or(-1, |queue| queue.0.fd()))
}

/// See `raddle-completion.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "the header describes them")]
pub struct RaddleCompletionsStats {
    pub ran: u64,
    pub raised: u64,
    pub discarded: u64,
    pub refused: u64,
    pub wakeups: u64,
    pub drains: u64,
    pub largest: u64,
    pub waits: u64,
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue, `out` NULL or memory for the figures.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_get_stats(
    completions: *mut RaddleCompletions,
    out: *mut RaddleCompletionsStats,
) -> RaddleStatus {
    let read = |queue: &RaddleCompletions| {
        let stats = queue.0.stats();
        RaddleCompletionsStats {
            ran: stats.ran,
            raised: stats.raised,
            discarded: stats.discarded,
            refused: stats.refused,
            wakeups: stats.wakeups,
            drains: stats.drains,
            largest: stats.largest,
            waits: stats.waits,
        }
    };
    guard(|| {
        // SAFETY: by the caller's promise.
        let completions = unsafe { pointer::borrow(completions) };
        // SAFETY: by the caller's promise.
        answer(completions.and_then(|queue| unsafe { pointer::put(out, || Ok(read(queue))) }))
    })
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `completions` is NULL or a queue, `out_object` NULL or memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_get_object(
    completions: *mut RaddleCompletions,
    out_object: *mut *mut PyObject,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let completions = unsafe { pointer::borrow(completions) };
        answer(completions.and_then(|queue| {
            let make = || {
                held()?;
                let entry = Entry::new()?;
                queue.0.object(entry.py()).map(pyo3::Bound::into_ptr)
            };
            // SAFETY: by the caller's promise.
            unsafe { pointer::put(out_object, make) }
        }))
    })
}

/// See `raddle-completion.h`.
///
/// # Safety
///
/// `object` is NULL or alive, `out` NULL or memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_completions_from_object(
    object: *mut PyObject,
    out: *mut *mut RaddleCompletions,
) -> RaddleStatus {
    guard(|| {
        let make = || {
            // SAFETY: by the caller's promise.
            let object = unsafe { pointer::callable(object) }?;
            let entry = Entry::new()?;
            Completions::of_object(&object.bind(entry.py())).map(RaddleCompletions::into_shared)
        };
        // SAFETY: by the caller's promise.
        answer(unsafe { pointer::put(out, make) })
    })
}

/// Refuses what needs Python held where it is not.
pub(crate) fn held() -> Result<(), Error> {
    if gate::is_held() {
        return Ok(());
    }
    Err(Error::new(Status::WrongOrder, "this thread does not hold Python: enter first"))
}

/// The object that `make` makes of `data`, with Python held; nothing with an exception set.
///
/// # Safety
///
/// `make` may be called once with what `data` carries.
pub(crate) unsafe fn made<'py>(
    py: pyo3::Python<'py>,
    make: unsafe extern "C" fn(user_data: *mut c_void) -> *mut PyObject,
    data: &Data,
) -> Option<pyo3::Bound<'py, pyo3::PyAny>> {
    // SAFETY: by the caller's promise.
    let raw = unsafe { make(data.user_data()) };
    if raw.is_null() {
        return None;
    }
    // SAFETY: a new reference, by the header.
    Some(unsafe { pyo3::Bound::from_owned_ptr(py, raw) })
}
