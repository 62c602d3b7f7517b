//! Running tasklets under a watchdog: until all are done, one takes too long, or time is up.
//!
//! ```text
//!   run(...)  the caller leaves the run queue and is put on the list of watchdogs
//!     ...     others run; an uncaught error, or nobody left to run, wakes the innermost watchdog
//!             a limit is reached: the one who runs is interrupted, and the outermost watchdog that has
//!             a limit woken
//!   back      watchdogs that came later are made runnable again
//! ```
//!
//! Limits: VM instructions (`count.rs` has them counted), of each tasklet in a row or in all; time; or how
//! many times a tasklet may be switched to. The last two cost nothing while a tasklet runs, and are
//! looked at when one is switched to.

use core::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::ops::{self, Raw, raise, refuse};
use super::schedule::schedule;
use super::scheduler::Scheduler;
use super::state::Task;
use super::{count, lines, task, timer};
use crate::gate::monotonic_ns;
use crate::object::{Kind, Pending};
use crate::primitive::{AtomicBool, Ordering};

/// Waits for other threads when no tasklet of this one can run.
pub const THREADBLOCK: i32 = 1;
/// Does not interrupt a tasklet: returns when one is next switched to.
pub const SOFT: i32 = 2;
/// Interrupts at any nesting level.
pub const IGNORE_NESTING: i32 = 4;
/// The limit is for all tasklets together.
pub const TOTALTIMEOUT: i32 = 8;

/// Switches of a turn that take no longer than this together, in nanoseconds, are quick.
const QUICK: u64 = 50_000;
/// So many switches at most pass without a look at the clock.
const LONGEST_STRIDE: u32 = 16;

/// What a scheduler knows of its watchdogs, besides who they are.
#[derive(Debug)]
pub(super) struct Watch {
    flags: Cell<i32>,
    /// The outermost watchdog with a limit.
    owner: Cell<Option<Task>>,
    /// Whom it stopped; owned.
    interrupted: Cell<Option<Task>>,
    /// A limit of instructions is on.
    counting: Cell<bool>,
    counted: Cell<i64>,
    mark: Cell<i64>,
    interval: Cell<i64>,
    /// A limit is looked at when a tasklet is switched to.
    soft: Cell<bool>,
    not_now: Cell<bool>,
    /// Switches that are left; negative: no limit.
    switches: Cell<i64>,
    /// Set once time is up; null: no limit.
    due: Cell<*const AtomicBool>,
    /// Nanoseconds of the clock at which a turn of a loop's ends; 0: no limit.
    until: Cell<u64>,
    /// When the clock was read for that, how many switches may pass until it is read again, and how
    /// many of them are left.
    looked: Cell<u64>,
    stride: Cell<u32>,
    unlooked: Cell<u32>,
    /// Switches since the watchdog began.
    made: Cell<u64>,
}

impl core::fmt::Debug for Task {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "tasklet at {:p}", self.raw())
    }
}

impl Watch {
    pub(super) const fn new() -> Self {
        Self {
            flags: Cell::new(0),
            owner: Cell::new(None),
            interrupted: Cell::new(None),
            counting: Cell::new(false),
            counted: Cell::new(0),
            mark: Cell::new(0),
            interval: Cell::new(0),
            soft: Cell::new(false),
            not_now: Cell::new(false),
            switches: Cell::new(-1),
            due: Cell::new(core::ptr::null()),
            until: Cell::new(0),
            looked: Cell::new(0),
            stride: Cell::new(1),
            unlooked: Cell::new(0),
            made: Cell::new(0),
        }
    }

    /// What is on, which is off from here on.
    fn put_aside(&self) -> Self {
        let now = Self::new();
        self.exchange(&now);
        now
    }

    /// Undoes [`put_aside`](Self::put_aside).
    fn take_up(&self, before: Self) {
        self.exchange(&before);
    }

