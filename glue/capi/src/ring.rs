//! `raddle-ring.h`: handing pointers from thread to thread, bounded and stoppable.

use core::ffi::{c_int, c_uint, c_void};
use core::ptr::NonNull;
use std::sync::Arc;

use raddle::Error;
use raddle::relay::{Ring, RingStats};

use crate::boundary::guard;
use crate::pointer;
use crate::semaphore::{by_flag, refused, timeout};
use crate::status::{RaddleStatus, answer};

type Notify = unsafe extern "C" fn(item: *mut c_void);

/// What a host hands over.
struct Item(NonNull<c_void>);

// SAFETY: the header says that items go from thread to thread; here nobody looks at them.
unsafe impl Send for Item {}

impl Item {
    fn new(item: *mut c_void) -> Result<Self, Error> {
        NonNull::new(item).map(Self).ok_or_else(pointer::null)
    }
}

/// See `raddle-ring.h`. A reference is one count of an `Arc`.
#[derive(Debug)]
pub struct RaddleRing {
    ring: Ring<Item>,
    notify: Option<Notify>,
}

impl Drop for RaddleRing {
    fn drop(&mut self) {
        let Some(notify) = self.notify else { return };
        // Nothing comes out in a forked child.
        while let Ok(item) = self.ring.try_pop() {
            // SAFETY: whoever made the ring promised that it may be called, once for each.
            unsafe { notify(item.0.as_ptr()) };
        }
    }
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `notify` may be called once with each item, on any thread; `out` is NULL or points to memory for a
/// pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_new(
    capacity: u32,
    notify: Option<unsafe extern "C" fn(item: *mut c_void)>,
    out: *mut *mut RaddleRing,
) -> RaddleStatus {
    let make = || {
        let ring = Ring::new(capacity).map_err(|error| refused(&error))?;
        Ok(Arc::into_raw(Arc::new(RaddleRing { ring, notify })).cast_mut())
    };
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::put(out, make) }))
}

/// See `raddle-ring.h`. NULL gives NULL.
///
/// # Safety
///
/// `ring` is NULL or one of which the caller has a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_ref(ring: *mut RaddleRing) -> *mut RaddleRing {
    // SAFETY: by the caller's promise.
    guard(|| unsafe { pointer::share(ring) });
    ring
}

/// See `raddle-ring.h`. NULL is ignored.
///
/// # Safety
///
/// `ring` is NULL or one of which the caller gives up a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_unref(ring: *mut RaddleRing) {
    // SAFETY: by the caller's promise.
    guard(|| drop(unsafe { pointer::take_shared(ring) }));
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_try_push(
    ring: *mut RaddleRing,
    item: *mut c_void,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    let push = |ring: &RaddleRing| {
        ring.ring.try_push(Item::new(item)?).map_err(|error| Error::from(error.why))
    };
    guard(|| answer(ring.and_then(push)))
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_push(
    ring: *mut RaddleRing,
    item: *mut c_void,
    timeout_ms: i64,
    wait: c_uint,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    let timeout = timeout(timeout_ms);
    let push = |ring: &RaddleRing| {
        let (ring, item) = (&ring.ring, Item::new(item)?);
        // A refused item is the caller's still: dropping ours does nothing to it.
        let again = Item(item.0);
        by_flag(
            wait,
            |tag| ring.push_for(item, tag, timeout).map_err(|error| error.why),
            |tag| ring.push_for(again, tag, timeout).map_err(|error| error.why),
        )
    };
    guard(|| answer(ring.and_then(push)))
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring; `out` is NULL or points to memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_try_pop(
    ring: *mut RaddleRing,
    out: *mut *mut c_void,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    let pop = || Ok(ring?.ring.try_pop()?.0.as_ptr());
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::put(out, pop) }))
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring; `out` is NULL or points to memory for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_pop(
    ring: *mut RaddleRing,
    timeout_ms: i64,
    wait: c_uint,
    out: *mut *mut c_void,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    let timeout = timeout(timeout_ms);
    let pop = || {
        let ring = &ring?.ring;
        let item =
            by_flag(wait, |tag| ring.pop_for(tag, timeout), |tag| ring.pop_for(tag, timeout))?;
        Ok(item.0.as_ptr())
    };
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::put(out, pop) }))
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_stop(ring: *mut RaddleRing) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    guard(|| answer(ring.map(|ring| ring.ring.stop())))
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_is_stopped(ring: *mut RaddleRing) -> bool {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    guard(|| ring.is_ok_and(|ring| ring.ring.is_stopped()))
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_add_producer(ring: *mut RaddleRing) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    guard(|| answer(ring.map(|ring| ring.ring.add_producer())))
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_remove_producer(ring: *mut RaddleRing) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    guard(|| answer(ring.and_then(|ring| ring.ring.remove_producer().map(drop))))
}

/// See `raddle-ring.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "the header describes them")]
pub struct RaddleRingStats {
    pub length: u64,
    pub capacity: u64,
    pub max_length: u64,
    pub pushes: u64,
    pub pops: u64,
    pub push_waits: u64,
    pub pop_waits: u64,
}

impl From<RingStats> for RaddleRingStats {
    fn from(stats: RingStats) -> Self {
        Self {
            length: stats.length,
            capacity: stats.capacity,
            max_length: stats.max_length,
            pushes: stats.pushes,
            pops: stats.pops,
            push_waits: stats.push_waits,
            pop_waits: stats.pop_waits,
        }
    }
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring; `out` is NULL or points to memory for the figures.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_get_stats(
    ring: *mut RaddleRing,
    out: *mut RaddleRingStats,
) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::put(out, || Ok(ring?.ring.stats().into())) }))
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_get_fd(ring: *mut RaddleRing) -> c_int {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    guard(|| ring.map_or(-1, |ring| ring.ring.fd()))
}

/// See `raddle-ring.h`.
///
/// # Safety
///
/// `ring` is NULL or a ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_ring_get_room_fd(ring: *mut RaddleRing) -> c_int {
    // SAFETY: by the caller's promise.
    let ring = unsafe { pointer::borrow(ring) };
    guard(|| ring.map_or(-1, |ring| ring.ring.room_fd()))
}
