//! Going from one tasklet to another: who may, what is put right if not, and the switch itself.
//!
//! ```text
//!   schedule(prev, next)
//!     next is None          nobody can run here: wait for other threads, wake a watchdog, or a deadlock
//!     next is elsewhere     make it runnable there, and go on with prev
//!     next waits            take it out of its channel
//!     next is paused        put it into the run queue
//!       callbacks, soft interrupts
//!       running fields, gate record, stack pointer          <- here prev sleeps
//!     back in prev: let go what the other one left, take the value, or let the bomb go off
//! ```

use core::cell::Cell;
use core::ptr;

use super::ops::{self, Raw, refuse};
use super::scheduler::{self, Scheduler};
use super::state::{Body, Task};
use super::{
    bomb, channel, count, hooks, kinds, lines, start, switch, thread, tools, wait, watchdog,
};
use crate::gate::{self, monotonic_ns};
use crate::object::Pending;
use crate::primitive::{AtomicBool, Ordering};

/// How a call of [`schedule`] ended that did not fail.
#[derive(Debug)]
pub(super) struct Back {
    /// What this tasklet was given, owned; null if that was an exception, which is set now.
    pub(super) value: Raw,
    /// Whether another tasklet ran meanwhile.
    pub(super) switched: bool,
}

impl Back {
    /// For a caller that has nothing to put right: the value, or the exception.
    pub(super) fn answer(self) -> Result<Raw, Pending> {
        ops::check(self.value)
    }
}

/// Suspends `prev`, the tasklet that runs here, and lets `next` run.
///
/// # Errors
///
/// If nothing was switched: then `prev` and `next` are where they were.
#[inline]
pub(super) fn schedule(s: Scheduler, prev: Task, next: Option<Task>) -> Result<Back, Pending> {
    let Some(next) = next else { return nobody(s, prev) };
    if next != prev && next.home.get() != Some(s) {
        return elsewhere(s, prev, next);
    }
    if s.switch_trap.get() != 0 && prev != next {
        return refuse(lines::SWITCH_TRAP);
    }
    if !next.is_blocked() && next.is_queued() {
        return prepared(s, prev, next);
    }
    let waited = if next.is_blocked() { channel::take_out(next) } else { None };
    if waited.is_none() {
        next.incref();
    }
    s.insert(next);
    let result = prepared(s, prev, next);
    if result.is_err() {
        s.remove(next);
        match waited {
            Some(place) => channel::put_back(next, place),
            None => next.decref(),
        }
    }
    result
}

/// The rest of [`schedule`], with `next` in the run queue.
#[inline]
fn prepared(s: Scheduler, prev: Task, next: Task) -> Result<Back, Pending> {
    wait::look_now_and_then(s);
    let next = watchdog::soft_interrupt(s, prev, next);
    if prev == next {
        // It may have been put back into a queue in which others wait who must not go on now.
        s.current.set(Some(prev));
        thread::open_mail(s);
        let value = bomb::explode(prev.claim());
        return Ok(Back { value, switched: false });
    }
    if next.body.get().is_null() {
        start::begin(s, next)?;
    }
    // Both have begun.
    let (Some(from), Some(to)) = (prev.body(), next.body()) else {
        return refuse("the tasklet is dead");
    };
    if let Some(line) = gate::stack::refusal(&to.stack) {
        return refuse(line);
    }
    hooks::scheduled(s, Some(prev), Some(next));
    watchdog::switched(s);
    thread::open_mail(s);
    transfer(s, from, to, next);
    // Here again, by somebody else's switch.
    let value = prev.claim();
    let_go(s);
    count::follow(s);
    Ok(Back { value: bomb::explode(value), switched: true })
}

