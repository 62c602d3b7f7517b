//! What a tasklet is: its Python object, and the record of a tasklet that has begun.
//!
//! ```text
//!              new ---- setup(args) ----> bound ---- runs ----> begun ---- returns ----> ended
//!                                                                 |                        |
//!   tempval     the function               None        what it is resumed with             None
//!   arguments   null                       args, kw         those                          null
//!   body        null                       null             on its stack                   null
//!   alive       no                         yes              yes                            no
//! ```
//!
//! A tasklet that is queued (`link.next` is not null) is owned by its queue: the run queue of its
//! thread, or a channel. One that is neither runs only if somebody else keeps it.

use core::cell::Cell;
use core::ops::Deref;
use core::ptr::{self, NonNull};

use pyo3_ffi::PyObject;

use super::channel::ChannelObject;
use super::ops::{self, Raw};
use super::queue::Link;
use super::scheduler::Scheduler;
use super::stack::Place;
use super::tools::Marks;
use crate::cpython::tasklet::Running;
use crate::gate::stack::Stack;

/// The Python object of a tasklet.
#[repr(C)]
pub(super) struct TaskletObject {
    pub(super) base: PyObject,
    pub(super) weak: Raw,
    pub(super) link: Link,
    /// Its thread's; `None` once that thread is gone.
    pub(super) home: Cell<Option<Scheduler>>,
    /// What it gets when it goes on, or a bomb that goes off then. Owned, never null.
    pub(super) tempval: Cell<Raw>,
    /// Owned; null unless bound.
    pub(super) function: Cell<Raw>,
    pub(super) arguments: Cell<Raw>,
    pub(super) keywords: Cell<Raw>,
    /// The context it begins in, owned; null once it runs (the record has it).
    pub(super) context: Cell<Raw>,
    /// What `trace_function` was set to before it began: owned or null.
    pub(super) trace: Cell<Raw>,
    pub(super) profile: Cell<Raw>,
    pub(super) body: Cell<*const Body>,
    /// Where it waits; null if it does not.
    pub(super) channel: Cell<*const ChannelObject>,
    /// How often it was switched to.
    pub(super) switches: Cell<u64>,
    /// Nanoseconds that it ran, where that is counted.
    pub(super) run_time: Cell<u64>,
    /// 1: waits to send, -1: waits to receive, 0: does not wait.
    pub(super) blocked: Cell<i8>,
    pub(super) atomic: Cell<bool>,
    pub(super) ignore_nesting: Cell<bool>,
    pub(super) block_trap: Cell<bool>,
    /// It is to be interrupted as soon as that is allowed.
    pub(super) pending_irq: Cell<bool>,
    /// Its object is being destroyed.
    pub(super) zombie: Cell<bool>,
}

/// The record of a tasklet that has begun: on its stack, or in a box for a thread's main one.
#[repr(C)]
pub(super) struct Body {
    pub(super) running: Running,
    pub(super) stack: Stack,
    /// Where it goes on, while it is suspended.
    pub(super) pointer: Cell<*mut u8>,
    /// Where the arguments of the C function end by which it suspended itself.
    pub(super) extent: Cell<*const Raw>,
    /// Forks of this process when `running` was parked.
    pub(super) forks: Cell<u32>,
    /// What watches memory knows its stack by.
    pub(super) marks: Marks,
    /// Its number among those of its thread.
    pub(super) serial: u64,
    /// `None` for a main tasklet.
    pub(super) place: Option<Place>,
}

const _: () = assert!(size_of::<Body>() <= super::stack::BODY);

/// A tasklet, lent: whoever holds this knows that the object is alive.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Task(NonNull<TaskletObject>);

impl Deref for Task {
    type Target = TaskletObject;

    #[inline(always)]
    fn deref(&self) -> &TaskletObject {
        // SAFETY: alive, as the type says; all that changes is in cells, and Python is held.
        unsafe { self.0.as_ref() }
    }
}

impl Task {
    /// # Safety
    ///
    /// `object` is a tasklet, alive as long as the result is used.
    #[inline(always)]
    pub(super) unsafe fn from_raw(object: Raw) -> Self {
        // SAFETY: not null, by the caller's promise.
        Self(unsafe { NonNull::new_unchecked(object.cast()) })
    }

    /// The tasklet that a link is part of.
    ///
    /// # Safety
    ///
    /// `link` is that of a live tasklet.
    #[inline(always)]
    pub(super) unsafe fn of_link(link: *const Link) -> Self {
        let object = link.wrapping_byte_sub(core::mem::offset_of!(TaskletObject, link));
        // SAFETY: by the caller's promise.
        unsafe { Self::from_raw(object.cast_mut().cast()) }
    }

    #[inline(always)]
    pub(super) fn raw(self) -> Raw {
        self.0.as_ptr().cast()
    }

    /// The object, with a reference of the caller's.
    #[inline(always)]
    pub(super) fn new_ref(self) -> Raw {
        ops::incref(self.raw())
    }

    #[inline(always)]
    pub(super) fn incref(self) {
        ops::incref(self.raw());
    }

    #[inline(always)]
    pub(super) fn decref(self) {
        ops::decref(self.raw());
    }

    /// The record, if it has begun and not ended.
    #[inline(always)]
    pub(super) fn body(&self) -> Option<&Body> {
        // SAFETY: null, or on a stack that it keeps until it sets this to null.
        unsafe { self.body.get().as_ref() }
    }

    /// Says where the arguments of the C function end that is about to suspend it; null: unknown.
    #[inline(always)]
    pub(super) fn set_extent(self, extent: *const Raw) {
        if let Some(body) = self.body() {
            body.extent.set(extent);
        }
    }

    #[inline(always)]
    pub(super) fn is_queued(self) -> bool {
        self.link.is_linked()
    }

    #[inline(always)]
    pub(super) fn is_blocked(self) -> bool {
        self.blocked.get() != 0
    }

    /// Bound to arguments, and not ended.
    #[inline(always)]
    pub(super) fn is_alive(self) -> bool {
        !self.body.get().is_null() || !self.arguments.get().is_null()
    }

    /// Whether it has a stack, so that it cannot be bound anew, moved or pickled.
    #[inline(always)]
    pub(super) fn has_begun(self) -> bool {
        !self.body.get().is_null()
    }

    #[inline(always)]
    pub(super) fn is_current(self) -> bool {
        self.home.get().is_some_and(|home| home.current.get() == Some(self))
    }

    #[inline(always)]
    pub(super) fn is_main(self) -> bool {
        self.home.get().is_some_and(|home| home.main.get() == Some(self))
    }

    /// Takes the value that it was given, and leaves `None`: owned.
    #[inline(always)]
    pub(super) fn claim(self) -> Raw {
        self.tempval.replace(ops::new_none())
    }

    /// Gives it a value, whose reference it takes. What it had is dropped.
    #[inline(always)]
    pub(super) fn give(self, value: Raw) {
        ops::decref(self.tempval.replace(value));
    }

    /// Forgets its function and arguments: it is dead then, unless it has begun.
    pub(super) fn unbind(self) {
        for place in [&self.function, &self.arguments, &self.keywords] {
            ops::xdecref(place.replace(ptr::null_mut()));
        }
    }
}
