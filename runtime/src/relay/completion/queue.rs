//! A queue of completions: what native threads post, Python runs in batches.

use core::ffi::c_int;
use core::num::NonZeroU32;
use core::{fmt, ptr};
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Weak};
use std::time::Duration;

use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::PyObject;

use super::entry::{Arguments, Callable, Data, Func, Lent, Make, Work};
use super::list::{Chain, List};
use super::live;
use super::operation::Core;
use super::own::Own;
use super::owner::Owner;
use crate::error::{Error, Status};
use crate::primitive::{AtomicU64, Mutex, Ordering, lock};
use crate::relay::bell::Bell;
use crate::relay::semaphore::Semaphore;
use crate::relay::wait::{Interrupted, ReleasePython, WaitError};

/// A closure that is posted: called once, with Python held.
///
/// A Python exception that it leaves set is reported and drops nobody else's work; a panic the same.
pub type Body = Box<dyn FnOnce(Python<'_>) + Send>;

/// What a closed or full queue gives back.
pub struct Refused<T> {
    /// Why: [`Status::Stopped`], or [`Status::TimedOut`] if a bounded queue is full.
    pub error: Error,
    /// What was to be posted.
    pub value: T,
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refused").field(&self.error).finish()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> core::error::Error for Refused<T> {}

impl<T> From<Refused<T>> for Error {
    fn from(refused: Refused<T>) -> Self {
        refused.error
    }
}

/// What went through a queue since it was made, in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What was run.
    pub ran: u64,
    /// What raised, of that.
    pub raised: u64,
    /// What was dropped without being run, because the queue was closed.
    pub discarded: u64,
    /// What was not taken: the queue was full or closed.
    pub refused: u64,
    /// How often posting had to wake the other side: once for each burst.
    pub wakeups: u64,
    /// How often the other side ran what there was.
    pub drains: u64,
    /// The most that was run in one go.
    pub largest: u64,
    /// How often posting waited for a place in a bounded queue.
    pub waits: u64,
}

/// The same, being counted.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) ran: AtomicU64,
    pub(super) raised: AtomicU64,
    pub(super) discarded: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) wakeups: AtomicU64,
    pub(super) drains: AtomicU64,
    pub(super) largest: AtomicU64,
}

/// Counts. Relaxed: figures order nothing.
pub(super) fn count(figure: &AtomicU64, more: u64) {
    figure.fetch_add(more, Ordering::Relaxed);
}

/// What a queue holds in one process.
#[derive(Debug)]
pub(super) struct State {
    pub(super) list: List<Work>,
    /// A token for each free place, if the queue is bounded.
    pub(super) places: Option<Semaphore>,
    pub(super) owner: Mutex<Owner>,
    /// What was started and may have to be failed.
    pub(super) operations: Mutex<Vec<Weak<Core>>>,
    /// What a closed queue has not failed yet.
    pub(super) owed: Mutex<Vec<Arc<Core>>>,
    pub(super) figures: Figures,
}

/// What all handles to a queue share.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) bell: Bell,
    capacity: Option<NonZeroU32>,
    state: Own<State>,
}

impl Queue {
    pub(super) fn state(&self) -> &State {
        self.state.get(|| State {
            list: List::new(),
            // Only a child without a free descriptor has none, and then no bound.
            places: self.capacity.and_then(|places| Semaphore::new(places.get()).ok()),
            owner: Mutex::new(Owner::Nobody),
            operations: Mutex::default(),
            owed: Mutex::default(),
            figures: Figures::default(),
        })
    }
}

/// What a post does when a bounded queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// It goes away.
    Refuse,
    /// It waits for a place, so long at most.
    Wait(Option<Duration>),
}

/// This thread's number for the list: even, and not 0.
pub(super) fn here() -> u64 {
    thread_local! {
        static HERE: Cell<u64> = const { Cell::new(0) };
    }
    // An address that no other living thread has; one without thread-locals is none of ours.
    HERE.try_with(|here| ptr::from_ref(here).addr() as u64).unwrap_or(2)
}

/// A handle to a queue of completions. Clones are handles to the same one.
///
/// # Examples
///
/// ```no_run
/// use raddle::relay::completion::{Budget, Completions};
///
/// let queue = Completions::new()?;
/// let producer = queue.clone();
/// std::thread::spawn(move || {
///     // Does not wait, and touches nothing of Python's.
///     drop(producer.post(|py| println!("Python {} is held here", py.version())));
/// });
/// raddle::enter(|py| queue.drain(py, Budget::default()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Completions(pub(super) Arc<Queue>);

impl Completions {
    /// An open queue that holds any number.
    ///
    /// # Errors
    ///
    /// [`Status::NoMemory`] if the process may open no more descriptors.
    pub fn new() -> Result<Self, Error> {
        Self::with(None)
    }

