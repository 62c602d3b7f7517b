//! A descriptor that one side makes readable and the other side polls: an eventfd, or a pipe where
//! there is none.
//!
//! Ringing twice before the other side looks is ringing once. Nobody waits to ring.

use core::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// A bell.
pub struct Bell {
    /// What is polled and read.
    listen: OwnedFd,
    /// What is written to; the same file if the system has eventfds.
    ring: Option<OwnedFd>,
}

impl Bell {
    /// A bell that has not rung.
    ///
    /// # Errors
    ///
    /// If the process may open no more descriptors.
    pub fn new() -> io::Result<Self> {
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
        {
            // SAFETY: takes numbers only.
            let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
            Ok(Self { listen: owned(fd)?, ring: None })
        }
        #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
        {
            let (listen, ring) = std::os::unix::net::UnixStream::pair()?;
            listen.set_nonblocking(true)?;
            ring.set_nonblocking(true)?;
            Ok(Self { listen: listen.into(), ring: Some(ring.into()) })
        }
    }

    /// What becomes readable: to be polled by anybody, and read by [`hush`](Self::hush) alone.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.listen.as_raw_fd()
    }

    /// Makes it readable. Never waits.
    pub fn ring(&self) {
        let fd = self.ring.as_ref().unwrap_or(&self.listen).as_raw_fd();
        let one = 1_u64.to_ne_bytes();
        // A full counter or pipe is readable already, which is all that is wanted.
        again(|| {
            // SAFETY: open as long as `self`, and as many bytes as are said.
            unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) }
        });
    }

    /// Makes it unreadable, until it rings again. Never waits.
    pub fn hush(&self) {
        let mut bytes = [0_u8; 64];
        let mut read = || {
            // SAFETY: open as long as `self`, and room for as many bytes as are said.
            unsafe { libc::read(self.fd(), bytes.as_mut_ptr().cast(), bytes.len()) }
        };
        // An eventfd gives all in one reading, a pipe as much as there is room for.
        while again(&mut read) == 64 {}
    }
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

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: open, just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bell").field(&self.fd()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(bell: &Bell) -> bool {
        let mut poll = libc::pollfd { fd: bell.fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one record; does not wait.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn many_rings_are_hushed_at_once() {
        let bell = Bell::new().expect("a descriptor is free");
        assert!(!is_readable(&bell));
        (0..100).for_each(|_| bell.ring());
        assert!(is_readable(&bell));
        bell.hush();
        assert!(!is_readable(&bell));
        bell.ring();
        assert!(is_readable(&bell));
    }
}
