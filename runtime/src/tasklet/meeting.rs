//! What the two sides of a typed channel share: a channel of Python's, at which tasklets meet as on any,
//! and a queue between them and the threads that have no Python.
//!
//! ```text
//!   tasklets                                              threads without Python
//!   --------                                              ----------------------
//!   send    -- meet or wait at Python's channel           send     -- the queue, never waits; a letter
//!           -- the queue, if a thread wants a value                   to the threads of those who wait
//!   receive -- the queue first                            receive  -- the queue, a letter likewise
//!           -- meet or wait at Python's channel
//!                    ^                 letter               |
//!                    +---- moved, with Python held <--------+
//! ```
//!
//! The lock is never held while Python or anybody's code runs, so nobody who has it waits for Python.
#![forbid(unsafe_code)]

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use pyo3::{Bound, PyAny, Python};

use super::bell::{Bell, Letter};
use super::fault::Fault;
use super::ops::{self, Raw};
use super::raw::{self, ChannelQuestion};
use super::scheduler::Scheduler;
use super::{parcel, thread};
use crate::gate::{self, Ref};
use crate::object::Pending;
use crate::primitive::{Condvar, Mutex, MutexGuard, lock};
use crate::relay::live::Stop;

/// How a value becomes a Python object.
type Pack<T> = fn(Scheduler, T) -> Result<Raw, Pending>;

/// What the two sides share.
pub(super) struct Meeting<T> {
    object: Ref,
    generation: u64,
    pack: Pack<T>,
    /// How many values tasklets leave without waiting.
    capacity: usize,
    inner: Mutex<Inner<T>>,
    /// Something for threads that receive.
    pub(super) filled: Condvar,
    /// Room for threads that send.
    pub(super) room: Condvar,
}

pub(super) struct Inner<T> {
    pub(super) queue: VecDeque<T>,
    pub(super) closed: bool,
    /// Python ends.
    ended: bool,
    /// Native ends that are there.
    pub(super) senders: usize,
    pub(super) receivers: usize,
    /// Those that are told when Python ends have it.
    pub(super) is_listed: bool,
    /// Tasklets that wait.
    pub(super) sending: usize,
    receiving: usize,
    /// Threads that wait to receive.
    pub(super) wanted: usize,
    /// Where the tasklets wait, and how many.
    bells: Vec<(Arc<Bell>, usize)>,
    /// Whether native ends keep the tasklets that wait from a deadlock.
    awaited: bool,
}

impl<T> Inner<T> {
    /// Something changed about who waits for whom. Whether that has made it a deadlock, perhaps.
    pub(super) fn look(&mut self) -> bool {
        let awaited =
            self.receiving > 0 && self.senders > 0 || self.sending > 0 && self.receivers > 0;
        let changed = awaited != self.awaited;
        if changed {
            self.awaited = awaited;
            thread::expect_others(awaited);
        }
        changed && !awaited
    }

    /// Whose threads have to look at it: those of tasklets that wait.
    pub(super) fn bells(&self) -> Vec<Arc<Bell>> {
        self.bells.iter().map(|(bell, _)| Arc::clone(bell)).collect()
    }

    /// Whether a tasklet waits for a value.
    pub(super) fn is_awaited(&self) -> bool {
        self.receiving > 0
    }

    /// Whether a thread that has sent has to tell them.
    pub(super) fn is_missed(&self) -> bool {
        self.receiving > 0 && self.queue.len() > self.wanted
    }
}

/// A tasklet waits, until this is dropped.
struct Waits<'a, T> {
    meeting: &'a Meeting<T>,
    bell: Arc<Bell>,
    sends: bool,
}