    /// An open queue that holds `capacity` at most.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn bounded(capacity: NonZeroU32) -> Result<Self, Error> {
        Self::with(Some(capacity))
    }

    fn with(capacity: Option<NonZeroU32>) -> Result<Self, Error> {
        let bell = Bell::new().map_err(|error| {
            let line = format!("a queue of completions needs a descriptor: {error}");
            Error::new(Status::NoMemory, line)
        })?;
        let queue = Arc::new(Queue { bell, capacity, state: Own::new() });
        if capacity.is_some() && queue.state().places.is_none() {
            let line = "a bounded queue of completions needs two descriptors";
            return Err(Error::new(Status::NoMemory, line));
        }
        let queue = Self(queue);
        live::add(&queue);
        Ok(queue)
    }

    /// Posts a closure. Waits for nobody; only for a place, if the queue is bounded and full: then
    /// as [`ReleasePython`] does.
    ///
    /// # Errors
    ///
    /// [`Status::Stopped`] if it is closed, with the closure given back. [`Status::WrongOrder`] if it is
    /// full and this thread is running what is in it, and so would wait for itself. [`Status::Python`]
    /// if a signal's handler raised while Python's main thread waited.
    pub fn post(
        &self,
        body: impl FnOnce(Python<'_>) + Send + 'static,
    ) -> Result<(), Refused<Body>> {
        self.post_body(Box::new(body), Full::Wait(None))
    }

    /// [`post`](Self::post) that does not wait for a place.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post), and [`Status::TimedOut`] if the queue is full.
    pub fn try_post(
        &self,
        body: impl FnOnce(Python<'_>) + Send + 'static,
    ) -> Result<(), Refused<Body>> {
        self.post_body(Box::new(body), Full::Refuse)
    }

    /// [`post`](Self::post) that waits no longer than `timeout` for a place.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post), and [`Status::TimedOut`] if the queue stayed full.
    pub fn post_within(
        &self,
        timeout: Duration,
        body: impl FnOnce(Python<'_>) + Send + 'static,
    ) -> Result<(), Refused<Body>> {
        self.post_body(Box::new(body), Full::Wait(Some(timeout)))
    }

    fn post_body(&self, body: Body, full: Full) -> Result<(), Refused<Body>> {
        self.submit(Work::Closure(body), full).map_err(|(why, work)| match work {
            Work::Closure(value) => Refused { error: why.into(), value },
            _ => unreachable!("what is refused is what was submitted"),
        })
    }

    /// Posts a call of `callable`, with the arguments that `arguments` makes when it is called: a
    /// tuple, or anything else as the one argument; `None` with an exception left set to raise it.
    /// Waits as [`post`](Self::post) does.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post).
    pub fn post_call(
        &self,
        callable: &Callable,
        arguments: impl for<'py> FnOnce(Python<'py>) -> Option<Bound<'py, PyAny>> + Send + 'static,
    ) -> Result<(), Refused<Arguments>> {
        let work = Work::Call(callable.clone(), Box::new(arguments));
        self.submit(work, Full::Wait(None)).map_err(|(why, work)| match work {
            Work::Call(_, value) => Refused { error: why.into(), value },
            _ => unreachable!("what is refused is what was submitted"),
        })
    }

    /// [`post`](Self::post) for C: calls `func` with what `data` carries, once, with Python held.
    ///
    /// # Safety
    ///
    /// That call is sound on any thread that holds Python, and does not unwind.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post) and [`try_post`](Self::try_post).
    #[doc(alias = "raddle_completions_post")]
    pub unsafe fn post_func(
        &self,
        func: Func,
        data: Data,
        full: Full,
    ) -> Result<(), Refused<Data>> {
        self.submit(Work::Func(func, data), full).map_err(|(why, work)| match work {
            Work::Func(_, value) => Refused { error: why.into(), value },
            _ => unreachable!("what is refused is what was submitted"),
        })
    }

    /// [`post_call`](Self::post_call) for C: `make` makes the arguments from what `data` carries; without
    /// it there are none.
    ///
    /// # Safety
    ///
    /// `callable` is alive until `data` is dropped. Calling `make` once is sound on any thread that
    /// holds Python, and does not unwind.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post) and [`try_post`](Self::try_post).
    #[doc(alias = "raddle_completions_post_call")]
    pub unsafe fn post_lent(
        &self,
        callable: *mut PyObject,
        make: Option<Make>,
        data: Data,
        full: Full,
    ) -> Result<(), Refused<Data>> {
        self.submit(Work::Lent(Lent(callable), make, data), full).map_err(
            |(why, work)| match work {
                Work::Lent(_, _, value) => Refused { error: why.into(), value },
                _ => unreachable!("what is refused is what was submitted"),
            },
        )
    }

    /// Adds `work`, and wakes the other side if it sleeps.
    pub(super) fn submit(&self, work: Work, full: Full) -> Result<(), (Why, Work)> {
        let state = self.0.state();
        if let Some(places) = &state.places
            && let Err(why) = take_place(state, places, full)
        {
            count(&state.figures.refused, 1);
            return Err((why, work));
        }
        self.push(state, work)
    }

    /// [`submit`](Self::submit) of what takes no place.
    pub(super) fn push(&self, state: &State, work: Work) -> Result<(), (Why, Work)> {
        match state.list.push(work) {
            Ok(false) => Ok(()),
            Ok(true) => {
                count(&state.figures.wakeups, 1);
                self.0.bell.ring();
                Ok(())
            }
            Err(work) => {
                count(&state.figures.refused, 1);
                Err((Why::Closed, work))
            }
        }
    }

    /// Refuses from now on, and drops what is left, on this thread. Whoever waits for a place is
    /// woken. May be called on any thread, held or not, and from what is being run.
    pub fn close(&self) {
        let state = self.0.state();
        let left = state.list.close(here());
        // First, so that what is dropped below is not the last to know of its operation.
        self.set_owed_aside(state);
        if let Some(places) = &state.places {
            places.stop();
        }
        discard(state, left);
        // A source has nothing left to do, but for those that have to be told: then it looks once more.
        if lock(&state.owed).is_empty() {
            self.take_from_source();
        }
        self.0.bell.ring();
    }

    /// Waits for no place from now on: what finds none is refused.
    pub(super) fn end_waits(&self) {
        if let Some(places) = &self.0.state().places {
            places.stop();
        }
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.state().list.is_closed()
    }

    /// How many it holds at most.
    #[must_use]
    pub fn capacity(&self) -> Option<NonZeroU32> {
        self.0.capacity
    }

    /// What becomes readable when there is something to [`drain`](Self::drain), and stays so until
    /// all is drained. To be polled only.
    #[must_use]
    pub fn fd(&self) -> c_int {
        // In a child, the bell is made anew before the list is looked at.
        self.0.state();
        self.0.bell.fd()
    }

    /// What went through it. What is being drained right now is counted when that ends.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.0.state();
        let figures = &state.figures;
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Stats {
            ran: read(&figures.ran),
            raised: read(&figures.raised),
            discarded: read(&figures.discarded),
            refused: read(&figures.refused),
            wakeups: read(&figures.wakeups),
            drains: read(&figures.drains),
            largest: read(&figures.largest),
            waits: state.places.as_ref().map_or(0, Semaphore::waits),
        }
    }
}

