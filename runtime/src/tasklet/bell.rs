//! How a thread that has no tasklet to run is woken, and how it gets mail: from any thread, with Python
//! or without, and never waiting.
//!
//! ```text
//!   any thread                    the bell                   the thread with the scheduler
//!   ----------                    --------                   -----------------------------
//!   post(letter) -------------->  mail, has_mail ----------> opened at the next switch or turn, before
//!                                                            it waits, and when it is woken
//!   ring() -------------------->  rung, the descriptor ----> looks again whether somebody can run
//! ```
//!
//! The descriptor is an eventfd among those that the thread's tasklets wait for, if there is one: then the
//! thread sleeps in poll(2), its own or that of a loop.

use core::fmt;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use crate::gate::fork;
use crate::primitive::{AtomicBool, Condvar, Mutex, Ordering, lock};

/// What a thread is to do with Python held.
pub(super) trait Letter: Send + Sync {
    /// On the thread that it was posted to, between two tasklets; must not switch, and runs no Python code.
    fn open(&self);
}

/// A thread's bell.
pub(super) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
    has_mail: AtomicBool,
    mail: Mutex<Vec<Arc<dyn Letter>>>,
    /// What is written to, -1 for nothing, and the forks of this process when it was made: a child must not
    /// wake its parent. Locked while it is written to, so that whoever closes it comes later.
    descriptor: Mutex<(RawFd, u32)>,
}

impl Default for Bell {
    fn default() -> Self {
        Self {
            rung: Mutex::default(),
            changed: Condvar::default(),
            has_mail: AtomicBool::new(false),
            mail: Mutex::default(),
            descriptor: Mutex::new((-1, 0)),
        }
    }
}

impl Bell {
    /// Has the thread look whether it has something to do.
    pub(super) fn ring(&self) {
        *lock(&self.rung) = true;
        self.changed.notify_one();
        self.write();
    }

    /// Makes the descriptor readable.
    pub(super) fn write(&self) {
        let place = lock(&self.descriptor);
        let (descriptor, forks) = *place;
        if descriptor >= 0 && forks == fork::count() {
            let one: u64 = 1;
            // SAFETY: eight bytes, and a descriptor that is open: who closes it says so before. It fails
            // only where so much was written that it is readable anyway.
            unsafe { libc::write(descriptor, (&raw const one).cast(), size_of::<u64>()) };
        }
    }

    /// Has an eventfd written to, or (-1) none any more: before it is closed.
    pub(super) fn set_descriptor(&self, descriptor: RawFd) {
        *lock(&self.descriptor) = (descriptor, fork::count());
    }

    /// Has the thread open a letter, once if it is posted again before. Rings when it is the first one.
    pub(super) fn post(&self, letter: Arc<dyn Letter>) {
        let mut mail = lock(&self.mail);
        let is_first = mail.is_empty();
        if mail.last().is_none_or(|last| !Arc::ptr_eq(last, &letter)) {
            mail.push(letter);
        }
        // Relaxed: the letter itself is under the lock.
        self.has_mail.store(true, Ordering::Relaxed);
        drop(mail);
        if is_first {
            self.ring();
        }
    }

    /// Whether there is mail.
    #[inline]
    pub(super) fn has_mail(&self) -> bool {
        // Relaxed: a look that comes early is followed by another one, before the thread waits at last.
        self.has_mail.load(Ordering::Relaxed)
    }

    /// Takes the mail.
    #[cold]
    pub(super) fn take_mail(&self) -> Vec<Arc<dyn Letter>> {
        let mut mail = lock(&self.mail);
        // Relaxed: with the lock held, under which letters come.
        self.has_mail.store(false, Ordering::Relaxed);
        core::mem::take(&mut *mail)
    }

    /// Waits until it rings, at most `timeout` long; says whether it did, and silences it.
    pub(super) fn listen(&self, timeout: Duration) -> bool {
        let rung = lock(&self.rung);
        let waited = self.changed.wait_timeout_while(rung, timeout, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        core::mem::take(&mut *rung)
    }

    /// [`listen`](Self::listen) by a `wait` that the descriptor ends.
    pub(super) fn poll(&self, wait: impl FnOnce()) -> bool {
        if !*lock(&self.rung) {
            wait();
        }
        core::mem::take(&mut *lock(&self.rung))
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("has_mail", &self.has_mail()).finish_non_exhaustive()
    }
}
