//! The tasklets for other faces than Python's: functions on bare objects.
//!
//! Every function is called with Python held, on a thread of Python's main interpreter. Arguments are
//! lent. What is returned is a new reference, unless a function says otherwise. On an error a function
//! returns [`Failed`], and the exception is set. Those that may switch return when this tasklet goes on.
//!
//! `tasklet` and `channel` are checked: anything else gets a TypeError, null as well.

use core::ffi::c_int;

use pyo3_ffi::PyObject;

pub use super::hooks::ScheduleHook;
use super::ops::{self, Raw};
pub use super::raw_channel::*;
use super::schedule::yield_now;
use super::scheduler::Scheduler;
use super::state::Task;
use super::watchdog::Limit;
pub use super::watchdog::{IGNORE_NESTING, SOFT, THREADBLOCK, TOTALTIMEOUT};
use super::{hooks, kinds, module, task, thread, throw, watchdog};
use crate::cpython;
use crate::object::{Kind, Pending};
use crate::primitive::AtomicPtr;
use crate::shelf::{self, Key};

/// An exception is set on this thread.
pub type Failed = Pending;

/// What most functions return: a new reference.
pub type Answer = Result<*mut PyObject, Failed>;

/// The object as a tasklet.
fn a_tasklet(object: Raw) -> Result<Task, Failed> {
    kinds::ready()?;
    if object.is_null() || !ops::is_instance(object, kinds::tasklet_type()) {
        return ops::raise(Kind::Type, "a tasklet is wanted");
    }
    // SAFETY: of the type, and alive for the call.
    Ok(unsafe { Task::from_raw(object) })
}

/// An argument that may be null for `None`.
pub(super) fn or_none(object: Raw) -> Raw {
    if object.is_null() { ops::none() } else { object }
}

/// The type of tasklets, lent; null while there is none.
#[must_use]
pub fn tasklet_type() -> *mut PyObject {
    kinds::tasklet_type()
}

/// The type of channels, lent; null while there is none.
#[must_use]
pub fn channel_type() -> *mut PyObject {
    kinds::channel_type()
}

/// Has two pointers follow the types of the Python that runs: null while there is none.
#[doc(alias = "PyTasklet_TypePtr")]
#[doc(alias = "PyChannel_TypePtr")]
pub fn mirror_types(tasklet: &'static AtomicPtr<PyObject>, channel: &'static AtomicPtr<PyObject>) {
    shelf::mirror(Key::Tasklet, tasklet);
    shelf::mirror(Key::Channel, channel);
}

/// `TaskletExit`, lent; null while there is none.
#[must_use]
pub fn tasklet_exit() -> *mut PyObject {
    kinds::tasklet_exit()
}

/// Whether an object is a tasklet. Null is none.
#[must_use]
pub fn is_tasklet(object: *mut PyObject) -> bool {
    let class = kinds::tasklet_type();
    !object.is_null() && !class.is_null() && ops::is_instance(object, class)
}

/// Whether an object is a channel. Null is none.
#[must_use]
pub fn is_channel(object: *mut PyObject) -> bool {
    let class = kinds::channel_type();
    !object.is_null() && !class.is_null() && ops::is_instance(object, class)
}

pub(super) fn subclass(class: Raw, of: Raw) -> Result<Raw, Failed> {
    kinds::ready()?;
    if class.is_null() {
        return Ok(of);
    }
    // SAFETY: two objects, the second of which is a type.
    match unsafe { pyo3_ffi::PyObject_IsSubclass(class, of) } {
        1 => Ok(class),
        0 => ops::raise(Kind::Type, "a type derived from the right one is wanted"),
        _ => Err(Failed::is_set()),
    }
}

/// A tasklet of a type (null: the type itself), bound to a function (null: not bound).
///
/// # Errors
///
/// TypeError for another type; what `__init__` raises.
#[doc(alias = "PyTasklet_New")]
pub fn new_tasklet(class: *mut PyObject, function: *mut PyObject) -> Answer {
    let class = subclass(class, kinds::tasklet_type())?;
    if function.is_null() || function == ops::none() {
        ops::call_with(class, [])
    } else {
        ops::call_with(class, [function])
    }
}