/// Why something was not taken.
#[derive(Debug)]
pub(super) enum Why {
    /// The queue is closed.
    Closed,
    /// It is full, and Python ends: nobody waits any more.
    Hopeless,
    /// It is full.
    Full,
    /// It is full, and this thread is the one that drains it.
    Draining,
    /// What interrupted the wait for a place.
    Interrupted(Interrupted),
}

impl From<Why> for Error {
    fn from(why: Why) -> Self {
        let (status, line) = match why {
            Why::Closed => {
                (Status::Stopped, "the queue of completions is closed: nothing more is run from it")
            }
            Why::Hopeless => {
                (Status::Stopped, "the queue of completions is full, and Python ends: nobody waits")
            }
            Why::Full => (
                Status::TimedOut,
                "the queue of completions is full, and no place came free in time",
            ),
            Why::Draining => (
                Status::WrongOrder,
                "the queue is full and this thread is draining it: try_post, or post elsewhere",
            ),
            Why::Interrupted(interrupted) => return interrupted.into(),
        };
        Self::new(status, line)
    }
}

/// Drops what a closed queue is left with. A drop that panics is none of the others' business.
pub(super) fn discard(state: &State, left: Chain<Work>) {
    let mut discarded = 0;
    for work in left {
        discarded += 1;
        let _panicked = panic::catch_unwind(AssertUnwindSafe(|| drop(work)));
    }
    count(&state.figures.discarded, discarded);
}

fn take_place(state: &State, places: &Semaphore, full: Full) -> Result<(), Why> {
    let told = |error| match error {
        WaitError::Stopped if state.list.is_closed() => Why::Closed,
        WaitError::Stopped => Why::Hopeless,
        WaitError::TimedOut => Why::Full,
        WaitError::Interrupted(interrupted) => Why::Interrupted(interrupted),
    };
    match (places.try_get(), full) {
        (Err(WaitError::TimedOut), Full::Wait(_)) if state.list.is_taken_by(here()) => {
            Err(Why::Draining)
        }
        (Err(WaitError::TimedOut), Full::Wait(None)) => places.get(ReleasePython).map_err(told),
        (Err(WaitError::TimedOut), Full::Wait(Some(timeout))) => {
            places.get_within(ReleasePython, timeout).map_err(told)
        }
        (result, _) => result.map_err(|error| told(error.widen())),
    }
}

// With the link to the next one, a cache line.
const _: () =
    assert!(size_of::<Work>() <= 56, "what is posted is too large for a block of `spare`");
