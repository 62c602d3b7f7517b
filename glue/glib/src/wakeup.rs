//! The descriptor that Python writes to when a signal arrives, borrowed while a loop runs.
//!
//! Python has one such descriptor (`signal.set_wakeup_fd`), and everybody who waits wants it:
//! asyncio, PyGObject's own `MainLoop.run`, and we. So it is ours for a loop's time only, and
//! others may take it meanwhile without asking, and leave it at -1. Therefore
//!
//! - we *look again* whenever Python has run on this thread: after each callable of ours, while
//!   Python is held anyway; and before a wait if the gate has counted an entry since (but ten times
//!   a second at most, for an entry may have to wait), or a signal has interrupted the last one;
//! - what we find there we remember, and pass on to it what arrives (*chain*);
//! - at the end we put back what was there before, if it still is the same file.
//!
//! A loop that runs inside another one on the same thread shares its descriptor.

use core::cell::{Cell, RefCell};
use core::ffi::c_int;
use core::mem::MaybeUninit;
use std::io::{ErrorKind, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, IntoRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use pyo3::{Bound, PyAny, Python};
use raddle::{Raised, Ref, gate};

use crate::callable::{Visit, call_with_number};
use crate::main_loop;

/// How long code that entered by itself may keep the descriptor before we look.
const LOOK_EVERY: Duration = Duration::from_millis(100);

thread_local! {
    static HERE: RefCell<Weak<Wakeup>> = const { RefCell::new(Weak::new()) };
    /// A signal interrupted a poll of this thread since the last look.
    static INTERRUPTED: Cell<bool> = const { Cell::new(false) };
}

/// This thread's wake-up descriptor, while a loop runs on it.
#[derive(Debug)]
pub(crate) struct Wakeup {
    /// Our end and Python's; there until the drop.
    ends: Option<(UnixStream, UnixStream)>,
    /// Python's end.
    number: RawFd,
    set_wakeup_fd: Ref,
    keywords: Ref,
    /// Whose place we took, latest last.
    others: RefCell<Vec<Other>>,
    /// The gate's count of entries at the last look.
    seen: Cell<u64>,
    /// When that was.
    looked: Cell<Instant>,
}

/// A descriptor that was in place before ours.
#[derive(Debug)]
struct Other {
    number: RawFd,
    /// Our own way to the same file: the number may be closed, and mean another file later.
    copy: OwnedFd,
}

impl Other {
    fn at(number: RawFd) -> Option<Self> {
        // SAFETY: only duplicated, which fails for a number that is closed.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        Some(Self { number, copy: borrowed.try_clone_to_owned().ok()? })
    }

    fn is_still_there(&self) -> bool {
        let file = identity(self.number);
        file.is_some() && file == identity(self.copy.as_raw_fd())
    }

    /// Passes on what arrived, as Python would have written it there. Never waits.
    fn pass_on(&self, bytes: &[u8]) {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        let fd = self.copy.as_raw_fd();
        // SAFETY: a descriptor that is open, and as many bytes as it says.
        let sent = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
        if sent < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOTSOCK) {
            let mut room = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
            // SAFETY: one record; does not wait.
            unsafe { libc::poll(&raw mut room, 1, 0) };
            // A pipe that nobody reads is left alone: writing to it would raise SIGPIPE.
            if room.revents & (libc::POLLOUT | libc::POLLERR) == libc::POLLOUT {
                // SAFETY: a descriptor that is open, and as many bytes as it says. What does not
                // fit is lost, as what Python cannot write is.
                unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
            }
        }
    }
}