/// Binds a tasklet to a function, arguments and keywords: each `None` or null if not given.
///
/// # Errors
///
/// TypeError; RuntimeError if the tasklet is current, queued or has begun.
#[doc(alias = "PyTasklet_BindEx")]
pub fn bind(
    tasklet: *mut PyObject,
    function: *mut PyObject,
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> Result<(), Failed> {
    task::bind(a_tasklet(tasklet)?, function, arguments, keywords)
}

/// Moves a tasklet that has not begun to the thread with an identity; -1 is this one.
///
/// # Errors
///
/// RuntimeError if it is runnable or has begun; ValueError if there is no such thread.
#[doc(alias = "PyTasklet_BindThread")]
pub fn bind_thread(tasklet: *mut PyObject, ident: u64) -> Result<(), Failed> {
    task::bind_thread(a_tasklet(tasklet)?, (ident != u64::MAX).then_some(ident))
}

/// Gives a bound tasklet its arguments (null: none) and puts it into the run queue.
///
/// # Errors
///
/// RuntimeError if it is alive, or was not bound.
#[doc(alias = "PyTasklet_Setup")]
pub fn setup(
    tasklet: *mut PyObject,
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> Result<(), Failed> {
    let task = a_tasklet(tasklet)?;
    if !arguments.is_null() {
        return task::setup(task, arguments, keywords);
    }
    let empty = ops::tuple([])?;
    let result = task::setup(task, empty, keywords);
    ops::decref(empty);
    result
}

/// Runs a tasklet now; this one goes on when its turn comes.
///
/// # Errors
///
/// RuntimeError if it waits or is dead; what is raised in this tasklet meanwhile.
#[doc(alias = "PyTasklet_Run")]
pub fn run(tasklet: *mut PyObject) -> Answer {
    task::run(a_tasklet(tasklet)?, false, core::ptr::null())
}

/// As [`run`], and this tasklet leaves the run queue.
///
/// # Errors
///
/// As [`run`]; RuntimeError for a tasklet of another thread.
#[doc(alias = "PyTasklet_Switch")]
pub fn switch(tasklet: *mut PyObject) -> Answer {
    task::run(a_tasklet(tasklet)?, true, core::ptr::null())
}

/// Answers a function that made a tasklet of its caller's frame, in Stackless before 2.5.
///
/// # Errors
///
/// DeprecationWarning where warnings are errors, and else RuntimeError.
#[doc(alias = "PyTasklet_Become")]
#[doc(alias = "PyTasklet_Capture")]
pub fn refuse_capture(function: &str) -> Answer {
    let line =
        format!("{function} is deprecated since Stackless 2.5: bind a tasklet to a function");
    let warning = std::ffi::CString::new(line).unwrap_or_default();
    // SAFETY: read only, and written by Python before anybody holds it.
    let category = unsafe { pyo3_ffi::PyExc_DeprecationWarning };
    // SAFETY: a class of warnings, and a text that ends with a NUL.
    ops::check_status(unsafe { pyo3_ffi::PyErr_WarnEx(category, warning.as_ptr(), 1) })?;
    ops::refuse(
        "a frame that runs cannot be moved to another C stack: make a tasklet of a function, by \
         PyTasklet_New and PyTasklet_Setup",
    )
}

/// Puts a tasklet at the end of its thread's run queue, if it is in none.
///
/// # Errors
///
/// RuntimeError if it waits at a channel or is dead.
#[doc(alias = "PyTasklet_Insert")]
pub fn insert(tasklet: *mut PyObject) -> Result<(), Failed> {
    task::insert(a_tasklet(tasklet)?)
}

/// Takes a tasklet out of the run queue.
///
/// # Errors
///
/// RuntimeError if it waits at a channel, or is the current one.
#[doc(alias = "PyTasklet_Remove")]
pub fn remove(tasklet: *mut PyObject) -> Result<(), Failed> {
    task::remove(a_tasklet(tasklet)?)
}

/// Raises `class(*arguments)` in a tasklet, at once. `arguments` is a tuple or one value (null: none).
///
/// # Errors
///
/// RuntimeError if it is dead; what is raised in this tasklet meanwhile.
#[doc(alias = "PyTasklet_RaiseException")]
pub fn raise_exception(
    tasklet: *mut PyObject,
    class: *mut PyObject,
    arguments: *mut PyObject,
) -> Answer {
    let task = a_tasklet(tasklet)?;
    let empty = ops::tuple([])?;
    let arguments = if arguments.is_null() { empty } else { arguments };
    let result = throw::raise_exception(task, or_none(class), arguments);
    ops::decref(empty);
    result
}

/// Raises an exception in a tasklet, at once or (`pending`) when its turn comes.
///
/// # Errors
///
/// As [`raise_exception`].
#[doc(alias = "PyTasklet_Throw")]
pub fn throw(
    tasklet: *mut PyObject,
    pending: bool,
    kind: *mut PyObject,
    value: *mut PyObject,
    traceback: *mut PyObject,
) -> Answer {
    throw::throw_parts(a_tasklet(tasklet)?, pending, or_none(kind), value, traceback)
}

/// Raises `TaskletExit` in a tasklet, at once or (`pending`) when its turn comes.
///
/// # Errors
///
/// What is raised in this tasklet meanwhile.
#[doc(alias = "PyTasklet_Kill")]
#[doc(alias = "PyTasklet_KillEx")]
pub fn kill(tasklet: *mut PyObject, pending: bool) -> Answer {
    throw::kill(a_tasklet(tasklet)?, pending)
}

/// Keeps the watchdog from interrupting a tasklet, or not; what was before.
///
/// # Errors
///
/// TypeError.
#[doc(alias = "PyTasklet_SetAtomic")]
pub fn set_atomic(tasklet: *mut PyObject, flag: bool) -> Result<bool, Failed> {
    let task = a_tasklet(tasklet)?;
    let before = task.atomic.replace(flag);
    watchdog::check_pending(task);
    Ok(before)
}

/// Lets the watchdog interrupt a tasklet inside calls from C, or not; what was before.
///
/// # Errors
///
/// TypeError.
#[doc(alias = "PyTasklet_SetIgnoreNesting")]
pub fn set_ignore_nesting(tasklet: *mut PyObject, flag: bool) -> Result<bool, Failed> {
    let task = a_tasklet(tasklet)?;
    let before = task.ignore_nesting.replace(flag);
    watchdog::check_pending(task);
    Ok(before)
}

/// Makes waiting at a channel an error for a tasklet, or not; what was before.
///
/// # Errors
///
/// TypeError.
#[doc(alias = "PyTasklet_SetBlockTrap")]
pub fn set_block_trap(tasklet: *mut PyObject, flag: bool) -> Result<bool, Failed> {
    Ok(a_tasklet(tasklet)?.block_trap.replace(flag))
}

/// The frame that a tasklet executes, or null without an exception.
///
/// # Errors
///
/// TypeError; what an audit hook raises.
#[doc(alias = "PyTasklet_GetFrame")]
pub fn frame(tasklet: *mut PyObject) -> Answer {
    let frame = task::frame(a_tasklet(tasklet)?)?;
    if frame == ops::none() {
        ops::decref(frame);
        return Ok(core::ptr::null_mut());
    }
    Ok(frame)
}

/// What a tasklet is, for [`ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `PyTasklet_GetAtomic`.
    Atomic,
    /// `PyTasklet_GetIgnoreNesting`.
    IgnoreNesting,
    /// `PyTasklet_GetPendingIrq`.
    PendingIrq,
    /// `PyTasklet_GetBlockTrap`.
    BlockTrap,
    /// `PyTasklet_IsMain`.
    Main,
    /// `PyTasklet_IsCurrent`.
    Current,
    /// `PyTasklet_GetRecursionDepth`.
    RecursionDepth,
    /// `PyTasklet_GetNestingLevel`.
    NestingLevel,
    /// `PyTasklet_Alive`.
    Alive,
    /// `PyTasklet_Paused`.
    Paused,
    /// `PyTasklet_Scheduled`.
    Scheduled,
    /// `PyTasklet_Restorable`.
    Restorable,
    /// 1: waits to send, -1: waits to receive, 0: does not wait.
    Blocked,
}

/// Answers a question about a tasklet: 0 or 1, or a number.
///
/// # Errors
///
/// TypeError.
pub fn ask(tasklet: *mut PyObject, question: Question) -> Result<c_int, Failed> {
    let task = a_tasklet(tasklet)?;
    Ok(match question {
        Question::Atomic => task.atomic.get().into(),
        Question::IgnoreNesting => task.ignore_nesting.get().into(),
        Question::PendingIrq => task.pending_irq.get().into(),
        Question::BlockTrap => task.block_trap.get().into(),
        Question::Main => task.is_main().into(),
        Question::Current => task.is_current().into(),
        Question::RecursionDepth => task::recursion_depth(task),
        Question::NestingLevel => task::nesting_level(task),
        Question::Alive => task.is_alive().into(),
        Question::Paused => (task.is_alive() && !task.is_queued()).into(),
        Question::Scheduled => task.is_queued().into(),
        Question::Restorable => (!task.has_begun()).into(),
        Question::Blocked => task.blocked.get().into(),
    })
}

/// Lets the others have their turn; `value` (null: the current tasklet) comes back. With `remove` this
/// tasklet leaves the run queue.
///
/// # Errors
///
/// What is raised in this tasklet meanwhile; RuntimeError for a deadlock or a trap.
#[doc(alias = "PyStackless_Schedule")]
pub fn schedule(value: *mut PyObject, remove: bool) -> Answer {
    yield_now((!value.is_null()).then_some(value), remove, core::ptr::null())
}

/// How many tasklets of this thread can run, with the current one.
///
/// # Errors
///
/// RuntimeError where there are no tasklets.
#[doc(alias = "PyStackless_GetRunCount")]
pub fn run_count() -> Result<c_int, Failed> {
    let count = Scheduler::here()?.runcount.get();
    Ok(c_int::try_from(count).unwrap_or(c_int::MAX))
}

/// The tasklet that runs.
///
/// # Errors
///
/// RuntimeError where there are no tasklets.
#[doc(alias = "PyStackless_GetCurrent")]
pub fn current() -> Answer {
    let s = Scheduler::here()?;
    match s.shown.get().or(s.current.get()) {
        Some(task) => Ok(task.new_ref()),
        None => ops::refuse("no tasklet runs on this thread"),
    }
}

/// A number for the tasklet that runs; a thread's main tasklet has the thread's identity. Never fails,
/// and may be called without Python.
#[doc(alias = "PyStackless_GetCurrentId")]
#[must_use]
pub fn current_id() -> u64 {
    let is_held = crate::gate::is_held() && !cpython::current().is_null();
    let s = if is_held { Scheduler::try_here() } else { None };
    match s.and_then(|s| s.current.get()) {
        Some(task) if !task.is_main() => task.raw().addr() as u64,
        // SAFETY: tells this thread's own identity.
        _ => unsafe { libc::pthread_self() },
    }
}

/// Runs tasklets from the one that runs, until all are done or one executes `timeout` instructions (0: no
/// limit) without switching. The interrupted tasklet, or `None`. `flags`: [`THREADBLOCK`], [`SOFT`],
/// [`IGNORE_NESTING`], [`TOTALTIMEOUT`].
///
/// # Errors
///
/// ValueError for other flags; an exception that a tasklet did not catch.
#[doc(alias = "PyStackless_RunWatchdogEx")]
pub fn run_watchdog(timeout: i64, flags: c_int) -> Answer {
    let limit = if timeout > 0 { Limit::Instructions(timeout) } else { Limit::None };
    watchdog::run(limit, flags)
}

/// As [`run_watchdog`] without flags, from a thread's main tasklet only.
///
/// # Errors
///
/// RuntimeError in another tasklet; as [`run_watchdog`].
#[doc(alias = "PyStackless_RunWatchdog")]
pub fn run_from_main(timeout: i64) -> Answer {
    if !is_on_main()? {
        return ops::refuse(
            "only a thread's main tasklet may call this; the others call stackless.run",
        );
    }
    run_watchdog(timeout, 0)
}

/// As [`run_watchdog`], until so many nanoseconds have passed: looked at when a tasklet is switched to.
///
/// # Errors
///
/// As [`run_watchdog`].
#[doc(alias = "PyScheduler_RunWithTimeout")]
pub fn run_with_timeout(nanoseconds: i64, flags: c_int) -> Answer {
    watchdog::run(module::time_limit(nanoseconds), flags | SOFT)
}

/// As [`run_watchdog`], until so many tasklets have been switched to.
///
/// # Errors
///
/// As [`run_watchdog`].
#[doc(alias = "PyScheduler_RunNTasklets")]
pub fn run_n_tasklets(count: i64, flags: c_int) -> Answer {
    if count <= 0 {
        return Ok(ops::new_none());
    }
    watchdog::run(Limit::Switches(count), flags | SOFT)
}

/// Whether the tasklet that runs is its thread's main one.
///
/// # Errors
///
/// RuntimeError where there are no tasklets.
pub fn is_on_main() -> Result<bool, Failed> {
    let s = Scheduler::here()?;
    Ok(s.current.get() == s.main.get())
}

/// Changes the trap that makes switches raise while it is not 0; what it was before.
///
/// # Errors
///
/// RuntimeError where there are no tasklets.
#[doc(alias = "PyStackless_AdjustSwitchTrap")]
pub fn adjust_switch_trap(change: c_int) -> Result<c_int, Failed> {
    let s = Scheduler::here()?;
    Ok(s.switch_trap.replace(s.switch_trap.get().saturating_add(change)))
}

/// What a callback is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// `callable(channel, tasklet, sending, willblock)`.
    Channel,
    /// `callable(prev, next)`.
    Schedule,
    /// `callable(type, value, traceback)`.
    Error,
}

