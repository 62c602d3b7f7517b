//! A thread's scheduler: its run queue, its main and current tasklet, its watchdogs.
//!
//! Made when a thread first asks, and kept in the thread state's dict, with which it ends. Tasklets
//! count it too, so that one that outlives its thread finds out. All of it is used with Python held.
#![expect(clippy::inline_always, reason = "a switch is made of these")]

use core::cell::{Cell, RefCell};
use core::ffi::{CStr, c_void};
use core::ops::Deref;
use core::ptr::{self, NonNull};
use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3_ffi::{self as ffi, PyThreadState};

use super::drive::Drive;
use super::ops::{self, Raw, check};
use super::state::{Body, Task};
use super::tools::{self, Marks};
use super::wait::Waits;
use super::{kinds, thread};
use crate::cpython::{self, tasklet::Running};
use crate::gate::stack::{self as gate_stack, Stack};
use crate::object::Pending;
use crate::primitive::{AtomicU64, Ordering};

const KEY: &CStr = c"raddle.stackless scheduler";

/// What a thread's tasklets share.
pub(super) struct Record {
    count: Cell<usize>,
    /// The thread state; null once it is gone.
    pub(super) state: Cell<*mut PyThreadState>,
    pub(super) ident: Cell<u64>,
    /// Owned.
    pub(super) main: Cell<Option<Task>>,
    /// Who runs, and where the run queue is entered; the queue owns it.
    pub(super) current: Cell<Option<Task>>,
    pub(super) runcount: Cell<u32>,
    pub(super) switch_trap: Cell<i32>,
    /// A callback runs: nobody may switch.
    pub(super) in_callback: Cell<bool>,
    pub(super) pickle_flags: Cell<u8>,

    /// To be let go after the switch: a tasklet and a value (owned or null), and an ended body.
    pub(super) left: Cell<[Raw; 2]>,
    pub(super) ended: Cell<*const Body>,

    pub(super) watch: super::watchdog::Watch,
    pub(super) waiting: thread::Waiting,
    pub(super) switches: Cell<u64>,
    pub(super) made: Cell<u64>,
    pub(super) finished: Cell<u64>,
    /// Nanoseconds of the clock when the current tasklet was switched to, where that is counted.
    pub(super) since: Cell<u64>,
    /// Watchdogs, outermost first, each owned.
    pub(super) watchdogs: RefCell<Vec<Task>>,
    /// Who has begun and not ended, in the order of their beginnings; nobody is owned.
    pub(super) peers: RefCell<BTreeMap<u64, Task>>,
    /// Whom a callback is shown as the current one.
    pub(super) shown: Cell<Option<Task>>,
    /// What tasklets wait for besides channels.
    pub(super) waits: Waits,
    /// Somebody's loop that runs the tasklets.
    pub(super) drive: Drive,
}

/// A scheduler, lent or counted: alive while its thread is, or a tasklet of it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Scheduler(NonNull<Record>);

impl Deref for Scheduler {
    type Target = Record;

    #[inline(always)]
    fn deref(&self) -> &Record {
        // SAFETY: alive, as the type says; all that changes is in cells, and Python is held.
        unsafe { self.0.as_ref() }
    }
}

/// Counts the schedulers that ended, so that a thread's shortcut to its own knows that it is stale.
static ENDED: AtomicU64 = AtomicU64::new(1);

struct Here {
    state: Cell<*mut PyThreadState>,
    ended: Cell<u64>,
    scheduler: Cell<Option<Scheduler>>,
}

thread_local! {
    static HERE: Here = const {
        Here { state: Cell::new(ptr::null_mut()), ended: Cell::new(0), scheduler: Cell::new(None) }
    };
}

impl Scheduler {
    /// This thread's, made if it is the first time.
    #[inline(always)]
    pub(super) fn here() -> Result<Self, Pending> {
        match Self::known() {
            Some(scheduler) => Ok(scheduler),
            None => Self::look_up(true).and_then(|found| found.ok_or_else(Pending::is_set)),
        }
    }

    /// This thread's, if it has asked for it since another one ended.
    #[inline(always)]
    fn known() -> Option<Self> {
        let current = cpython::current();
        HERE.with(|here| {
            // Relaxed: the last end that concerns this thread happened with Python held.
            let fresh =
                here.state.get() == current && here.ended.get() == ENDED.load(Ordering::Relaxed);
            if fresh { here.scheduler.get() } else { None }
        })
    }

    /// This thread's, if it has one.
    pub(super) fn try_here() -> Option<Self> {
        Self::known().or_else(|| {
            Self::look_up(false).unwrap_or_else(|_| {
                ops::forget_raised();
                None
            })
        })
    }

    /// Whether this thread had one when it last asked: without Python, and so perhaps no longer true.
    pub(super) fn was_here() -> bool {
        HERE.try_with(|here| here.scheduler.get().is_some()).unwrap_or(false)
    }

