//! `raddle-scheduler.h`: a main context that runs tasklets, and what they wait for.

use core::ffi::{c_int, c_uint, c_void};
use core::ptr;
use std::sync::Arc;
use std::time::Duration;

use ::glib::ffi;
use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::PyObject;
use raddle::primitive::{Mutex, lock};
use raddle::tasklet::raw::Failed;
use raddle::tasklet::reply::Reply;
use raddle::tasklet::wait;
use raddle::{Entry, Error, Raised, Status, gate};
use raddle_glib::Turns;

use crate::boundary::guard;
use crate::pointer;
use crate::status::{RaddleStatus, answer};

type Func = unsafe extern "C" fn(exception: *mut PyObject, user_data: *mut c_void);
type Notify = unsafe extern "C" fn(user_data: *mut c_void);

/// Something of C's with how to free it: dropping it does.
#[derive(Debug)]
struct Owned {
    data: *mut c_void,
    notify: Option<Notify>,
}

// SAFETY: the header says that `notify` may be called on any thread; the data is only passed on.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

impl Owned {
    /// The data, which is the caller's from here on.
    fn into_data(mut self) -> *mut c_void {
        self.notify = None;
        self.data
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(notify) = self.notify {
            // SAFETY: whoever gave it promised that it may be called, once.
            unsafe { notify(self.data) };
        }
    }
}

/// So many milliseconds; for ever if that is negative.
fn milliseconds(number: i64) -> Option<Duration> {
    u64::try_from(number).ok().map(Duration::from_millis)
}

/// See `raddle-scheduler.h`.
///
/// # Safety
///
/// `context` is NULL or a main context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_scheduler_attach(
    context: *mut ffi::GMainContext,
    budget_us: c_uint,
    priority: c_int,
) -> RaddleStatus {
    let mut turns = Turns { priority: priority.into(), ..Turns::default() };
    if budget_us > 0 {
        turns.budget = Duration::from_micros(budget_us.into());
    }
    // SAFETY: by the caller's promise.
    guard(|| answer(raddle_glib::attach_scheduler(&unsafe { pointer::context(context) }, turns)))
}

/// See `raddle-scheduler.h`.
///
/// # Safety
///
/// `context` is NULL or a main context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_scheduler_detach(context: *mut ffi::GMainContext) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    guard(|| answer(raddle_glib::detach_scheduler(&unsafe { pointer::context(context) })))
}

/// See `raddle-scheduler.h`.
///
/// # Safety
///
/// `context` is NULL or a main context; `func` may be called with an exception and `user_data` on the thread
/// that iterates it, `notify` once, on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_scheduler_set_error_func(
    context: *mut ffi::GMainContext,
    func: Option<unsafe extern "C" fn(exception: *mut PyObject, user_data: *mut c_void)>,
    user_data: *mut c_void,
    notify: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> RaddleStatus {
    let owned = Owned { data: user_data, notify };
    guard(|| {
        let on_error = func.map(|func| on_error(func, owned));
        // SAFETY: by the caller's promise.
        let context = unsafe { pointer::context(context) };
        answer(raddle_glib::on_scheduler_error(&context, on_error))
    })
}

fn on_error(
    func: Func,
    owned: Owned,
) -> impl Fn(Python<'_>, &Bound<'_, PyAny>) + Send + Sync + 'static {
    move |_, exception| {
        let owned = &owned;
        // SAFETY: whoever set it promised that it may be called; the exception is lent.
        unsafe { func(exception.as_ptr(), owned.data) };
    }
}

/// Waits as a tasklet: on a thread that holds Python.
fn waiting<T>(wait: impl FnOnce() -> Result<T, Failed>) -> Result<T, Error> {
    if let Some(closed) = gate::refusal() {
        return Err(closed.into());
    }
    if !gate::is_held() {
        let line = "this thread does not hold Python: enter it first";
        return Err(Error::new(Status::WrongOrder, line));
    }
    wait().map_err(|_set| {
        // SAFETY: held: it was asked above, and the wait has come back with it.
        let py = unsafe { Python::assume_attached() };
        let Some(raised) = Raised::take(py) else {
            return Error::new(Status::Python, "an error without an exception");
        };
        let error = Error::new(Status::Python, raised.line().to_owned());
        raised.put_back(py);
        error
    })
}

