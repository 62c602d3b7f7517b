//! The functions of `raddle-glib.h` about asyncio: the event loop of a main context, and what its
//! host wants to be told.

use core::ffi::c_void;
use core::ptr;

use ::glib::MainContext;
use ::glib::ffi::{self, GError};
use ::glib::gobject_ffi::GValue;
use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::PyObject;
use raddle::{Error, Status};
use raddle_glib::call::Work;
use raddle_glib::coroutine;

use crate::boundary::guard;
use crate::pointer;
use crate::status::{RaddleStatus, answer};

type Func = unsafe extern "C" fn(exception: *mut PyObject, user_data: *mut c_void);
type Notify = unsafe extern "C" fn(user_data: *mut c_void);

/// A callback with what it owns: dropping it notifies.
struct Callback {
    func: Option<Func>,
    user_data: *mut c_void,
    notify: Option<Notify>,
}

// SAFETY: the header says on which thread the function is called, and that `notify` may be on any.
unsafe impl Send for Callback {}
// SAFETY: as above; the function is called by one thread at a time, with Python held.
unsafe impl Sync for Callback {}

impl Callback {
    fn call(&self, exception: Option<&Bound<'_, PyAny>>) {
        if let Some(func) = self.func {
            let exception = exception.map_or(ptr::null_mut(), Bound::as_ptr);
            // SAFETY: whoever set it promised that it may be called; the exception is lent.
            unsafe { func(exception, self.user_data) };
        }
    }

    fn into_on_error(self) -> impl Fn(Python<'_>, &Bound<'_, PyAny>) + Send + Sync + 'static {
        move |_, error| self.call(Some(error))
    }

    fn into_on_quit(
        self,
    ) -> impl Fn(Python<'_>, Option<&Bound<'_, PyAny>>) + Send + Sync + 'static {
        move |_, error| self.call(error)
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(notify) = self.notify {
            // SAFETY: whoever set it promised that it may be called, once.
            unsafe { notify(self.user_data) };
        }
    }
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `context` is NULL or a main context; `out` is NULL or points to memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_asyncio_get_loop(
    context: *mut ffi::GMainContext,
    out: *mut *mut PyObject,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let context = unsafe { pointer::context(context) };
        let make = || {
            let event_loop = raddle_glib::event_loop(&context)?;
            raddle::enter(|py| event_loop.bind(py).into_ptr()).map_err(Error::from)
        };
        // SAFETY: by the caller's promise.
        answer(unsafe { pointer::put(out, make) })
    })
}

/// Makes the callback, and has `set` take it for what it is; none for a function that is NULL.
///
/// # Safety
///
/// `context` is NULL or a main context; `func` may be called as the header says, `notify` once.
unsafe fn set(
    context: *mut ffi::GMainContext,
    callback: Callback,
    set: impl FnOnce(&MainContext, Option<Callback>) -> Result<(), Error>,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let context = unsafe { pointer::context(context) };
        answer(set(&context, callback.func.is_some().then_some(callback)))
    })
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `context` is NULL or a main context; `func` may be called with an exception and `user_data` on the
/// thread that runs it, `notify` once, on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_asyncio_set_error_func(
    context: *mut ffi::GMainContext,
    func: Option<unsafe extern "C" fn(exception: *mut PyObject, user_data: *mut c_void)>,
    user_data: *mut c_void,
    notify: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> RaddleStatus {
    let callback = Callback { func, user_data, notify };
    let on_error = |context: &_, callback: Option<Callback>| {
        raddle_glib::on_error(context, callback.map(Callback::into_on_error))
    };
    // SAFETY: by the caller's promise.
    unsafe { set(context, callback, on_error) }
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `context` is NULL or a main context; `func` may be called with an exception or NULL and `user_data`
/// on the thread that runs it, `notify` once, on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_asyncio_set_quit_func(
    context: *mut ffi::GMainContext,
    func: Option<unsafe extern "C" fn(exception: *mut PyObject, user_data: *mut c_void)>,
    user_data: *mut c_void,
    notify: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> RaddleStatus {
    let callback = Callback { func, user_data, notify };
    let on_quit = |context: &_, callback: Option<Callback>| {
        raddle_glib::on_quit(context, callback.map(Callback::into_on_quit))
    };
    // SAFETY: by the caller's promise.
    unsafe { set(context, callback, on_quit) }
}

/// See `raddle-glib.h`.
///
/// # Safety
///
/// `context` is NULL or a main context, `callable` NULL or a live object, `cancellable` NULL or an instance
/// of some type, alive; `done` may be called with `user_data` on the thread that runs the context, `notify`
/// once, on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_asyncio_run(
    context: *mut ffi::GMainContext,
    callable: *mut PyObject,
    cancellable: *mut c_void,
    kind: ffi::GType,
    done: Option<unsafe extern "C" fn(*const GValue, *const GError, *mut c_void)>,
    user_data: *mut c_void,
    notify: ffi::GDestroyNotify,
) -> RaddleStatus {
    guard(|| {
        // SAFETY: by the caller's promise.
        let context = unsafe { pointer::context(context) };
        let make = || {
            // SAFETY: by the caller's promise.
            let callable = unsafe { pointer::callable(callable) }?;
            Work::new(callable, kind, done, user_data, notify)
        };
        let work = make().inspect_err(|_| {
            if let Some(notify) = notify {
                // SAFETY: by the caller's promise.
                unsafe { notify(user_data) };
            }
        });
        let start = |work| {
            // SAFETY: by the caller's promise.
            let cancellable = match unsafe { pointer::object(cancellable) } {
                Err(refused) if refused.status() == Status::Null => ptr::null_mut(),
                other => other?,
            };
            // SAFETY: by the caller's promise.
            unsafe { coroutine::start(&context, cancellable, work) }
        };
        answer(work.and_then(start))
    })
}
