//! What tasklets wait for besides channels: a time, or a descriptor.
//!
//! ```text
//!   aside        t1 - t2 - t3             who waits: the chain of a channel that nobody is shown
//!   due          {(when, number): t1}     for a time
//!   watches      {descriptor: [t2]}       for a descriptor: one epoll instance watches them all
//! ```
//!
//! Since they wait at a channel, they are killed, thrown at and collected as at any other. Whoever wakes
//! one takes it out of all three; one that is woken otherwise takes itself out when it goes on. So what
//! the tables lend is alive: its tasklet is suspended in `wait`.

use core::cell::{Cell, RefCell};
use core::ptr;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use pyo3_ffi::{self as ffi, PyMethodDef};

use super::bell::Bell;
use super::channel::{self, Channel};
use super::ops::{self, Raw, answer, answered, raise};
use super::raw::Failed;
use super::scheduler::Scheduler;
use super::state::Task;
use super::tasklet_type::extent;
use super::watches::Watches;
use super::{kinds, schedule, thread};
use crate::arguments::{Argument, Call};
use crate::class::method_fast;
use crate::gate::monotonic_ns;
use crate::object::{Answer, Kind, Pending};
use crate::row;

/// A thread whose loop nobody turns looks after those who wait once in so many switches.
const NOW_AND_THEN: u32 = 32;

/// What a scheduler knows of its tasklets that wait here.
pub(super) struct Waits {
    /// Owned, or null.
    aside: Cell<Raw>,
    number: Cell<u64>,
    due: RefCell<BTreeMap<(u64, u64), Task>>,
    watches: RefCell<Watches>,
    /// Whether one of the two has anybody in it.
    any: Cell<bool>,
    unlooked: Cell<u32>,
}

impl Waits {
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self {
            aside: Cell::new(ptr::null_mut()),
            number: Cell::new(0),
            due: RefCell::new(BTreeMap::new()),
            watches: RefCell::new(Watches::new(bell)),
            any: Cell::new(false),
            unlooked: Cell::new(0),
        }
    }

    /// Whether somebody waits for what will come without another thread.
    pub(super) fn may_end(&self) -> bool {
        self.any.get()
    }

    /// Whether a tasklet waits here.
    pub(super) fn has(&self, task: Task) -> bool {
        !self.aside.get().is_null() && task.channel.get().cast() == self.aside.get().cast_const()
    }

    /// The next time that somebody waits for.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.due.borrow().first_key_value().map(|((when, _), _)| *when)
    }

    /// What is readable when a descriptor is ready that somebody waits for, or after [`ring`](Self::ring).
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        self.watches.borrow().waited_for()
    }

    /// As [`descriptor`](Self::descriptor), made if there is none yet.
    pub(super) fn descriptor_for_ever(&self) -> Result<RawFd, Pending> {
        self.watches.borrow_mut().open()
    }

    /// Makes the descriptor readable. Called with Python held, on any thread.
    pub(super) fn ring(&self) {
        self.watches.borrow().bell().write();
    }

    fn number(&self) -> u64 {
        let number = self.number.get() + 1;
        self.number.set(number);
        number
    }

    fn count(&self) {
        self.any.set(!self.due.borrow().is_empty() || self.watches.borrow().is_any());
    }

    fn aside(&self) -> Result<Channel, Pending> {
        if self.aside.get().is_null() {
            let channel = kinds::new_channel(kinds::channel_type())?.raw();
            // Nobody is shown it, and who waits at it is nobody's garbage.
            // SAFETY: an object that the collector knows.
            unsafe { ffi::PyObject_GC_UnTrack(channel.cast()) };
            self.aside.set(channel);
        }
        // SAFETY: owned.
        Ok(unsafe { Channel::from_raw(self.aside.get()) })
    }

    /// The thread ends: nobody here goes on any more.
    pub(super) fn end(&self) {
        self.due.borrow_mut().clear();
        self.watches.borrow_mut().end();
        self.count();
        ops::xdecref(self.aside.replace(ptr::null_mut()));
    }
}

/// Suspends the tasklet that calls, until it is woken or the clock reaches `until`. What it was woken
/// with, owned; `None` for the time.
pub(super) fn wait(s: Scheduler, until: Option<u64>, extent: *const Raw) -> Result<Raw, Pending> {
    let me = s.caller()?;
    let channel = s.waits.aside()?;
    let key = until.map(|until| (until, s.waits.number()));
    if let Some(key) = key {
        s.waits.due.borrow_mut().insert(key, me);
        s.waits.any.set(true);
        s.drive.is_due(key.0);
    }
    let result = channel::wait_aside(s, channel, me, extent);
    if let Some(key) = key {
        s.waits.due.borrow_mut().remove(&key);
        s.waits.count();
    }
    result
}

/// Makes a tasklet runnable that waits here, with a value that it gets: owned. Not one that has been
/// woken already.
pub(super) fn wake(task: Task, value: Raw) {
    match task.home.get().filter(|home| home.is_alive() && home.waits.has(task)) {
        Some(home) => {
            channel::take_out(task);
            task.give(value);
            home.insert(task);
            thread::wake(home);
        }
        None => ops::decref(value),
    }
}

