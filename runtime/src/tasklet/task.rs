//! What can be done to a tasklet: bind it, put it into a queue, take it out, run it.

use core::ptr;

use pyo3_ffi as ffi;

use super::ops::{self, Raw, raise, refuse};
use super::schedule::{self, schedule};
use super::scheduler::Scheduler;
use super::state::Task;
use super::{context, thread};
use crate::cpython::tasklet as fields;
use crate::object::{Kind, Pending};

/// What may be `None` or null for "not given".
fn given(object: Raw) -> Raw {
    if object == ops::none() { ptr::null_mut() } else { object }
}

/// Binds a tasklet to a function, and to arguments if there are any; without all of them it is unbound.
pub(super) fn bind(
    task: Task,
    function: Raw,
    arguments: Raw,
    keywords: Raw,
) -> Result<(), Pending> {
    let (function, arguments, keywords) = (given(function), given(arguments), given(keywords));
    if !function.is_null() && !ops::is_callable(function) {
        return raise(Kind::Type, "tasklet function must be a callable or None");
    }
    // SAFETY: null or an object.
    if !arguments.is_null() && unsafe { ffi::PyTuple_Check(arguments) } == 0 {
        return raise(Kind::Type, "tasklet args must be a tuple or None");
    }
    // SAFETY: null or an object.
    if !keywords.is_null() && unsafe { ffi::PyDict_Check(keywords) } == 0 {
        return raise(Kind::Type, "tasklet kwargs must be a dictionary or None");
    }
    if task.is_current() {
        return refuse("can't (re)bind the current tasklet");
    }
    if task.is_queued() {
        return refuse("tasklet is scheduled");
    }
    let bare = arguments.is_null() && keywords.is_null();
    if task.is_main() && bare {
        return refuse("can't unbind the main tasklet");
    }
    if task.has_begun() {
        return refuse("tasklet has C state on its stack");
    }
    if !function.is_null() {
        context::inherit(task)?;
    }
    task.unbind();
    if bare {
        task.give(ops::incref(if function.is_null() { ops::none() } else { function }));
        return Ok(());
    }
    let before = (!function.is_null()).then(|| task.tempval.replace(ops::incref(function)));
    let arguments = if arguments.is_null() {
        // SAFETY: Python is held.
        ops::check(unsafe { ffi::PyTuple_New(0) })
    } else {
        Ok(ops::incref(arguments))
    };
    let result = arguments.and_then(|arguments| {
        let result = give_arguments(task, arguments, keywords);
        ops::decref(arguments);
        result
    });
    match (before, &result) {
        (Some(before), Ok(())) => ops::decref(before),
        (Some(before), Err(_)) => task.give(before),
        (None, _) => {}
    }
    result
}

/// Makes a tasklet that has a function ready to run.
fn give_arguments(task: Task, arguments: Raw, keywords: Raw) -> Result<(), Pending> {
    let function = task.tempval.get();
    if function == ops::none() {
        return refuse("the tasklet was not bound to a function");
    }
    if !task.home.get().is_some_and(Scheduler::is_alive) {
        return refuse("tasklet has no thread");
    }
    let function = task.claim();
    ops::xdecref(task.function.replace(function));
    ops::xdecref(task.arguments.replace(ops::incref(arguments)));
    ops::xdecref(task.keywords.replace(ops::xincref(keywords)));
    Ok(())
}

/// `task(*arguments, **keywords)`: gives it arguments and puts it into the run queue.
pub(super) fn setup(task: Task, arguments: Raw, keywords: Raw) -> Result<(), Pending> {
    if task.is_alive() {
        return refuse("tasklet is alive");
    }
    give_arguments(task, arguments, keywords)?;
    let Some(home) = task.home.get() else { return refuse("tasklet has no thread") };
    task.incref();
    home.insert(task);
    thread::wake(home);
    Ok(())
}

/// Puts a tasklet at the end of its thread's run queue.
pub(super) fn insert(task: Task) -> Result<(), Pending> {
    if task.is_blocked() {
        return refuse("You cannot run a blocked tasklet");
    }
    if task.is_queued() {
        return Ok(());
    }
    let Some(home) = task.home.get().filter(|home| home.is_alive()) else {
        return refuse("Target thread isn't initialized");
    };
    if !task.is_alive() && !task.is_current() {
        return refuse("You cannot run an unbound(dead) tasklet");
    }
    task.incref();
    home.insert(task);
    thread::wake(home);
    Ok(())
}

/// Takes a tasklet out of the run queue.
pub(super) fn remove(task: Task) -> Result<(), Pending> {
    let Some(home) = task.home.get().filter(|home| home.is_alive()) else { return Ok(()) };
    if task.is_blocked() {
        return refuse("You cannot remove a blocked tasklet.");
    }
    if task.is_current() {
        return refuse("The current tasklet cannot be removed.");
    }
    if task.is_queued() {
        home.remove(task);
        task.decref();
    }
    Ok(())
}

