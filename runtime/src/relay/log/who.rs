//! Which thread pushes a record: asked once, and kept in thread-local memory.

use core::cell::Cell;
use core::ffi::c_char;

use crate::relay::fork;

/// A thread, as `logging` and the kernel know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who {
    /// `threading.get_ident()`.
    pub(super) ident: u64,
    /// `threading.get_native_id()`; 0 where the kernel's number is not at hand.
    pub(super) native: u32,
    /// In which of the process's forks this was asked.
    forks: u64,
    /// The kernel's name of the thread, up to its first NUL.
    pub(super) name: [u8; NAME],
    /// When the name was asked for, in nanoseconds since 1970.
    asked: u64,
}

/// As long as the kernel lets a name be, with its NUL.
pub(super) const NAME: usize = 16;

/// A thread's name may change: it is asked for again after this many nanoseconds.
const NAME_LASTS: u64 = 1_000_000_000;

thread_local! {
    // No destructor: a thread may log until its last instruction.
    static HERE: Cell<Who> = const {
        Cell::new(Who { ident: 0, native: 0, forks: u64::MAX, name: [0; NAME], asked: 0 })
    };
}

impl Who {
    /// This thread.
    #[inline]
    pub(super) fn here(now: u64) -> Self {
        let who = HERE.get();
        if who.forks == fork::count() && now.wrapping_sub(who.asked) < NAME_LASTS {
            return who;
        }
        Self::ask(now)
    }

    #[cold]
    fn ask(now: u64) -> Self {
        let forks = fork::count();
        let who = Self { ident: ident(), native: native(), forks, name: name(), asked: now };
        HERE.set(who);
        who
    }

    /// The kernel's name of the thread.
    pub(super) fn name(&self) -> &[u8] {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
        &self.name[..end]
    }
}

fn ident() -> u64 {
    // SAFETY: pthread_self has no conditions.
    let own = unsafe { libc::pthread_self() };
    own as u64
}

#[cfg(target_os = "linux")]
fn native() -> u32 {
    // SAFETY: gettid has no conditions.
    let own = unsafe { libc::gettid() };
    own.unsigned_abs()
}

#[cfg(not(target_os = "linux"))]
fn native() -> u32 {
    0
}

fn name() -> [u8; NAME] {
    let mut name = [0_u8; NAME];
    // SAFETY: pthread_self has no conditions.
    let own = unsafe { libc::pthread_self() };
    // SAFETY: this thread, and room for a name with its NUL. If it fails there is no name.
    unsafe { libc::pthread_getname_np(own, name.as_mut_ptr().cast::<c_char>(), NAME) };
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_asked_again_for_its_name_after_a_second() {
        let ask = || {
            let first = Who::here(1_000_000_000);
            assert_eq!(first.name(), b"named by Rust");
            // SAFETY: pthread_self has no conditions.
            let own = unsafe { libc::pthread_self() };
            // SAFETY: this thread, and a name that ends with a NUL.
            unsafe { libc::pthread_setname_np(own, c"renamed".as_ptr()) };
            assert_eq!(Who::here(1_500_000_000).name(), b"named by Rust");
            assert_eq!(Who::here(2_500_000_000).name(), b"renamed");
            assert_ne!(first.ident, 0);
        };
        let thread = std::thread::Builder::new().name("named by Rust".to_owned()).spawn(ask);
        thread.expect("a thread can be started").join().expect("ends well");
    }
}
