//! Raising an exception in another tasklet, and ending one.
//!
//! | the tasklet is | throw | kill |
//! |---|---|---|
//! | the current one | raised here | raised here |
//! | new, or ended | RuntimeError | nothing |
//! | bound, paused, queued | goes on with it at once | likewise |
//! | waiting at a channel | likewise, and waits no more | likewise |
//! | of another thread | goes on with it there | likewise |
//! | of a thread that is gone | RuntimeError | forgets its function |
//!
//! `pending` only makes it runnable: the exception is raised when its turn comes.

#![forbid(unsafe_code)]

use core::ptr;

use super::ops::{self, Raw, refuse};
use super::schedule::schedule;
use super::scheduler::Scheduler;
use super::state::Task;
use super::{bomb, channel, kinds, task};
use crate::object::Pending;

/// Raises what a bomb holds in a tasklet; takes the reference to it.
pub(super) fn throw(task: Task, bomb: Raw, pending: bool) -> Result<Raw, Pending> {
    let s = match Scheduler::here() {
        Ok(s) => s,
        Err(error) => {
            ops::decref(bomb);
            return Err(error);
        }
    };
    let current = s.current.get();
    if current == Some(task) {
        return ops::check(bomb::explode(bomb));
    }
    let home = task.home.get().filter(|home| home.is_alive());
    if !task.is_alive() || home.is_none() {
        let exits = kinds::is_exit(bomb::kind(bomb));
        ops::decref(bomb);
        if exits && !task.is_alive() {
            return Ok(end_dead(task));
        }
        return refuse(if home.is_none() {
            "tasklet has no thread"
        } else {
            "You cannot throw to a dead tasklet"
        });
    }
    let before = task.tempval.replace(bomb);
    let result = if pending {
        make_runnable(task)
    } else {
        s.caller().and_then(|current| schedule(s, current, Some(task))).map(|back| back.value)
    };
    match result {
        Ok(value) => {
            ops::decref(before);
            ops::check(value)
        }
        Err(error) => {
            task.give(before);
            Err(error)
        }
    }
}

/// A dead tasklet was told to exit: it must not be queued anywhere afterwards.
fn end_dead(task: Task) -> Raw {
    if task.is_blocked() && channel::take_out(task).is_some() {
        task.decref();
    }
    ops::new_none()
}

fn make_runnable(task: Task) -> Result<Raw, Pending> {
    let waited = if task.is_blocked() { channel::take_out(task) } else { None };
    let result = task::insert(task);
    match (waited, &result) {
        (Some(place), Err(_)) => channel::put_back(task, place),
        (Some(_), Ok(())) => task.decref(),
        (None, _) => {}
    }
    result.map(|()| ops::new_none())
}

/// `raise kind(value)`, with a traceback, in a tasklet; `None` or null for what is not there.
pub(super) fn throw_parts(
    task: Task,
    pending: bool,
    kind: Raw,
    value: Raw,
    traceback: Raw,
) -> Result<Raw, Pending> {
    let given = |object: Raw| if object.is_null() { ops::none() } else { object };
    let bomb = bomb::of_raise(kind, given(value), given(traceback))?;
    throw(task, bomb, pending)
}

/// `raise class(*arguments)` in a tasklet.
pub(super) fn raise_exception(task: Task, class: Raw, arguments: Raw) -> Result<Raw, Pending> {
    let bomb = bomb::of_class(class, arguments, "tasklet.raise_exception")?;
    throw(task, bomb, false)
}

/// Raises TaskletExit in a tasklet.
pub(super) fn kill(task: Task, pending: bool) -> Result<Raw, Pending> {
    if !task.home.get().is_some_and(Scheduler::is_alive) && !task.has_begun() {
        task.unbind(); // Nobody could run it: it is dead.
    }
    let exit = kinds::tasklet_exit();
    if exit.is_null() {
        return refuse("tasklets have ended with their Python");
    }
    throw_parts(task, pending, exit, ptr::null_mut(), ptr::null_mut())
}
