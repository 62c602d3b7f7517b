//! The types and exceptions of tasklets in the running Python, and what is decided once for all.

use core::mem::offset_of;
use core::ptr;

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyMemberDef, PyObject};

use super::channel::{Channel, ChannelObject};
use super::ops::{self, Parts, Raw, refuse};
use super::queue::Link;
use super::scheduler::Scheduler;
use super::state::{Task, TaskletObject};
use super::{channel_type, schedule, small_types, stack, switch, tasklet_type, thread};
use crate::class::{self, members, slot};
use crate::cpython;
use crate::object::{self, Object, Pending};
use crate::primitive::{AtomicU64, Ordering};
use crate::shelf::{self, Key};
use crate::table::Table;

/// An exception as a Python object: each part owned, or null.
#[repr(C)]
pub(super) struct BombObject {
    pub(super) base: PyObject,
    pub(super) kind: Raw,
    pub(super) value: Raw,
    pub(super) traceback: Raw,
}

/// How large C stacks are made; 0: as the Python in use needs it.
static STACK_SIZE: AtomicU64 = AtomicU64::new(0);
/// The identity of Python's main thread.
static MAIN_THREAD: AtomicU64 = AtomicU64::new(0);

/// One nested call from Python over C to Python takes at most so much; see tasklet_shim.c.
const CALL_SIZE: usize = if cfg!(py_sys_config = "Py_DEBUG") { 24 << 10 } else { 6 << 10 };

/// On 3.13 an object that dies with fewer than 100 calls left is only put aside, until more are: every
/// stack has to hold more.
const LEAST_CALLS: usize = if cfg!(all(Py_3_13, not(Py_3_14))) { 150 } else { 0 };

/// The size of the next stacks.
#[inline]
pub(super) fn stack_size() -> usize {
    // Relaxed: an option.
    let size = match usize::try_from(STACK_SIZE.load(Ordering::Relaxed)) {
        Ok(0) | Err(_) => default_stack_size(),
        Ok(size) => size,
    };
    size.max(LEAST_CALLS * CALL_SIZE + (64 << 10))
}

/// On 3.11 a call over C counts like any other one, so the whole recursion limit has to fit.
fn default_stack_size() -> usize {
    if cfg!(Py_3_12) {
        return 1 << 20;
    }
    // SAFETY: Python is held.
    let limit = usize::try_from(unsafe { ffi::Py_GetRecursionLimit() }).unwrap_or(0);
    (limit * CALL_SIZE + (128 << 10)).clamp(1 << 20, 64 << 20)
}

/// Sets the size of the stacks of tasklets that begin from now on; 0 for the default. The one before.
pub(super) fn set_stack_size(size: u64) -> Result<u64, Pending> {
    let (least, most) = (stack::LEAST as u64, stack::LARGEST as u64);
    if size != 0 && !(least..=most).contains(&size) {
        let line = format!("a stack must have from {least} to {most} bytes, or 0 for the default");
        return ops::raise(object::Kind::Value, &line);
    }
    // Relaxed: an option.
    Ok(STACK_SIZE.swap(size, Ordering::Relaxed))
}

pub(super) fn main_thread() -> u64 {
    MAIN_THREAD.load(Ordering::Relaxed)
}

/// Whether a suspended tasklet may be given a state that shows it.
#[inline(always)]
pub(super) fn may_park() -> bool {
    !thread::is_ending()
}

/// Whether tasklets may be used here.
pub(super) fn ready() -> Result<(), Pending> {
    if tasklet_type().is_null() {
        return refuse(
            "raddle's tasklets are not ready: this Python is ending, was never adopted, or is a \
             subinterpreter",
        );
    }
    if !cpython::is_main_interpreter(ops::held()) {
        return refuse("tasklets work in Python's main interpreter only");
    }
    if let Some(line) = switch::refused() {
        return refuse(line);
    }
    // SAFETY: Python is held.
    if let Some(line) = unsafe { cpython::tasklet::tasklets_refused() } {
        return refuse(&line);
    }
    Ok(())
}

pub(super) fn tasklet_type() -> Raw {
    shelf::peek(Key::Tasklet)
}

