//! The channels for other faces than Python's: the part of [`raw`](super::raw) about them.

use core::ffi::c_int;

use pyo3_ffi::PyObject;

use super::bomb;
use super::channel::{self, Channel, Direction};
use super::channel_type::send_bomb;
use super::kinds;
use super::ops::{self, Raw};
use super::raw::{Answer, Failed, or_none, subclass};
use super::state::Task;
use crate::object::Kind;

/// The object as a channel.
fn a_channel(object: Raw) -> Result<Channel, Failed> {
    kinds::ready()?;
    if object.is_null() || !ops::is_instance(object, kinds::channel_type()) {
        return ops::raise(Kind::Type, "a channel is wanted");
    }
    // SAFETY: of the type, and alive for the call.
    Ok(unsafe { Channel::from_raw(object) })
}

/// A channel of a type (null: the type itself).
///
/// # Errors
///
/// TypeError for another type.
#[doc(alias = "PyChannel_New")]
pub fn new_channel(class: *mut PyObject) -> Answer {
    ops::call_with(subclass(class, kinds::channel_type())?, [])
}

/// Sends a value, waiting for one who receives.
///
/// # Errors
///
/// ValueError on a closed channel; RuntimeError for a deadlock or a trap; what is raised in this
/// tasklet meanwhile.
#[doc(alias = "PyChannel_Send")]
pub fn send(channel: *mut PyObject, value: *mut PyObject) -> Answer {
    channel::act(a_channel(channel)?, or_none(value), Direction::Send, core::ptr::null())
}

/// Receives a value, waiting for one who sends.
///
/// # Errors
///
/// As [`send`]; what was sent as an exception.
#[doc(alias = "PyChannel_Receive")]
pub fn receive(channel: *mut PyObject) -> Answer {
    channel::act(a_channel(channel)?, ops::none(), Direction::Receive, core::ptr::null())
}

/// Sends `class(*arguments)` as an exception. `arguments` is a tuple or one value (null: none).
///
/// # Errors
///
/// As [`send`]; TypeError.
#[doc(alias = "PyChannel_SendException")]
pub fn send_exception(
    channel: *mut PyObject,
    class: *mut PyObject,
    arguments: *mut PyObject,
) -> Answer {
    let channel = a_channel(channel)?;
    let empty = ops::tuple([])?;
    let arguments = if arguments.is_null() { empty } else { arguments };
    let bomb = bomb::of_class(or_none(class), arguments, "channel.send_exception");
    ops::decref(empty);
    send_bomb(channel, bomb, core::ptr::null())
}

/// Sends an exception in three parts, as `raise` takes them; null for `None`.
///
/// # Errors
///
/// As [`send`]; TypeError.
#[doc(alias = "PyChannel_SendThrow")]
pub fn send_throw(
    channel: *mut PyObject,
    kind: *mut PyObject,
    value: *mut PyObject,
    traceback: *mut PyObject,
) -> Answer {
    let channel = a_channel(channel)?;
    let bomb = bomb::of_raise(or_none(kind), or_none(value), or_none(traceback));
    send_bomb(channel, bomb, core::ptr::null())
}

/// The one who has waited longest at a channel, or null without an exception.
///
/// # Errors
///
/// TypeError.
#[doc(alias = "PyChannel_GetQueue")]
pub fn queue(channel: *mut PyObject) -> Answer {
    Ok(a_channel(channel)?.first().map_or(core::ptr::null_mut(), Task::new_ref))
}

/// Closes a channel (lets nobody wait any more), or opens it again.
///
/// # Errors
///
/// TypeError.
#[doc(alias = "PyChannel_Close")]
#[doc(alias = "PyChannel_Open")]
pub fn set_closing(channel: *mut PyObject, closing: bool) -> Result<(), Failed> {
    a_channel(channel)?.closing.set(closing);
    Ok(())
}

/// What a channel is, for [`ask_channel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelQuestion {
    /// `PyChannel_GetClosing`.
    Closing,
    /// `PyChannel_GetClosed`.
    Closed,
    /// `PyChannel_GetPreference`.
    Preference,
    /// `PyChannel_GetScheduleAll`.
    ScheduleAll,
    /// `PyChannel_GetBalance`.
    Balance,
}

/// Answers a question about a channel.
///
/// # Errors
///
/// TypeError.
pub fn ask_channel(channel: *mut PyObject, question: ChannelQuestion) -> Result<c_int, Failed> {
    let channel = a_channel(channel)?;
    Ok(match question {
        ChannelQuestion::Closing => channel.closing.get().into(),
        ChannelQuestion::Closed => channel.is_closed().into(),
        ChannelQuestion::Preference => channel.preference.get().into(),
        ChannelQuestion::ScheduleAll => channel.schedule_all.get().into(),
        ChannelQuestion::Balance => channel.balance.get(),
    })
}

/// Sets who goes on after a meeting: below 0 the receiver, above 0 the sender, 0 the one who came.
///
/// # Errors
///
/// TypeError.
#[doc(alias = "PyChannel_SetPreference")]
pub fn set_preference(channel: *mut PyObject, preference: c_int) -> Result<(), Failed> {
    let preference = if preference > 0 { 1 } else { -i8::from(preference < 0) };
    a_channel(channel)?.preference.set(preference);
    Ok(())
}

/// Sets whether the one who came to a meeting lets all others run first.
///
/// # Errors
///
/// TypeError.
#[doc(alias = "PyChannel_SetScheduleAll")]
pub fn set_schedule_all(channel: *mut PyObject, flag: bool) -> Result<(), Failed> {
    a_channel(channel)?.schedule_all.set(flag);
    Ok(())
}

/// [`channel::serve`] for a bare object.
pub(super) fn serve(channel: *mut PyObject, value: Raw) -> Result<Raw, Raw> {
    match a_channel(channel) {
        Ok(channel) => channel::serve(channel, value),
        Err(_) => {
            ops::forget_raised();
            Err(value)
        }
    }
}

/// Lets all who wait at a channel go on.
///
/// # Errors
///
/// TypeError.
pub fn clear(channel: *mut PyObject) -> Result<(), Failed> {
    channel::clear(a_channel(channel)?);
    Ok(())
}
