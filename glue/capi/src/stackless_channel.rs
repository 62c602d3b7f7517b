//! `stackless_channel.h`: Stackless Python's channels.

use core::ffi::c_int;
use core::ptr;

use pyo3_ffi::{PyObject, PyTypeObject};
use raddle::primitive::AtomicPtr;
use raddle::tasklet::raw::{self, ChannelQuestion};

use crate::stackless_api::{number, object, silent, switched};

/// See `stackless_channel.h`: only its address is used.
#[derive(Debug)]
pub enum PyChannelObject {}

/// See `stackless_channel.h`.
#[unsafe(no_mangle)]
pub static PyChannel_TypePtr: AtomicPtr<PyObject> = AtomicPtr::new(ptr::null_mut());

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `class` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_New(class: *mut PyTypeObject) -> *mut PyChannelObject {
    object(|| raw::new_channel(class.cast())).cast()
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_Send(this: *mut PyChannelObject, arg: *mut PyObject) -> c_int {
    switched(|| raw::send(this.cast(), arg))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_Send_nr(
    this: *mut PyChannelObject,
    arg: *mut PyObject,
) -> c_int {
    switched(|| raw::send(this.cast(), arg))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_Receive(this: *mut PyChannelObject) -> *mut PyObject {
    object(|| raw::receive(this.cast()))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_Receive_nr(this: *mut PyChannelObject) -> *mut PyObject {
    object(|| raw::receive(this.cast()))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_SendException(
    this: *mut PyChannelObject,
    klass: *mut PyObject,
    value: *mut PyObject,
) -> c_int {
    switched(|| raw::send_exception(this.cast(), klass, value))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_SendException_nr(
    this: *mut PyChannelObject,
    klass: *mut PyObject,
    value: *mut PyObject,
) -> c_int {
    switched(|| raw::send_exception(this.cast(), klass, value))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_SendThrow(
    this: *mut PyChannelObject,
    exc: *mut PyObject,
    val: *mut PyObject,
    tb: *mut PyObject,
) -> c_int {
    switched(|| raw::send_throw(this.cast(), exc, val, tb))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// Each argument is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_SendThrow_nr(
    this: *mut PyChannelObject,
    exc: *mut PyObject,
    val: *mut PyObject,
    tb: *mut PyObject,
) -> c_int {
    switched(|| raw::send_throw(this.cast(), exc, val, tb))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_GetQueue(this: *mut PyChannelObject) -> *mut PyObject {
    object(|| raw::queue(this.cast()))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_Close(this: *mut PyChannelObject) {
    silent(this.cast(), || raw::set_closing(this.cast(), true));
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_Open(this: *mut PyChannelObject) {
    silent(this.cast(), || raw::set_closing(this.cast(), false));
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_GetClosing(this: *mut PyChannelObject) -> c_int {
    number(|| raw::ask_channel(this.cast(), ChannelQuestion::Closing))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_GetClosed(this: *mut PyChannelObject) -> c_int {
    number(|| raw::ask_channel(this.cast(), ChannelQuestion::Closed))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_GetPreference(this: *mut PyChannelObject) -> c_int {
    number(|| raw::ask_channel(this.cast(), ChannelQuestion::Preference))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_GetScheduleAll(this: *mut PyChannelObject) -> c_int {
    number(|| raw::ask_channel(this.cast(), ChannelQuestion::ScheduleAll))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_GetBalance(this: *mut PyChannelObject) -> c_int {
    number(|| raw::ask_channel(this.cast(), ChannelQuestion::Balance))
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_SetPreference(this: *mut PyChannelObject, val: c_int) {
    silent(this.cast(), || raw::set_preference(this.cast(), val));
}

/// See `stackless_channel.h`.
///
/// # Safety
///
/// `this` is null or an object that lives during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyChannel_SetScheduleAll(this: *mut PyChannelObject, val: c_int) {
    silent(this.cast(), || raw::set_schedule_all(this.cast(), val != 0));
}
