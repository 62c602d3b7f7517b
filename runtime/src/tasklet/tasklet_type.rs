//! The Python type `tasklet`.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3_ffi::{self as ffi, PyGetSetDef, PyMethodDef, PyObject, PyType_Slot};

use super::kinds;
use super::ops::{self, Raw, answer, answered, raise, status};
use super::raw::or_none;
use super::scheduler::Scheduler;
use super::state::Task;
use super::trace::{self, Which};
use super::{context, pickle, task, thread, throw, watchdog};
use crate::arguments::{self, Argument, Call, Creation};
use crate::class::{
    getters, method_alone, method_fast, method_of_one, method_of_tuple, no_property, property,
    settable, setters, slot,
};
use crate::object::{Answer, Kind, Object, Pending};
use crate::row;
use crate::table::Table;

// What may suspend its caller is of the kind whose arguments lie on the caller's stack of values: by their
// place the collector knows where those values end.
static METHODS: Table<[PyMethodDef; 19]> = Table::new([
    method_alone(c"insert", insert, c"insert()\n--\n\nPut it at the end of the run queue, unless it waits at a channel."),
    method_fast(c"run", run, c"run()\n--\n\nLet it run now; the caller goes on when its turn comes."),
    method_fast(c"switch", switch, c"switch()\n--\n\nLet it run now; the caller leaves the run queue."),
    method_alone(c"remove", remove, c"remove()\n--\n\nTake it out of the run queue."),
    method_of_one(c"set_atomic", set_atomic, c"set_atomic(flag, /)\n--\n\nKeep the watchdog from interrupting it, or not; return what was before."),
    method_of_one(c"set_ignore_nesting", set_ignore_nesting, c"set_ignore_nesting(flag, /)\n--\n\nLet the watchdog interrupt it inside calls from C, or not; return what was before."),
    row::function(c"throw", throw_it, c"throw(exc, val=None, tb=None, pending=False)\n--\n\nRaise an exception in it, at once or when its turn comes."),
    method_fast(c"raise_exception", raise_exception, c"raise_exception(exc, /, *args)\n--\n\nRaise exc(*args) in it, at once."),
    row::function(c"kill", kill, c"kill(pending=False)\n--\n\nRaise TaskletExit in it, at once or when its turn comes."),
    row::function(c"bind", bind, c"bind(func=None, args=None, kwargs=None)\n--\n\nBind it to a function, and to arguments; with None for all, unbind it."),
    method_of_tuple(c"setup", setup, c"setup(*args, **kwargs)\n--\n\nGive it its arguments and put it into the run queue."),
    method_alone(c"__reduce__", reduce, c"State for pickle: of a tasklet that has not begun, or has ended."),
    method_of_one(c"__reduce_ex__", reduce, c"State for pickle: of a tasklet that has not begun, or has ended."),
    method_of_one(c"__setstate__", set_state, c"Take the state that pickle kept."),
    method_fast(c"bind_thread", bind_thread, c"bind_thread(thread_id=-1, /)\n--\n\nMove a tasklet that has not begun to this thread, or to another one."),
    method_of_tuple(c"context_run", context_run, c"context_run(callable, /, *args, **kwargs)\n--\n\nCall something in the context of the tasklet."),
    method_of_one(c"set_context", set_context, c"set_context(context, /)\n--\n\nLet it run in a context of contextvars."),
    method_alone(c"__sizeof__", size_of_it, c"Bytes of memory, its stack's reserve left out."),
    PyMethodDef::zeroed(),
]);