/// Wakes those whose time has come, or whose descriptor is ready.
pub(super) fn look(s: Scheduler) {
    if !s.waits.any.get() {
        s.waits.watches.borrow().take_ring();
        return;
    }
    if let Some(first) = s.waits.next_due() {
        let now = monotonic_ns();
        if first <= now {
            // Those of the same time in the order in which they came.
            let mut due = s.waits.due.borrow_mut();
            let later = due.split_off(&(now, u64::MAX));
            let ripe = core::mem::replace(&mut *due, later);
            drop(due);
            ripe.into_values().for_each(|task| wake(task, ops::new_none()));
        }
    }
    let ready = s.waits.watches.borrow_mut().take_ready();
    for (task, events) in ready {
        wake(task, ops::integer(events.into()));
    }
    s.waits.count();
}

/// [`look`] at a few of many switches.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a switch is made of these")]
pub(super) fn look_now_and_then(s: Scheduler) {
    if s.waits.any.get() {
        now_and_then(s);
    }
}

#[cold]
fn now_and_then(s: Scheduler) {
    let unlooked = s.waits.unlooked.get() + 1;
    s.waits.unlooked.set(unlooked % NOW_AND_THEN);
    if unlooked >= NOW_AND_THEN {
        look(s);
    }
}

/// Waits, without Python, until a descriptor of [`Waits::descriptor`] is readable.
pub(super) fn poll(descriptor: RawFd, longest: Option<Duration>) {
    let mut watched = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    let longest = longest.map(|longest| longest.as_nanos().div_ceil(1_000_000));
    let longest = longest.map_or(-1, |longest| i32::try_from(longest).unwrap_or(i32::MAX));
    // SAFETY: one descriptor, which may be closed: that is told.
    unsafe { libc::poll(&raw mut watched, 1, longest) };
}

fn after(time: Option<Duration>) -> Option<u64> {
    let time = u64::try_from(time?.as_nanos()).ok()?;
    monotonic_ns().checked_add(time)
}

/// Suspends the tasklet that calls for so long; `None` is until somebody ends it. Others run meanwhile.
///
/// # Errors
///
/// What is raised in it; RuntimeError where it must not wait.
#[doc(alias = "raddle_sleep")]
pub fn sleep(time: Option<Duration>) -> Result<(), Failed> {
    sleep_here(time, ptr::null())
}

fn sleep_here(time: Option<Duration>, extent: *const Raw) -> Result<(), Pending> {
    if time.is_some_and(|time| time.is_zero()) {
        return schedule::yield_now(Some(ops::none()), false, extent).map(ops::decref);
    }
    wait(Scheduler::here()?, after(time), extent).map(ops::decref)
}

/// Suspends the tasklet that calls until `fd` is ready for one of `events` (those of poll(2)), at most for
/// a time. What it is ready for, errors included; 0 if the time passed.
///
/// # Errors
///
/// As [`sleep`]; OSError if the descriptor cannot be watched.
#[doc(alias = "raddle_wait_fd")]
pub fn wait_fd(fd: RawFd, events: u32, timeout: Option<Duration>) -> Result<u32, Failed> {
    wait_fd_here(fd, events, timeout, ptr::null())
}

fn wait_fd_here(
    fd: RawFd,
    events: u32,
    timeout: Option<Duration>,
    extent: *const Raw,
) -> Result<u32, Pending> {
    let s = Scheduler::here()?;
    let me = s.caller()?;
    let ready = Watches::ready_now(fd, events)?;
    if ready != 0 || timeout.is_some_and(|timeout| timeout.is_zero()) {
        // The others have their turn even if there is always something to read.
        schedule::yield_now(Some(ops::none()), false, extent).map(ops::decref)?;
        return Ok(ready);
    }
    let number = s.waits.number();
    s.waits.watches.borrow_mut().add(fd, events, number, me)?;
    s.waits.any.set(true);
    let result = wait(s, after(timeout), extent);
    s.waits.watches.borrow_mut().remove(fd, number);
    s.waits.count();
    let value = result?;
    let events = if ops::is_int(value) {
        // SAFETY: an int, put there by `look`.
        unsafe { ffi::PyLong_AsLongLong(value) }
    } else {
        0
    };
    ops::decref(value);
    Ok(u32::try_from(events).unwrap_or(0))
}

/// The rows for the method table of `_raddle`.
pub(crate) const METHODS: [PyMethodDef; 2] = [
    method_fast(
        c"sleep",
        py_sleep,
        c"sleep(seconds, /)\n--\n\nSuspend this tasklet for so long; the others run meanwhile.",
    ),
    row::function(
        c"wait_fd",
        py_wait_fd,
        c"wait_fd(fd, events, timeout=None)\n--\n\nSuspend this tasklet until a descriptor is ready for one of the events, which are select.POLLIN and its like; return those it is ready for, or 0 if the time passed.",
    ),
];

unsafe extern "C" fn py_sleep(_: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    let seconds = ops::argument(args, count, 0);
    if count != 1 || seconds == ops::none() {
        return answer(raise(Kind::Type, "sleep() takes a number of seconds"));
    }
    // SAFETY: an argument.
    let seconds = unsafe { Argument::lent(ops::held(), seconds) };
    answer(seconds.timeout().and_then(|time| {
        sleep_here(time, extent(args, count))?;
        Ok(ops::new_none())
    }))
}

fn py_wait_fd(call: Call<'_>) -> Answer<'_> {
    let [fd, events, timeout] = call.bind("wait_fd", [c"fd", c"events", c"timeout"], 2)?;
    // SAFETY: an object; anything but an int or what has a fileno() is refused.
    let fd = unsafe { ffi::PyObject_AsFileDescriptor(fd.as_ptr()) };
    ops::check_status(fd)?;
    let ready =
        wait_fd_here(fd, events.number("events", 0, 0)?, timeout.timeout()?, call.extent())?;
    answered(ops::check(ops::unsigned(ready.into())))
}
