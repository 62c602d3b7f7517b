//! Running a main loop with Python's signals, and the exceptions that end it.
//!
//! Each thread has a stack of the loops that it runs here, innermost last. An exception that asks
//! for an end is kept with the innermost, which is told to quit; what `run` answers is that.
#![forbid(unsafe_code)]

use core::{cell::RefCell, fmt};

use glib::{MainContext, MainLoop, Source};
use pyo3::{Bound, PyAny};
use raddle::relay::wakeup::Borrowed;
use raddle::{Closed, Entry, Error, Raised, Status, gate};

use crate::callable::Visit;
use crate::wakeup;
use crate::{gsource, poll};

/// Why [`run`] ended other than by `quit`.
#[derive(Debug)]
pub enum RunError {
    /// The gate let nobody in; the loop was not run.
    Closed(Closed),
    /// An exception ended the loop: of a signal handler, or a KeyboardInterrupt or SystemExit of a
    /// source's callable.
    Raised(Raised),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) => closed.fmt(f),
            Self::Raised(raised) => write!(f, "the main loop was ended by {raised}"),
        }
    }
}

impl core::error::Error for RunError {}

impl From<Closed> for RunError {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Closed(closed) => closed.into(),
            RunError::Raised(_) => Self::new(Status::Python, error.to_string()),
        }
    }
}

/// A loop that runs on this thread.
#[derive(Debug)]
struct Run {
    main_loop: MainLoop,
    raised: Option<Raised>,
}

thread_local! {
    static RUNS: RefCell<Vec<Run>> = const { RefCell::new(Vec::new()) };
}

/// Runs `main_loop` until it is told to quit, with Python's signals: on Python's main thread its
/// handlers run while the loop sleeps, and what one raises (Ctrl-C raises KeyboardInterrupt, if
/// Python has installed its handlers) ends the loop. So does a KeyboardInterrupt or a SystemExit
/// of a source's callable, on any thread.
///
/// Python is given up while the loop runs; on a context attached with [`Hold::Turn`](crate::Hold)
/// it is held from wake-up to poll instead. Calls nest.
///
/// # Errors
///
/// [`RunError::Raised`] with the exception that ended the loop, and [`RunError::Closed`] if the
/// gate is, in which case the loop is not run.
pub fn run(main_loop: &MainLoop) -> Result<(), RunError> {
    let context = main_loop.context();
    let signals = Signals::open(&context)?;
    with_runs(|runs| runs.push(Run { main_loop: main_loop.clone(), raised: None }));
    let ran = run_open(main_loop, &context);
    let run = with_runs(Vec::pop).flatten();
    drop(signals);
    ran?;
    match run.and_then(|run| run.raised) {
        Some(raised) => Err(RunError::Raised(raised)),
        None => Ok(()),
    }
}

fn run_open(main_loop: &MainLoop, context: &MainContext) -> Result<(), Closed> {
    if poll::hold_on(context) == Some(poll::Hold::Turn) {
        let _entry = Entry::new()?;
        main_loop.run();
    } else if gate::is_held() {
        raddle::release(|| main_loop.run());
    } else {
        // Not even a release of nothing: a host may stop Python from inside this loop.
        main_loop.run();
    }
    Ok(())
}

fn with_runs<R>(body: impl FnOnce(&mut Vec<Run>) -> R) -> Option<R> {
    // There are no runs any more when this thread's locals are being destroyed.
    RUNS.try_with(|runs| body(&mut runs.borrow_mut())).ok()
}

/// Takes an exception that `about` has raised to where it belongs. Python is held.
pub(crate) fn raise(raised: Raised, about: &Bound<'_, PyAny>) {
    let left = if raised.asks_for_end() { end(raised) } else { Some(raised) };
    if let Some(raised) = left {
        raised.report(about);
    }
}

/// Ends the innermost loop that this thread runs; gives the exception back if there is none, or it
/// is ending already.
pub(crate) fn end(raised: Raised) -> Option<Raised> {
    let mut raised = Some(raised);
    let main_loop = with_runs(|runs| {
        let run = runs.last_mut().filter(|run| run.raised.is_none())?;
        run.raised = raised.take();
        Some(run.main_loop.clone())
    });
    if let Some(main_loop) = main_loop.flatten() {
        main_loop.quit();
    }
    raised
}

/// What one run needs so that signals end its sleep: nothing, off Python's main thread.
struct Signals {
    source: Option<Source>,
    // Dropped after the source, so that no descriptor is closed while a loop watches it.
    wakeup: Option<Borrowed>,
}

impl Signals {
    fn open(context: &MainContext) -> Result<Self, RunError> {
        let visit = Visit::begin()?;
        let wakeup = wakeup::open(visit.py());
        if let Some(raised) = wakeup.as_ref().and_then(|wakeup| wakeup.look(visit.py())) {
            return Err(RunError::Raised(raised));
        }
        drop(visit);
        wakeup::note_entries();
        let source = wakeup.as_ref().map(|wakeup| gsource::signal_source(wakeup.fd()));
        if let Some(source) = &source {
            source.attach(Some(context));
        }
        Ok(Self { source, wakeup })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            source.destroy();
        }
        drop(self.wakeup.take());
    }
}