pub(super) fn channel_type() -> Raw {
    shelf::peek(Key::Channel)
}

#[inline(always)]
pub(super) fn bomb_type() -> Raw {
    shelf::peek(Key::Bomb)
}

/// `TaskletExit`, lent; null once Python ends.
pub(super) fn tasklet_exit() -> Raw {
    shelf::peek(Key::TaskletExit)
}

pub(super) fn system_exit() -> Raw {
    // SAFETY: read only, and written by Python before anybody holds it.
    unsafe { ffi::PyExc_SystemExit }
}

/// Whether a class is `TaskletExit` or derived from it.
pub(super) fn is_exit(class: Raw) -> bool {
    // SAFETY: two classes.
    unsafe { ffi::PyObject_IsSubclass(class, tasklet_exit()) == 1 }
}

/// The name of an object's type.
pub(super) fn type_name(object: Raw) -> String {
    name_of(ops::type_of(object))
}

/// `object.__qualname__`, or what it is if it has none.
pub(super) fn name_of(object: Raw) -> String {
    if object.is_null() {
        return "unknown".to_owned();
    }
    let name = ops::attribute(object, c"__qualname__").unwrap_or_else(|_| {
        ops::forget_raised();
        // SAFETY: an object.
        let shown = unsafe { ffi::PyObject_Repr(object) };
        if shown.is_null() {
            ops::forget_raised();
            return ops::new_none();
        }
        shown
    });
    // SAFETY: owned by us.
    let name = unsafe { Object::answered(ops::held(), name) };
    name.map_or_else(|_| "unknown".to_owned(), |name| name.to_text())
}

/// A tasklet of the type at `class`: not bound. Owned.
pub(super) fn new_tasklet(class: Raw, home: Scheduler) -> Result<Task, Pending> {
    // SAFETY: the type of tasklets or a subclass, which may be allocated. All is zero then, and the
    // collector, which knows the object already, does not run before it is filled.
    let raw = ops::check(unsafe { ffi::PyType_GenericAlloc(class.cast(), 0) })?;
    // SAFETY: a new object of that type; `base` is left as it is.
    let object = unsafe { &mut *raw.cast::<TaskletObject>() };
    // SAFETY: zeroed memory, in which nothing has to be dropped.
    unsafe { ptr::write(&raw mut object.link, Link::new()) };
    object.tempval.set(ops::new_none());
    object.home.set(Some(home.count()));
    // SAFETY: a tasklet now.
    Ok(unsafe { Task::from_raw(raw) })
}

/// The main tasklet of a thread. Owned.
pub(super) fn new_main(home: Scheduler) -> Result<Task, Pending> {
    let main = new_tasklet(tasklet_type(), home)?;
    main.body.set(schedule::main_record());
    Ok(main)
}

/// A channel of the type at `class`. Owned.
pub(super) fn new_channel(class: Raw) -> Result<Channel, Pending> {
    // SAFETY: as in `new_tasklet`.
    let raw = ops::check(unsafe { ffi::PyType_GenericAlloc(class.cast(), 0) })?;
    // SAFETY: as there.
    let object = unsafe { &mut *raw.cast::<ChannelObject>() };
    // SAFETY: as there.
    unsafe { ptr::write(&raw mut object.head, Link::head()) };
    object.head.begin();
    object.preference.set(-1);
    // SAFETY: a channel now.
    Ok(unsafe { Channel::from_raw(raw) })
}

/// A bomb, which takes the references. Owned.
pub(super) fn new_bomb(parts: Parts) -> Result<Raw, Pending> {
    let class = bomb_type();
    if class.is_null() {
        return refuse("tasklets have ended with their Python");
    }
    // SAFETY: as in `new_tasklet`.
    let raw = ops::check(unsafe { ffi::PyType_GenericAlloc(class.cast(), 0) })?;
    // SAFETY: as there.
    let object = unsafe { &mut *raw.cast::<BombObject>() };
    (object.kind, object.value, object.traceback) = (parts.kind, parts.value, parts.traceback);
    Ok(raw)
}

static TASKLET_MEMBERS: Table<[PyMemberDef; 2]> =
    Table::new(members(offset_of!(TaskletObject, weak)));