    /// From now on `scheduler` is this thread's, whose state it is: the dict that had it is gone.
    fn is_here(self) {
        HERE.with(|here| {
            here.state.set(self.state.get());
            here.ended.set(ENDED.load(Ordering::Relaxed));
            here.scheduler.set(Some(self));
        });
    }

    #[cold]
    fn look_up(make: bool) -> Result<Option<Self>, Pending> {
        let current = cpython::current();
        // SAFETY: Python is held; lends the dict, or null.
        let dict = unsafe { ffi::PyThreadState_GetDict() };
        if dict.is_null() {
            return ops::refuse("this thread has no state in which tasklets could be kept");
        }
        // SAFETY: a dict, and a name that ends with a NUL; lends.
        let capsule = unsafe { ffi::PyDict_GetItemString(dict, KEY.as_ptr()) };
        let scheduler = if !capsule.is_null() {
            // SAFETY: a capsule of that name, made below.
            let record = unsafe { ffi::PyCapsule_GetPointer(capsule, KEY.as_ptr()) };
            check(record.cast())?;
            NonNull::new(record.cast()).map(Self)
        } else if make {
            Some(Self::make(current, dict)?)
        } else {
            None
        };
        HERE.with(|here| {
            here.state.set(current);
            here.ended.set(ENDED.load(Ordering::Relaxed));
            here.scheduler.set(scheduler);
        });
        Ok(scheduler)
    }

    fn make(state: *mut PyThreadState, dict: Raw) -> Result<Self, Pending> {
        kinds::ready()?;
        tools::look();
        // SAFETY: Python is held, and tells this thread's own identity.
        let ident = unsafe { libc::pthread_self() };
        let waiting = thread::Waiting::new();
        let record = Record {
            count: Cell::new(1),
            state: Cell::new(state),
            ident: Cell::new(ident),
            main: Cell::new(None),
            current: Cell::new(None),
            runcount: Cell::new(0),
            switch_trap: Cell::new(0),
            in_callback: Cell::new(false),
            pickle_flags: Cell::new(0),
            left: Cell::new([ptr::null_mut(); 2]),
            ended: Cell::new(ptr::null()),
            watch: super::watchdog::Watch::new(),
            switches: Cell::new(0),
            made: Cell::new(0),
            finished: Cell::new(0),
            since: Cell::new(0),
            watchdogs: RefCell::new(Vec::new()),
            peers: RefCell::new(BTreeMap::new()),
            shown: Cell::new(None),
            waits: Waits::new(Arc::clone(&waiting.bell)),
            waiting,
            drive: Drive::none(),
        };
        let scheduler = Self(NonNull::from(Box::leak(Box::new(record))));
        let place = scheduler.0.as_ptr().cast::<c_void>();
        // SAFETY: a pointer that is not null, a name that lives for ever, and its destructor.
        let capsule = unsafe { ffi::PyCapsule_New(place, KEY.as_ptr(), Some(state_ends)) };
        if capsule.is_null() {
            scheduler.uncount();
            return Err(Pending::is_set());
        }
        let main = kinds::new_main(scheduler);
        let stored = main.and_then(|main| {
            scheduler.main.set(Some(main));
            scheduler.insert(main); // The queue's reference; that of `main` is counted there.
            main.incref();
            // SAFETY: a dict, a name that ends with a NUL and an object.
            ops::check_status(unsafe { ffi::PyDict_SetItemString(dict, KEY.as_ptr(), capsule) })
        });
        thread::register(scheduler);
        ops::decref(capsule); // Ends the scheduler if it was not stored.
        stored.map(|()| scheduler)
    }

    /// The tasklet that calls, which is the current one.
    ///
    /// # Errors
    ///
    /// In a callback: it is not, and must not switch.
    #[inline(always)]
    pub(super) fn caller(self) -> Result<Task, Pending> {
        match self.current.get() {
            Some(current) if !self.in_callback.get() => Ok(current),
            Some(_) => ops::refuse("a scheduler callback must not switch"),
            None => ops::refuse("no tasklet runs on this thread"),
        }
    }

    /// One more who counts on it.
    pub(super) fn count(self) -> Self {
        self.count.set(self.count.get() + 1);
        self
    }

