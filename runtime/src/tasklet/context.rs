//! Context variables: each tasklet has a context of its own to run in, its creator's unless told.

use pyo3_ffi as ffi;

use super::ops::{self, Raw, refuse};
use super::scheduler::Scheduler;
use super::state::Task;
use crate::cpython::tasklet as fields;
use crate::object::Pending;

/// The context that a tasklet runs in, owned: made if it has none.
pub(super) fn of(task: Task) -> Result<Raw, Pending> {
    let Some(home) = task.home.get().filter(|home| home.is_alive()) else {
        return at_rest(task);
    };
    if task.is_current() {
        let mut context = fields::context(home.state.get());
        if context.is_null() {
            if Some(home) != Scheduler::try_here() {
                return refuse(
                    "The tasklet has no context and you can't set one from a foreign thread.",
                );
            }
            // Makes the thread's own as it copies it.
            // SAFETY: Python is held.
            ops::decref(ops::check(unsafe { ffi::PyContext_CopyCurrent() })?);
            context = fields::context(home.state.get());
        }
        return Ok(ops::incref(context));
    }
    at_rest(task)
}

fn at_rest(task: Task) -> Result<Raw, Pending> {
    let context = match task.body() {
        Some(body) => body.running.context(),
        None => task.context.get(),
    };
    if !context.is_null() {
        return Ok(ops::incref(context));
    }
    // SAFETY: Python is held.
    let context = ops::check(unsafe { ffi::PyContext_New() })?;
    put(task, ops::incref(context));
    Ok(context)
}

/// Takes the reference.
fn put(task: Task, context: Raw) {
    match task.body() {
        Some(body) => body.running.set_context(context),
        None => ops::xdecref(task.context.replace(context)),
    }
}

/// Lets a tasklet run in the context of the one that binds it.
pub(super) fn inherit(task: Task) -> Result<(), Pending> {
    let s = Scheduler::here()?;
    let Some(current) = s.current.get() else { return Ok(()) };
    let context = of(current)?;
    let result = set(task, context);
    ops::decref(context);
    result
}

/// `task.set_context(context)`.
pub(super) fn set(task: Task, context: Raw) -> Result<(), Pending> {
    let here = Scheduler::here()?;
    let home = task.home.get().filter(|home| home.is_alive());
    let is_here = home == Some(here);
    let current = task.is_current();
    if home.is_some() && !is_here && (current || task.is_queued() && !task.is_blocked()) {
        return refuse("tasklet belongs to a different thread");
    }
    let before = if current {
        fields::context(here.state.get())
    } else {
        task.body().map_or(task.context.get(), |body| body.running.context())
    };
    if !before.is_null() && fields::is_entered(before) {
        return refuse("the current context of the tasklet has been entered.");
    }
    if current {
        // SAFETY: the state of this thread, with Python held.
        unsafe { fields::replace_context(here.state.get(), ops::incref(context)) };
    } else {
        put(task, ops::incref(context));
    }
    Ok(())
}

/// Calls `function` in the context of a tasklet. What it returns, owned.
pub(super) fn run(
    task: Task,
    function: Raw,
    arguments: Raw,
    keywords: Raw,
) -> Result<Raw, Pending> {
    let s = Scheduler::here()?;
    let context = of(task)?;
    // SAFETY: the state of this thread, with Python held; takes the reference.
    let before = unsafe { fields::exchange_context(s.state.get(), context) };
    let result = ops::call(function, arguments, keywords);
    // SAFETY: as above.
    let context = unsafe { fields::exchange_context(s.state.get(), before) };
    ops::xdecref(context);
    result
}