/// Which file is open at `fd`.
fn identity(fd: RawFd) -> Option<(libc::dev_t, libc::ino_t)> {
    let mut about = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: room for one record.
    if unsafe { libc::fstat(fd, about.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: filled in, since the call succeeded.
    let about = unsafe { about.assume_init() };
    Some((about.st_dev, about.st_ino))
}

/// This thread's wake-up descriptor, made if there is none; `None` off Python's main thread, where
/// no signal handler of Python's runs. Python is held, and no exception set.
pub(crate) fn open(py: Python<'_>) -> Option<Rc<Wakeup>> {
    if let Some(wakeup) = here() {
        return Some(wakeup);
    }
    let ends = UnixStream::pair().ok()?;
    ends.0.set_nonblocking(true).ok()?;
    ends.1.set_nonblocking(true).ok()?;
    let set_wakeup_fd = attribute(py)?;
    let keywords = no_warning(py)?;
    let wakeup = Rc::new(Wakeup {
        number: ends.1.as_raw_fd(),
        ends: Some(ends),
        set_wakeup_fd: Ref::new(set_wakeup_fd),
        keywords: Ref::new(keywords),
        others: RefCell::default(),
        seen: Cell::new(0),
        looked: Cell::new(Instant::now()),
    });
    // Refused on any thread but Python's main one, and only there.
    let Some(before) = wakeup.set(py, wakeup.number) else {
        drop(Raised::take(py));
        return None;
    };
    wakeup.remember(before);
    HERE.try_with(|here| here.replace(Rc::downgrade(&wakeup))).ok()?;
    Some(wakeup)
}

/// `_signal.set_wakeup_fd`: the C module's own, which no Python code has to be run for.
fn attribute(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    // SAFETY: Python is held; the text ends with a NUL.
    let module = unsafe { pyo3_ffi::PyImport_ImportModule(c"_signal".as_ptr()) };
    if module.is_null() {
        drop(Raised::take(py));
        return None;
    }
    // SAFETY: Python is held; an object and a name.
    let function = unsafe { pyo3_ffi::PyObject_GetAttrString(module, c"set_wakeup_fd".as_ptr()) };
    // SAFETY: owned.
    unsafe { pyo3_ffi::Py_DECREF(module) };
    owned(py, function)
}

/// `{"warn_on_full_buffer": False}`: the bytes only wake, and one is enough.
fn no_warning(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    // SAFETY: Python is held.
    let keywords = unsafe { pyo3_ffi::PyDict_New() };
    let keywords = owned(py, keywords)?;
    // SAFETY: Python's own False, which lives as long as the interpreter.
    let no = unsafe { pyo3_ffi::Py_False() };
    let name = c"warn_on_full_buffer".as_ptr();
    // SAFETY: Python is held; a dictionary, a name and an object.
    if unsafe { pyo3_ffi::PyDict_SetItemString(keywords.as_ptr(), name, no) } != 0 {
        drop(Raised::take(py));
        return None;
    }
    Some(keywords)
}

fn owned(py: Python<'_>, object: *mut pyo3_ffi::PyObject) -> Option<Bound<'_, PyAny>> {
    if object.is_null() {
        drop(Raised::take(py));
        return None;
    }
    // SAFETY: Python is held, as `py` says, and the reference is ours.
    Some(unsafe { Bound::from_owned_ptr(py, object) })
}

fn here() -> Option<Rc<Wakeup>> {
    HERE.try_with(|here| here.borrow().upgrade()).ok().flatten()
}

/// A poll of this thread was interrupted by a signal.
pub(crate) fn note_interruption() {
    INTERRUPTED.set(true);
}

/// Looks again after Python code that may have put another descriptor in place. Python is held.
pub(crate) fn look_again(py: Python<'_>) {
    if let Some(wakeup) = here() {
        wakeup.take_place(py);
    }
}

/// Entries of this thread up to now need no look: one was made since.
pub(crate) fn note_entries() {
    if let Some(wakeup) = here() {
        wakeup.seen.set(gate::entries_here());
    }
}

/// Looks again before a wait, if Python may have run here since the last look. Says after how many
/// milliseconds the wait must end for the next look; -1 if it need not.
pub(crate) fn before_wait() -> c_int {
    let Some(wakeup) = here() else { return -1 };
    if !INTERRUPTED.take() {
        if wakeup.seen.get() == gate::entries_here() {
            return -1;
        }
        let rest = LOOK_EVERY.saturating_sub(wakeup.looked.get().elapsed());
        if !rest.is_zero() {
            return c_int::try_from(rest.as_millis()).unwrap_or(0) + 1;
        }
    }
    wakeup.visit();
    -1
}

/// Takes what arrived, and runs Python's signal handlers.
pub(crate) fn serve() {
    let Some(wakeup) = here() else { return };
    wakeup.take_bytes();
    wakeup.visit();
}

impl Wakeup {
    /// The descriptor that becomes readable when a signal arrives.
    pub(crate) fn fd(&self) -> RawFd {
        self.ends.as_ref().map_or(-1, |ends| ends.0.as_raw_fd())
    }

    fn take_bytes(&self) {
        let Some((mut ours, _)) = self.ends.as_ref().map(|ends| (&ends.0, &ends.1)) else { return };
        let mut bytes = [0; 128];
        loop {
            match ours.read(&mut bytes) {
                Ok(count @ 1..) => self.pass_on(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    /// Puts ours in place, and runs the handlers of signals that arrived before it was. Python is
    /// held, and no exception set.
    pub(crate) fn look(&self, py: Python<'_>) -> Option<Raised> {
        self.take_place(py);
        // SAFETY: Python is held, and no exception set.
        unsafe { pyo3_ffi::PyErr_CheckSignals() };
        Raised::take(py)
    }

    /// [`look`](Self::look) by a thread that may not hold Python; ends the loop if a handler raises.
    fn visit(&self) {
        // A gate that is closed lets no handler run: the loop is left to its host.
        if let Ok(visit) = Visit::begin()
            && let Some(raised) = self.look(visit.py())
            && let Some(left) = main_loop::end(raised)
            && let Some(about) = self.set_wakeup_fd.try_bind(visit.py())
        {
            left.report(&about);
        }
        self.seen.set(gate::entries_here());
    }

    /// Puts ours in place, and remembers whose place it took.
    fn take_place(&self, py: Python<'_>) {
        self.looked.set(Instant::now());
        match self.set(py, self.number) {
            Some(before) => self.remember(before),
            // Not the main thread any more, as in the child of a fork: nothing to serve.
            None => drop(Raised::take(py)),
        }
    }

    fn remember(&self, before: RawFd) {
        let mut others = self.others.borrow_mut();
        if before == -1 {
            others.clear();
        } else if before != self.number {
            others.retain(Other::is_still_there);
            if others.last().is_none_or(|other| other.number != before) {
                others.extend(Other::at(before));
            }
        }
    }

    fn pass_on(&self, bytes: &[u8]) {
        let mut others = self.others.borrow_mut();
        others.retain(Other::is_still_there);
        if let Some(other) = others.last() {
            other.pass_on(bytes);
        }
    }

    /// `signal.set_wakeup_fd(fd)`: gives the former one; `None` with an exception set.
    fn set(&self, py: Python<'_>, fd: RawFd) -> Option<RawFd> {
        let function = self.set_wakeup_fd.try_bind(py)?;
        let keywords = self.keywords.try_bind(py)?;
        call_with_number(&function, fd, &keywords)
    }

    /// Puts back what was there, unless somebody has taken the place since. Python is held.
    fn give_place_back(&self, py: Python<'_>) {
        let mut others = self.others.borrow_mut();
        others.retain(Other::is_still_there);
        let number = others.last().map_or(-1, |other| other.number);
        let found = self.set(py, number).or_else(|| {
            // Such a file is no longer fit for it.
            drop(Raised::take(py));
            self.set(py, -1)
        });
        if let Some(found) = found
            && found != self.number
        {
            self.set(py, found);
        }
        drop(Raised::take(py));
    }
}

impl Drop for Wakeup {
    fn drop(&mut self) {
        match Visit::begin() {
            Ok(visit) => self.give_place_back(visit.py()),
            // Python runs on, or may, and its handlers go on writing to the number: so that it never
            // means another file, both ends stay open for good.
            Err(raddle::Closed::Stopping | raddle::Closed::Abandoned) => {
                if let Some((ours, python_s)) = self.ends.take() {
                    let _numbers = (ours.into_raw_fd(), python_s.into_raw_fd());
                }
            }
            Err(_) => {}
        }
    }
}
