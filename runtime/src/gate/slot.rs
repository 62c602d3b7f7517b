//! The gate's record of one thread: where it stands, and how it got there.
//!
//! Entries are counted, not remembered: only what changes who holds Python pushes a *frame*.
//!
//! ```text
//! enter            frame Attach, depth 1      took Python; its last leave gives it up
//!   enter          depth 2                    held already: one comparison, one increment
//!     unblock      frame Release, depth 0     gave Python up whatever the depth
//!       enter      frame Attach, depth 1      not held: takes it again
//!       leave      pop
//!     block        pop                        takes it back at depth 2
//!   leave          depth 1
//! leave            pop
//! ```
//!
//! The slot lies in initial-exec thread-local memory that the C shim owns, zeroed at birth, so it
//! works on threads that raddle never saw and in destructors that run after Rust's.

use core::{cell::Cell, mem, ptr};
use std::panic::Location;

use pyo3_ffi::{PyObject, PyThreadState};

use super::admission::Inside;
use crate::cpython;
use crate::primitive::{AtomicU32, AtomicU64, Ordering};

/// What a frame did to who holds Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Took Python; the leave that pops it gives it up.
    Attach,
    /// Found Python held on a state that somebody else takes care of.
    Held,
    /// Gave Python up; the block that pops it takes it back.
    Release,
}

/// One change of who holds Python on this thread, and what to put back when it is undone.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// The thread was outside before: popping this frame ends its admission.
    pub(super) admitted: bool,
    /// Opened by PyGTK's BLOCK: only its UNBLOCK closes it.
    pub(super) by_block: bool,
    /// The state was made for this frame alone, on a thread that is ending.
    pub(super) transient: bool,
    /// The state that Attach and Held run on; the one that Release gave up, or null.
    pub(super) state: *mut PyThreadState,
    /// Attach: another interpreter's state that was current before, or null.
    pub(super) other: *mut PyThreadState,
    /// The fresh context that the first entry of this frame made, or null.
    pub(super) context: *mut PyObject,
    /// Attach: an exception that was set before, owned, or null.
    pub(super) pending: *mut PyObject,
    /// Where it was opened; known for Rust callers in debug builds.
    pub(super) place: Option<&'static Location<'static>>,
    below: Level,
}

/// The counters of the innermost frame.
#[derive(Clone, Copy, Debug)]
struct Level {
    depth: u32,
    floor: u32,
    active: *mut PyThreadState,
}

impl Frame {
    pub(super) const fn new(kind: Kind, state: *mut PyThreadState) -> Self {
        Self {
            kind,
            admitted: false,
            by_block: false,
            transient: false,
            state,
            other: ptr::null_mut(),
            context: ptr::null_mut(),
            pending: ptr::null_mut(),
            place: None,
            below: Level { depth: 0, floor: 0, active: ptr::null_mut() },
        }
    }
}

/// A thread's record. Its own thread writes it; a stop reads `inside`, the rest of the atomics
/// are figures.
///
/// Zeroed memory is a valid `Slot`: every field may be zero, and null, 0 and "outside" is what a
/// thread that never entered is.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Slot {
    /// Entries in the innermost frame.
    pub(super) depth: Cell<u32>,
    /// At this depth a leave does more than count down.
    pub(super) floor: Cell<u32>,
    /// The state the innermost frame runs on. Null outside and in Release frames, so that it is
    /// never equal to a current state there.
    pub(super) active: Cell<*mut PyThreadState>,
    /// Entries that found Python held.
    pub(super) nested: AtomicU64,
    /// Entries that took Python.
    pub(super) entries: AtomicU64,
    pub(super) inside: Inside,
    /// The thread's id for the kernel; 0 while it is not registered.
    pub(super) thread: AtomicU32,
    /// The state that is kept between entries, or null.
    pub(super) kept: Cell<*mut PyThreadState>,
    /// The generation of `kept`.
    pub(super) generation: Cell<u64>,
    /// The gate's word under which `kept` may be attached without a further look, or 0.
    pub(super) ready: Cell<u64>,
    /// Open frames, the plain one at the bottom included.
    pub(super) open: Cell<u32>,
    /// The frame at the bottom is plain (an Attach on `kept`, admitted, with nothing to put back)
    /// and so is not on the list: see `open_plain`.
    plain: Cell<bool>,
    /// The thread ends, and is about to be taken off the list by that.
    pub(super) ending: Cell<bool>,
    pub(super) frames: Cell<*mut Vec<Frame>>,
    /// Its place in the registry.
    pub(super) index: Cell<usize>,
    /// Which entry was last stamped, and when (nanoseconds of the monotonic clock).
    pub(super) stamped: AtomicU64,
    pub(super) stamp: AtomicU64,
    pub(super) waits: AtomicU64,
    pub(super) wait_ns: AtomicU64,
    /// Which stack runs: a tasklet's address, or 0 for the thread's own (see `stack`).
    pub(super) stack: Cell<usize>,
    /// The stack that the newest open dispatch is on.
    pub(super) innermost: Cell<usize>,
    /// Dispatches that are open on the stack that runs.
    pub(super) dispatches: Cell<u32>,
    /// Open dispatches that began while the one before them was on another stack.
    pub(super) crossings: Cell<u32>,
    /// Suspended tasklets that have entries open.
    pub(super) elsewhere: Cell<u32>,
}

const _: () = assert!(mem::size_of::<Slot>() <= cpython::SLOT_SIZE);
const _: () = assert!(mem::align_of::<Slot>() <= 64);
const _: () = assert!(!mem::needs_drop::<Slot>());