static PROPERTIES: Table<[PyGetSetDef; 29]> = Table::new([
    property(c"next", next, c"The next tasklet in the chain that it is in."),
    property(c"prev", prev, c"The tasklet before it in the chain that it is in."),
    property(c"_channel", channel, c"The channel that it waits at."),
    property(c"blocked", blocked, c"Whether it waits at a channel."),
    property(c"atomic", atomic, c"Whether the watchdog leaves it alone."),
    property(
        c"ignore_nesting",
        ignore_nesting,
        c"Whether the watchdog may interrupt it inside calls from C.",
    ),
    property(c"frame", frame, c"The frame that it executes."),
    settable(
        c"block_trap",
        block_trap,
        set_block_trap,
        c"Whether waiting at a channel raises instead.",
    ),
    property(c"is_main", is_main, c"Whether it is the main tasklet of its thread."),
    property(c"is_current", is_current, c"Whether it runs now."),
    property(c"paused", paused, c"Whether it is alive, and neither queued nor waiting."),
    property(c"scheduled", scheduled, c"Whether it is queued, or waits at a channel."),
    property(c"recursion_depth", recursion_depth, c"How many Python calls are open in it."),
    property(c"nesting_level", nesting_level, c"How many calls from C to Python are open in it."),
    property(c"restorable", restorable, c"Whether pickle could bring it back as it is."),
    property(c"alive", alive, c"Whether it has something to run."),
    property(c"thread_id", thread_id, c"The identity of its thread; -1 if that is gone."),
    settable(
        c"trace_function",
        trace_function,
        set_trace_function,
        c"What traces it: sys.settrace of its own.",
    ),
    settable(
        c"profile_function",
        profile_function,
        set_profile_function,
        c"What profiles it: sys.setprofile of its own.",
    ),
    property(c"context_id", context_id, c"The id of its context."),
    settable(
        c"tempval",
        tempval,
        set_tempval,
        c"What it gets when it goes on; its function, before it is set up.",
    ),
    property(c"times_switched_to", times_switched_to, c"How often it was switched to."),
    property(
        c"run_time",
        run_time,
        c"Nanoseconds that it ran, if stackless.set_timing(True) has them counted.",
    ),
    property(c"function", function, c"What it was bound to."),
    property(
        c"pending_irq",
        pending_irq,
        c"Whether the watchdog will interrupt it as soon as it may.",
    ),
    property(
        c"stack_size",
        stack_size,
        c"Bytes of C stack that are reserved for it; 0 before it begins.",
    ),
    property(
        c"stack_pointer",
        stack_pointer,
        c"Where its registers lie while it is suspended, for debuggers; 0 while it is not.",
    ),
    property(c"cstate", cstate, c"None: there is no object for the C stack here."),
    no_property(),
]);

pub(super) fn slots() -> Vec<PyType_Slot> {
    let new: ffi::newfunc = new;
    let init: ffi::initproc = init;
    let call: ffi::ternaryfunc = setup;
    let dealloc: ffi::destructor = dealloc;
    let finalize: ffi::destructor = finalize;
    let traverse: ffi::traverseproc = traverse;
    let clear: ffi::inquiry = clear;
    let doc = c"tasklet(func=None, args=None, kwargs=None)\n--\n\nA function that runs on a stack of its own, \
and takes turns with others.";
    vec![
        slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast()),
        slot(ffi::Py_tp_new, new as *mut c_void),
        slot(ffi::Py_tp_init, init as *mut c_void),
        slot(ffi::Py_tp_call, call as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_finalize, finalize as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_methods, METHODS.start()),
        slot(ffi::Py_tp_getset, PROPERTIES.start()),
    ]
}

/// The tasklet that a method was called on.
///
/// # Safety
///
/// CPython's promise to a method of the type.
#[inline(always)]
unsafe fn of(object: Raw) -> Task {
    // SAFETY: by the caller's promise.
    unsafe { Task::from_raw(object) }
}

/// Where the arguments of a fast call end.
#[inline(always)]
pub(super) fn extent(arguments: *const Raw, count: ffi::Py_ssize_t) -> *const Raw {
    arguments.wrapping_offset(count)
}

/// Refuses arguments to a method that takes none.
#[inline(always)]
pub(super) fn no_arguments(name: &str, count: ffi::Py_ssize_t) -> Result<(), Pending> {
    if count == 0 {
        return Ok(());
    }
    raise(Kind::Type, &format!("{name}() takes no arguments ({count} given)"))
}

unsafe extern "C" fn new(class: *mut ffi::PyTypeObject, _: Raw, _: Raw) -> Raw {
    let made = Scheduler::here().and_then(|s| kinds::new_tasklet(class.cast(), s));
    answer(made.map(Task::raw))
}

unsafe extern "C" fn init(object: Raw, args: Raw, kwargs: Raw) -> c_int {
    let names = [c"func", c"args", c"kwargs"];
    // SAFETY: a tuple, and a dict or null.
    let call = unsafe { Creation::new(ops::held(), args, kwargs) };
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    status(call.bind("tasklet", names, 0).and_then(|bound| {
        let [function, args, kwargs] = bound.map(Argument::as_ptr);
        task::bind(task, function, args, kwargs)
    }))
}