/// See `raddle-scheduler.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_sleep(microseconds: i64) -> RaddleStatus {
    let time = u64::try_from(microseconds).ok().map(Duration::from_micros);
    guard(|| answer(waiting(|| wait::sleep(time))))
}

/// See `raddle-scheduler.h`.
///
/// # Safety
///
/// `out_ready` is NULL or memory for the events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_wait_fd(
    fd: c_int,
    events: c_uint,
    timeout_ms: i64,
    out_ready: *mut c_uint,
) -> RaddleStatus {
    guard(|| {
        let ready = waiting(|| wait::wait_fd(fd, events, milliseconds(timeout_ms)));
        answer(ready.and_then(|ready| {
            if ready == 0 {
                return Err(timed_out());
            }
            if !out_ready.is_null() {
                // SAFETY: by the caller's promise.
                unsafe { out_ready.write(ready) };
            }
            Ok(())
        }))
    })
}

fn timed_out() -> Error {
    Error::new(Status::TimedOut, "the time has passed")
}

/// See `raddle-scheduler.h`.
#[derive(Debug, Default)]
pub struct RaddleReply {
    reply: Reply,
    given: Mutex<Option<Owned>>,
}

/// See `raddle-scheduler.h`.
///
/// # Safety
///
/// `out` is NULL or memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_reply_new(out: *mut *mut RaddleReply) -> RaddleStatus {
    let make = || Ok(Arc::into_raw(Arc::new(RaddleReply::default())).cast_mut());
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::put(out, make) }))
}

/// See `raddle-scheduler.h`. NULL gives NULL.
///
/// # Safety
///
/// `reply` is NULL or one of which the caller has a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_reply_ref(reply: *mut RaddleReply) -> *mut RaddleReply {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::share(reply) });
    reply
}

/// See `raddle-scheduler.h`. NULL is ignored.
///
/// # Safety
///
/// `reply` is NULL or one of which the caller gives up a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_reply_unref(reply: *mut RaddleReply) {
    // SAFETY: by the caller's promise.
    guard(|| drop(unsafe { pointer::take_shared(reply) }));
}

/// See `raddle-scheduler.h`.
///
/// # Safety
///
/// `reply` is NULL or a reply; `notify` may be called once with `data`, on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_reply_give(
    reply: *mut RaddleReply,
    data: *mut c_void,
    notify: Option<unsafe extern "C" fn(data: *mut c_void)>,
) -> RaddleStatus {
    let owned = Owned { data, notify };
    guard(|| {
        // SAFETY: by the caller's promise.
        let reply = unsafe { pointer::borrow(reply) };
        answer(reply.and_then(|reply| {
            let _entry = Entry::new()?;
            let mut given = lock(&reply.given);
            if given.is_none() {
                *given = Some(owned);
                drop(given);
                // SAFETY: Python's own None.
                let none = unsafe { pyo3_ffi::Py_None() };
                // SAFETY: alive as long as Python.
                reply.reply.give(unsafe { pyo3_ffi::Py_NewRef(none) });
            } else {
                drop(given);
                drop(owned); // Not under the lock: it may be anything.
            }
            Ok(())
        }))
    })
}

/// See `raddle-scheduler.h`.
///
/// # Safety
///
/// `reply` is NULL or a reply that lives during the call; `out_data` is NULL or memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_reply_wait(
    reply: *mut RaddleReply,
    timeout_ms: i64,
    out_data: *mut *mut c_void,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let reply = unsafe { pointer::borrow(reply) };
        answer(reply.and_then(|reply| {
            let none = waiting(|| reply.reply.wait(milliseconds(timeout_ms)))?;
            if none.is_null() {
                return Err(timed_out());
            }
            // SAFETY: owned, and Python is held.
            unsafe { pyo3_ffi::Py_DECREF(none) };
            let given = lock(&reply.given).take();
            let data = match given {
                Some(owned) if out_data.is_null() => {
                    drop(owned);
                    ptr::null_mut()
                }
                Some(owned) => owned.into_data(),
                None => ptr::null_mut(),
            };
            if !out_data.is_null() {
                // SAFETY: by the caller's promise.
                unsafe { out_data.write(data) };
            }
            Ok(())
        }))
    })
}
