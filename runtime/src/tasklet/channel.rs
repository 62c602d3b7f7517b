//! Channels: two tasklets meet, and a value goes from one to the other.
//!
//! ```text
//!   balance    3   three wait to send        0   nobody waits       -2   two wait to receive
//!   preference, when somebody waits already:
//!     -1  the receiver goes on (the one who sends is suspended)
//!      1  the sender goes on
//!      0  whoever came goes on
//!   schedule_all: the one who came is suspended, and the run queue goes on
//! ```
//!
//! One who waits on another thread only becomes runnable there.

use core::cell::Cell;
use core::ops::Deref;
use core::ptr::NonNull;

use pyo3_ffi::PyObject;

use super::ops::{self, Raw, refuse};
use super::queue::Link;
use super::schedule::{Back, schedule};
use super::scheduler::Scheduler;
use super::state::Task;
use super::{hooks, lines, thread, watchdog};
use crate::object::{Kind, Pending};

/// The Python object of a channel.
#[repr(C)]
pub(super) struct ChannelObject {
    pub(super) base: PyObject,
    pub(super) weak: Raw,
    /// The chain of those who wait, each owned.
    pub(super) head: Link,
    pub(super) balance: Cell<i32>,
    pub(super) preference: Cell<i8>,
    pub(super) schedule_all: Cell<bool>,
    pub(super) closing: Cell<bool>,
}

/// A channel, lent: whoever holds this knows that the object is alive.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Channel(NonNull<ChannelObject>);

impl Deref for Channel {
    type Target = ChannelObject;

    #[inline(always)]
    fn deref(&self) -> &ChannelObject {
        // SAFETY: alive, as the type says; all that changes is in cells, and Python is held.
        unsafe { self.0.as_ref() }
    }
}

/// What a tasklet does at a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i8)]
pub(super) enum Direction {
    Send = 1,
    Receive = -1,
}

/// Where a tasklet waited, to put it back.
#[derive(Clone, Copy)]
pub(super) struct Waited {
    channel: Channel,
    direction: i8,
    next: *const Link,
}

impl Channel {
    /// # Safety
    ///
    /// `object` is a channel, alive as long as the result is used.
    #[inline(always)]
    pub(super) unsafe fn from_raw(object: Raw) -> Self {
        // SAFETY: not null, by the caller's promise.
        Self(unsafe { NonNull::new_unchecked(object.cast()) })
    }

    #[inline(always)]
    pub(super) fn raw(self) -> Raw {
        self.0.as_ptr().cast()
    }

    /// The one who has waited longest.
    pub(super) fn first(self) -> Option<Task> {
        let first = self.head.next();
        // SAFETY: all but the head are live tasklets.
        (first != &raw const self.head).then(|| unsafe { Task::of_link(first) })
    }

    pub(super) fn is_closed(self) -> bool {
        self.closing.get() && self.balance.get() == 0
    }

    /// Adds one who waits, before `next` (the head for the end); takes the caller's reference.
    #[inline(always)]
    fn add(self, task: Task, direction: i8, next: *const Link) {
        // SAFETY: the head, or a link that is in the chain.
        task.link.insert_before(unsafe { &*next });
        self.balance.set(self.balance.get() + i32::from(direction));
        task.blocked.set(direction);
        task.channel.set(self.0.as_ptr());
    }
}

/// Takes a tasklet that waits out of its channel; the caller gets the channel's reference.
pub(super) fn take_out(task: Task) -> Option<Waited> {
    let channel = Channel(NonNull::new(task.channel.get().cast_mut())?);
    let direction = task.blocked.get();
    let next = task.link.next();
    task.link.remove();
    channel.balance.set(channel.balance.get() - i32::from(direction));
    task.blocked.set(0);
    task.channel.set(core::ptr::null());
    Some(Waited { channel, direction, next })
}

/// Undoes [`take_out`]; takes the caller's reference.
pub(super) fn put_back(task: Task, waited: Waited) {
    waited.channel.add(task, waited.direction, waited.next);
}

/// Sends or receives on this thread; `value` is lent. What the tasklet gets is owned. `extent` is where
/// the arguments of the call end, or null (see `Body::extent`).
#[inline]
pub(super) fn act(
    channel: Channel,
    value: Raw,
    direction: Direction,
    extent: *const Raw,
) -> Result<Raw, Pending> {
    let s = Scheduler::here()?;
    if s.in_callback.get() {
        return refuse("Recursive channel call due to callbacks!");
    }
    let source = s.caller()?;
    source.set_extent(extent);
    let result = act_here(s, source, channel, value, direction);
    source.set_extent(core::ptr::null());
    result
}

#[inline]
fn act_here(
    s: Scheduler,
    source: Task,
    channel: Channel,
    value: Raw,
    direction: Direction,
) -> Result<Raw, Pending> {
    let waiting = channel.balance.get();
    let ready = if direction == Direction::Send { waiting < 0 } else { waiting > 0 };
    let target = if ready { channel.first() } else { None };
    let elsewhere = target.is_some_and(|target| target.home.get() != Some(s));
    let before = source.tempval.replace(ops::incref(value));
    let result = if elsewhere {
        Ok(())
    } else {
        hooks::communicated(s, channel, source, direction, target.is_none())
    };
    // The callback may have changed who waits.
    let target = channel.first().filter(|_| target.is_some());
    let result = result.and_then(|()| match target {
        Some(target) => meet(s, channel, source, target, direction),
        None => wait(s, channel, source, direction),
    });
    match result {
        Ok(back) => {
            ops::decref(before);
            if elsewhere {
                hooks::communicated(s, channel, source, direction, false)?;
            }
            back.answer()
        }
        Err(pending) => {
            source.give(before);
            Err(pending)
        }
    }
}

