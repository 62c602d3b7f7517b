//! Giving Python up in the middle of an entry, whatever the depth, and taking it back.
//!
//! A release is a frame like any other, so releases and entries nest in any order, and what is closed
//! in the wrong one is refused. PyGTK's pair, which entered as well as took back, is here too.

use core::ptr;
use std::panic::Location;

use super::GATE;
use super::entry::{self, How, enter, leave, wrong_order};
use super::slot::{Frame, Kind, Slot};
use crate::cpython;
use crate::error::{Closed, Error};
use crate::primitive::Ordering;

/// Gives Python up, whatever the depth.
///
/// # Errors
///
/// [`Status::NotStarted`](crate::Status::NotStarted) if there is no Python yet.
pub fn unblock_raw() -> Result<(), Error> {
    give_up(Slot::here(), None)
}

/// Takes back what the innermost [`unblock_raw`] gave up.
///
/// # Errors
///
/// [`Status::WrongOrder`](crate::Status::WrongOrder) if nothing was given up, or an entry made since is open.
/// [`Status::Closed`](crate::Status::Closed) if Python has ended meanwhile; then the pair is closed and Python not held.
pub fn block_raw() -> Result<(), Error> {
    take_back(Slot::here())
}

/// PyGTK's BLOCK: takes back what the innermost UNBLOCK gave up, and is an entry where there is
/// nothing to take back.
///
/// A refused one is remembered, and needs its UNBLOCK like any other: who calls by macro cannot
/// look at the result.
///
/// # Errors
///
/// As [`block_raw`] and [`enter_raw`](super::enter_raw).
pub fn pygtk_block() -> Result<(), Error> {
    let slot = Slot::here();
    if slot.top().is_some_and(|top| top.kind == Kind::Release && !top.by_block) {
        return take_back(slot);
    }
    let entered = enter(slot, cpython::current(), How { by_block: true, ..How::default() });
    entered.map_err(|closed| {
        let mut refused = Frame::new(Kind::Release, ptr::null_mut());
        refused.by_block = true;
        slot.push(refused);
        closed.into()
    })
}

/// PyGTK's UNBLOCK: leaves what its BLOCK entered, and gives Python up elsewhere.
///
/// # Errors
///
/// As [`unblock_raw`] and [`leave_raw`](super::leave_raw).
pub fn pygtk_unblock() -> Result<(), Error> {
    let slot = Slot::here();
    if slot.top().is_some_and(|top| top.kind == Kind::Release && top.by_block) {
        slot.pop(); // A refused BLOCK: nothing was entered, so nothing is given up.
        forget_if_unknown(slot);
        return Ok(());
    }
    if slot.top().is_some_and(|top| top.by_block && slot.depth.get() == 1) {
        return leave(slot, true);
    }
    give_up(slot, None)
}

/// Opens a Release frame. The caller gives Python up if `held` comes back true.
pub(super) fn open_release(
    slot: &'static Slot,
    place: Option<&'static Location<'static>>,
) -> Option<bool> {
    let word = GATE.admission.word();
    if word.generation() == 0 {
        return None;
    }
    let held = entry::is_held();
    let mut frame = Frame::new(Kind::Release, ptr::null_mut());
    frame.place = place;
    // Whoever gave Python up inside has frames of Python's on its stack: a stop waits for it.
    if held && !slot.inside.is_set() {
        frame.admitted = entry::come_in(slot).is_ok();
    }
    slot.push(frame);
    Some(held)
}

fn give_up(slot: &'static Slot, place: Option<&'static Location<'static>>) -> Result<(), Error> {
    let Some(held) = open_release(slot, place) else {
        return Err(Closed::NotStarted.into());
    };
    if held {
        // SAFETY: this thread holds Python.
        let state = unsafe { pyo3_ffi::PyEval_SaveThread() };
        if let Some(top) = slot.top() {
            top.state = state;
        }
    }
    Ok(())
}

fn take_back(slot: &'static Slot) -> Result<(), Error> {
    match slot.top() {
        Some(top) if top.kind == Kind::Release && !top.by_block => {}
        Some(_) => {
            return Err(wrong_order(
                "an entry made since Python was given up is still open: leave it first",
            ));
        }
        None => return Err(wrong_order("nothing was given up on this thread")),
    }
    let Some(frame) = slot.pop() else { return Ok(()) };
    if !frame.state.is_null() {
        let word = GATE.admission.word();
        // SAFETY: this thread's state, alive since Python is; and this thread holds nothing.
        if !entry::may_attach(slot, word) || !unsafe { entry::attach_guarded(frame.state, word) } {
            close_admission(slot, &frame);
            return Err(GATE.admission.word().refusal().into());
        }
    }
    close_admission(slot, &frame);
    Ok(())
}

/// Closes a frame that was popped: its admission, if it had one.
pub(super) fn close_admission(slot: &Slot, frame: &Frame) {
    if frame.admitted {
        entry::depart(slot);
    }
    forget_if_unknown(slot);
}

/// Gives the frames' memory back on a thread whose end nobody will notice.
pub(super) fn forget_if_unknown(slot: &Slot) {
    if slot.thread.load(Ordering::Relaxed) == 0 {
        slot.trim();
    }
}