unsafe extern "C" fn dealloc(object: Raw) {
    // SAFETY: an object of the type, or what is left of one of a subclass.
    let task = unsafe { of(object) };
    let class = ops::type_of(object);
    // One of a subclass was finalized by the subclass.
    if class == kinds::tasklet_type() && !ops::finalize(object) {
        return; // Somebody has it again.
    }
    // SAFETY: an object of a type that the collector knows.
    unsafe { ffi::PyObject_GC_UnTrack(object.cast()) };
    if !task.weak.is_null() {
        // SAFETY: an object whose type has a place for weak references.
        unsafe { ffi::PyObject_ClearWeakRefs(object) };
    }
    if task.has_begun() && !task.is_main() {
        thread::leak(task); // It was finalized in vain, or without having been asked.
    }
    drop_contents(task);
    ops::xdecref(task.tempval.replace(ptr::null_mut()));
    if let Some(home) = task.home.take() {
        home.uncount();
    }
    // SAFETY: allocated as a collectable object.
    unsafe { ffi::PyObject_GC_Del(object.cast()) };
    ops::decref(class);
}

fn drop_contents(task: Task) {
    task.unbind();
    for place in [&task.context, &task.trace, &task.profile] {
        ops::xdecref(place.replace(ptr::null_mut()));
    }
}

/// Nobody refers to it any more: one that has begun is ended by TaskletExit.
unsafe extern "C" fn finalize(object: Raw) {
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    if !task.has_begun() || task.is_main() || task.is_current() {
        return;
    }
    let pending = ops::take_raised();
    task.zombie.set(true);
    let here = Scheduler::try_here();
    let is_mine = task.home.get() == here && here.is_some_and(Scheduler::is_alive);
    let lives = task.home.get().is_some_and(Scheduler::is_alive) && !thread::is_ending();
    for _ in 0..10 {
        if !task.has_begun() || !lives {
            break;
        }
        // One of another thread is ended there: it is in that thread's queue, and so referred to again.
        match throw::kill(task, !is_mine) {
            Ok(value) => ops::decref(value),
            Err(_) => ops::report_raised(object),
        }
        if !is_mine {
            break;
        }
    }
    if task.has_begun() && (is_mine || !lives) && !task.is_queued() {
        thread::leak(task);
    }
    task.zombie.set(false);
    ops::put_raised(pending);
}

unsafe extern "C" fn traverse(object: Raw, visit: ffi::visitproc, argument: *mut c_void) -> c_int {
    // SAFETY: a tasklet; perhaps one that is not filled yet.
    let task = unsafe { of(object) };
    let owned = [
        ops::type_of(object),
        task.tempval.get(),
        task.function.get(),
        task.arguments.get(),
        task.keywords.get(),
        task.context.get(),
        task.trace.get(),
        task.profile.get(),
    ];
    for part in owned.into_iter().filter(|part| !part.is_null()) {
        // SAFETY: the collector's own function, with its argument.
        let stop = unsafe { visit(part, argument) };
        if stop != 0 {
            return stop;
        }
    }
    match task.body() {
        Some(body) if !task.is_main() && !task.is_current() => {
            // SAFETY: called as tp_traverse; suspended, since it has begun and is not the current one.
            unsafe { body.running.traverse(body.extent.get().cast(), visit, argument) }
        }
        _ => 0,
    }
}

unsafe extern "C" fn clear(object: Raw) -> c_int {
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    if !task.has_begun() {
        drop_contents(task);
        task.give(ops::new_none());
    }
    0
}

unsafe extern "C" fn insert(object: Raw, _: Raw) -> Raw {
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(task::insert(task).map(|()| task.new_ref()))
}

unsafe extern "C" fn remove(object: Raw, _: Raw) -> Raw {
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(task::remove(task).map(|()| task.new_ref()))
}

unsafe extern "C" fn run(object: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(no_arguments("run", count).and_then(|()| task::run(task, false, extent(args, count))))
}

unsafe extern "C" fn switch(object: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(no_arguments("switch", count).and_then(|()| task::run(task, true, extent(args, count))))
}

unsafe extern "C" fn setup(object: Raw, args: Raw, kwargs: Raw) -> Raw {
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(task::setup(task, args, kwargs).map(|()| task.new_ref()))
}