/// Somebody waits: the values change places, and one of the two goes on.
#[inline]
fn meet(
    s: Scheduler,
    channel: Channel,
    source: Task,
    target: Task,
    direction: Direction,
) -> Result<Back, Pending> {
    let Some(waited) = take_out(target) else { return refuse("the tasklet waits nowhere") };
    source.tempval.swap(&target.tempval);
    if target.home.get() != Some(s) {
        return meet_elsewhere(s, source, target, waited);
    }
    let switch_to = if channel.schedule_all.get() {
        s.insert(target);
        Scheduler::turn_after(source)
    } else if channel.preference.get() == -(direction as i8) {
        s.insert_after_current(target);
        watchdog::not_now(s);
        target
    } else {
        s.insert(target);
        watchdog::not_now(s);
        source
    };
    let result = schedule(s, source, Some(switch_to));
    if result.is_err() {
        s.remove(target);
        s.current.set(Some(source));
        put_back(target, waited);
        source.tempval.swap(&target.tempval);
    }
    result
}

#[cold]
fn meet_elsewhere(
    s: Scheduler,
    source: Task,
    target: Task,
    waited: Waited,
) -> Result<Back, Pending> {
    let Some(there) = target.home.get().filter(|home| home.is_alive()) else {
        put_back(target, waited);
        source.tempval.swap(&target.tempval);
        return refuse("tasklet has no thread");
    };
    there.insert(target); // With the channel's reference.
    thread::wake(there);
    schedule(s, source, Some(source))
}

/// Nobody waits: the tasklet does.
#[inline]
fn wait(
    s: Scheduler,
    channel: Channel,
    source: Task,
    direction: Direction,
) -> Result<Back, Pending> {
    if source.block_trap.get() {
        return refuse(lines::BLOCK_TRAP);
    }
    if channel.closing.get() {
        return ops::raise(Kind::Value, lines::CLOSED);
    }
    s.remove_current();
    channel.add(source, direction as i8, &raw const channel.head);
    let result = schedule(s, source, s.turn());
    if result.is_err() {
        if source.is_blocked() {
            take_out(source);
        }
        if !source.is_queued() {
            s.unremove(source);
        }
    }
    result
}

/// Waits at a channel that no callback is told of. What the tasklet gets, owned.
pub(super) fn wait_aside(
    s: Scheduler,
    channel: Channel,
    source: Task,
    extent: *const Raw,
) -> Result<Raw, Pending> {
    source.set_extent(extent);
    let before = source.tempval.replace(ops::new_none());
    let result = wait(s, channel, source, Direction::Receive);
    source.set_extent(core::ptr::null());
    match result {
        Ok(back) => {
            ops::decref(before);
            back.answer()
        }
        Err(pending) => {
            source.give(before);
            Err(pending)
        }
    }
}

/// Sends every item of an iterable. Returns how many.
pub(super) fn send_sequence(channel: Channel, items: Raw) -> Result<Raw, Pending> {
    // SAFETY: an object.
    let iterator = ops::check(unsafe { pyo3_ffi::PyObject_GetIter(items) })?;
    let mut sent = 0;
    let result = loop {
        // SAFETY: an iterator; null at its end, or with an exception set.
        let item = unsafe { pyo3_ffi::PyIter_Next(iterator) };
        if item.is_null() {
            break if ops::is_raised() { Err(Pending::is_set()) } else { Ok(()) };
        }
        let result = act(channel, item, Direction::Send, core::ptr::null());
        ops::decref(item);
        match result {
            Ok(value) => ops::decref(value),
            Err(pending) => break Err(pending),
        }
        sent += 1;
    };
    ops::decref(iterator);
    result.and_then(|()| ops::check(ops::integer(sent)))
}

/// The next value of `for value in channel`; null without an exception at the end.
pub(super) fn next_value(channel: Channel) -> Raw {
    if channel.closing.get() && channel.balance.get() <= 0 {
        return core::ptr::null_mut();
    }
    ops::answer(act(channel, ops::none(), Direction::Receive, core::ptr::null()))
}

/// Lets the one who has waited longest go on with a value, whose reference this takes; nobody is switched
/// to. What it had to send, owned.
///
/// # Errors
///
/// The value, if nobody waits.
pub(super) fn serve(channel: Channel, value: Raw) -> Result<Raw, Raw> {
    while let Some(task) = channel.first() {
        take_out(task);
        if let Some(home) = task.home.get().filter(|home| home.is_alive()) {
            let had = task.tempval.replace(value);
            home.insert(task);
            thread::wake(home);
            return Ok(had);
        }
        task.decref();
    }
    Err(value)
}

/// Lets all who wait go on, each with `None` if it receives; in the order in which they waited.
pub(super) fn clear(channel: Channel) {
    while let Some(task) = channel.first() {
        take_out(task);
        match task.home.get().filter(|home| home.is_alive()) {
            Some(home) => {
                task.give(ops::new_none());
                home.insert(task);
                thread::wake(home);
            }
            None => task.decref(),
        }
    }
}