static CHANNEL_MEMBERS: Table<[PyMemberDef; 2]> =
    Table::new(members(offset_of!(ChannelObject, weak)));

/// Adds the types and the exception to the module `_raddle`.
pub(crate) fn add(py: Python<'_>, module: *mut PyObject) -> object::Result<()> {
    let collected = ffi::Py_TPFLAGS_HAVE_GC;
    let base = ffi::Py_TPFLAGS_BASETYPE | collected;
    let make = |name, size, flags, slots| {
        // SAFETY: the module that is being made; the slots of each type take objects of its own layout, and point to
        // tables and functions.
        unsafe { class::make(py, module, name, size, flags, slots) }.map(Object::into_ptr)
    };
    let mut slots = tasklet_type::slots();
    slots.push(slot(ffi::Py_tp_members, TASKLET_MEMBERS.start()));
    let tasklet = make(c"raddle.stackless.tasklet", size_of::<TaskletObject>(), base, slots)?;
    let mut slots = channel_type::slots();
    slots.push(slot(ffi::Py_tp_members, CHANNEL_MEMBERS.start()));
    let channel = make(c"raddle.stackless.channel", size_of::<ChannelObject>(), base, slots)?;
    let slots = small_types::bomb_slots();
    let bomb = make(c"raddle.stackless.bomb", size_of::<BombObject>(), collected, slots)?;
    let slots = small_types::atomic_slots();
    ops::decref(make(c"raddle.stackless.atomic", small_types::ATOMIC_SIZE, 0, slots)?);
    let exit = new_exit(py, module)?;
    let on_shelf = [
        (Key::Tasklet, tasklet),
        (Key::Channel, channel),
        (Key::Bomb, bomb),
        (Key::TaskletExit, exit),
    ];
    let serves = cpython::is_main_interpreter(py);
    for (key, object) in on_shelf {
        if serves {
            // What is replaced went with an earlier Python.
            let _gone: Raw = shelf::swap(py, key, object);
        } else {
            ops::decref(object);
        }
    }
    if serves {
        thread::begin();
        // SAFETY: tells this thread's own identity; the module is first made on Python's main thread,
        // or on one that `threading` will be asked about.
        let here = unsafe { libc::pthread_self() };
        MAIN_THREAD.store(main_ident(py).unwrap_or(here), Ordering::Relaxed);
    }
    Ok(())
}

/// `threading.main_thread().ident`.
fn main_ident(py: Python<'_>) -> Option<u64> {
    let threading = Object::import(py, c"threading").ok()?;
    let main = threading.attribute(c"main_thread").ok()?.call([]).ok()?;
    let ident = main.attribute(c"ident").ok()?;
    // SAFETY: an object.
    let ident = unsafe { ffi::PyLong_AsUnsignedLongLong(ident.as_ptr()) };
    if ops::is_raised() {
        ops::forget_raised();
        return None;
    }
    Some(ident)
}

/// `class TaskletExit(SystemExit)`. Owned.
fn new_exit(py: Python<'_>, module: Raw) -> object::Result<Raw> {
    let doc = c"Raised in a tasklet to end it: whoever lets it pass is ended without a sound.";
    let name = c"builtins.TaskletExit";
    let base = system_exit();
    // SAFETY: two texts that end with a NUL, a class, and no dict.
    let exit = unsafe {
        ffi::PyErr_NewExceptionWithDoc(name.as_ptr(), doc.as_ptr(), base, ptr::null_mut())
    };
    // SAFETY: as that function returns.
    let exit = unsafe { Object::owned(py, exit) }?;
    // SAFETY: a module, a name that ends with a NUL, and an exception.
    let status =
        unsafe { ffi::PyObject_SetAttrString(module, c"TaskletExit".as_ptr(), exit.as_ptr()) };
    object::check(py, status)?;
    // SAFETY: Python is held; a dict, lent.
    let builtins = unsafe { ffi::PyEval_GetBuiltins() };
    // SAFETY: a dict, a name that ends with a NUL, and an exception.
    let status =
        unsafe { ffi::PyDict_SetItemString(builtins, c"TaskletExit".as_ptr(), exit.as_ptr()) };
    object::check(py, status)?;
    Ok(exit.into_ptr())
}
