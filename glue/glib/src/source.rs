//! Sources that carry Python callables: idle, timeout, fd, and a call on a context's own thread.
//!
//! GLib owns the closure, the closure owns the callable: it is dropped exactly once, on whichever
//! thread destroys the source, and [`Ref`] makes that thread not matter.
#![forbid(unsafe_code)]

use std::os::fd::RawFd;
use std::time::Duration;

use glib::{IOCondition, MainContext, Priority, SourceId};
use raddle::{Error, Ref};

use crate::callable::{Arguments, Callable};
use crate::gsource;

/// Calls `callable` when `context` is idle, until it returns something false.
///
/// What it raises goes to `sys.unraisablehook` and removes the source; but KeyboardInterrupt and
/// SystemExit end the innermost [`run`](crate::run) of the thread, if there is one.
///
/// To remove the source earlier, ask the context for it:
/// `context.find_source_by_id(&id)`, then `destroy()`, on any thread.
///
/// # Errors
///
/// [`Status::Invalid`](raddle::Status::Invalid) if it is not callable; what [`raddle::enter`] says
/// if the gate is closed. The callable is dropped then.
pub fn idle_add(
    context: &MainContext,
    priority: Priority,
    callable: impl Into<Ref>,
) -> Result<SourceId, Error> {
    let callable = Callable::new(callable.into())?;
    let call = move || callable.call(Arguments::None);
    Ok(glib::idle_source_new(Some("raddle-idle"), priority, call).attach(Some(context)))
}

/// [`idle_add`] for every `interval`, to the millisecond.
///
/// # Errors
///
/// As [`idle_add`].
pub fn timeout_add(
    context: &MainContext,
    priority: Priority,
    interval: Duration,
    callable: impl Into<Ref>,
) -> Result<SourceId, Error> {
    let callable = Callable::new(callable.into())?;
    let call = move || callable.call(Arguments::None);
    let source = glib::timeout_source_new(interval, Some("raddle-timeout"), priority, call);
    Ok(source.attach(Some(context)))
}

/// [`idle_add`] for whenever `fd` is ready for `condition`; the callable gets `(fd, condition)`, two
/// integers, of which the second says what it is ready for.
///
/// The file descriptor stays the caller's and must stay open while the source is there.
///
/// # Errors
///
/// As [`idle_add`].
pub fn fd_add(
    context: &MainContext,
    priority: Priority,
    fd: RawFd,
    condition: IOCondition,
    callable: impl Into<Ref>,
) -> Result<SourceId, Error> {
    let callable = Callable::new(callable.into())?;
    let ready = Box::new(move |fd, condition| callable.call(Arguments::Ready(fd, condition)));
    Ok(gsource::fd_source(fd, condition, priority, c"raddle-fd", ready).attach(Some(context)))
}

/// Calls `callable` once on the thread that runs `context`: at once if that is this thread, as
/// `g_main_context_invoke_full` decides.
///
/// # Errors
///
/// As [`idle_add`]. What the callable raises is not among them: that goes the way of a source's.
pub fn invoke(
    context: &MainContext,
    priority: Priority,
    callable: impl Into<Ref>,
) -> Result<(), Error> {
    let callable = Callable::new(callable.into())?;
    context.invoke_with_priority(priority, move || {
        callable.call(Arguments::None);
    });
    Ok(())
}
