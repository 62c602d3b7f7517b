//! Who asked to be told: callbacks for channels and switches, and the handler of uncaught errors.

use core::ptr;

use super::channel::{Channel, Direction};
use super::ops::{self, Raw, refuse};
use super::scheduler::Scheduler;
use super::state::Task;
use crate::object::Pending;
use crate::primitive::{AtomicPtr, Ordering};
use crate::shelf::{self, Key};

/// A C function that is told of every switch: null for nobody. Not 0 means that it failed.
pub type ScheduleHook =
    unsafe extern "C" fn(*mut pyo3_ffi::PyObject, *mut pyo3_ffi::PyObject) -> core::ffi::c_int;

static FAST: AtomicPtr<core::ffi::c_void> = AtomicPtr::new(ptr::null_mut());

/// Sets the C function; `None` for none.
pub(super) fn set_fast(hook: Option<ScheduleHook>) {
    let hook = hook.map_or(ptr::null_mut(), |hook| hook as *mut core::ffi::c_void);
    // Relaxed: read with Python held, which is held here.
    FAST.store(hook, Ordering::Relaxed);
}

fn fast() -> Option<ScheduleHook> {
    let hook = FAST.load(Ordering::Relaxed);
    // SAFETY: null, or what `set_fast` stored.
    unsafe { core::mem::transmute::<*mut core::ffi::c_void, Option<ScheduleHook>>(hook) }
}

/// Sets the object at `key` (null for none); returns the one before, owned or null.
pub(super) fn set(key: Key, callable: Raw) -> Raw {
    shelf::swap(ops::held(), key, ops::xincref(callable))
}

/// The object at `key`, owned; null if there is none.
pub(super) fn get(key: Key) -> Raw {
    ops::xincref(shelf::peek(key))
}

/// A switch, a death (`next` is `None`) or a beginning (`prev` is `None`).
#[inline(always)]
pub(super) fn scheduled(s: Scheduler, prev: Option<Task>, next: Option<Task>) {
    let hook = FAST.load(Ordering::Relaxed);
    if !hook.is_null() || !shelf::peek(Key::ScheduleCallback).is_null() {
        tell(s, prev, next);
    }
}

#[cold]
fn tell(s: Scheduler, prev: Option<Task>, next: Option<Task>) {
    if s.in_callback.get() {
        return;
    }
    let pending = ops::take_raised();
    let left = s.left.replace([ptr::null_mut(); 2]);
    let shown = s.shown.replace(prev);
    s.in_callback.set(true);
    let raw = |task: Option<Task>| task.map_or(ops::none(), Task::raw);
    if let Some(hook) = fast() {
        let given = |task: Option<Task>| task.map_or(ptr::null_mut(), Task::raw);
        // SAFETY: whoever set it takes two tasklets, or null.
        if unsafe { hook(given(prev), given(next)) } != 0 {
            if !ops::is_raised() {
                let _set: Result<(), _> = refuse("Error in scheduling callback");
            }
            ops::report_raised(ptr::null_mut());
        }
    }
    let callback = get(Key::ScheduleCallback);
    if !callback.is_null() {
        match ops::call_with(callback, [raw(prev), raw(next)]) {
            Ok(value) => ops::decref(value),
            Err(_) => ops::report_raised(callback),
        }
        ops::decref(callback);
    }
    s.in_callback.set(false);
    s.shown.set(shown);
    s.left.set(left);
    ops::put_raised(pending);
}

/// A send or receive is about to happen, or has happened.
#[inline(always)]
pub(super) fn communicated(
    s: Scheduler,
    channel: Channel,
    task: Task,
    direction: Direction,
    will_block: bool,
) -> Result<(), Pending> {
    if shelf::peek(Key::ChannelCallback).is_null() {
        return Ok(());
    }
    if s.in_callback.get() {
        return refuse("Recursive channel call due to callbacks!");
    }
    tell_of_channel(s, channel, task, direction, will_block);
    Ok(())
}

#[cold]
fn tell_of_channel(
    s: Scheduler,
    channel: Channel,
    task: Task,
    direction: Direction,
    will_block: bool,
) {
    let pending = ops::take_raised();
    let callback = get(Key::ChannelCallback);
    s.in_callback.set(true);
    let (send, block) = (ops::truth(direction == Direction::Send), ops::truth(will_block));
    match ops::call_with(callback, [channel.raw(), task.raw(), send, block]) {
        Ok(value) => ops::decref(value),
        Err(_) => ops::report_raised(callback),
    }
    s.in_callback.set(false);
    for object in [send, block, callback] {
        ops::decref(object);
    }
    ops::put_raised(pending);
}

/// Shows the exception that is set to the error handler. Says whether that took care of it; if not,
/// an exception is set still: that one, or the handler's own.
pub(super) fn handle_error() -> bool {
    let handler = get(Key::ErrorHandler);
    if handler.is_null() {
        return false;
    }
    let parts = ops::take_instance();
    let shown = |part: Raw| if part.is_null() { ops::none() } else { part };
    let arguments = [parts.kind, parts.value, parts.traceback].map(shown);
    let result = ops::call_with(handler, arguments);
    for part in [handler, parts.kind, parts.value, parts.traceback] {
        ops::xdecref(part);
    }
    match result {
        Ok(value) => {
            ops::decref(value);
            true
        }
        Err(_) => false,
    }
}
