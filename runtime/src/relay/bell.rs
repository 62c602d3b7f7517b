//! A descriptor that one side makes readable and the other side polls: an eventfd, or a pipe where
//! there is none.
//!
//! Ringing twice before the other side looks is ringing once. Nobody waits to ring.
//!
//! A forked child shares its parent's open files, and what it read from a bell its parent's waiter
//! would never see. So a bell that is used in a child is first made anew there, under the number
//! that it had: it has rung then, and whoever looks finds what there is.

use core::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

use super::fork;
use crate::primitive::{AtomicU64, Mutex, Ordering, lock};

/// A bell.
pub struct Bell {
    /// What is polled and read.
    listen: OwnedFd,
    /// What is written to; the same file if the system has eventfds.
    ring: Option<OwnedFd>,
    /// The count of forks at which the files were opened.
    forks: AtomicU64,
}

impl Bell {
    /// A bell that has not rung.
    ///
    /// # Errors
    ///
    /// If the process may open no more descriptors.
    pub fn new() -> io::Result<Self> {
        let (listen, ring) = open()?;
        Ok(Self { listen, ring, forks: AtomicU64::new(fork::watch()) })
    }

    /// What becomes readable: to be polled by anybody, and read by [`hush`](Self::hush) alone.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.be_ours();
        self.listen.as_raw_fd()
    }

    /// Makes it readable. Never waits.
    pub fn ring(&self) {
        self.be_ours();
        let fd = self.ring.as_ref().unwrap_or(&self.listen).as_raw_fd();
        let one = 1_u64.to_ne_bytes();
        // A full counter or pipe is readable already, which is all that is wanted.
        again(|| {
            // SAFETY: open as long as `self`, and as many bytes as are said.
            unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) }
        });
    }

    /// Waits until it is readable, at most `timeout` long or until a signal interrupts. Says whether
    /// it is.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut poll = libc::pollfd { fd: self.fd(), events: libc::POLLIN, revents: 0 };
        // Rounded up, so that a wait is never a busy one.
        let timeout = timeout.map_or(-1, |timeout| {
            libc::c_int::try_from(timeout.as_nanos().div_ceil(1_000_000))
                .unwrap_or(libc::c_int::MAX)
        });
        // SAFETY: one record.
        unsafe { libc::poll(&raw mut poll, 1, timeout) == 1 }
    }

    /// Makes it unreadable, until it rings again. Never waits.
    pub fn hush(&self) {
        self.be_ours();
        let mut bytes = [0_u8; 64];
        let mut read = || {
            // SAFETY: open as long as `self`, and room for as many bytes as are said.
            unsafe { libc::read(self.listen.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) }
        };
        // An eventfd gives all in one reading, a pipe as much as there is room for.
        while again(&mut read) == 64 {}
    }

    /// Whether it is readable.
    #[cfg(test)]
    pub(crate) fn has_rung(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one record; does not wait.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    fn be_ours(&self) {
        // Acquire: pairs with the Release in `renew`; the files were put in place before.
        if self.forks.load(Ordering::Acquire) != fork::count() {
            self.renew();
        }
    }

    /// Puts files of this process's own in place of its parent's, and rings.
    #[cold]
    fn renew(&self) {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = lock(&ALONE);
        if self.forks.load(Ordering::Relaxed) == fork::count() {
            return;
        }
        // Without a free descriptor the child goes on with its parent's: nothing better is left.
        if let Ok((listen, ring)) = open() {
            replace(&self.listen, &listen);
            if let (Some(old), Some(new)) = (&self.ring, &ring) {
                replace(old, new);
            }
        }
        // Release: see `be_ours`.
        self.forks.store(fork::count(), Ordering::Release);
        drop(alone);
        self.ring();
    }
}

/// Makes `old`'s number mean the file of `new`.
fn replace(old: &OwnedFd, new: &OwnedFd) {
    // SAFETY: two descriptors that are open; the file of the first is closed in this process.
    unsafe { libc::dup2(new.as_raw_fd(), old.as_raw_fd()) };
    // SAFETY: a descriptor that is open.
    unsafe { libc::fcntl(old.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// The file to listen to, and the one to write to if that is another.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn open() -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: open, just made, and nobody else's.
    Ok((unsafe { OwnedFd::from_raw_fd(fd) }, None))
}

/// The file to listen to, and the one to write to if that is another.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn open() -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    let (listen, ring) = std::os::unix::net::UnixStream::pair()?;
    listen.set_nonblocking(true)?;
    ring.set_nonblocking(true)?;
    Ok((listen.into(), Some(ring.into())))
}

/// Calls until no signal interrupts.
fn again(mut call: impl FnMut() -> isize) -> isize {
    loop {
        let result = call();
        if result >= 0 || io::Error::last_os_error().kind() != ErrorKind::Interrupted {
            return result;
        }
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bell").field(&self.listen.as_raw_fd()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rings_are_hushed_at_once() {
        let bell = Bell::new().expect("a descriptor is free");
        assert!(!bell.has_rung());
        (0..100).for_each(|_| bell.ring());
        assert!(bell.has_rung());
        bell.hush();
        assert!(!bell.has_rung());
        bell.ring();
        assert!(bell.has_rung());
    }

    #[test]
    fn a_forked_child_hushes_a_bell_of_its_own() {
        let bell = Bell::new().expect("a descriptor is free");
        bell.ring();
        // SAFETY: the child makes system calls only, and ends without running anything of ours.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let had_rung = bell.has_rung();
            bell.hush();
            let status = i32::from(!had_rung || bell.has_rung());
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(status) };
        }
        let mut status = 0;
        // SAFETY: a child of this process, and room for its status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert!(bell.has_rung(), "the child read what its parent waits for");
    }
}
