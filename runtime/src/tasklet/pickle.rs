//! Pickling: a tasklet that has not begun, or has ended, is what it is bound to.
//!
//! One that has begun has C calls on its stack, which no pickle can hold.

use pyo3_ffi as ffi;

use super::ops::{self, Raw, raise, refuse};
use super::state::Task;
use super::{kinds, task};
use crate::object::{Kind, Pending};

/// `(type, (), (flags, tempval, function, args, kwargs))`. Owned.
pub(super) fn reduce(task: Task) -> Result<Raw, Pending> {
    if task.is_current() {
        return refuse("You cannot __reduce__ the tasklet which is current.");
    }
    if task.has_begun() {
        let name = kinds::name_of(task.function.get());
        return refuse(&format!(
            "a tasklet that has begun cannot be pickled: {name} has C calls on its stack"
        ));
    }
    let flags = i64::from(task.atomic.get())
        | i64::from(task.ignore_nesting.get()) << 1
        | i64::from(task.block_trap.get()) << 2;
    let flags = ops::check(ops::integer(flags))?;
    let shown = |part: Raw| if part.is_null() { ops::none() } else { part };
    let bound = [task.function.get(), task.arguments.get(), task.keywords.get()].map(shown);
    let state = ops::tuple([flags, task.tempval.get(), bound[0], bound[1], bound[2]]);
    ops::decref(flags);
    let (state, empty) = (state?, ops::tuple([])?);
    let result = ops::tuple([ops::type_of(task.raw()), empty, state]);
    ops::decref(state);
    ops::decref(empty);
    result
}

/// Takes what [`reduce`] gave. The tasklet, owned.
pub(super) fn set_state(task: Task, state: Raw) -> Result<Raw, Pending> {
    if task.is_alive() {
        return refuse("tasklet is alive");
    }
    // SAFETY: an object.
    let is_tuple = unsafe { ffi::PyTuple_Check(state) } != 0;
    // SAFETY: a tuple.
    if !is_tuple || unsafe { ffi::PyTuple_Size(state) } != 5 {
        return raise(Kind::Type, "this is not the state of a tasklet");
    }
    // SAFETY: within the tuple, lent.
    let part = |index| unsafe { ffi::PyTuple_GetItem(state, index) };
    // SAFETY: an object.
    let flags = unsafe { ffi::PyLong_AsLong(part(0)) };
    if flags == -1 && ops::is_raised() {
        return Err(Pending::is_set());
    }
    task.atomic.set(flags & 1 != 0);
    task.ignore_nesting.set(flags & 2 != 0);
    task.block_trap.set(flags & 4 != 0);
    if part(2) == ops::none() {
        task.give(ops::incref(part(1)));
    } else {
        task::bind(task, part(2), part(3), part(4))?;
        task.give(ops::incref(part(1)));
    }
    Ok(task.new_ref())
}