    fn exchange(&self, other: &Self) {
        let Self {
            flags,
            owner,
            interrupted,
            counting,
            mark,
            interval,
            soft,
            not_now,
            switches,
            due,
            until,
            looked,
            stride,
            unlooked,
            counted: _,
            made: _,
        } = self;
        flags.swap(&other.flags);
        owner.swap(&other.owner);
        interrupted.swap(&other.interrupted);
        counting.swap(&other.counting);
        mark.swap(&other.mark);
        interval.swap(&other.interval);
        soft.swap(&other.soft);
        not_now.swap(&other.not_now);
        switches.swap(&other.switches);
        due.swap(&other.due);
        until.swap(&other.until);
        looked.swap(&other.looked);
        stride.swap(&other.stride);
        unlooked.swap(&other.unlooked);
    }

    /// Switches since the last run with a limit began.
    pub(super) fn made(&self) -> u64 {
        self.made.get()
    }

    /// Whether a tasklet is the one that an interrupt wakes.
    #[cfg(not(Py_3_12))]
    pub(super) fn is_owner(&self, task: Option<Task>) -> bool {
        self.owner.get() == task
    }

    /// Whether a turn has lasted long enough. The clock costs a part of a switch: while switches follow
    /// each other quickly it is read at some of them only.
    fn is_late(&self) -> bool {
        let until = self.until.get();
        if until == 0 {
            return false;
        }
        let left = self.unlooked.get();
        if left > 0 {
            self.unlooked.set(left - 1);
            return false;
        }
        let now = monotonic_ns();
        let quick = now.saturating_sub(self.looked.replace(now)) < QUICK;
        let stride = if quick { (2 * self.stride.get()).min(LONGEST_STRIDE) } else { 1 };
        self.stride.set(stride);
        self.unlooked.set(stride - 1);
        now >= until
    }

    /// Whether instructions are counted.
    #[inline(always)]
    pub(super) fn is_counting(&self) -> bool {
        self.counting.get()
    }
}

/// What ends a run, besides that nobody is left.
#[derive(Debug)]
pub(super) enum Limit {
    None,
    Instructions(i64),
    Time(Duration),
    Switches(i64),
    /// Nanoseconds of the clock.
    Until(u64),
}

/// Whether a thread that has nobody to run waits for others.
pub(super) fn may_block(s: Scheduler) -> bool {
    s.watch.flags.get() & THREADBLOCK != 0
}

/// The next switch is part of a meeting at a channel: a soft interrupt comes after it.
#[inline(always)]
pub(super) fn not_now(s: Scheduler) {
    s.watch.not_now.set(true);
}

/// A tasklet is switched to.
#[inline(always)]
pub(super) fn switched(s: Scheduler) {
    if s.watch.counting.get() && s.watch.flags.get() & TOTALTIMEOUT == 0 {
        s.watch.mark.set(s.watch.counted.get() + s.watch.interval.get());
    }
}

fn nesting_is_fine(s: Scheduler, task: Task) -> bool {
    task.ignore_nesting.get()
        || s.watch.flags.get() & IGNORE_NESTING != 0
        || task::nesting_level(task) == 0
}

/// Whom to wake by an interrupt.
fn owner(s: Scheduler) -> Option<Task> {
    s.watch.owner.get().or(s.main.get())
}

/// Who is to run instead of `next`: the watchdog, if `prev` or a limit asks for it.
#[inline(always)]
pub(super) fn soft_interrupt(s: Scheduler, prev: Task, next: Task) -> Task {
    if s.watch.soft.get() { interrupt_softly(s, prev, next) } else { next }
}

