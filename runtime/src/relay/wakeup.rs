//! The descriptor that Python writes to when a signal arrives, borrowed while a thread waits.
//!
//! Python has one such descriptor (`signal.set_wakeup_fd`), and everybody who waits wants it:
//! asyncio, PyGObject's own `MainLoop.run`, and we. So it is ours for a wait's time only, and
//! others may take it meanwhile without asking, and leave it at -1. Therefore
//!
//! - we *look again* before each wait after which Python may have run on this thread;
//! - what we find there we remember, and pass on to it what arrives (*chain*);
//! - at the end we put back what was there before, if it still is the same file.
//!
//! Whoever waits inside another wait on the same thread shares its descriptor. It is kept for the
//! thread's next wait, out of place: to make one costs more than to borrow the place for it.

use core::cell::{Cell, RefCell};
use core::mem::MaybeUninit;
use core::ops::Deref;
use std::io::{ErrorKind, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use pyo3::{Bound, PyAny, Python};
use pyo3_ffi as ffi;

use super::{fork, outlet};
use crate::cpython;
use crate::error::Closed;
use crate::gate::{Entry, Raised, Ref, control};

thread_local! {
    static HERE: RefCell<Option<Rc<Wakeup>>> = const { RefCell::new(None) };
    /// Where this thread was seen not to be Python's main one.
    static ELSEWHERE: Cell<Option<Moment>> = const { Cell::new(None) };
}

/// A generation of Python, in a process: what a thread is to Python may change with either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment(u64, u64);

impl Moment {
    fn now() -> Self {
        Self(control::generation(), fork::watch())
    }
}

/// This thread's wake-up descriptor. A pair of sockets: a pipe would do, but whoever writes to one
/// that nobody reads gets a signal.
#[derive(Debug)]
pub struct Wakeup {
    ours: UnixStream,
    pythons: UnixStream,
    made: Moment,
    /// How many waits, one inside the other, it is in place for.
    waits: Cell<usize>,
    set_wakeup_fd: Ref,
    keywords: Ref,
    /// Whose place we took, latest last.
    others: RefCell<Vec<Other>>,
}

/// The place of Python's descriptor, borrowed: given back when the last of this thread's is dropped.
#[derive(Debug)]
pub struct Borrowed(Rc<Wakeup>);

/// How the signals of Python's reach a thread that waits.
#[derive(Debug)]
pub enum Signals {
    /// They do not: it is not Python's main thread.
    Never,
    /// By this.
    By(Borrowed),
    /// They should, but there is no descriptor for it: look every now and then.
    Poll,
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
        // What does not fit is lost, as what Python cannot write is.
        let _passed = outlet::write_at_once(self.copy.as_raw_fd(), bytes);
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

/// This thread's wake-up descriptor, if a wait of it is under way.
#[must_use]
pub fn here() -> Option<Rc<Wakeup>> {
    let here = HERE.try_with(|here| here.borrow().clone()).ok().flatten();
    here.filter(|wakeup| wakeup.waits.get() > 0)
}

/// Has signals of Python's reach this thread from now on, until the answer is dropped. Python is
/// held, and no exception set.
#[must_use]
pub fn open(py: Python<'_>) -> Signals {
    let now = Moment::now();
    if ELSEWHERE.try_with(Cell::get).ok().flatten() == Some(now) {
        return Signals::Never;
    }
    let kept = HERE.try_with(|here| here.borrow().clone()).ok().flatten();
    let made = kept.filter(|wakeup| wakeup.made == now).or_else(|| Wakeup::new(py, now));
    let Some(wakeup) = made else { return Signals::Poll };
    if let Some(borrowed) = Borrowed::begin(py, &wakeup) {
        drop(HERE.try_with(|here| here.replace(Some(wakeup))));
        return Signals::By(borrowed);
    }
    // In a subinterpreter every thread is refused, and Python's main one must try again.
    if cpython::is_main_interpreter(py) {
        let _kept = ELSEWHERE.try_with(|elsewhere| elsewhere.set(Some(now)));
    }
    Signals::Never
}

/// `_signal.set_wakeup_fd` (the C module's own, which no Python code has to be run for) and
/// `{"warn_on_full_buffer": False}`: the bytes only wake, and one is enough.
fn functions(py: Python<'_>) -> Option<(Ref, Ref)> {
    // SAFETY: Python is held; the text ends with a NUL.
    let module = owned(py, unsafe { ffi::PyImport_ImportModule(c"_signal".as_ptr()) })?;
    let name = c"set_wakeup_fd".as_ptr();
    // SAFETY: Python is held; an object and a name.
    let function = owned(py, unsafe { ffi::PyObject_GetAttrString(module.as_ptr(), name) })?;
    // SAFETY: Python is held.
    let keywords = owned(py, unsafe { ffi::PyDict_New() })?;
    // SAFETY: Python's own False, which lives as long as the interpreter.
    let no = unsafe { ffi::Py_False() };
    let name = c"warn_on_full_buffer".as_ptr();
    // SAFETY: Python is held; a dictionary, a name and an object.
    if unsafe { ffi::PyDict_SetItemString(keywords.as_ptr(), name, no) } != 0 {
        drop(Raised::take(py));
        return None;
    }
    Some((Ref::new(function), Ref::new(keywords)))
}

fn owned(py: Python<'_>, object: *mut ffi::PyObject) -> Option<Bound<'_, PyAny>> {
    if object.is_null() {
        drop(Raised::take(py));
        return None;
    }
    // SAFETY: Python is held, as `py` says, and the reference is ours.
    Some(unsafe { Bound::from_owned_ptr(py, object) })
}

impl Borrowed {
    /// Puts the descriptor in place; nothing on any thread but Python's main one.
    fn begin(py: Python<'_>, wakeup: &Rc<Wakeup>) -> Option<Self> {
        if wakeup.waits.get() == 0 {
            wakeup.others.borrow_mut().clear();
        }
        let Some(before) = wakeup.set(py, wakeup.pythons.as_raw_fd()) else {
            drop(Raised::take(py));
            return None;
        };
        wakeup.remember(before);
        wakeup.waits.set(wakeup.waits.get() + 1);
        Some(Self(Rc::clone(wakeup)))
    }
}

impl Deref for Borrowed {
    type Target = Wakeup;

    fn deref(&self) -> &Wakeup {
        &self.0
    }
}

impl Wakeup {
    fn new(py: Python<'_>, made: Moment) -> Option<Rc<Self>> {
        let (set_wakeup_fd, keywords) = functions(py)?;
        let (ours, pythons) = UnixStream::pair().ok()?;
        ours.set_nonblocking(true).ok()?;
        pythons.set_nonblocking(true).ok()?;
        let (waits, others) = (Cell::new(0), RefCell::default());
        Some(Rc::new(Self { ours, pythons, made, waits, set_wakeup_fd, keywords, others }))
    }

    /// The descriptor that becomes readable when a signal arrives.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.ours.as_raw_fd()
    }

    /// What the descriptor belongs to, for a report of what a handler raised.
    #[must_use]
    pub const fn about(&self) -> &Ref {
        &self.set_wakeup_fd
    }

    /// Takes what arrived, and passes it on to those whose place this is.
    pub fn take_bytes(&self) {
        let mut bytes = [0; 128];
        loop {
            match (&self.ours).read(&mut bytes) {
                Ok(count @ 1..) => self.pass_on(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    /// Puts ours in place, and runs the handlers of signals that arrived before it was. Python is
    /// held, and no exception set.
    #[must_use]
    pub fn look(&self, py: Python<'_>) -> Option<Raised> {
        self.take_place(py);
        check(py)
    }

    /// Puts ours in place, and remembers whose place it took.
    pub fn take_place(&self, py: Python<'_>) {
        match self.set(py, self.pythons.as_raw_fd()) {
            Some(before) => self.remember(before),
            // Not the main thread any more, as in the child of a fork: nothing to serve.
            None => drop(Raised::take(py)),
        }
    }

    fn remember(&self, before: RawFd) {
        let mut others = self.others.borrow_mut();
        if before == -1 {
            others.clear();
        } else if before != self.pythons.as_raw_fd() {
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
            && found != self.pythons.as_raw_fd()
        {
            self.set(py, found);
        }
        drop(Raised::take(py));
    }
}

/// Runs the handlers of signals that have arrived. Python is held, and no exception set.
#[must_use]
pub fn check(py: Python<'_>) -> Option<Raised> {
    // SAFETY: Python is held, and no exception set.
    unsafe { ffi::PyErr_CheckSignals() };
    Raised::take(py)
}

/// Calls `callable` with one integer and keywords, and reads an integer from what it returns.
///
/// `None` with an exception set.
fn call_with_number(
    callable: &Bound<'_, PyAny>,
    number: i32,
    keywords: &Bound<'_, PyAny>,
) -> Option<i32> {
    // SAFETY: Python is held, since there is a `Bound`; the format says one int.
    let arguments = unsafe { ffi::Py_BuildValue(c"(i)".as_ptr(), number) };
    if arguments.is_null() {
        return None;
    }
    // SAFETY: Python is held; a callable, a tuple and a dictionary.
    let result = unsafe { ffi::PyObject_Call(callable.as_ptr(), arguments, keywords.as_ptr()) };
    // SAFETY: owned.
    unsafe { ffi::Py_DECREF(arguments) };
    if result.is_null() {
        return None;
    }
    // SAFETY: Python is held, and the object alive.
    let number = unsafe { ffi::PyLong_AsLong(result) };
    // SAFETY: owned.
    unsafe { ffi::Py_DECREF(result) };
    // SAFETY: Python is held.
    if number == -1 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return None;
    }
    i32::try_from(number).ok()
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let wakeup = &self.0;
        wakeup.waits.set(wakeup.waits.get() - 1);
        if wakeup.waits.get() > 0 {
            return;
        }
        match Entry::new() {
            Ok(entry) => {
                let py = entry.py();
                let pending = Raised::take(py);
                wakeup.give_place_back(py);
                if let Some(pending) = pending {
                    pending.put_back(py);
                }
                // What arrived since belongs to those whose place this was.
                wakeup.take_bytes();
            }
            // Python runs on, or may, and its handlers go on writing to the number: so that it never
            // means another file, both ends stay open for good.
            Err(Closed::Stopping | Closed::Abandoned) => {
                let _kept = Rc::into_raw(Rc::clone(wakeup));
            }
            Err(_) => {}
        }
    }
}
