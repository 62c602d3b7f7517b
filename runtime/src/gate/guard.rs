//! The gate for Rust: closures and a guard, with PyO3's token inside.

use core::marker::PhantomData;
use std::panic::Location;

use pyo3::Python;

use super::entry::{self, How};
use super::slot::{Kind, Slot};
use crate::cpython;
use crate::error::Closed;

/// Enters Python, runs `body` and leaves.
///
/// May be called on any thread, inside another entry too. PyO3 code inside knows that it is
/// attached. A panic in `body` leaves the entry and goes on in the caller.
///
/// # Errors
///
/// [`Closed`] at once if the gate is; `body` is not run then.
///
/// # Examples
///
/// ```no_run
/// use pyo3::prelude::*;
/// let six = raddle::enter(|py| py.eval(c"2 * 3", None, None)?.extract::<u32>())?;
/// assert_eq!(six?, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn enter<R>(body: impl FnOnce(Python<'_>) -> R) -> Result<R, Closed> {
    let entry = Entry::new()?;
    Ok(entry.run(body))
}

/// [`enter`] in a context of its own: context variables set in `body` are gone afterwards.
///
/// # Errors
///
/// As [`enter`].
#[track_caller]
pub fn enter_fresh<R>(body: impl FnOnce(Python<'_>) -> R) -> Result<R, Closed> {
    let place = Some(Location::caller());
    let how = How { fresh: true, place, ..How::default() };
    entry::enter(Slot::here(), cpython::current(), how)?;
    Ok(Entry::opened().run(body))
}

/// Gives Python up whatever the depth, runs `body` and takes Python back.
///
/// On a thread that does not hold Python it only runs `body`. `Send` keeps what is tied to Python
/// out of `body`, as PyO3's `detach` does.
#[track_caller]
pub fn release<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    let (open, held) = OpenRelease::open(Location::caller());
    let result = if held {
        // PyO3 counts attachments per thread, and would take this thread for attached inside;
        // its own detach sets the count aside, and does the giving up and taking back.
        // SAFETY: this thread holds Python.
        unsafe { Python::assume_attached() }.detach(body)
    } else {
        body()
    };
    drop(open);
    result
}

/// A release whose giving up and taking back somebody else does, in between.
#[derive(Debug)]
struct OpenRelease(&'static Slot);

impl OpenRelease {
    /// Opens it. Says whether this thread holds Python and so has to give it up.
    fn open(place: &'static Location<'static>) -> (Option<Self>, bool) {
        let slot = Slot::here();
        super::release::open_release(slot, Some(place))
            .map_or((None, false), |held| (Some(Self(slot)), held))
    }
}

impl Drop for OpenRelease {
    fn drop(&mut self) {
        match self.0.top() {
            Some(top) if top.kind == Kind::Release => {
                if let Some(frame) = self.0.pop() {
                    super::release::close_admission(self.0, &frame);
                }
            }
            top => report_misnested("a release ended", top.and_then(|top| top.place)),
        }
    }
}

/// Panics with what is open instead of what is being closed.
#[cold]
fn report_misnested(what: &str, open: Option<&'static Location<'static>>) {
    let open = open.map_or_else(String::new, |place| format!(", opened at {place}"));
    if !std::thread::panicking() {
        std::panic::panic_any(format!(
            "{what} in the wrong order: another pair is open inside it{open}"
        ));
    }
}

/// An entry that ends when the guard is dropped.
///
/// It stays on its thread:
///
/// ```compile_fail
/// fn goes_elsewhere<T: Send>(_: T) {}
/// goes_elsewhere(raddle::Entry::new());
/// ```
///
/// The token it gives is the bare one: it costs nothing, and PyO3's own count of attachments is
/// left alone. A `Py` dropped in it waits for PyO3's next attach; [`Entry::run`] and [`enter`]
/// tell PyO3.
#[derive(Debug)]
#[must_use = "the entry ends when the guard is dropped"]
pub struct Entry {
    #[cfg(debug_assertions)]
    place: &'static Location<'static>,
    // Not Send: the leave must be on the thread of the entry.
    thread: PhantomData<*mut ()>,
}

impl Entry {
    /// Enters Python, waiting for it.
    ///
    /// # Errors
    ///
    /// [`Closed`] at once if the gate is.
    #[inline]
    #[track_caller]
    pub fn new() -> Result<Self, Closed> {
        entry::enter_raw()?;
        Ok(Self::opened())
    }

    /// [`new`](Self::new), for a thread that may hold Python by other means: while the guard is there,
    /// a stop and an end wait for it as for anybody inside. Otherwise a daemon thread of Python's is
    /// ended where it next takes Python (to 3.13, by an unwinding that Rust's frames do not bear).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub(crate) fn staying() -> Result<Self, Closed> {
        let how = How { stays: true, place: Some(Location::caller()), ..How::default() };
        entry::enter(Slot::here(), cpython::current(), how)?;
        Ok(Self::opened())
    }

    #[inline]
    #[track_caller]
    fn opened() -> Self {
        Self {
            #[cfg(debug_assertions)]
            place: Location::caller(),
            thread: PhantomData,
        }
    }

    /// The token that says: Python is held.
    #[inline]
    #[must_use]
    pub fn py(&self) -> Python<'_> {
        // SAFETY: the guard was entered on this thread and cannot leave it; code that gives
        // Python up meanwhile (`release`) takes it back before it returns.
        unsafe { Python::assume_attached() }
    }

    /// Runs `body` with PyO3 told that this thread is attached.
    pub fn run<R>(&self, body: impl FnOnce(Python<'_>) -> R) -> R {
        let mut body = Some(body);
        let mut call = |py: Python<'_>| body.take().map(|body| body(py));
        // PyO3 refuses while Python is finalizing, when a held entry still is allowed to nest.
        let result = Python::try_attach(&mut call).flatten();
        match result.or_else(|| call(self.py())) {
            Some(result) => result,
            None => unreachable!("the body is called once: above, or if not, here"),
        }
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        if entry::leave_raw().is_err() {
            self.misnested();
        }
    }
}

impl Entry {
    #[cold]
    fn misnested(&self) {
        let open = Slot::here().top().and_then(|top| top.place);
        #[cfg(debug_assertions)]
        report_misnested(&format!("the entry of {} ended", self.place), open);
        #[cfg(not(debug_assertions))]
        report_misnested("an entry ended", open);
    }
}
