//! Entering, leaving, giving Python up and taking it back.
//!
//! The inline half is what a nested pair costs: is the state that my innermost frame runs on the
//! current one? Then Python is held, and a counter goes up. Depth alone would prove nothing:
//! PyGObject, ctypes and every extension give Python up by calls of their own, which no counter
//! of ours sees. All that is not so simple is in the other half.

use core::ptr;
use std::panic::Location;
use std::time::Instant;

use pyo3_ffi::{PyInterpreterState, PyThreadState};

use super::admission::Word;
use super::release::close_admission;
use super::slot::{Frame, Kind, Slot, count};
use super::{GATE, python, reaper, reference, registry};
use crate::cpython;
use crate::error::{Closed, Error, Status};
use crate::exit::Phase;
use crate::primitive::Ordering;

/// A thread's first entries are all stamped with the time, later ones one in this many.
const STAMP_EVERY: u64 = 512;

/// How an entry is made, apart from the plain way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    /// In a context of its own.
    pub(super) fresh: bool,
    /// By PyGTK's BLOCK.
    pub(super) by_block: bool,
    /// Counted as inside also where Python is held by other means: a stop waits for it.
    pub(super) stays: bool,
    /// From where, if known.
    pub(super) place: Option<&'static Location<'static>>,
}

/// Enters Python on this thread, waiting for it.
///
/// # Errors
///
/// [`Closed`] at once if the gate is; nothing is entered then.
#[inline]
pub fn enter_raw() -> Result<(), Closed> {
    if nest() { Ok(()) } else { enter_not_nested() }
}

/// The rest of [`enter_raw`], where [`nest`] said no.
///
/// # Errors
///
/// As [`enter_raw`].
#[inline(never)]
fn enter_not_nested() -> Result<(), Closed> {
    if enter_plainly() {
        return Ok(());
    }
    enter(Slot::here(), cpython::current(), How::default())
}

/// The part of [`enter_raw`] that is worth inlining: enters if this thread's innermost entry holds
/// Python right now, and says whether it did.
#[inline(always)]
#[must_use]
pub fn nest() -> bool {
    let current = cpython::current();
    let slot = Slot::here();
    // `active` is null outside, and so is `current` (3.12+) where nothing is attached.
    if current != slot.active.get() || current.is_null() {
        return false;
    }
    slot.depth.set(slot.depth.get() + 1);
    count(&slot.nested, 1);
    true
}

/// The part of [`enter_raw`] that most entries which take Python need: from outside, on the kept
/// state, with nothing changed since the last one. Says whether that was so; nothing is entered if
/// not.
#[inline(always)]
#[must_use]
pub fn enter_plainly() -> bool {
    let slot = Slot::here();
    let kept = slot.kept.get();
    if !slot.is_outside()
        || slot.ready.get() == 0
        || cpython::is_held_by_kept(cpython::current(), kept)
        || !GATE.admission.admit_under(&slot.inside, slot.ready.get())
    {
        return false;
    }
    let entries = slot.entries.load(Ordering::Relaxed) + 1;
    slot.entries.store(entries, Ordering::Relaxed);
    // SAFETY: kept for this thread, of this generation, which lasts while the thread is inside;
    // and this thread holds nothing.
    let interrupts = unsafe { cpython::attach(kept) };
    slot.open_plain();
    if interrupts {
        set_exception_aside(slot);
    }
    if is_stamped(entries) {
        stamp(slot, entries);
    }
    if !GATE.drops.is_empty() || !GATE.orphans.is_empty() {
        // SAFETY: attached above, with the gate's interpreter.
        unsafe { reference::drain() };
    }
    true
}

/// The entry that was just opened interrupts code with an exception set, and must not see it.
#[cold]
fn set_exception_aside(slot: &Slot) {
    let pending = python::take_pending();
    if let Some(top) = slot.top() {
        top.pending = pending;
    }
}

/// [`enter_raw`] in a context of its own: context variables set inside are gone after the leave.
///
/// # Errors
///
/// As [`enter_raw`]; [`Closed::NoMemory`] if the context cannot be made.
pub fn enter_fresh_raw() -> Result<(), Closed> {
    enter(Slot::here(), cpython::current(), How { fresh: true, ..How::default() })
}