/// Adds to a figure that only this thread writes.
#[inline(always)]
pub(super) fn count(figure: &AtomicU64, by: u64) {
    // Relaxed, and no read-modify-write: one writer, readers only want a recent value.
    figure.store(figure.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

impl Slot {
    /// This thread's slot.
    ///
    /// The reference must not leave the thread: that it is `'static` is a lie that ends with it.
    #[inline(always)]
    pub(super) fn here() -> &'static Self {
        // SAFETY: the memory is this thread's, large and aligned enough (asserted above), and any
        // content it may have, zeros included, is a valid Slot; all is behind cells and atomics.
        unsafe { &*cpython::slot_here().cast::<Self>() }
    }

    #[expect(clippy::mut_from_ref, reason = "one borrow at a time: see below")]
    fn frames(&self) -> Option<&mut Vec<Frame>> {
        // SAFETY: null or ours from Box::into_raw; no caller holds two borrows at once, since each
        // method of this file ends its own.
        unsafe { self.frames.get().as_mut() }
    }

    /// Whether no frame is open.
    #[inline(always)]
    pub(super) fn is_outside(&self) -> bool {
        self.open.get() == 0
    }

    /// The state that is kept, if it is of `generation`: an earlier one's was freed, and another
    /// thread's may have its address now.
    pub(super) fn kept_in(&self, generation: u64) -> *mut PyThreadState {
        if self.generation.get() == generation { self.kept.get() } else { ptr::null_mut() }
    }

    /// Opens the frame that most entries are, without writing it down. From outside only.
    #[inline(always)]
    pub(super) fn open_plain(&self) {
        self.open.set(1);
        self.plain.set(true);
        self.depth.set(1);
        self.floor.set(1);
        self.active.set(self.kept.get());
    }

    /// Whether the innermost frame is a plain one with one entry in it.
    #[inline(always)]
    pub(super) fn is_last_plain(&self) -> bool {
        self.plain.get() && self.open.get() == 1 && self.depth.get() == 1
    }

    /// Closes the plain frame, the only one.
    #[inline(always)]
    pub(super) fn close_plain(&self) {
        self.open.set(0);
        self.plain.set(false);
        self.depth.set(0);
        self.floor.set(0);
        self.active.set(ptr::null_mut());
    }

    /// Writes a plain frame down, for whoever wants to look at it or to open another on it.
    #[cold]
    fn spill(&self) {
        self.plain.set(false);
        let mut frame = Frame::new(Kind::Attach, self.kept.get());
        frame.admitted = true;
        self.list().insert(0, frame);
    }

    /// Writes a plain frame down before its stack is suspended.
    #[inline(always)]
    pub(super) fn set_down(&self) {
        if self.plain.get() {
            self.spill();
        }
    }

    /// Whether one of the frames that are written down is such.
    pub(super) fn any_frame(&self, is: impl Fn(&Frame) -> bool) -> bool {
        self.frames().is_some_and(|frames| frames.iter().any(is))
    }

    /// Frees the list of frames, with what is in it.
    pub(super) fn drop_frames(&self) {
        let frames = self.frames.replace(ptr::null_mut());
        if !frames.is_null() {
            // SAFETY: ours from Box::into_raw, and the slot has forgotten it.
            drop(unsafe { Box::from_raw(frames) });
        }
    }

    #[expect(clippy::mut_from_ref, reason = "one borrow at a time: see `frames`")]
    fn list(&self) -> &mut Vec<Frame> {
        if self.frames.get().is_null() {
            self.frames.set(Box::into_raw(Box::new(Vec::with_capacity(4))));
        }
        // SAFETY: not null since the lines above, and as in `frames`.
        unsafe { &mut *self.frames.get() }
    }

    /// The innermost frame.
    pub(super) fn top(&self) -> Option<&mut Frame> {
        if self.plain.get() {
            self.spill();
        }
        self.frames().and_then(|frames| frames.last_mut())
    }

    /// Opens a frame with its first entry in it (none, for a Release).
    pub(super) fn push(&self, mut frame: Frame) {
        if self.plain.get() {
            self.spill();
        }
        self.open.set(self.open.get() + 1);
        frame.below =
            Level { depth: self.depth.get(), floor: self.floor.get(), active: self.active.get() };
        let first = u32::from(frame.kind != Kind::Release);
        self.depth.set(first);
        self.floor.set(first);
        self.active.set(if first == 1 { frame.state } else { ptr::null_mut() });
        self.list().push(frame);
    }

    /// Closes the innermost frame.
    pub(super) fn pop(&self) -> Option<Frame> {
        if self.plain.get() {
            self.spill();
        }
        let frame = self.frames()?.pop()?;
        self.open.set(self.open.get() - 1);
        self.depth.set(frame.below.depth);
        self.floor.set(frame.below.floor);
        self.active.set(frame.below.active);
        Some(frame)
    }

    /// In a forked child: until it is known whether Python was told, nothing nests in what is open.
    pub(super) fn set_aside(&self) {
        if self.plain.get() {
            self.spill();
        }
        self.active.set(ptr::null_mut());
    }

    /// Python was told of the fork: entries nest again in what is open.
    pub(super) fn take_up(&self) {
        if let Some(top) = self.top().filter(|top| top.kind != Kind::Release) {
            self.active.set(top.state);
        }
    }

    /// Gives the memory behind the slot back; a later push takes new.
    pub(super) fn trim(&self) {
        let frames = self.frames.get();
        if !frames.is_null() && self.is_outside() {
            self.frames.set(ptr::null_mut());
            // SAFETY: ours from Box::into_raw, and the slot has forgotten it.
            drop(unsafe { Box::from_raw(frames) });
        }
    }
}
