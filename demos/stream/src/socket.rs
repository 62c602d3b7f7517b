//! A UDP socket that says how many packets the kernel had no room for.

use core::ffi::{c_int, c_uint};
use core::mem::{MaybeUninit, size_of, size_of_val};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd as _, RawFd};

/// Asks for a socket's figures; from asm-generic/socket.h, which libc has not.
const SO_MEMINFO: c_int = 55;

/// `SK_MEMINFO_VARS` of linux/sock_diag.h, and the place of the drops among them.
const MEMINFO: usize = 9;
const DROPS: usize = 8;

/// A socket to receive from.
#[derive(Debug)]
pub struct Socket {
    socket: UdpSocket,
    /// The count is of 32 bits, and starts anew: what came before.
    dropped: u64,
    last: u32,
}

/// Room for the one control message that is asked for.
type Control = [u64; 8];

impl Socket {
    /// Binds it, with a buffer of so many bytes if the system allows it.
    pub fn bind(address: SocketAddr, buffer: c_int) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        set(&socket, libc::SO_RCVBUF, buffer)?;
        set(&socket, libc::SO_RXQ_OVFL, 1 as c_int)?;
        Ok(Self { socket, dropped: 0, last: 0 })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Takes a packet, if there is one. Never waits.
    pub fn take<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut control: Control = [0; 8];
        // SAFETY: all zeros is an empty message.
        let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of::<Control>();
        // SAFETY: one piece of memory, and room for control messages, as they say.
        let length = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        if length < 0 {
            let error = io::Error::last_os_error();
            let nothing = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
            return if nothing { Ok(None) } else { Err(error) };
        }
        if let Some(count) = drops_in(&message) {
            self.note(count);
        }
        Ok(Some(&buffer[..length.unsigned_abs()]))
    }

    fn note(&mut self, count: u32) {
        self.dropped += u64::from(count.wrapping_sub(self.last));
        self.last = count;
    }

    /// How many packets were dropped before the last one that was taken.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many were dropped up to now: what came after the last packet too.
    pub fn dropped_at_the_end(&mut self) -> u64 {
        let mut figures = [0_u32; MEMINFO];
        let mut length: libc::socklen_t = size_of_val(&figures) as libc::socklen_t;
        let (fd, level) = (self.socket.as_raw_fd(), libc::SOL_SOCKET);
        let place = figures.as_mut_ptr().cast();
        // SAFETY: room for as many bytes as are said.
        let failed = unsafe { libc::getsockopt(fd, level, SO_MEMINFO, place, &raw mut length) };
        if failed == 0 {
            self.note(figures[DROPS]);
        }
        self.dropped
    }

    /// Lets no more packets in: what comes from now on is dropped and counted, and what has come can be
    /// taken to the last one, however fast others send.
    pub fn shut(&self) -> io::Result<()> {
        // A packet filter of one instruction: keep 0 bytes of each.
        let code = (libc::BPF_RET | libc::BPF_K) as u16;
        let mut nothing = [libc::sock_filter { code, jt: 0, jf: 0, k: 0 }];
        let program = libc::sock_fprog { len: 1, filter: nothing.as_mut_ptr() };
        set(&self.socket, libc::SO_ATTACH_FILTER, program)
    }

    /// Waits until there is a packet, or `other` is readable; says whether it is the latter.
    pub fn wait(&self, other: RawFd) -> bool {
        let record = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut both = [record(self.socket.as_raw_fd()), record(other)];
        // SAFETY: two records.
        unsafe { libc::poll(both.as_mut_ptr(), 2, -1) };
        both[1].revents != 0
    }
}

/// Sets an option to what the kernel knows by this type.
fn set<T>(socket: &UdpSocket, option: c_int, value: T) -> io::Result<()> {
    let (fd, length) = (socket.as_raw_fd(), size_of::<T>() as libc::socklen_t);
    let place = (&raw const value).cast();
    // SAFETY: a value of as many bytes as are said; what it points to lives as long.
    if unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, place, length) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// What `SO_RXQ_OVFL` has put beside a packet.
fn drops_in(message: &libc::msghdr) -> Option<u32> {
    // SAFETY: a message as recvmsg left it.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: null, or within the message's control memory.
    while let Some(seen) = unsafe { header.as_ref() } {
        if (seen.cmsg_level, seen.cmsg_type) == (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) {
            // SAFETY: its data follow it.
            let data = unsafe { libc::CMSG_DATA(header) };
            // SAFETY: this kind carries a number of 32 bits, which may lie anywhere.
            return Some(unsafe { data.cast::<c_uint>().read_unaligned() });
        }
        // SAFETY: a header of this message.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}