    /// One less.
    pub(super) fn uncount(self) {
        let left = self.count.get() - 1;
        self.count.set(left);
        if left == 0 {
            // SAFETY: leaked by `make`, and nobody counts on it any more.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }

    /// A tasklet has ended, or will never end.
    pub(super) fn forget_peer(self, task: Task) {
        if let Some(body) = task.body() {
            self.peers.borrow_mut().remove(&body.serial);
        }
    }

    pub(super) fn is_alive(self) -> bool {
        !self.state.get().is_null()
    }

    /// This scheduler, to be found again by [`of_pointer`](Self::of_pointer).
    pub(super) fn pointer(self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    /// # Safety
    ///
    /// Null, or of [`pointer`](Self::pointer) and alive; Python is held.
    pub(super) unsafe fn of_pointer(pointer: *mut c_void) -> Option<Self> {
        NonNull::new(pointer.cast()).map(Self)
    }

    /// An address by which it can be told from others.
    pub(super) fn token(self) -> usize {
        self.0.as_ptr().addr()
    }

    /// Puts a tasklet at the end of the run queue, which takes the caller's reference.
    #[inline(always)]
    pub(super) fn insert(self, task: Task) {
        match self.current.get() {
            Some(current) => task.link.insert_before(&current.link),
            None => {
                task.link.begin();
                self.current.set(Some(task));
            }
        }
        self.runcount.set(self.runcount.get() + 1);
        self.drive.somebody_is_ready();
    }

    /// Whose turn it is: the one where the run queue is entered, or the first after it that may be gone
    /// on with while dispatches are open on several stacks.
    #[inline(always)]
    pub(super) fn turn(self) -> Option<Task> {
        let first = self.current.get()?;
        if gate_stack::is_crossed() { Self::turn_across(first, None) } else { Some(first) }
    }

    /// As [`turn`](Self::turn), for who gives its own turn away: itself, if nobody else may go on.
    #[inline(always)]
    pub(super) fn turn_after(task: Task) -> Task {
        let next = Self::after(task);
        if gate_stack::is_crossed() {
            Self::turn_across(next, Some(task)).unwrap_or(task)
        } else {
            next
        }
    }

    #[cold]
    fn turn_across(first: Task, own: Option<Task>) -> Option<Task> {
        let mut task = first;
        loop {
            if Some(task) == own
                || !task.body().is_some_and(|body| gate_stack::crosses(&body.stack))
            {
                return Some(task);
            }
            task = Self::after(task);
            if task == first {
                return None;
            }
        }
    }

    /// Whether another tasklet than the one that runs could have its turn now.
    pub(super) fn has_others(self) -> bool {
        if self.switch_trap.get() != 0 || self.in_callback.get() || self.runcount.get() < 2 {
            return false;
        }
        self.current.get().is_some_and(|current| Self::turn_after(current) != current)
    }

    /// Puts a tasklet behind the current one.
    #[inline(always)]
    pub(super) fn insert_after_current(self, task: Task) {
        let current = self.current.get();
        self.current.set(current.map(Self::after));
        self.insert(task);
        if current.is_some() {
            self.current.set(current);
        }
    }

    /// The one that comes after a tasklet of the run queue.
    #[inline(always)]
    pub(super) fn after(task: Task) -> Task {
        // SAFETY: a run queue links live tasklets only.
        unsafe { Task::of_link(task.link.next()) }
    }

    /// Takes the current tasklet out of the run queue; the caller gets the queue's reference. The next
    /// one becomes the current one.
    #[inline(always)]
    pub(super) fn remove_current(self) {
        if let Some(current) = self.current.get() {
            let next = current.link.remove();
            self.runcount.set(self.runcount.get() - 1);
            // SAFETY: as in `after`.
            self.current.set((!next.is_null()).then(|| unsafe { Task::of_link(next) }));
        }
    }

    /// Takes a tasklet out of the run queue; the caller gets the queue's reference.
    #[inline(always)]
    pub(super) fn remove(self, task: Task) {
        if self.current.get() == Some(task) {
            self.remove_current();
        } else {
            task.link.remove();
            self.runcount.set(self.runcount.get() - 1);
        }
    }

    /// Puts one back that was the current one.
    pub(super) fn unremove(self, task: Task) {
        self.insert(task);
        self.current.set(Some(task));
    }

    /// Whom to wake when nobody else can run: the innermost watchdog, or the main tasklet.
    pub(super) fn watchdog(self) -> Option<Task> {
        self.watchdogs.borrow().last().copied().or(self.main.get())
    }

    /// The thread ends, or its interpreter: what it holds is let go.
    pub(super) fn end(self) {
        if cpython::current() == self.state.get() {
            self.is_here(); // Its tasklets are ended here and now.
        }
        thread::end(self);
        thread::unregister(self);
        self.state.set(ptr::null_mut());
        // Relaxed: read with Python held, which is held here.
        ENDED.fetch_add(1, Ordering::Relaxed);
    }
}

/// The thread state is cleared, and its dict with it.
unsafe extern "C" fn state_ends(capsule: Raw) {
    // SAFETY: the capsule made in `make`.
    let record = unsafe { ffi::PyCapsule_GetPointer(capsule, KEY.as_ptr()) };
    if let Some(record) = NonNull::new(record.cast()) {
        let scheduler = Scheduler(record);
        if scheduler.is_alive() {
            scheduler.end();
        }
        scheduler.uncount();
    }
}

/// The record of a thread's main tasklet, which runs on the thread's own stack.
pub(super) fn main_body() -> *const Body {
    let body = Body {
        running: Running::empty(),
        stack: Stack::own(),
        pointer: Cell::new(ptr::null_mut()),
        extent: Cell::new(ptr::null()),
        forks: Cell::new(thread::forks()),
        marks: Marks::none(),
        serial: 0,
        place: None,
    };
    Box::into_raw(Box::new(body))
}