/// Ends the innermost entry of this thread.
///
/// # Errors
///
/// [`Status::WrongOrder`] if there is none, or what it gave up was not taken back; nothing is
/// changed then.
#[inline]
pub fn leave_raw() -> Result<(), Error> {
    if unnest() { Ok(()) } else { leave_not_nested() }
}

/// The rest of [`leave_raw`], where [`unnest`] said no.
#[inline(never)]
fn leave_not_nested() -> Result<(), Error> {
    if leave_plainly() { Ok(()) } else { leave(Slot::here(), false) }
}

/// The part of [`leave_raw`] that is worth inlining: leaves if the innermost entry is a nested one
/// that took nothing, and says whether it did.
#[inline(always)]
#[must_use]
pub fn unnest() -> bool {
    let slot = Slot::here();
    let depth = slot.depth.get();
    if depth <= slot.floor.get() {
        return false;
    }
    slot.depth.set(depth - 1);
    true
}

/// The part of [`leave_raw`] that undoes [`enter_plainly`]. Says whether it did; nothing is left
/// if not.
#[inline(always)]
#[must_use]
pub fn leave_plainly() -> bool {
    let slot = Slot::here();
    // SAFETY: a plain frame is on the kept state, alive while the thread is inside.
    if !slot.is_last_plain() || !unsafe { cpython::detach(slot.kept.get()) } {
        return false;
    }
    slot.close_plain();
    GATE.admission.depart(&slot.inside);
    true
}

/// Whether this thread holds Python now, by whatever means. Never waits.
#[must_use]
pub fn is_held() -> bool {
    let current = cpython::current();
    current == Slot::here().active.get() && !current.is_null() || is_held_slowly(current)
}

#[inline(never)]
fn is_held_slowly(current: *mut PyThreadState) -> bool {
    GATE.admission.word().may_nest() && cpython::is_held_by(current, ptr::null_mut())
}

/// Whether this thread holds Python in the gate's interpreter: another's must not drop its objects.
pub(super) fn may_drop() -> bool {
    // SAFETY: the current state of a thread that holds Python is alive.
    let here = || unsafe { pyo3_ffi::PyThreadState_GetInterpreter(cpython::current()) };
    is_held() && here() == interpreter()
}

/// Why an entry from outside would be refused now; `None` if it would be let in. Never waits.
#[must_use]
pub fn refusal() -> Option<Closed> {
    let word = GATE.admission.word();
    (!word.is_open()).then(|| word.refusal())
}

/// How often this thread has entered, nested entries included: grows whenever Python may have run
/// here through the gate. Never waits.
#[must_use]
pub fn entries_here() -> u64 {
    let slot = Slot::here();
    slot.entries.load(Ordering::Relaxed).wrapping_add(slot.nested.load(Ordering::Relaxed))
}

/// Gives this thread's kept state back, as its end would.
///
/// # Errors
///
/// [`Status::WrongOrder`] inside an entry.
pub fn trim() -> Result<(), Error> {
    let slot = Slot::here();
    if !slot.is_outside() {
        return Err(wrong_order("raddle_thread_trim inside an entry: leave first"));
    }
    reaper::give_back(slot, Phase::Early);
    Ok(())
}

pub(super) fn wrong_order(line: &'static str) -> Error {
    Error::new(Status::WrongOrder, line)
}

fn interpreter() -> *mut PyInterpreterState {
    // Relaxed: written before the gate opened, and the caller has read the word with Acquire.
    GATE.interpreter.load(Ordering::Relaxed)
}

