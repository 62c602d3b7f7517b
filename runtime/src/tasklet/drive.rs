//! A loop that runs a thread's tasklets: what it asks without Python, and the turn that it makes.
//!
//! ```text
//!   loop's thread, no Python            any thread that holds Python
//!   is_ready, due  <------------------  a tasklet is put into the run queue, or waits for a time
//!   polls the descriptor  <-----------  `wake`, on the change from nobody to somebody
//!   turn(budget)                        tasklets run until nobody can, or the time is up
//! ```
//!
//! The loop may be any: it has one descriptor to poll, one time to wait for and one call to make. While
//! no tasklet can run it does nothing.

use core::cell::{Cell, RefCell};
use core::ffi::c_void;
use core::ptr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use pyo3_ffi::{self as ffi, PyMethodDef};

use super::ops::{self, Raw, answer, refuse};
use super::raw::Failed;
use super::scheduler::Scheduler;
use super::{thread, wait, watchdog};
use crate::arguments::Argument;
use crate::class::{method_alone, method_of_one};
use crate::gate::monotonic_ns;
use crate::object::Pending;
use crate::primitive::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Nobody waits for a time.
const NEVER: u64 = u64::MAX;

/// What the loop gives: how it is woken, and what it wants to be told.
pub trait Loop: Send + Sync {
    /// A tasklet can run, or waits for an earlier time than the others. Called with Python held, on any
    /// thread, at any moment: it must not run Python, nor wait.
    fn wake(&self);

    /// No turn will run anything any more: the thread has ended, or Python ends. Called with Python held.
    fn end(&self);
}

/// A thread's tasklets, as the loop that runs them sees them.
///
/// Words that the loop reads without Python change with Python held; what it reads too late it is woken
/// for, so Relaxed is enough for each.
pub struct Driven {
    looped: Box<dyn Loop>,
    /// The scheduler's address; null once there is none.
    scheduler: AtomicPtr<c_void>,
    thread: u64,
    descriptor: RawFd,
    ready: AtomicBool,
    due: AtomicU64,
    /// Turns that are being made, one inside another.
    turns: AtomicU32,
}

impl core::fmt::Debug for Driven {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Driven").field("thread", &self.thread).finish_non_exhaustive()
    }
}

/// What a scheduler knows of its loop.
pub(super) struct Drive {
    /// The one below, for the way that every switch goes.
    known: Cell<*const Driven>,
    by: RefCell<Option<Arc<Driven>>>,
}

impl Drive {
    pub(super) const fn none() -> Self {
        Self { known: Cell::new(ptr::null()), by: RefCell::new(None) }
    }

    #[inline(always)]
    fn known(&self) -> Option<&Driven> {
        // SAFETY: null, or kept by `by`; changed with Python held.
        unsafe { self.known.get().as_ref() }
    }

    /// A tasklet is put into the run queue.
    #[inline(always)]
    pub(super) fn somebody_is_ready(&self) {
        if let Some(driven) = self.known() {
            driven.somebody_is_ready();
        }
    }

    /// A tasklet waits for a time.
    pub(super) fn is_due(&self, when: u64) {
        if let Some(driven) = self.known()
            && when < driven.due.load(Ordering::Relaxed)
        {
            driven.due.store(when, Ordering::Relaxed);
            driven.wake();
        }
    }

    fn set(&self, by: Option<Arc<Driven>>) -> Option<Arc<Driven>> {
        self.known.set(by.as_ref().map_or(ptr::null(), Arc::as_ptr));
        self.by.replace(by)
    }

    /// Nobody drives this thread's tasklets any more.
    pub(super) fn end(&self) {
        if let Some(driven) = self.set(None) {
            driven.let_go();
            driven.looped.end();
        }
    }
}

impl Driven {
    /// Has a loop drive the tasklets of the thread that calls, and holds Python.
    ///
    /// # Errors
    ///
    /// RuntimeError if another one does already; OSError for want of descriptors.
    pub fn begin(looped: impl Loop + 'static) -> Result<Arc<Self>, Failed> {
        let s = Scheduler::here()?;
        if s.drive.known().is_some() {
            return refuse("a loop drives the tasklets of this thread already: detach it first");
        }
        let driven = Arc::new(Self {
            looped: Box::new(looped),
            scheduler: AtomicPtr::new(s.pointer()),
            thread: s.ident.get(),
            descriptor: s.waits.descriptor_for_ever()?,
            ready: AtomicBool::new(false),
            due: AtomicU64::new(NEVER),
            turns: AtomicU32::new(0),
        });
        driven.settle(s);
        s.drive.set(Some(Arc::clone(&driven)));
        Ok(driven)
    }

    /// Drives them no longer. They stay where they are. Called with Python held, on any thread.
    pub fn detach(&self) {
        if let Some(s) = self.scheduler() {
            drop(s.drive.set(None));
        }
        self.let_go();
    }

    fn let_go(&self) {
        self.scheduler.store(ptr::null_mut(), Ordering::Relaxed);
        self.ready.store(false, Ordering::Relaxed);
        self.due.store(NEVER, Ordering::Relaxed);
    }

