//! What traces and profiles a tasklet: `sys.settrace` and `sys.setprofile` of its own.

use core::ffi::CStr;
use core::ptr;

use super::ops::{self, Raw, refuse};
use super::scheduler::Scheduler;
use super::state::Task;
use crate::cpython::tasklet as fields;
use crate::object::{Object, Pending};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    Trace,
    Profile,
}

impl Which {
    const fn setter(self) -> &'static CStr {
        match self {
            Self::Trace => c"settrace",
            Self::Profile => c"setprofile",
        }
    }
}

/// `sys.settrace(function)`, whichever fields are in the thread state.
fn call_setter(which: Which, function: Raw) -> Result<(), Pending> {
    let Some(setter) = Object::of_sys(ops::held(), which.setter()) else {
        return refuse("the sys module has lost its functions");
    };
    ops::call_with(setter.as_ptr(), [function]).map(ops::decref)
}

/// The function, lent; `None` if there is none.
pub(super) fn get(task: Task, which: Which) -> Raw {
    let home = task.home.get().filter(|home| home.is_alive());
    let function = match (home, task.body()) {
        (Some(home), _) if task.is_current() => {
            fields::traced_by(home.state.get(), which == Which::Profile)
        }
        (_, Some(body)) => body.running.traced_by(which == Which::Profile),
        (_, None) if which == Which::Trace => task.trace.get(),
        (_, None) => task.profile.get(),
    };
    if function.is_null() { ops::none() } else { function }
}

/// Sets it; `None` for none.
pub(super) fn set(task: Task, which: Which, function: Raw) -> Result<(), Pending> {
    let home = task.home.get().filter(|home| home.is_alive());
    if task.is_current() {
        if home != Scheduler::try_here() {
            return refuse(match which {
                Which::Trace => {
                    "You cannot set the trace function of the current tasklet of another thread"
                }
                Which::Profile => {
                    "You cannot set the profile function of the current tasklet of another thread"
                }
            });
        }
        return call_setter(which, function);
    }
    if task.has_begun() {
        return set_suspended(task, which, function);
    }
    let place = if which == Which::Trace { &task.trace } else { &task.profile };
    let function = if function == ops::none() { ptr::null_mut() } else { ops::incref(function) };
    ops::xdecref(place.replace(function));
    Ok(())
}

fn set_suspended(task: Task, which: Which, function: Raw) -> Result<(), Pending> {
    let s = Scheduler::here()?;
    let Some(body) = task.body() else { return Ok(()) };
    if task.home.get() != Some(s) {
        return refuse("tasklet belongs to a different thread");
    }
    let state = s.state.get();
    // SAFETY: this thread's state, and a suspended tasklet of it.
    unsafe { body.running.swap_trace(state) };
    let result = call_setter(which, function);
    // SAFETY: as above.
    unsafe { body.running.swap_trace(state) };
    result
}

/// A tasklet has got its record: what was set before goes there.
pub(super) fn begin(_s: Scheduler, task: Task) -> Result<(), Pending> {
    for (which, place) in [(Which::Trace, &task.trace), (Which::Profile, &task.profile)] {
        let function = place.replace(ptr::null_mut());
        if !function.is_null() {
            let result = set_suspended(task, which, function);
            ops::decref(function);
            result?;
        }
    }
    Ok(())
}
