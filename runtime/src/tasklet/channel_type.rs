//! The Python type `channel`.

use core::ffi::{c_int, c_void};

use pyo3_ffi::{self as ffi, PyGetSetDef, PyMethodDef, PyType_Slot};

use super::bomb;
use super::channel::{self, Channel, Direction};
use super::kinds;
use super::ops::{self, Raw, answer, raise};
use super::scheduler::Scheduler;
use super::state::Task;
use super::tasklet_type::{extent, no_arguments, rest_of};
use crate::class::{
    getters, method_alone, method_fast, method_of_one, no_property, property, settable, setters,
    slot,
};
use crate::object::{Kind, Pending};
use crate::table::Table;

static METHODS: Table<[PyMethodDef; 12]> = Table::new([
    method_fast(
        c"send",
        send,
        c"send(value, /)\n--\n\nGive a value to one who receives, waiting for one.",
    ),
    method_fast(
        c"receive",
        receive,
        c"receive()\n--\n\nThe value of one who sends, waiting for one.",
    ),
    method_fast(
        c"send_exception",
        send_exception,
        c"send_exception(exc, /, *args)\n--\n\nRaise exc(*args) in one who receives.",
    ),
    method_fast(
        c"send_throw",
        send_throw,
        c"send_throw(exc, val=None, tb=None, /)\n--\n\nRaise an exception in one who receives.",
    ),
    method_of_one(
        c"send_sequence",
        send_sequence,
        c"send_sequence(items, /)\n--\n\nSend each item; return how many there were.",
    ),
    method_alone(
        c"close",
        close,
        c"close()\n--\n\nLet nobody wait any more; those who wait are served.",
    ),
    method_alone(c"open", open, c"open()\n--\n\nUndo close()."),
    method_alone(
        c"clear",
        clear_it,
        c"clear()\n--\n\nLet all who wait go on; those who receive get None.",
    ),
    method_alone(c"__reduce__", reduce, c"State for pickle."),
    method_of_one(c"__reduce_ex__", reduce, c"State for pickle."),
    method_of_one(c"__setstate__", set_state, c"Take the state that pickle kept."),
    PyMethodDef::zeroed(),
]);

static PROPERTIES: Table<[PyGetSetDef; 7]> = Table::new([
    property(c"queue", queue, c"The one who has waited longest, or None."),
    property(c"closing", closing, c"Whether it was closed."),
    property(c"closed", closed, c"Whether it was closed and nobody waits."),
    settable(
        c"preference",
        preference,
        set_preference,
        c"Who goes on after a meeting: -1 the receiver, 1 the sender, 0 the one who came.",
    ),
    settable(
        c"schedule_all",
        schedule_all,
        set_schedule_all,
        c"Whether the one who came lets all others run first.",
    ),
    property(c"balance", balance, c"How many wait to send, or (negative) to receive."),
    no_property(),
]);

pub(super) fn slots() -> Vec<PyType_Slot> {
    let new: ffi::newfunc = new;
    let dealloc: ffi::destructor = dealloc;
    let finalize: ffi::destructor = finalize;
    let traverse: ffi::traverseproc = traverse;
    let clear: ffi::inquiry = clear;
    let iter: ffi::getiterfunc = iter;
    let next: ffi::iternextfunc = next;
    let doc = c"channel()\n--\n\nWhere tasklets meet: what one sends another receives, and both wait for that.";
    vec![
        slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast()),
        slot(ffi::Py_tp_new, new as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_finalize, finalize as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_iter, iter as *mut c_void),
        slot(ffi::Py_tp_iternext, next as *mut c_void),
        slot(ffi::Py_tp_methods, METHODS.start()),
        slot(ffi::Py_tp_getset, PROPERTIES.start()),
    ]
}

/// The channel that a method was called on.
///
/// # Safety
///
/// CPython's promise to a method of the type.
#[inline(always)]
unsafe fn of(object: Raw) -> Channel {
    // SAFETY: by the caller's promise.
    unsafe { Channel::from_raw(object) }
}

unsafe extern "C" fn new(class: *mut ffi::PyTypeObject, _: Raw, _: Raw) -> Raw {
    let made = Scheduler::here().and_then(|_| kinds::new_channel(class.cast()));
    answer(made.map(Channel::raw))
}