#[inline(never)]
pub(super) fn enter(
    slot: &'static Slot,
    current: *mut PyThreadState,
    how: How,
) -> Result<(), Closed> {
    let word = GATE.admission.word();
    if current.is_null() || !cpython::is_held_by(current, slot.kept_in(word.generation())) {
        return attach(slot, ptr::null_mut(), how);
    }
    if !word.may_nest() {
        return Err(word.refusal());
    }
    // SAFETY: the state is current on this thread, so it is alive.
    if unsafe { pyo3_ffi::PyThreadState_GetInterpreter(current) } != interpreter() {
        return attach_from_other(slot, how);
    }
    let context = if how.fresh { python::enter_context()? } else { ptr::null_mut() };
    if slot.thread.load(Ordering::Relaxed) == 0 && !crate::exit::early_passed() {
        // For the figures: a thread of Python's may never enter in any other way.
        registry::register(slot);
    }
    count(&slot.nested, 1);
    let mut frame = Frame::new(Kind::Held, current);
    frame.by_block = how.by_block;
    frame.context = context;
    frame.place = how.place;
    if how.stays && !slot.inside.is_set() {
        // Where the gate is closing already it is only an entry.
        frame.admitted = come_in(slot).is_ok();
    }
    slot.push(frame);
    Ok(())
}

/// Enters from code that holds Python in a subinterpreter: puts that state aside.
#[cold]
fn attach_from_other(slot: &'static Slot, how: How) -> Result<(), Closed> {
    // SAFETY: `enter` saw that this thread holds Python.
    let other = unsafe { pyo3_ffi::PyEval_SaveThread() };
    let entered = attach(slot, other, how);
    if entered.is_err() {
        // SAFETY: given up above, and nothing was attached since.
        unsafe { pyo3_ffi::PyEval_RestoreThread(other) };
    }
    entered
}

/// Takes Python for this thread, which does not hold it.
fn attach(slot: &'static Slot, other: *mut PyThreadState, how: How) -> Result<(), Closed> {
    let outside = !slot.inside.is_set();
    if outside {
        come_in(slot)?;
    }
    let word = GATE.admission.word();
    if !may_attach(slot, word) {
        // Inside since before a fork, or since before the end.
        return Err(depart_refused(slot, outside, word.refusal()));
    }
    let generation = word.generation();
    let mut state = slot.kept.get();
    let mut transient = false;
    if state.is_null() || slot.generation.get() != generation {
        match find_state(slot, generation) {
            Some(found) => (state, transient) = found,
            None => return Err(depart_refused(slot, outside, Closed::NoMemory)),
        }
    }
    if !restore(slot, state, word) {
        // Python is going by another hand than ours: the state goes with it.
        return Err(depart_refused(slot, outside, Closed::Stopping));
    }
    if state == slot.kept.get() && !GATE.timing.load(Ordering::Relaxed) {
        slot.ready.set(GATE.admission.word().to_remember());
    }
    let mut frame = Frame::new(Kind::Attach, state);
    frame.admitted = outside;
    frame.by_block = how.by_block;
    frame.transient = transient;
    frame.other = other;
    frame.place = how.place;
    // An entry must not see the exception of the code that it interrupts.
    frame.pending = python::take_pending();
    slot.push(frame);
    if how.fresh {
        match python::enter_context() {
            Ok(context) => {
                if let Some(top) = slot.top() {
                    top.context = context;
                }
            }
            Err(closed) => {
                // It cannot fail: the frame was pushed and Python taken a few lines ago.
                drop(leave(slot, how.by_block));
                return Err(closed);
            }
        }
    }
    if !GATE.drops.is_empty() || !GATE.orphans.is_empty() {
        // SAFETY: attached above, with the gate's interpreter.
        unsafe { reference::drain() };
    }
    Ok(())
}

/// Whether the time of this entry is noted, for a stop that has to say who is inside since when.
#[inline(always)]
const fn is_stamped(entries: u64) -> bool {
    entries < STAMP_EVERY || entries.is_multiple_of(STAMP_EVERY)
}

/// Whether this thread may take Python. While Python is finalized only the thread that does it may:
/// any other one would be ended (up to 3.13) or hung (3.14 on) by the attempt.
pub(super) fn may_attach(slot: &Slot, word: Word) -> bool {
    word.is_alive() || word.is_finalizing() && ptr::eq(slot, GATE.finalizer.load(Ordering::Relaxed))
}

#[cold]
fn depart_refused(slot: &Slot, outside: bool, why: Closed) -> Closed {
    if outside {
        depart(slot);
    }
    why
}

