//! The one door to atomics, locks and fences: `core` and `std`, or loom when the models run.
//!
//! Besides what loom offers there is one pair of its own, the asymmetric fence: the side that runs
//! often pays a compiler fence only, the side that runs seldom pays for both with membarrier(2).

#[cfg(not(raddle_loom))]
mod door {
    pub(crate) use crossbeam_queue::ArrayQueue;

    pub use core::sync::atomic::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering,
    };
    pub use std::sync::{Condvar, Mutex, MutexGuard};

    /// A cell with loom's face: what it has in it is touched in a closure only.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell.
        #[must_use]
        pub const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Calls `body` with where the value is, to read it.
        #[inline(always)]
        pub fn with<R>(&self, body: impl FnOnce(*const T) -> R) -> R {
            body(self.0.get())
        }

        /// Calls `body` with where the value is, to write it.
        #[inline(always)]
        pub fn with_mut<R>(&self, body: impl FnOnce(*mut T) -> R) -> R {
            body(self.0.get())
        }
    }
}

#[cfg(raddle_loom)]
mod door {
    pub use loom::cell::UnsafeCell;
    pub use loom::sync::atomic::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering,
    };
    pub use loom::sync::{Condvar, Mutex, MutexGuard};

    /// What stands in for crossbeam's queue, whose own atomics loom does not see.
    #[derive(Debug)]
    pub(crate) struct ArrayQueue<T>(Mutex<std::collections::VecDeque<T>>, usize);

    impl<T> ArrayQueue<T> {
        pub(crate) fn new(capacity: usize) -> Self {
            Self(Mutex::default(), capacity)
        }

        pub(crate) fn push(&self, value: T) -> Result<(), T> {
            let mut queue = super::lock(&self.0);
            if queue.len() == self.1 {
                return Err(value);
            }
            queue.push_back(value);
            Ok(())
        }

        pub(crate) fn pop(&self) -> Option<T> {
            super::lock(&self.0).pop_front()
        }
    }
}

pub use door::*;

/// Locks, and goes on with the data when a thread panicked while it held the lock.
///
/// Our critical sections only move plain values, so there is no half-made state to fear.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The side of the asymmetric fence that runs often.
///
/// Orders this thread's earlier stores before its later loads, as seen by a thread that calls
/// [`heavy_fence`] in between, provided that [`heavy_fence_is_there`].
#[inline]
pub fn light_fence() {
    #[cfg(not(raddle_loom))]
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
    // loom has no membarrier: its models take the full fence on both sides.
    #[cfg(raddle_loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// The full fence, for machines on which [`heavy_fence_is_there`] says no.
#[inline]
pub fn full_fence() {
    #[cfg(not(raddle_loom))]
    core::sync::atomic::fence(Ordering::SeqCst);
    #[cfg(raddle_loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// The side of the asymmetric fence that runs seldom: a full fence on every running thread.
pub fn heavy_fence() {
    full_fence();
    #[cfg(all(target_os = "linux", not(raddle_loom)))]
    membarrier::expedite();
}

/// Whether this machine has the asymmetric fence. Registers this process for it; call again in a
/// forked child.
pub fn heavy_fence_is_there() -> bool {
    #[cfg(all(target_os = "linux", not(raddle_loom)))]
    return membarrier::register();
    #[cfg(not(all(target_os = "linux", not(raddle_loom))))]
    return cfg!(raddle_loom);
}

#[cfg(all(target_os = "linux", not(raddle_loom)))]
mod membarrier {
    // linux/membarrier.h; the numbers are the kernel's ABI.
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

    fn call(command: libc::c_int) -> bool {
        // SAFETY: membarrier takes a command, flags and a processor, and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    pub(super) fn register() -> bool {
        call(REGISTER_PRIVATE_EXPEDITED)
    }

    pub(super) fn expedite() {
        // It fails only if `register` failed, and then the light side takes the full fence.
        call(PRIVATE_EXPEDITED);
    }
}