    /// Whether there is anything to drive still.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.scheduler.load(Ordering::Relaxed).is_null()
    }

    /// Whether this is the thread whose tasklets these are. Others must not make turns.
    #[must_use]
    pub fn is_here(&self) -> bool {
        // SAFETY: tells this thread's own identity.
        self.thread == unsafe { libc::pthread_self() }
    }

    /// Whether a tasklet can run. Needs no Python.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// How long it is to the next time that a tasklet waits for. Needs no Python.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        match self.due.load(Ordering::Relaxed) {
            NEVER => None,
            due => Some(Duration::from_nanos(due.saturating_sub(monotonic_ns()))),
        }
    }

    /// What is readable while a descriptor is ready that a tasklet waits for.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// Runs tasklets until nobody can run or the time is up: then [`is_ready`](Self::is_ready) still.
    /// Called on the thread whose they are, with Python held.
    ///
    /// # Errors
    ///
    /// What a tasklet did not catch. The others are as they were.
    pub fn turn(&self, budget: Duration) -> Result<(), Failed> {
        let Some(s) = self.scheduler().filter(|s| Scheduler::try_here() == Some(*s)) else {
            return Ok(());
        };
        self.turns.fetch_add(1, Ordering::Relaxed);
        wait::look(s);
        thread::open_mail(s);
        let switches = s.switches.get();
        let result = if s.has_others() {
            watchdog::turn(s, u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX))
        } else {
            Ok(())
        };
        self.turns.fetch_sub(1, Ordering::Relaxed);
        if !self.is_over() {
            self.settle(s);
            if result.is_err() && s.switches.get() == switches {
                // They must not run here, or not now: to ask again at once would not help.
                self.ready.store(false, Ordering::Relaxed);
            }
        }
        result
    }

    fn settle(&self, s: Scheduler) {
        self.ready.store(s.has_others(), Ordering::Relaxed);
        self.due.store(s.waits.next_due().unwrap_or(NEVER), Ordering::Relaxed);
    }

    fn scheduler(&self) -> Option<Scheduler> {
        // SAFETY: a scheduler takes itself away before it ends, with Python held.
        unsafe { Scheduler::of_pointer(self.scheduler.load(Ordering::Relaxed)) }
    }

    #[inline(always)]
    fn somebody_is_ready(&self) {
        // No exchange: whoever writes holds Python.
        if !self.ready.load(Ordering::Relaxed) {
            self.ready.store(true, Ordering::Relaxed);
            self.wake();
        }
    }

    fn wake(&self) {
        // A turn looks at its end what there is.
        if self.turns.load(Ordering::Relaxed) == 0 || !self.is_here() {
            self.looped.wake();
        }
    }
}

/// A loop that knows descriptors only, such as asyncio's own.
struct ByDescriptor(AtomicPtr<c_void>);

// The loop polls the descriptor of the tasklets' waits, which is written to.
impl Loop for ByDescriptor {
    fn wake(&self) {
        // SAFETY: the scheduler is alive until `end`, and Python is held.
        if let Some(s) = unsafe { Scheduler::of_pointer(self.0.load(Ordering::Relaxed)) } {
            s.waits.ring();
        }
    }

    fn end(&self) {
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// The rows for the method table of `_raddle`.
pub(crate) const METHODS: [PyMethodDef; 4] = [
    method_alone(
        c"begin_turns",
        begin_turns,
        c"begin_turns()\n--\n\nHave this thread's tasklets run in turns; return the descriptor that is readable when one is due.",
    ),
    method_of_one(
        c"make_turn",
        make_turn,
        c"make_turn(budget, /)\n--\n\nRun tasklets for at most so many seconds; return in how many the next turn is due, or None.",
    ),
    method_alone(c"has_turns", has_turns, c"has_turns()\n--\n\nWhether a loop runs this thread's tasklets."),
    method_alone(c"end_turns", end_turns, c"end_turns()\n--\n\nMake no turns any more."),
];

unsafe extern "C" fn begin_turns(_: Raw, _: Raw) -> Raw {
    let begin = || {
        let s = Scheduler::here()?;
        let driven = Driven::begin(ByDescriptor(AtomicPtr::new(s.pointer())))?;
        if driven.is_ready() || driven.next_due().is_some() {
            driven.looped.wake();
        }
        ops::check(ops::integer(driven.descriptor().into()))
    };
    answer(begin())
}

fn driven_here() -> Result<Arc<Driven>, Pending> {
    let driven = Scheduler::here()?.drive.by.borrow().clone();
    match driven {
        Some(driven) => Ok(driven),
        None => refuse("no loop drives the tasklets of this thread"),
    }
}

unsafe extern "C" fn make_turn(_: Raw, budget: Raw) -> Raw {
    // SAFETY: an argument.
    let budget = unsafe { Argument::lent(ops::held(), budget) };
    answer(budget.timeout().and_then(|budget| {
        let driven = driven_here()?;
        driven.turn(budget.unwrap_or(Duration::MAX))?;
        if driven.is_ready() {
            return ops::check(ops::integer(0));
        }
        match driven.next_due() {
            // SAFETY: Python is held.
            Some(time) => ops::check(unsafe { ffi::PyFloat_FromDouble(time.as_secs_f64()) }),
            None => Ok(ops::new_none()),
        }
    }))
}

unsafe extern "C" fn has_turns(_: Raw, _: Raw) -> Raw {
    ops::truth(Scheduler::try_here().is_some_and(|s| s.drive.known().is_some()))
}

unsafe extern "C" fn end_turns(_: Raw, _: Raw) -> Raw {
    answer(Scheduler::here().map(|s| {
        s.drive.end();
        ops::new_none()
    }))
}