/// Lets this thread in, if the gate is open.
pub(super) fn come_in(slot: &'static Slot) -> Result<(), Closed> {
    let word = GATE.admission.word();
    if !word.is_open() {
        return Err(word.refusal());
    }
    // Before the flag goes up: a stop looks at the flags of those who are on the list.
    register_if_new(slot);
    let admitted = GATE.admission.admit(&slot.inside).map(drop);
    admitted.map_err(|closed| depart_refused(slot, true, closed))
}

/// This thread is outside again.
pub(super) fn depart(slot: &Slot) {
    GATE.admission.depart(&slot.inside);
    // Its end will not be noticed any more: nothing of it may stay. One that has a kept state is on
    // its way to `reaper::thread_ends`.
    if crate::exit::early_passed() && slot.kept.get().is_null() && !slot.ending.get() {
        registry::unregister(slot);
    }
}

/// The state that this thread attaches with, and whether it is for one entry only.
fn find_state(slot: &Slot, generation: u64) -> Option<(*mut PyThreadState, bool)> {
    let stale = slot.kept.replace(ptr::null_mut());
    if !stale.is_null() {
        // Of an interpreter that ended, and freed with it. 3.15 may still remember it here.
        cpython::forget_gilstate(stale);
    }
    let known = cpython::gilstate();
    if !known.is_null() {
        // SAFETY: PyGILState's state for this thread is alive: whoever made it has not deleted it
        // on this thread, and nobody else may.
        if unsafe { pyo3_ffi::PyThreadState_GetInterpreter(known) } == interpreter() {
            // Somebody else's (a Python thread's, or one made by PyGILState_Ensure): used for
            // this entry, never owned, never remembered.
            return Some((known, false));
        }
    }
    // SAFETY: the interpreter is alive while the flag `inside` is set, which it is in `attach`.
    let state = unsafe { cpython::new_state(interpreter()) };
    if state.is_null() {
        return None;
    }
    // The end of a thread that is ending already would not give it back.
    let transient = crate::exit::early_passed();
    if !transient {
        slot.kept.set(state);
        slot.generation.set(generation);
    }
    Some((state, transient))
}

pub(super) fn register_if_new(slot: &'static Slot) {
    if slot.thread.load(Ordering::Relaxed) == 0 {
        registry::register(slot);
    }
}

/// Attaches with `state`, waiting; counts and times the entry. Says no if Python is going.
fn restore(slot: &Slot, state: *mut PyThreadState, word: Word) -> bool {
    let timing = GATE.timing.load(Ordering::Relaxed);
    let begun = timing.then(Instant::now);
    // SAFETY: `state` belongs to this thread, is alive while the thread is inside, and this
    // thread holds nothing.
    if !unsafe { attach_guarded(state, word) } {
        return false;
    }
    if let Some(begun) = begun {
        let waited = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        count(&slot.waits, 1);
        count(&slot.wait_ns, waited);
    }
    count(&slot.entries, 1);
    let entries = slot.entries.load(Ordering::Relaxed);
    if timing || is_stamped(entries) {
        stamp(slot, entries);
    }
    true
}

/// Attaches with `state`, waiting, where [`may_attach`] said yes. Says no if Python is going.
///
/// # Safety
///
/// `state` is this thread's, alive if Python is, and this thread holds nothing.
pub(super) unsafe fn attach_guarded(state: *mut PyThreadState, word: Word) -> bool {
    if word.is_finalizing() {
        // Python's guards refuse the thread that finalizes too.
        // SAFETY: by the caller's promise; `may_attach` saw that it is this thread that finalizes.
        unsafe { pyo3_ffi::PyEval_RestoreThread(state) };
        return true;
    }
    // SAFETY: by the caller's promise.
    unsafe { GATE.view.attach(state) }
}

/// Notes when this entry was made.
#[cold]
fn stamp(slot: &Slot, entries: u64) {
    slot.stamp.store(registry::monotonic_ns(), Ordering::Relaxed);
    slot.stamped.store(entries, Ordering::Relaxed);
}