/// Sets a callback; null for none.
///
/// # Errors
///
/// TypeError if it cannot be called.
#[doc(alias = "PyStackless_SetChannelCallback")]
#[doc(alias = "PyStackless_SetScheduleCallback")]
pub fn set_hook(hook: Hook, callable: *mut PyObject) -> Result<(), Failed> {
    kinds::ready()?;
    if !callable.is_null() && !ops::is_callable(callable) {
        return ops::raise(Kind::Type, "a callback must be callable");
    }
    let key = match hook {
        Hook::Channel => Key::ChannelCallback,
        Hook::Schedule => Key::ScheduleCallback,
        Hook::Error => Key::ErrorHandler,
    };
    ops::xdecref(hooks::set(key, callable));
    Ok(())
}

/// Sets the C function that is told of switches; `None` for none.
#[doc(alias = "PyStackless_SetScheduleFastcallback")]
pub fn set_fast_hook(hook: Option<ScheduleHook>) {
    hooks::set_fast(hook);
}

/// Calls something with this thread's tasklets made ready.
///
/// # Errors
///
/// What it raises.
#[doc(alias = "PyStackless_Call_Main")]
pub fn call_main(
    function: *mut PyObject,
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> Answer {
    let _s = Scheduler::here()?;
    if function.is_null() {
        return ops::raise(Kind::Type, "a callable is wanted");
    }
    if !arguments.is_null() {
        return ops::call(function, arguments, keywords);
    }
    let empty = ops::tuple([])?;
    let result = ops::call(function, empty, keywords);
    ops::decref(empty);
    result
}

/// Ends this thread's tasklets by TaskletExit, oldest first; how many would not end.
///
/// # Errors
///
/// RuntimeError where there are no tasklets.
pub fn kill_all() -> Result<usize, Failed> {
    Scheduler::here().map(thread::kill_all)
}

/// One more native part of the program (or one less) may make tasklets runnable: a thread that has nobody
/// to run waits for it, and reports no deadlock. May be called without Python.
pub fn expect_others(more: bool) {
    thread::expect_others(more);
}

/// This thread's scheduler, by which [`wake`] finds it: a number, good as long as the thread is there.
///
/// # Errors
///
/// RuntimeError where there are no tasklets.
pub fn scheduler_token() -> Result<usize, Failed> {
    Scheduler::here().map(Scheduler::token)
}

/// Has the thread with a token look whether it has a tasklet to run, if it waits.
pub fn wake(token: usize) {
    if let Some(s) = thread::all().into_iter().find(|s| s.token() == token) {
        thread::wake(s);
    }
}