fn bind(call: Call<'_>) -> Answer<'_> {
    let bound = call.bind("bind", [c"func", c"args", c"kwargs"], 0)?;
    let [function, args, kwargs] = bound.map(Argument::as_ptr);
    // SAFETY: a tasklet.
    let task = unsafe { of(call.this()) };
    task::bind(task, function, args, kwargs)?;
    Ok(call.itself())
}

fn throw_it(call: Call<'_>) -> Answer<'_> {
    let bound = call.bind("throw", [c"exc", c"val", c"tb", c"pending"], 1)?;
    let [kind, value, traceback, _] = bound.map(Argument::as_ptr);
    let pending = bound[3].truth(false)?;
    // SAFETY: a tasklet.
    let task = unsafe { of(call.this()) };
    answered(throw::throw_parts(task, pending, kind, value, traceback))
}

unsafe extern "C" fn raise_exception(object: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    if count < 1 {
        return answer(raise(Kind::Type, "raise_exception() takes at least 1 argument"));
    }
    // SAFETY: there is one at least.
    let class = unsafe { *args };
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(rest_of(args, count).and_then(|rest| {
        let result = throw::raise_exception(task, class, rest);
        ops::decref(rest);
        result
    }))
}

/// The arguments but the first, as a tuple. Owned.
pub(super) fn rest_of(args: *const Raw, count: ffi::Py_ssize_t) -> Result<Raw, Pending> {
    // SAFETY: there are `count` of them, one at least.
    let args = unsafe { core::slice::from_raw_parts(args, count.unsigned_abs()) };
    // SAFETY: all are alive.
    unsafe { arguments::tuple(ops::held(), &args[1..]) }.map(Object::into_ptr)
}

fn kill(call: Call<'_>) -> Answer<'_> {
    let [pending] = call.bind("kill", [c"pending"], 0)?;
    let pending = pending.truth(false)?;
    // SAFETY: a tasklet.
    answered(throw::kill(unsafe { of(call.this()) }, pending))
}

unsafe extern "C" fn reduce(object: Raw, _: Raw) -> Raw {
    // SAFETY: a tasklet.
    answer(pickle::reduce(unsafe { of(object) }))
}

unsafe extern "C" fn set_state(object: Raw, state: Raw) -> Raw {
    // SAFETY: a tasklet.
    answer(pickle::set_state(unsafe { of(object) }, state))
}

unsafe extern "C" fn bind_thread(object: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    let ident = match count {
        0 => Ok(None),
        // SAFETY: there is one.
        1 => thread_ident(unsafe { *args }),
        _ => raise(Kind::Type, "bind_thread() takes at most 1 argument"),
    };
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(ident.and_then(|ident| task::bind_thread(task, ident)).map(|()| ops::new_none()))
}

/// The identity of a thread; `None` for -1, which is this one.
pub(super) fn thread_ident(number: Raw) -> Result<Option<u64>, Pending> {
    if !ops::is_int(number) {
        return raise(Kind::Type, "a thread id must be an int");
    }
    // SAFETY: an int.
    let ident = unsafe { ffi::PyLong_AsUnsignedLongLongMask(number) };
    Ok((ident != u64::MAX).then_some(ident))
}

unsafe extern "C" fn context_run(object: Raw, args: Raw, kwargs: Raw) -> Raw {
    // SAFETY: a tuple.
    let count = unsafe { ffi::PyTuple_Size(args) };
    if count < 1 {
        return answer(raise(Kind::Type, "run() missing 1 required positional argument"));
    }
    // SAFETY: within the tuple, lent.
    let function = unsafe { ffi::PyTuple_GetItem(args, 0) };
    // SAFETY: a tuple.
    let rest = ops::check(unsafe { ffi::PyTuple_GetSlice(args, 1, count) });
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(rest.and_then(|rest| {
        let result = context::run(task, function, rest, kwargs);
        ops::decref(rest);
        result
    }))
}

unsafe extern "C" fn set_context(object: Raw, given: Raw) -> Raw {
    // SAFETY: an object.
    if unsafe { ffi::PyContext_CheckExact(given) } == 0 {
        let name = kinds::type_name(given);
        let line = format!("set_context() argument must be contextvars.Context, not {name}");
        return answer(raise(Kind::Type, &line));
    }
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(context::set(task, given).map(|()| task.new_ref()))
}

unsafe extern "C" fn size_of_it(object: Raw, _: Raw) -> Raw {
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    let body = if task.has_begun() { size_of::<super::state::Body>() } else { 0 };
    ops::unsigned((size_of::<super::state::TaskletObject>() + body) as u64)
}

fn flag(object: Raw, name: &str) -> Result<bool, Pending> {
    if object.is_null() || !ops::is_int(object) {
        return raise(Kind::Type, name);
    }
    ops::is_true(object)
}

unsafe extern "C" fn set_atomic(object: Raw, value: Raw) -> Raw {
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(flag(value, "set_atomic needs exactly one bool or integer").map(|value| {
        let before = task.atomic.replace(value);
        watchdog::check_pending(task);
        ops::truth(before)
    }))
}

unsafe extern "C" fn set_ignore_nesting(object: Raw, value: Raw) -> Raw {
    // SAFETY: a tasklet.
    let task = unsafe { of(object) };
    answer(flag(value, "set_ignore_nesting needs exactly one bool or integer").map(|value| {
        let before = task.ignore_nesting.replace(value);
        watchdog::check_pending(task);
        ops::truth(before)
    }))
}

fn neighbour(link: *const super::queue::Link) -> Raw {
    // SAFETY: null, or a link in a chain.
    match unsafe { link.as_ref() } {
        // SAFETY: all but a channel's head are live tasklets.
        Some(link) if !link.is_head() => unsafe { Task::of_link(link) }.new_ref(),
        _ => ops::new_none(),
    }
}

getters! { of:
    next = |task| neighbour(task.link.next());
    prev = |task| neighbour(task.link.prev());
    channel = |task| {
        let channel: Raw = task.channel.get().cast_mut().cast();
        if channel.is_null() { ops::new_none() } else { ops::incref(channel) }
    };
    blocked = |task| ops::truth(task.is_blocked());
    atomic = |task| ops::truth(task.atomic.get());
    ignore_nesting = |task| ops::truth(task.ignore_nesting.get());
    frame = |task| answer(task::frame(task));
    block_trap = |task| ops::truth(task.block_trap.get());
    is_main = |task| ops::truth(task.is_main());
    is_current = |task| ops::truth(task.is_current());
    paused = |task| ops::truth(task.is_alive() && !task.is_queued());
    scheduled = |task| ops::truth(task.is_queued());
    recursion_depth = |task| ops::integer(task::recursion_depth(task).into());
    nesting_level = |task| ops::integer(task::nesting_level(task).into());
    restorable = |task| ops::truth(!task.has_begun());
    alive = |task| ops::truth(task.is_alive());
    thread_id = |task| match task.home.get().filter(|home| home.is_alive()) {
        Some(home) => ops::unsigned(home.ident.get()),
        None => ops::integer(-1),
    };
    trace_function = |task| ops::incref(trace::get(task, Which::Trace));
    profile_function = |task| ops::incref(trace::get(task, Which::Profile));
    context_id = |task| answer(context::of(task).map(|context| {
        let id = ops::unsigned(context.addr() as u64);
        ops::decref(context);
        id
    }));
    tempval = |task| ops::incref(task.tempval.get());
    times_switched_to = |task| ops::unsigned(task.switches.get());
    run_time = |task| ops::unsigned(task.run_time.get());
    function = |task| {
        let function = task.function.get();
        if function.is_null() { ops::new_none() } else { ops::incref(function) }
    };
    pending_irq = |task| ops::truth(task.pending_irq.get());
    stack_size = |task| {
        let place = task.body().and_then(|body| body.place);
        ops::unsigned(place.map_or(0, |place| place.calls().1 as u64))
    };
    stack_pointer = |task| {
        let suspended = task.body().filter(|_| !task.is_current());
        ops::unsigned(suspended.map_or(0, |body| body.pointer.get().addr() as u64))
    };
    cstate = |_task| ops::new_none();
}

setters! { of:
    set_block_trap = |task, value| flag(value, "block_trap must be set to a bool or integer")
        .map(|value| task.block_trap.set(value));
    set_tempval = |task, value| {
        task.give(ops::incref(or_none(value)));
        Ok(())
    };
    set_trace_function = |task, value| trace::set(task, Which::Trace, or_none(value));
    set_profile_function = |task, value| trace::set(task, Which::Profile, or_none(value));
}

const _: () = assert!(core::mem::offset_of!(super::state::TaskletObject, base) == 0);
const _: fn(Raw) -> *mut PyObject = |raw| raw;