impl<'a, T> Waits<'a, T> {
    fn begin(
        meeting: &'a Meeting<T>,
        mut inner: MutexGuard<'_, Inner<T>>,
        s: Scheduler,
        sends: bool,
    ) -> Self {
        let bell = Arc::clone(&s.waiting.bell);
        *(if sends { &mut inner.sending } else { &mut inner.receiving }) += 1;
        match inner.bells.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &bell)) {
            Some((_, count)) => *count += 1,
            None => inner.bells.push((Arc::clone(&bell), 1)),
        }
        let _it_is_told_soon = inner.look();
        Self { meeting, bell, sends }
    }
}

impl<T> Drop for Waits<'_, T> {
    fn drop(&mut self) {
        let mut inner = self.meeting.inner();
        *(if self.sends { &mut inner.sending } else { &mut inner.receiving }) -= 1;
        let here = inner.bells.iter().position(|(known, _)| Arc::ptr_eq(known, &self.bell));
        if let Some(place) = here {
            inner.bells[place].1 -= 1;
            if inner.bells[place].1 == 0 {
                inner.bells.swap_remove(place);
            }
        }
        let _nobody_waits = inner.look();
    }
}

impl<T: 'static> Meeting<T> {
    pub(super) fn new(py: Python<'_>, pack: Pack<T>, capacity: usize) -> Result<Arc<Self>, Fault> {
        let object = raw::new_channel(core::ptr::null_mut()).map_err(Fault::take)?;
        Ok(Arc::new(Self {
            object: Ref::new(ops::owned(py, object)),
            generation: gate::generation(),
            pack,
            capacity,
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                closed: false,
                ended: false,
                senders: 0,
                receivers: 0,
                is_listed: false,
                sending: 0,
                receiving: 0,
                wanted: 0,
                bells: Vec::new(),
                awaited: false,
            }),
            filled: Condvar::new(),
            room: Condvar::new(),
        }))
    }

    /// Sends, as a tasklet.
    pub(super) fn send(&self, py: Python<'_>, value: T) -> Result<(), (Fault, Option<T>)> {
        let (object, s) = match self.here(py) {
            Ok(here) => here,
            Err(fault) => return Err((fault, Some(value))),
        };
        let nobody_receives = balance(&object) >= 0;
        if nobody_receives {
            let mut inner = self.inner();
            let is_wanted = inner.wanted > inner.queue.len();
            if is_wanted || !inner.closed && inner.queue.len() < self.capacity {
                inner.queue.push_back(value);
                self.filled.notify_one();
                return Ok(());
            }
        }
        let parcel = (self.pack)(s, value).map_err(|pending| (Fault::take(pending), None))?;
        let waits = Waits::begin(self, self.inner(), s, true);
        let result = raw::send(object.as_ptr(), parcel).map_err(Fault::take);
        drop(waits);
        let result = result.map(ops::decref).map_err(|fault| (fault, parcel::take(parcel)));
        ops::decref(parcel);
        result
    }

    /// Receives, as a tasklet.
    pub(super) fn receive(&self, py: Python<'_>) -> Result<T, Fault> {
        let (object, s) = self.here(py)?;
        let mut inner = self.inner();
        if let Some(value) = inner.queue.pop_front() {
            drop(inner);
            self.room.notify_one();
            self.move_on(&object);
            return Ok(value);
        }
        let waits = Waits::begin(self, inner, s, false);
        let parcel = raw::receive(object.as_ptr()).map_err(Fault::take);
        drop(waits);
        let parcel = parcel?;
        let value = parcel::take(parcel);
        ops::decref(parcel);
        value.ok_or(Fault::LetGo)
    }

    /// Moves what can be moved between the queue and those who wait at Python's channel.
    fn move_on(&self, object: &Bound<'_, PyAny>) {
        let Ok(s) = Scheduler::here() else { return ops::forget_raised() };
        loop {
            let balance = balance(object);
            let mut inner = self.inner();
            let held = inner.queue.len();
            if balance < 0 && held > inner.wanted {
                let Some(value) = inner.queue.pop_front() else { return };
                drop(inner); // Making an object may run the collector, and that anything.
                self.room.notify_one();
                let Ok(parcel) = (self.pack)(s, value) else { return ops::forget_raised() };
                match raw::serve(object.as_ptr(), parcel) {
                    Ok(nothing) => ops::decref(nothing),
                    Err(parcel) => {
                        // Nobody waits after all.
                        if let Some(value) = parcel::take(parcel) {
                            self.inner().queue.push_front(value);
                        }
                        ops::decref(parcel);
                    }
                }
            } else if balance > 0 && (inner.wanted > held || held < self.capacity) {
                drop(inner);
                let Ok(parcel) = raw::serve(object.as_ptr(), ops::new_none()) else { return };
                if let Some(value) = parcel::take(parcel) {
                    self.inner().queue.push_back(value);
                    self.filled.notify_one();
                }
                ops::decref(parcel);
            } else {
                return;
            }
        }
    }

    /// Whether a value can be had without waiting.
    pub(super) fn has_value(&self, py: Python<'_>) -> bool {
        !self.inner().queue.is_empty() || self.object(py).is_ok_and(|object| balance(&object) > 0)
    }

    /// Values that can be received; negative: tasklets that wait for one.
    pub(super) fn balance(&self, py: Python<'_>) -> isize {
        let held = self.inner().queue.len().cast_signed();
        self.object(py).map_or(held, |object| held + balance(&object))
    }

    pub(super) fn set_closed(&self, py: Python<'_>, closed: bool) {
        if let Ok(object) = self.object(py) {
            // It is a channel: nothing can fail.
            let _set = raw::set_closing(object.as_ptr(), closed);
        }
        self.inner().closed = closed;
        self.wake_threads();
    }

    /// Lets tasklets that wait go on with nothing, and forgets what is in the queue.
    pub(super) fn clear(&self, py: Python<'_>) {
        let held = core::mem::take(&mut self.inner().queue);
        drop(held);
        self.room.notify_all();
        if let Ok(object) = self.object(py) {
            // As above.
            let _cleared = raw::clear(object.as_ptr());
        }
    }

    fn here<'py>(&self, py: Python<'py>) -> Result<(Bound<'py, PyAny>, Scheduler), Fault> {
        let object = self.object(py)?;
        let s = Scheduler::here().map_err(Fault::take)?;
        Ok((object, s))
    }

    /// Python's channel.
    pub(super) fn object<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Fault> {
        self.object.try_bind(py).ok_or(Fault::Closed)
    }
}

