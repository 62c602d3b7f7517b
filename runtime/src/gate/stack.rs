//! The part of a thread's record that belongs to a stack of calls, and so travels with a tasklet.
//!
//! ```text
//!   thread's own stack      enter   Python   switch - - - ->   tasklet's stack   enter   switch - ->
//!   its record              Attach, depth 1                    base, depth 0     depth 1
//! ```
//!
//! A tasklet's record begins with Python held and nothing to leave: entries nest in it, and a leave
//! too many is refused. While a suspended tasklet has entries open, the thread may not leave its
//! outermost one; and a loop's dispatch, which the loop closes in the order of opening, must not be
//! gone on with while a newer one waits on another stack.
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::ptr;

use pyo3_ffi::PyThreadState;

use super::slot::{Frame, Kind, Slot};

/// A suspended stack's part of the record.
#[derive(Debug)]
pub(crate) struct Stack {
    depth: Cell<u32>,
    floor: Cell<u32>,
    active: Cell<*mut PyThreadState>,
    open: Cell<u32>,
    frames: Cell<*mut Vec<Frame>>,
    dispatches: Cell<u32>,
    /// Who it is: a tasklet's address, or 0 for the thread's own stack.
    id: Cell<usize>,
}

impl Stack {
    /// The thread's own: what it begins with is in the slot already.
    pub(crate) const fn own() -> Self {
        Self {
            depth: Cell::new(0),
            floor: Cell::new(0),
            active: Cell::new(ptr::null_mut()),
            open: Cell::new(0),
            frames: Cell::new(ptr::null_mut()),
            dispatches: Cell::new(0),
            id: Cell::new(0),
        }
    }

    /// A tasklet's, which runs with `state` held.
    pub(crate) fn of_tasklet(state: *mut PyThreadState, id: usize) -> Self {
        let stack = Self::own();
        stack.active.set(state);
        stack.open.set(1);
        stack.id.set(id);
        stack
    }

    /// Who it is: a tasklet's address, or 0 for the thread's own stack.
    pub(crate) fn id(&self) -> usize {
        self.id.get()
    }

    fn has_entries(&self) -> bool {
        self.id.get() != 0 && (self.depth.get() > 0 || self.open.get() > 1)
    }

    /// Whether a loop's dispatch is open on it.
    fn has_dispatches(&self) -> bool {
        self.dispatches.get() > 0
    }
}

/// Puts the running stack's part aside into `from`, and `to`'s in its place.
#[inline]
pub(crate) fn exchange(from: &Stack, to: &Stack) {
    let slot = Slot::here();
    slot.set_down();
    from.depth.set(slot.depth.get());
    from.floor.set(slot.floor.get());
    from.active.set(slot.active.get());
    from.open.set(slot.open.get());
    from.frames.set(slot.frames.get());
    from.dispatches.set(slot.dispatches.get());
    if from.has_entries() {
        slot.elsewhere.set(slot.elsewhere.get() + 1);
    }
    if to.has_entries() {
        slot.elsewhere.set(slot.elsewhere.get() - 1);
    }
    slot.depth.set(to.depth.get());
    slot.floor.set(to.floor.get());
    slot.active.set(to.active.get());
    slot.open.set(to.open.get());
    slot.frames.set(to.frames.get());
    slot.dispatches.set(to.dispatches.get());
    slot.stack.set(to.id.get());
}

/// Whether dispatches are open on more than one stack of this thread, so that some must not be gone
/// on with.
#[inline]
pub(crate) fn is_crossed() -> bool {
    Slot::here().crossings.get() > 0
}

/// Who is inside the newest dispatch: a tasklet's address, or 0 for the thread's own stack.
pub(crate) fn innermost() -> usize {
    Slot::here().innermost.get()
}

/// Whether to go on with `to` would be to close an older dispatch before a newer one.
#[inline]
pub(crate) fn crosses(to: &Stack) -> bool {
    to.has_dispatches() && innermost() != to.id.get()
}

/// Why the stack that runs must not be left for `to`; `None` if it may.
#[inline]
pub(crate) fn refusal(to: &Stack) -> Option<&'static str> {
    let slot = Slot::here();
    if crosses(to) {
        return Some(
            "cannot switch: the tasklet is inside a main loop's dispatch, and a newer dispatch waits \
             on another stack",
        );
    }
    if slot.stack.get() != 0 && slot.open.get() > 1 && slot.has_admission() {
        return Some(
            "cannot switch: this tasklet is inside the outermost entry of its thread, which it has \
             to leave first",
        );
    }
    None
}

/// The tasklet that runs has ended: entries that it has not left are forgotten. Returns how many.
pub(crate) fn end_of_tasklet() -> u32 {
    let slot = Slot::here();
    let open = slot.depth.get() + slot.open.get() - 1;
    if open > 0 {
        slot.depth.set(0);
        slot.open.set(1);
    }
    slot.drop_frames();
    open
}

/// A main loop's dispatch that is open on the stack that runs.
///
/// While it is, a switch to a stack that is inside an older dispatch is refused: the loop would
/// close them in the wrong order.
#[derive(Debug)]
#[must_use = "the dispatch ends when the guard is dropped"]
pub struct Dispatch {
    before: usize,
    crosses: bool,
    // Not Send: it belongs to this thread's stack.
    thread: core::marker::PhantomData<*mut ()>,
}

impl Dispatch {
    /// A dispatch begins.
    #[inline]
    pub fn open() -> Self {
        let slot = Slot::here();
        slot.dispatches.set(slot.dispatches.get() + 1);
        let before = slot.innermost.replace(slot.stack.get());
        let crosses = before != slot.stack.get();
        if crosses {
            slot.crossings.set(slot.crossings.get() + 1);
        }
        Self { before, crosses, thread: core::marker::PhantomData }
    }
}

impl Drop for Dispatch {
    #[inline]
    fn drop(&mut self) {
        let slot = Slot::here();
        slot.dispatches.set(slot.dispatches.get().saturating_sub(1));
        slot.innermost.set(self.before);
        if self.crosses {
            slot.crossings.set(slot.crossings.get().saturating_sub(1));
        }
    }
}

impl Slot {
    /// Whether the entry that let the thread in is on the running stack.
    fn has_admission(&self) -> bool {
        self.any_frame(|frame| frame.admitted && frame.kind != Kind::Release)
    }
}