#[inline(never)]
pub(super) fn leave(slot: &'static Slot, by_block: bool) -> Result<(), Error> {
    let Some(top) = slot.top() else {
        return Err(wrong_order("there is no entry to leave on this thread"));
    };
    if top.kind == Kind::Release {
        return Err(wrong_order(
            "Python was given up inside this entry and not taken back: \
             close raddle_unblock_threads with raddle_block_threads first",
        ));
    }
    if top.by_block != by_block {
        return Err(wrong_order(
            "the innermost entry was opened by PyGTK's BLOCK: close it with its UNBLOCK",
        ));
    }
    if GATE.admission.word().is_forked() {
        close_untouched(slot);
        return Ok(());
    }
    if top.admitted && slot.depth.get() == 1 && slot.elsewhere.get() > 0 {
        return Err(wrong_order(
            "a suspended tasklet of this thread is inside an entry: the outermost one cannot be left \
             before it",
        ));
    }
    if cpython::current() != top.state {
        if cpython::gilstate().is_null() {
            return Err(close_deleted(slot));
        }
        return Err(wrong_order(
            "Python was given up inside this entry by other means and not taken back: \
             call PyEval_RestoreThread before leaving",
        ));
    }
    // `top` is not looked at afterwards: finalizers may enter, and so move the frames.
    let kind = top.kind;
    if !top.context.is_null() {
        python::leave_context(core::mem::replace(&mut top.context, ptr::null_mut()));
    }
    if kind == Kind::Attach {
        detach(slot);
    } else if let Some(frame) = slot.pop() {
        close_admission(slot, &frame);
    }
    Ok(())
}

/// Closes the innermost frame, whose state is gone: to keep it open would be to believe in that.
#[cold]
fn close_deleted(slot: &'static Slot) -> Error {
    if let Some(frame) = slot.pop() {
        if frame.state == slot.kept.get() {
            slot.kept.set(ptr::null_mut());
            slot.ready.set(0);
        }
        close_admission(slot, &frame);
    }
    wrong_order(
        "the thread state that this entry ran on was deleted inside it, by a PyGILState_Release \
         too many or too early: the entry is closed",
    )
}

/// Closes the innermost frame and leaves Python as it is: in the child of a plain fork, where its
/// locks may belong to threads that are not there.
#[cold]
fn close_untouched(slot: &'static Slot) {
    if let Some(frame) = slot.pop() {
        slot.set_aside();
        close_admission(slot, &frame);
    }
}

/// Undoes the innermost frame, an Attach that holds Python.
fn detach(slot: &'static Slot) {
    python::report_pending();
    // The hook ran Python, but whatever it entered it has left: the frame is the innermost again.
    let Some(frame) = slot.pop() else { return };
    if !frame.pending.is_null() {
        python::put_pending(frame.pending);
    }
    if frame.transient {
        // SAFETY: attached with it, and made for this frame alone.
        unsafe { pyo3_ffi::PyThreadState_Clear(frame.state) };
        // SAFETY: cleared a line ago; gives Python up too.
        unsafe { pyo3_ffi::PyThreadState_DeleteCurrent() };
    } else {
        // SAFETY: `leave` saw that this thread holds Python.
        unsafe { pyo3_ffi::PyEval_SaveThread() };
    }
    if !frame.other.is_null() {
        // SAFETY: this thread's, put aside by `attach_from_other`, and nothing is attached.
        unsafe { pyo3_ffi::PyEval_RestoreThread(frame.other) };
    }
    close_admission(slot, &frame);
}

/// Closes everything that a dying thread left open, so that Python is not held for ever.
pub(super) fn leave_all(slot: &'static Slot) {
    while !slot.is_outside() {
        if reaper::holds_by_entry(slot)
            && slot.top().is_some_and(|top| top.state == cpython::current())
            && !GATE.admission.word().is_forked()
        {
            if let Some(top) = slot.top() {
                top.pending = ptr::null_mut();
            }
            detach(slot);
        } else if let Some(frame) = slot.pop() {
            close_admission(slot, &frame);
        } else {
            return; // On a tasklet's stack, whose thread was ended under it.
        }
    }
}
