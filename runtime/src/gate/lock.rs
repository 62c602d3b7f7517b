//! A lock for what threads share, where entering Python excludes nobody: on a free-threaded Python.
//!
//! A thread that waits for a lock with Python held may wait for one that needs Python to go on. So
//! whoever has to wait for this lock gives Python up first, and takes it back with the lock in hand:
//! nobody ever waits for the lock while holding Python, so that order deadlocks with nothing.
#![forbid(unsafe_code)]

use std::sync::TryLockError;

use super::{block_raw, is_held, unblock_raw};
use crate::error::Error;
use crate::primitive::{Mutex, MutexGuard, lock};

/// A value that one thread at a time uses, holding Python or not.
///
/// # Examples
///
/// ```
/// let total = raddle::Lock::new(1);
/// *total.lock()? += 1;
/// assert_eq!(*total.lock()?, 2);
/// # Ok::<(), raddle::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits for the value, with Python given up if this thread holds it.
    ///
    /// # Errors
    ///
    /// [`Status::Closed`](crate::Status::Closed) if Python ended while this thread had given it up:
    /// neither the value nor Python is held then.
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, Error> {
        match self.0.try_lock() {
            Ok(guard) => return Ok(guard),
            // A thread panicked with the value in hand; the next one may still look at it.
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
        if !is_held() {
            return Ok(lock(&self.0));
        }
        unblock_raw()?;
        let guard = lock(&self.0);
        block_raw()?;
        Ok(guard)
    }
}