/// The switch. Returns when somebody switches back.
#[inline(always)]
pub(super) fn transfer(s: Scheduler, from: &Body, to: &Body, next: Task) {
    let state = s.state.get();
    thread::look_after_forks(from, to);
    if !from.running.is_parked() && kinds::may_park() {
        // SAFETY: the thread's state, attached: this is one of its tasklets.
        unsafe { from.running.park(state) };
    }
    gate::stack::exchange(&from.stack, &to.stack);
    time(s);
    s.current.set(Some(next));
    s.switches.set(s.switches.get() + 1);
    next.switches.set(next.switches.get() + 1);
    // SAFETY: the thread's state, and two records of its tasklets: `from` runs.
    unsafe { from.running.swap(state, &to.running) };
    if tools::is_watched() {
        tools::leaves(from, to, false);
    }
    // SAFETY: `to` was prepared, or is suspended; and all that they share was exchanged above.
    unsafe { switch::switch(from.pointer.as_ptr(), to.pointer.get()) };
    if tools::is_watched() {
        tools::arrives(from);
    }
}

/// Lets go what the tasklet that switched here left behind; may run anything.
#[inline(always)]
pub(super) fn let_go(s: Scheduler) {
    let ended = s.ended.replace(ptr::null());
    if !ended.is_null() {
        start::free(ended);
    }
    let [first, second] = s.left.get();
    if first.is_null() && second.is_null() {
        return;
    }
    s.left.set([ptr::null_mut(); 2]);
    ops::xdecref(second);
    ops::xdecref(first);
}

/// `next` belongs to another thread: it becomes runnable there, and `prev` goes on here.
#[cold]
fn elsewhere(s: Scheduler, prev: Task, next: Task) -> Result<Back, Pending> {
    let Some(there) = next.home.get().filter(|home| home.is_alive()) else {
        return refuse("tasklet has no thread");
    };
    let back = schedule(s, prev, Some(prev))?;
    if next.is_blocked() {
        channel::take_out(next);
        there.insert(next);
    } else if !next.is_queued() {
        next.incref();
        there.insert(next);
    }
    thread::wake(there);
    Ok(back)
}

/// No tasklet of this thread can run.
#[cold]
fn nobody(s: Scheduler, prev: Task) -> Result<Back, Pending> {
    thread::open_mail(s);
    if let Some(next) = s.turn() {
        return schedule(s, prev, Some(next));
    }
    let Some(wakeup) = s.watchdog() else { return refuse("this thread has no main tasklet") };
    let revive = !watchdog::may_block(s) && !wakeup.is_queued();
    if revive || thread::is_deadlock(s) {
        return cannot_wait(s, prev, wakeup, revive);
    }
    let next = loop {
        thread::wait(s)?;
        // It may have been taken away again while this thread took Python back.
        if let Some(next) = s.turn() {
            break next;
        }
        if thread::is_deadlock(s) {
            return cannot_wait(s, prev, wakeup, false);
        }
    };
    next.incref();
    let result = schedule(s, prev, Some(next));
    next.decref();
    result
}

fn cannot_wait(s: Scheduler, prev: Task, wakeup: Task, revive: bool) -> Result<Back, Pending> {
    if revive || thread::is_main_thread(s) && !wakeup.is_queued() {
        // Whoever waits for the others to end learns of an exception, and of no value.
        let mut kept = ptr::null_mut();
        if bomb::is(prev.tempval.get()) {
            kept = wakeup.claim();
            wakeup.give(ops::incref(prev.tempval.get()));
        }
        let result = schedule(s, prev, Some(wakeup));
        if !kept.is_null() {
            if result.is_err() { wakeup.give(kept) } else { ops::decref(kept) }
        }
        return result;
    }
    prev.give(bomb::of_text(lines::DEADLOCK)?);
    schedule(s, prev, Some(prev))
}

/// `schedule(value)` and `schedule_remove(value)`: the others have their turn; `value` is what this
/// tasklet gets when it is its turn again, itself by default. An owned reference.
pub(super) fn yield_now(
    value: Option<Raw>,
    remove: bool,
    extent: *const Raw,
) -> Result<Raw, Pending> {
    let s = Scheduler::here()?;
    let prev = s.caller()?;
    prev.set_extent(extent);
    let result = yield_here(s, prev, value.unwrap_or(prev.raw()), remove);
    prev.set_extent(ptr::null());
    result
}