impl<T> Meeting<T> {
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        lock(&self.inner)
    }

    /// How many values threads leave without waiting.
    pub(super) fn bound(&self) -> usize {
        self.capacity.max(super::BACKLOG)
    }

    /// Whether Python has ended, or is about to: nobody is at the other side.
    pub(super) fn has_ended(&self, inner: &Inner<T>) -> bool {
        inner.ended || self.generation != gate::generation()
    }

    /// Whether threads may send no more.
    pub(super) fn is_over(&self, inner: &Inner<T>) -> bool {
        inner.closed || self.has_ended(inner)
    }

    fn wake_threads(&self) {
        self.filled.notify_all();
        self.room.notify_all();
    }
}

fn balance(object: &Bound<'_, PyAny>) -> isize {
    let balance = raw::ask_channel(object.as_ptr(), ChannelQuestion::Balance).unwrap_or(0);
    isize::try_from(balance).unwrap_or(0)
}

impl<T: Send + 'static> Letter for Meeting<T> {
    fn open(&self) {
        if let Ok(object) = self.object(ops::held()) {
            self.move_on(&object);
        }
    }
}

/// Python ends: threads wait no longer.
impl<T: Send + 'static> Stop for Meeting<T> {
    fn stop(&self) {
        self.inner().ended = true;
        self.wake_threads();
    }
}

impl<T> fmt::Debug for Meeting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner();
        f.debug_struct("Channel")
            .field("held", &inner.queue.len())
            .field("closed", &inner.closed)
            .finish_non_exhaustive()
    }
}