#[cold]
fn interrupt_softly(s: Scheduler, prev: Task, next: Task) -> Task {
    let watch = &s.watch;
    // A turn may end in the middle of a meeting: both who met stay in the run queue.
    let not_now = watch.not_now.replace(false) && watch.until.get() == 0;
    if prev != next {
        watch.made.set(watch.made.get() + 1);
    }
    let due = watch.due.get();
    // SAFETY: null, or kept by the run that set it, which has not returned. Relaxed: a flag alone.
    if !due.is_null() && unsafe { (*due).load(Ordering::Relaxed) } {
        prev.pending_irq.set(true);
    }
    if watch.is_late() {
        prev.pending_irq.set(true);
    }
    if watch.switches.get() >= 0 && prev != next && owner(s) != Some(next) {
        if watch.switches.get() == 0 {
            prev.pending_irq.set(true);
        } else {
            watch.switches.set(watch.switches.get() - 1);
        }
    }
    if !prev.pending_irq.get() || watch.flags.get() & SOFT == 0 {
        return next;
    }
    let Some(watchdog) = owner(s) else { return next };
    prev.pending_irq.set(false);
    if watchdog.is_queued() || prev == watchdog || next == watchdog {
        return next;
    }
    if not_now || !nesting_is_fine(s, prev) {
        next.pending_irq.set(true);
        return next;
    }
    if let Some(before) = watch.interrupted.replace(Some(next)) {
        before.decref();
    }
    next.incref();
    // Before the one that would have run, which comes next then.
    let current = s.current.replace(Some(next));
    watchdog.incref();
    s.insert(watchdog);
    s.current.set(current);
    watchdog
}

/// An instruction is about to be executed. Switches to the watchdog if it is one too many, and returns
/// when this tasklet goes on.
#[inline]
pub(super) fn tick(s: Scheduler) -> Result<(), Pending> {
    let counted = s.watch.counted.get() + 1;
    s.watch.counted.set(counted);
    if counted < s.watch.mark.get() { Ok(()) } else { interrupt(s) }
}

#[cold]
fn interrupt(s: Scheduler) -> Result<(), Pending> {
    let (watch, Some(current)) = (&s.watch, s.current.get()) else { return Ok(()) };
    let Some(watchdog) = owner(s) else { return Ok(()) };
    if current == watchdog {
        return Ok(());
    }
    if watch.flags.get() & SOFT != 0
        || current.atomic.get()
        || s.in_callback.get()
        || s.switch_trap.get() != 0
        || !nesting_is_fine(s, current)
    {
        watch.mark.set(watch.counted.get() + watch.interval.get());
        current.pending_irq.set(true);
        return Ok(());
    }
    current.pending_irq.set(false);
    if let Some(before) = watch.interrupted.replace(Some(current)) {
        before.decref();
    }
    current.incref();
    match schedule(s, current, Some(watchdog)) {
        Ok(back) => back.answer().map(ops::decref),
        Err(pending) => {
            if let Some(task) = watch.interrupted.take() {
                task.decref();
            }
            Err(pending)
        }
    }
}

/// What kept a tasklet from being interrupted is gone, perhaps.
pub(super) fn check_pending(task: Task) {
    if !task.pending_irq.get() || !task.is_current() || task.atomic.get() {
        return;
    }
    if let Some(s) = task.home.get()
        && nesting_is_fine(s, task)
    {
        s.watch.mark.set(s.watch.counted.get());
    }
}

/// Runs tasklets from the current one, which is the watchdog meanwhile. The interrupted tasklet, owned,
/// or `None`.
pub(super) fn run(limit: Limit, flags: i32) -> Result<Raw, Pending> {
    if !(0..256).contains(&flags) {
        return raise(Kind::Value, "flags must be in [0..255]");
    }
    let s = Scheduler::here()?;
    let me = s.caller()?;
    if s.switch_trap.get() != 0 && s.runcount.get() > 1 {
        return refuse(lines::SWITCH_TRAP);
    }
    let limited = !matches!(limit, Limit::None);
    let owns = limited && s.watch.owner.get().is_none();
    let saved = (owns || !limited).then(|| Saved::begin(s, me, &limit, flags));
    let saved = saved.transpose()?;
    s.watchdogs.borrow_mut().push(me);
    me.incref();
    s.remove_current();
    me.decref(); // The list has it.
    let result = schedule(s, me, s.turn());
    let back = match result {
        Ok(back) => back,
        Err(pending) => {
            s.watchdogs.borrow_mut().pop();
            if me.is_queued() {
                me.decref();
            } else {
                s.unremove(me);
            }
            drop(saved);
            return Err(pending);
        }
    };
    if s.watchdogs.borrow().contains(&me) {
        wake_inner(s, me);
    }
    drop(saved);
    let value = back.answer()?;
    ops::decref(value);
    let Some(victim) = s.watch.interrupted.take() else { return Ok(ops::new_none()) };
    if flags & SOFT != 0 || !owns {
        victim.decref();
        return Ok(ops::new_none());
    }
    if victim.is_queued() && !victim.is_blocked() {
        s.remove(victim);
        victim.decref(); // The queue's.
    }
    Ok(victim.raw())
}