fn yield_here(s: Scheduler, prev: Task, value: Raw, remove: bool) -> Result<Raw, Pending> {
    let next = Scheduler::turn_after(prev);
    let before = prev.tempval.replace(ops::incref(value));
    let mut target = Some(next);
    if remove {
        s.remove_current();
        leave(s, prev.raw());
        if next == prev {
            target = None;
        }
    }
    match schedule(s, prev, target) {
        Ok(back) => {
            ops::decref(before);
            if !back.switched {
                let_go(s);
            }
            back.answer()
        }
        Err(pending) => {
            prev.give(before);
            if remove {
                s.left.set([ptr::null_mut(); 2]);
                if !prev.is_queued() {
                    s.unremove(prev);
                }
            }
            Err(pending)
        }
    }
}

/// Leaves a reference for whoever runs next to drop.
#[inline(always)]
pub(super) fn leave(s: Scheduler, object: Raw) {
    let [first, second] = s.left.get();
    debug_assert!(second.is_null(), "somebody forgot what was left");
    s.left.set([object, first]);
}

/// How a tasklet that returned or raised gives its thread on: the switch from which nobody returns.
pub(super) fn end(s: Scheduler, prev: Task, body: *const Body, next: Task) -> ! {
    if next.is_blocked() {
        channel::take_out(next);
        s.insert(next);
    } else if !next.is_queued() {
        next.incref();
        s.insert(next);
    }
    let mut next = watchdog::soft_interrupt(s, prev, next);
    if next.body.get().is_null() && start::begin(s, next).is_err() {
        // No stack for it: it is told by the one that is always there.
        next = start::cannot_begin(s, next);
    }
    hooks::scheduled(s, Some(prev), None);
    hooks::scheduled(s, None, Some(next));
    watchdog::switched(s);
    let (Some(to), false) = (next.body(), body.is_null()) else {
        unreachable!("whoever is next has begun, and so has this one")
    };
    s.ended.set(body);
    // SAFETY: this tasklet's own record, on the stack that it still runs on.
    let from = unsafe { &*body };
    let state = s.state.get();
    thread::look_after_forks(from, to);
    gate::stack::end_of_tasklet();
    gate::stack::exchange(&from.stack, &to.stack);
    time(s);
    s.current.set(Some(next));
    s.switches.set(s.switches.get() + 1);
    next.switches.set(next.switches.get() + 1);
    let nowhere = Cell::new(ptr::null_mut());
    // SAFETY: as in `transfer`.
    unsafe { from.running.swap(state, &to.running) };
    if tools::is_watched() {
        tools::leaves(from, to, true);
    }
    // SAFETY: as in `transfer`; the pointer is thrown away, as nobody comes back.
    unsafe { switch::switch(nowhere.as_ptr(), to.pointer.get()) };
    unreachable!("an ended tasklet was switched to")
}

/// Whether run times are counted.
static TIMING: AtomicBool = AtomicBool::new(false);

/// Has them counted, or not; what was before.
pub(super) fn set_timing(on: bool) -> bool {
    // Relaxed: read with Python held, which is held here.
    TIMING.swap(on, Ordering::Relaxed)
}

/// Counts the time of the tasklet that stops running now.
#[inline(always)]
fn time(s: Scheduler) {
    if TIMING.load(Ordering::Relaxed) {
        note_time(s);
    }
}

#[cold]
fn note_time(s: Scheduler) {
    let now = monotonic_ns();
    let since = s.since.replace(now);
    if let Some(current) = s.current.get().filter(|_| since != 0) {
        current.run_time.set(current.run_time.get() + now.saturating_sub(since));
    }
}

/// The main tasklet's record begins when its thread first has a scheduler.
pub(super) fn main_record() -> *const Body {
    scheduler::main_body()
}
