//! Writing to somebody else's descriptor: at once or not at all, and without a signal if nobody reads.

use std::io;
use std::os::fd::RawFd;

/// Writes what goes out at once; says whether that was all of it. What `fd` is nobody needs to know:
/// a socket, a pipe, a terminal, a file.
pub(crate) fn write_at_once(fd: RawFd, bytes: &[u8]) -> bool {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: as many bytes as are said; a number that is no socket is refused.
    let mut written = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
    if written < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOTSOCK) {
        let mut room = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one record; does not wait.
        unsafe { libc::poll(&raw mut room, 1, 0) };
        // A pipe that nobody reads is left alone: writing to it would raise SIGPIPE.
        if room.revents & (libc::POLLOUT | libc::POLLERR) != libc::POLLOUT {
            return false;
        }
        // SAFETY: as many bytes as are said.
        written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    }
    written.unsigned_abs() == bytes.len()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::{AsRawFd as _, OwnedFd};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn whatever_is_read_gets_all_and_whatever_is_not_gets_nothing() {
        let (mut reader, socket) = UnixStream::pair().expect("descriptors are free");
        let (mut end, pipe) = std::io::pipe().expect("descriptors are free");
        let pipe: OwnedFd = pipe.into();
        let mut bytes = [0; 4];
        assert!(write_at_once(socket.as_raw_fd(), b"once"));
        reader.read_exact(&mut bytes).expect("written");
        assert!(write_at_once(pipe.as_raw_fd(), b"once"));
        end.read_exact(&mut bytes).expect("written");
        drop((reader, end));
        // SAFETY: SIGPIPE ends a process by default; here it would end the test.
        let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        assert!(!write_at_once(socket.as_raw_fd(), b"none"));
        assert!(!write_at_once(pipe.as_raw_fd(), b"none"));
        assert!(!write_at_once(-1, b"none"));
        // SAFETY: what was there before.
        unsafe { libc::signal(libc::SIGPIPE, before) };
    }

    #[test]
    fn a_full_pipe_is_not_waited_for() {
        let (_reader, pipe) = std::io::pipe().expect("descriptors are free");
        let pipe: OwnedFd = pipe.into();
        let line = [b'x'; 512];
        let written = (0..100_000).take_while(|_| write_at_once(pipe.as_raw_fd(), &line)).count();
        assert!((1..100_000).contains(&written));
    }
}
