//! `stackless_tasklet.h`: Stackless Python's tasklets.

use core::ffi::{c_int, c_ulong};
use core::ptr;

use pyo3_ffi::{PyObject, PyTypeObject};
use raddle::primitive::AtomicPtr;
use raddle::tasklet::raw::{self, Question};

use crate::stackless_api::{done, number, object, silent, switched};

/// See `stackless_tasklet.h`: only its address is used.
#[derive(Debug)]
pub enum PyTaskletObject {}

/// See `stackless_tasklet.h`.
#[unsafe(no_mangle)]
pub static PyTasklet_TypePtr: AtomicPtr<PyObject> = AtomicPtr::new(ptr::null_mut());

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_New(
    class: *mut PyTypeObject,
    func: *mut PyObject,
) -> *mut PyTaskletObject {
    object(|| raw::new_tasklet(class.cast(), func)).cast()
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Setup(
    task: *mut PyTaskletObject,
    args: *mut PyObject,
    kwds: *mut PyObject,
) -> c_int {
    done(|| raw::setup(task.cast(), args, kwds))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_BindEx(
    task: *mut PyTaskletObject,
    func: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    done(|| raw::bind(task.cast(), func, args, kwargs))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_BindThread(
    task: *mut PyTaskletObject,
    thread_id: c_ulong,
) -> c_int {
    done(|| raw::bind_thread(task.cast(), thread_id))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Run(task: *mut PyTaskletObject) -> c_int {
    switched(|| raw::run(task.cast()))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Run_nr(task: *mut PyTaskletObject) -> c_int {
    switched(|| raw::run(task.cast()))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Switch(task: *mut PyTaskletObject) -> c_int {
    switched(|| raw::switch(task.cast()))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Switch_nr(task: *mut PyTaskletObject) -> c_int {
    switched(|| raw::switch(task.cast()))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Remove(task: *mut PyTaskletObject) -> c_int {
    done(|| raw::remove(task.cast()))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Insert(task: *mut PyTaskletObject) -> c_int {
    done(|| raw::insert(task.cast()))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Become(
    this: *mut PyTaskletObject,
    retval: *mut PyObject,
) -> *mut PyObject {
    let _kept = (this, retval);
    object(|| raw::refuse_capture("PyTasklet_Become"))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Capture(
    this: *mut PyTaskletObject,
    retval: *mut PyObject,
) -> *mut PyObject {
    let _kept = (this, retval);
    object(|| raw::refuse_capture("PyTasklet_Capture"))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_RaiseException(
    this: *mut PyTaskletObject,
    klass: *mut PyObject,
    args: *mut PyObject,
) -> c_int {
    switched(|| raw::raise_exception(this.cast(), klass, args))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Throw(
    this: *mut PyTaskletObject,
    pending: c_int,
    exc: *mut PyObject,
    val: *mut PyObject,
    tb: *mut PyObject,
) -> c_int {
    switched(|| raw::throw(this.cast(), pending != 0, exc, val, tb))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Kill(this: *mut PyTaskletObject) -> c_int {
    switched(|| raw::kill(this.cast(), false))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_KillEx(this: *mut PyTaskletObject, pending: c_int) -> c_int {
    switched(|| raw::kill(this.cast(), pending != 0))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_GetAtomic(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::Atomic))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_GetIgnoreNesting(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::IgnoreNesting))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_GetPendingIrq(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::PendingIrq))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_GetBlockTrap(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::BlockTrap))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_GetRecursionDepth(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::RecursionDepth))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_GetNestingLevel(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::NestingLevel))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_SetAtomic(task: *mut PyTaskletObject, flag: c_int) -> c_int {
    number(|| raw::set_atomic(task.cast(), flag != 0).map(c_int::from))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_SetIgnoreNesting(
    task: *mut PyTaskletObject,
    flag: c_int,
) -> c_int {
    number(|| raw::set_ignore_nesting(task.cast(), flag != 0).map(c_int::from))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_SetBlockTrap(task: *mut PyTaskletObject, value: c_int) {
    silent(task.cast(), || raw::set_block_trap(task.cast(), value != 0).map(drop));
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_GetFrame(task: *mut PyTaskletObject) -> *mut PyObject {
    object(|| raw::frame(task.cast()))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_IsMain(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::Main))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_IsCurrent(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::Current))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Alive(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::Alive))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Paused(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::Paused))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Scheduled(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::Scheduled))
}

/// See `stackless_tasklet.h`.
///
/// # Safety
///
/// `task` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyTasklet_Restorable(task: *mut PyTaskletObject) -> c_int {
    number(|| raw::ask(task.cast(), Question::Restorable))
}