/// Nobody refers to the channel: those who wait at it would wait for ever.
unsafe extern "C" fn finalize(object: Raw) {
    // SAFETY: a channel.
    let channel = unsafe { of(object) };
    if channel.balance.get() == 0 {
        return;
    }
    let pending = ops::take_raised();
    while let Some(task) = channel.first() {
        channel::take_out(task);
        task.decref(); // Ends it, unless somebody else has it.
    }
    ops::put_raised(pending);
}

unsafe extern "C" fn dealloc(object: Raw) {
    // SAFETY: an object of the type, or what is left of one of a subclass.
    let channel = unsafe { of(object) };
    let class = ops::type_of(object);
    if class == kinds::channel_type() && !ops::finalize(object) {
        return; // Somebody has it again.
    }
    // SAFETY: an object of a type that the collector knows.
    unsafe { ffi::PyObject_GC_UnTrack(object.cast()) };
    if !channel.weak.is_null() {
        // SAFETY: an object whose type has a place for weak references.
        unsafe { ffi::PyObject_ClearWeakRefs(object) };
    }
    while let Some(task) = channel.first() {
        channel::take_out(task);
        task.decref();
    }
    // SAFETY: allocated as a collectable object.
    unsafe { ffi::PyObject_GC_Del(object.cast()) };
    ops::decref(class);
}

unsafe extern "C" fn traverse(object: Raw, visit: ffi::visitproc, argument: *mut c_void) -> c_int {
    // SAFETY: the collector's own function, with its argument.
    let stop = unsafe { visit(ops::type_of(object), argument) };
    if stop != 0 {
        return stop;
    }
    // SAFETY: a channel; perhaps one that is not filled yet.
    let channel = unsafe { of(object) };
    let mut link = channel.head.next();
    while !link.is_null() && link != &raw const channel.head {
        // SAFETY: all but the head are live tasklets, which the channel owns.
        let task = unsafe { Task::of_link(link) };
        // SAFETY: the collector's own function, with its argument.
        let stop = unsafe { visit(task.raw(), argument) };
        if stop != 0 {
            return stop;
        }
        link = task.link.next();
    }
    0
}

unsafe extern "C" fn clear(object: Raw) -> c_int {
    // SAFETY: a channel.
    let channel = unsafe { of(object) };
    while let Some(task) = channel.first() {
        channel::take_out(task);
        task.decref();
    }
    0
}

unsafe extern "C" fn iter(object: Raw) -> Raw {
    ops::incref(object)
}

unsafe extern "C" fn next(object: Raw) -> Raw {
    // SAFETY: a channel.
    channel::next_value(unsafe { of(object) })
}

unsafe extern "C" fn send(object: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    if count != 1 {
        let line = format!("send() takes exactly one argument ({count} given)");
        return answer(raise(Kind::Type, &line));
    }
    // SAFETY: a channel.
    let channel = unsafe { of(object) };
    // SAFETY: there is one.
    let value = unsafe { *args };
    answer(channel::act(channel, value, Direction::Send, extent(args, count)))
}

unsafe extern "C" fn receive(object: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    // SAFETY: a channel.
    let channel = unsafe { of(object) };
    answer(
        no_arguments("receive", count).and_then(|()| {
            channel::act(channel, ops::none(), Direction::Receive, extent(args, count))
        }),
    )
}

/// Sends a bomb, whose reference it takes.
pub(super) fn send_bomb(
    channel: Channel,
    bomb: Result<Raw, Pending>,
    extent: *const Raw,
) -> Result<Raw, Pending> {
    let bomb = bomb?;
    let result = channel::act(channel, bomb, Direction::Send, extent);
    ops::decref(bomb);
    ops::decref(result?);
    Ok(ops::new_none())
}

unsafe extern "C" fn send_exception(object: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    if count < 1 {
        return answer(raise(Kind::Type, "send_exception() takes at least 1 argument"));
    }
    // SAFETY: there is one at least.
    let class = unsafe { *args };
    // SAFETY: a channel.
    let channel = unsafe { of(object) };
    answer(rest_of(args, count).and_then(|rest| {
        let bomb = bomb::of_class(class, rest, "channel.send_exception");
        ops::decref(rest);
        send_bomb(channel, bomb, extent(args, count))
    }))
}

