//! The descriptors that a thread's tasklets wait for, and the one epoll instance that watches them.
//!
//! A loop that drives the tasklets polls that instance's own descriptor, so its turn costs the same for one
//! socket and for ten thousand. An eventfd is watched with them, by which another thread ends a sleep.

use core::ffi::c_int;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::bell::Bell;
use super::ops;
use super::state::Task;
use super::thread;
use crate::object::Pending;

/// How many events are asked for at once.
const EVENTS: usize = 256;
/// What the eventfd is known by.
const RING: u64 = u64::MAX;
/// What poll(2) and epoll(7) tell without being asked.
const ALWAYS: u32 = (libc::EPOLLERR | libc::EPOLLHUP).cast_unsigned();

/// One who waits for a descriptor.
struct Watch {
    task: Task,
    events: u32,
    number: u64,
}

/// Who waits for which descriptor.
pub(super) struct Watches {
    /// The epoll instance, and the eventfd; -1 if they were not needed yet.
    epoll: RawFd,
    event: RawFd,
    /// Forks of this process when they were made: a child must not change its parent's.
    forks: u32,
    watched: BTreeMap<RawFd, Vec<Watch>>,
    /// Writes to the eventfd.
    bell: Arc<Bell>,
}

impl Watches {
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self { epoll: -1, event: -1, forks: 0, watched: BTreeMap::new(), bell }
    }

    pub(super) fn is_any(&self) -> bool {
        !self.watched.is_empty()
    }

    /// The instance's descriptor, if somebody waits for one.
    pub(super) fn waited_for(&self) -> Option<RawFd> {
        self.is_any().then_some(self.epoll)
    }

    /// What `fd` is ready for now; an OSError if there is no such descriptor.
    pub(super) fn ready_now(fd: RawFd, events: u32) -> Result<u32, Pending> {
        let mut asked = libc::pollfd { fd, events: bits(events), revents: 0 };
        // SAFETY: one descriptor, whatever it is.
        if unsafe { libc::poll(&raw mut asked, 1, 0) } < 0 {
            return Err(os_error());
        }
        if asked.revents & libc::POLLNVAL != 0 {
            set_errno(libc::EBADF);
            return Err(os_error());
        }
        Ok(u32::from(asked.revents.cast_unsigned()))
    }

    /// The instance's descriptor, made if there is none.
    pub(super) fn open(&mut self) -> Result<RawFd, Pending> {
        if self.epoll < 0 {
            self.make()?;
        } else if self.forks != thread::forks() {
            self.make_anew()?;
        }
        Ok(self.epoll)
    }

    fn make(&mut self) -> Result<(), Pending> {
        // SAFETY: a flag.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(os_error());
        }
        // SAFETY: a number and flags.
        let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if event < 0 || control(epoll, libc::EPOLL_CTL_ADD, event, libc::EPOLLIN as u32, RING) != 0
        {
            let pending = os_error();
            close(epoll);
            close(event);
            return Err(pending);
        }
        (self.epoll, self.event, self.forks) = (epoll, event, thread::forks());
        self.bell.set_descriptor(event);
        Ok(())
    }

    /// In a forked child: others of its own under the same numbers, which a loop may be polling.
    fn make_anew(&mut self) -> Result<(), Pending> {
        let (epoll, event) = (self.epoll, self.event);
        self.make()?;
        for (new, old) in [(self.epoll, epoll), (self.event, event)] {
            // SAFETY: two descriptors that are ours.
            unsafe { libc::dup3(new, old, libc::O_CLOEXEC) };
            if new == self.event {
                self.bell.set_descriptor(old);
            }
            close(new);
        }
        (self.epoll, self.event) = (epoll, event);
        let descriptors: Vec<RawFd> = self.watched.keys().copied().collect();
        for fd in descriptors {
            self.tell(fd)?;
        }
        Ok(())
    }

    /// Watches a descriptor for a tasklet.
    pub(super) fn add(
        &mut self,
        fd: RawFd,
        events: u32,
        number: u64,
        task: Task,
    ) -> Result<(), Pending> {
        self.open()?;
        self.watched.entry(fd).or_default().push(Watch { task, events, number });
        self.tell(fd).inspect_err(|_| self.remove(fd, number))
    }

    /// It waits no longer.
    pub(super) fn remove(&mut self, fd: RawFd, number: u64) {
        let Some(watches) = self.watched.get_mut(&fd) else { return };
        let before = watches.len();
        watches.retain(|watch| watch.number != number);
        if watches.len() != before {
            self.forget(fd);
        }
    }

    /// Somebody has left a descriptor: nobody may be left, or they want less.
    fn forget(&mut self, fd: RawFd) {
        if self.watched.get(&fd).is_some_and(Vec::is_empty) {
            self.watched.remove(&fd);
            // It fails if the descriptor was closed meanwhile, and then it is watched no more.
            control(self.epoll, libc::EPOLL_CTL_DEL, fd, 0, 0);
        } else if self.tell(fd).is_err() {
            ops::forget_raised();
        }
    }

    /// Has a descriptor watched for what all who wait for it want.
    fn tell(&self, fd: RawFd) -> Result<(), Pending> {
        let watches = self.watched.get(&fd).map_or(&[][..], Vec::as_slice);
        let events = watches.iter().fold(0, |all, watch| all | watch.events);
        let data = u64::from(fd.cast_unsigned());
        // One that was closed and opened again under the same number is not watched any more.
        if control(self.epoll, libc::EPOLL_CTL_MOD, fd, events, data) == 0
            || control(self.epoll, libc::EPOLL_CTL_ADD, fd, events, data) == 0
        {
            return Ok(());
        }
        Err(os_error())
    }

    /// Whether the eventfd is there, and not the one of the process that this is a fork of.
    fn is_ours(&self) -> bool {
        self.event >= 0 && self.forks == thread::forks()
    }

    /// What makes the instance's descriptor readable.
    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Nobody waits any more.
    pub(super) fn end(&mut self) {
        self.bell.set_descriptor(-1);
        close(self.epoll);
        close(self.event);
        (self.epoll, self.event) = (-1, -1);
        self.watched.clear();
    }

    /// Forgets that it was rung.
    pub(super) fn take_ring(&self) {
        if self.is_ours() {
            let mut count: u64 = 0;
            // SAFETY: room for eight bytes; never waits.
            unsafe { libc::read(self.event, (&raw mut count).cast(), size_of::<u64>()) };
        }
    }

    /// Those whose descriptor is ready, who wait for it no longer, and what for.
    pub(super) fn take_ready(&mut self) -> Vec<(Task, u32)> {
        let mut found = Vec::new();
        if self.epoll < 0 || self.forks != thread::forks() && self.open().is_err() {
            ops::forget_raised();
            return found;
        }
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let most = c_int::try_from(EVENTS).unwrap_or(c_int::MAX);
        // SAFETY: room for so many events; does not wait.
        let count = unsafe { libc::epoll_wait(self.epoll, events.as_mut_ptr(), most, 0) };
        let count = usize::try_from(count).unwrap_or(0);
        for event in &events[..count] {
            let (ready, data) = (event.events, event.u64);
            if data == RING {
                self.take_ring();
                continue;
            }
            let Ok(fd) = RawFd::try_from(data) else { continue };
            if let Some(watches) = self.watched.get_mut(&fd) {
                let is_for = |watch: &mut Watch| ready & (watch.events | ALWAYS) != 0;
                let told = watches.extract_if(.., is_for);
                found.extend(told.map(|watch| (watch.task, ready & (watch.events | ALWAYS))));
            }
            self.forget(fd);
        }
        found
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.end();
    }
}

fn bits(events: u32) -> i16 {
    i16::try_from(events & 0x7fff).unwrap_or(0)
}

fn control(epoll: RawFd, what: c_int, fd: RawFd, events: u32, data: u64) -> c_int {
    let mut event = libc::epoll_event { events, u64: data };
    // SAFETY: an event; descriptors that are no such are refused.
    unsafe { libc::epoll_ctl(epoll, what, fd, &raw mut event) }
}

fn close(fd: RawFd) {
    if fd >= 0 {
        // SAFETY: ours, and closed once.
        unsafe { libc::close(fd) };
    }
}

fn set_errno(error: c_int) {
    // SAFETY: the address of this thread's errno.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: this thread's, and an integer.
    unsafe { place.write(error) };
}

/// An OSError of errno.
fn os_error() -> Pending {
    // SAFETY: read only, and written by Python before anybody holds it.
    let kind = unsafe { pyo3_ffi::PyExc_OSError };
    // SAFETY: Python is held, and the type is Python's own.
    unsafe { pyo3_ffi::PyErr_SetFromErrno(kind) };
    Pending::is_set()
}