/// `task.run()`: it runs now, and this tasklet again when its turn comes. `task.switch()`: this tasklet
/// leaves the run queue too. What it is given when it goes on, owned.
#[inline]
pub(super) fn run(task: Task, replace: bool, extent: *const Raw) -> Result<Raw, Pending> {
    let s = Scheduler::here()?;
    let prev = s.caller()?;
    prev.set_extent(extent);
    let result = run_here(s, prev, task, replace);
    prev.set_extent(ptr::null());
    result
}

#[inline]
fn run_here(s: Scheduler, prev: Task, task: Task, replace: bool) -> Result<Raw, Pending> {
    if task.home.get() != Some(s) {
        return run_elsewhere(s, prev, task, replace);
    }
    let inserted = !task.is_queued();
    insert(task)?;
    let replace = replace && prev != task;
    if replace {
        s.remove_current();
        schedule::leave(s, prev.raw());
    }
    match schedule(s, prev, Some(task)) {
        Ok(back) => {
            if !back.switched {
                schedule::let_go(s);
            }
            back.answer()
        }
        Err(pending) => {
            if replace {
                s.left.set([ptr::null_mut(); 2]);
                if !prev.is_queued() {
                    s.unremove(prev);
                }
            }
            if inserted && task.is_queued() {
                s.remove(task);
                task.decref();
            }
            Err(pending)
        }
    }
}

/// Another thread's tasklet: next in turn there.
#[cold]
fn run_elsewhere(s: Scheduler, prev: Task, task: Task, replace: bool) -> Result<Raw, Pending> {
    let Some(there) = task.home.get().filter(|home| home.is_alive()) else {
        return refuse("tasklet has no thread");
    };
    if replace {
        return refuse("can't switch to a different thread.");
    }
    let current = there.current.get();
    if there.waiting.is_idle() {
        insert(task)?;
        there.current.set(Some(task));
    } else if let Some(current) = current {
        there.current.set(Some(Scheduler::after(current)));
        let result = insert(task);
        there.current.set(Some(current));
        result?;
    } else {
        insert(task)?;
    }
    schedule(s, prev, Some(prev))?.answer()
}

/// Moves a tasklet that has not begun to another thread: this one, or the one with an identity.
pub(super) fn bind_thread(task: Task, ident: Option<u64>) -> Result<(), Pending> {
    let here = Scheduler::here()?;
    if ident.is_none() && task.home.get() == Some(here) {
        return Ok(());
    }
    if task.is_queued() && !task.is_blocked() {
        return refuse("can't (re)bind a runnable tasklet");
    }
    if task.has_begun() {
        return refuse("tasklet has C state on its stack");
    }
    let there = match ident {
        None => Some(here),
        Some(ident) => thread::all().into_iter().find(|other| other.ident.get() == ident),
    };
    let Some(there) = there else { return raise(Kind::Value, "bad thread") };
    if let Some(before) = task.home.replace(Some(there.count())) {
        before.uncount();
    }
    Ok(())
}

/// How often the interpreter's loop was entered from C on its stack.
pub(super) fn nesting_level(task: Task) -> i32 {
    let Some(home) = task.home.get().filter(|home| home.is_alive()) else { return 0 };
    if task.is_current() {
        // SAFETY: the current tasklet's fields are in its thread's state; Python is held.
        return unsafe { fields::nesting(home.state.get()) };
    }
    task.body().map_or(0, |body| body.running.nesting(home.state.get()))
}

/// How many Python calls are open on its stack.
pub(super) fn recursion_depth(task: Task) -> i32 {
    let Some(home) = task.home.get().filter(|home| home.is_alive()) else { return 0 };
    if task.is_current() {
        // SAFETY: as above.
        return unsafe { fields::depth(home.state.get()) };
    }
    task.body().map_or(0, |body| body.running.depth(home.state.get()))
}

/// The frame that it executes, owned; `None` if it has none.
pub(super) fn frame(task: Task) -> Result<Raw, Pending> {
    ops::audit(c"sys._getframe")?;
    let Some(home) = task.home.get().filter(|home| home.is_alive()) else {
        return Ok(ops::new_none());
    };
    let state = if task.is_current() {
        home.state.get()
    } else {
        task.body().map_or(ptr::null_mut(), |body| body.running.parked())
    };
    if state.is_null() {
        return Ok(ops::new_none());
    }
    // SAFETY: a live state, with Python held; a new reference or null.
    let frame = unsafe { ffi::PyThreadState_GetFrame(state) };
    Ok(if frame.is_null() { ops::new_none() } else { frame.cast() })
}