unsafe extern "C" fn send_throw(object: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    if !(1..=3).contains(&count) {
        let line = format!("send_throw() takes from 1 to 3 arguments ({count} given)");
        return answer(raise(Kind::Type, &line));
    }
    let part = |index| {
        let part = ops::argument(args, count, index);
        if part.is_null() { ops::none() } else { part }
    };
    let bomb = bomb::of_raise(part(0), part(1), part(2));
    // SAFETY: a channel.
    answer(send_bomb(unsafe { of(object) }, bomb, extent(args, count)))
}

unsafe extern "C" fn send_sequence(object: Raw, items: Raw) -> Raw {
    // SAFETY: a channel.
    answer(channel::send_sequence(unsafe { of(object) }, items))
}

unsafe extern "C" fn close(object: Raw, _: Raw) -> Raw {
    // SAFETY: a channel.
    unsafe { of(object) }.closing.set(true);
    ops::new_none()
}

unsafe extern "C" fn open(object: Raw, _: Raw) -> Raw {
    // SAFETY: a channel.
    unsafe { of(object) }.closing.set(false);
    ops::new_none()
}

unsafe extern "C" fn clear_it(object: Raw, _: Raw) -> Raw {
    // SAFETY: a channel.
    channel::clear(unsafe { of(object) });
    ops::new_none()
}

/// `(type, (), (balance, flags, [tasklets]))`: one at which tasklets wait that have begun will fail in
/// them.
unsafe extern "C" fn reduce(object: Raw, _: Raw) -> Raw {
    // SAFETY: a channel.
    let channel = unsafe { of(object) };
    answer(reduced(channel))
}

fn reduced(channel: Channel) -> Result<Raw, Pending> {
    if channel.balance.get() != 0 {
        return ops::refuse("a channel at which tasklets wait cannot be pickled");
    }
    let preference = ops::check(ops::integer(channel.preference.get().into()))?;
    let (all, closing) =
        (ops::truth(channel.schedule_all.get()), ops::truth(channel.closing.get()));
    let state = ops::tuple([preference, all, closing]);
    for part in [preference, all, closing] {
        ops::decref(part);
    }
    let (state, empty) = (state?, ops::tuple([])?);
    let result = ops::tuple([ops::type_of(channel.raw()), empty, state]);
    ops::decref(state);
    ops::decref(empty);
    result
}

unsafe extern "C" fn set_state(object: Raw, state: Raw) -> Raw {
    // SAFETY: a channel.
    let channel = unsafe { of(object) };
    // SAFETY: an object.
    let is_tuple = unsafe { ffi::PyTuple_Check(state) } != 0;
    // SAFETY: a tuple.
    if !is_tuple || unsafe { ffi::PyTuple_Size(state) } != 3 {
        return answer(raise(Kind::Type, "this is not the state of a channel"));
    }
    // SAFETY: within the tuple, lent.
    let part = |index| unsafe { ffi::PyTuple_GetItem(state, index) };
    let set = || {
        set_preference_to(channel, part(0))?;
        channel.schedule_all.set(ops::is_true(part(1))?);
        channel.closing.set(ops::is_true(part(2))?);
        Ok(ops::incref(object))
    };
    answer(set())
}

fn set_preference_to(channel: Channel, value: Raw) -> Result<(), Pending> {
    if value.is_null() || !ops::is_int(value) {
        return raise(Kind::Type, "preference must be set to an integer");
    }
    // SAFETY: an int.
    let value = unsafe { ffi::PyLong_AsLong(value) };
    if value == -1 && ops::is_raised() {
        return Err(Pending::is_set());
    }
    channel.preference.set(if value > 0 { 1 } else { -i8::from(value < 0) });
    Ok(())
}

getters! { of:
    queue = |channel| channel.first().map_or_else(ops::new_none, Task::new_ref);
    closing = |channel| ops::truth(channel.closing.get());
    closed = |channel| ops::truth(channel.is_closed());
    preference = |channel| ops::integer(channel.preference.get().into());
    schedule_all = |channel| ops::integer(channel.schedule_all.get().into());
    balance = |channel| ops::integer(channel.balance.get().into());
}

setters! { of:
    set_preference = |channel, value| set_preference_to(channel, value);
    set_schedule_all = |channel, value| {
        if value.is_null() || !ops::is_int(value) {
            raise(Kind::Type, "schedule_all must be set to a bool or integer")
        } else {
            ops::is_true(value).map(|value| channel.schedule_all.set(value))
        }
    };
}