/// A turn of somebody's loop: runs tasklets from the current one until nobody can run or so many
/// nanoseconds have passed. It may be inside another turn, or in a run with a limit, which then has to
/// wait.
pub(super) fn turn(s: Scheduler, budget: u64) -> Result<(), Pending> {
    let outer = s.watch.put_aside();
    let result =
        run(Limit::Until(monotonic_ns().saturating_add(budget).max(1)), SOFT | IGNORE_NESTING);
    s.watch.take_up(outer);
    result.map(ops::decref)
}

/// Watchdogs that were begun inside this one, and this one itself, watch no longer: they are runnable.
fn wake_inner(s: Scheduler, me: Task) {
    loop {
        let Some(inner) = s.watchdogs.borrow_mut().pop() else { return };
        if inner.is_queued() {
            inner.decref();
        } else {
            s.insert(inner); // With the list's reference.
        }
        if inner == me {
            return;
        }
    }
}

/// A limit that is on, and what was before it.
struct Saved {
    scheduler: Scheduler,
    flags: i32,
    due: Option<Arc<AtomicBool>>,
    /// Whether it is a limit, and not only what to do when nobody can run.
    owns: bool,
    counting: bool,
}

impl Saved {
    fn begin(s: Scheduler, me: Task, limit: &Limit, flags: i32) -> Result<Self, Pending> {
        let watch = &s.watch;
        let before = watch.flags.get();
        let mut saved =
            Self { scheduler: s, flags: before, due: None, owns: true, counting: false };
        match *limit {
            Limit::None => {
                // Whatever limit is on stays on.
                saved.owns = false;
                watch.flags.set(before & !THREADBLOCK | flags & THREADBLOCK);
                return Ok(saved);
            }
            Limit::Instructions(most) => {
                count::begin(s)?;
                saved.counting = true;
                watch.interval.set(most);
                watch.mark.set(watch.counted.get() + most);
                watch.soft.set(flags & SOFT != 0);
            }
            Limit::Time(time) => {
                let due = timer::after(time);
                watch.due.set(Arc::as_ptr(&due));
                watch.soft.set(true);
                saved.due = Some(due);
            }
            Limit::Switches(most) => {
                watch.switches.set(most);
                watch.soft.set(true);
            }
            Limit::Until(until) => {
                watch.until.set(until);
                watch.looked.set(monotonic_ns());
                watch.stride.set(1);
                watch.unlooked.set(0);
                watch.soft.set(true);
            }
        }
        watch.made.set(0);
        watch.not_now.set(false);
        watch.flags.set(flags);
        watch.owner.set(Some(me)); // The list of watchdogs counts it.
        watch.counting.set(saved.counting);
        Ok(saved)
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        let watch = &self.scheduler.watch;
        watch.flags.set(self.flags);
        if !self.owns {
            return;
        }
        watch.counting.set(false);
        watch.soft.set(false);
        watch.switches.set(-1);
        watch.due.set(core::ptr::null());
        watch.until.set(0);
        watch.owner.set(None);
        if let Some(due) = self.due.take() {
            timer::cancel(&due);
        }
        if self.counting {
            count::end(self.scheduler);
        }
    }
}
