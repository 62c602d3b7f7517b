//! The one way to wait: for a bell, until a deadline, with a tag that says whose business the wait is.
//!
//! | tag               | this thread holds Python      | signals                                       |
//! |-------------------|-------------------------------|-----------------------------------------------|
//! | [`Plain`]         | and goes on holding it        | nobody looks                                  |
//! | [`ReleasePython`] | gives it up, takes it back    | on Python's main thread their handlers run    |
//! |                   | does not: waits as `Plain`    |                                               |
//!
//! The tag is spead2's (`gil_release_tag`): whatever waits passes it through to here. Its semaphore
//! looks for signals when the wait is interrupted; but a signal may be delivered to any thread, so
//! here Python's main thread polls the signal wake-up descriptor as well, beside the bell.

use core::fmt;
use std::time::{Duration, Instant};

#[cfg(not(raddle_loom))]
pub use with_python::{Interrupted, ReleasePython};

use super::bell::Bell;

/// Whose business a wait is.
pub trait Tag: sealed::Sealed + Copy {
    /// What may end a wait besides what is waited for, the stop and the deadline.
    type Interrupted;

    /// Waits until `bell` is readable, and perhaps not even that; says whether it was that, and not
    /// the deadline, that ended the wait.
    #[doc(hidden)]
    fn wait(self, bell: &Bell, deadline: Option<Instant>) -> Result<bool, Self::Interrupted>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Plain {}
    #[cfg(not(raddle_loom))]
    impl Sealed for super::ReleasePython {}
}

/// How long a wait may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Ever,
    In(Duration),
}

impl Until {
    /// For as long as it takes, if it is none.
    #[cfg(not(raddle_loom))]
    pub(super) fn within(timeout: Option<Duration>) -> Self {
        timeout.map_or(Self::Ever, Self::In)
    }

    /// When that is, counted from now; never, if no clock goes so far.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Ever => None,
            Self::In(timeout) => Instant::now().checked_add(timeout),
        }
    }
}

/// A wait that is nobody's business but the caller's: for threads that do not hold Python.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plain;

/// Why a wait ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError<I = core::convert::Infallible> {
    /// It was stopped, and there is nothing left.
    Stopped,
    /// The time has passed; of a call that does not wait: there was nothing.
    TimedOut,
    /// A signal handler raised, or Python ended: [`Interrupted`].
    Interrupted(I),
}

impl<I: fmt::Display> fmt::Display for WaitError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("it was stopped: make a new one to go on"),
            Self::TimedOut => f.write_str("nothing came in time"),
            Self::Interrupted(interrupted) => interrupted.fmt(f),
        }
    }
}

impl<I: fmt::Debug + fmt::Display> core::error::Error for WaitError<I> {}

impl WaitError {
    /// The same of a wait that could have been interrupted.
    pub fn widen<I>(self) -> WaitError<I> {
        match self {
            Self::Stopped => WaitError::Stopped,
            Self::TimedOut => WaitError::TimedOut,
        }
    }
}

#[cfg(raddle_loom)]
impl Tag for Plain {
    type Interrupted = core::convert::Infallible;

    fn wait(self, bell: &Bell, deadline: Option<Instant>) -> Result<bool, Self::Interrupted> {
        // The models have no clock: what has a deadline has passed it.
        if deadline.is_some() {
            return Ok(false);
        }
        bell.wait();
        Ok(true)
    }
}

#[cfg(not(raddle_loom))]
mod with_python {
    use core::ffi::c_int;
    use core::fmt;
    use std::io::{self, ErrorKind};
    use std::os::fd::RawFd;
    use std::time::{Duration, Instant};

    use pyo3::Python;

    use super::{Plain, Tag, WaitError};
    use crate::error::{Error, Status};
    use crate::gate::{self, Raised};
    use crate::relay::bell::Bell;
    use crate::relay::wakeup::{self, Signals};

    /// How often Python's main thread looks for signals where it has no descriptor for them.
    const LOOK_EVERY: Duration = Duration::from_millis(100);

    /// A wait that gives Python up if this thread holds it, takes it back, and on Python's main thread
    /// runs its signal handlers meanwhile.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ReleasePython;

    /// What ended a wait of [`ReleasePython`].
    #[derive(Debug)]
    pub enum Interrupted {
        /// A signal handler raised: KeyboardInterrupt, as a rule.
        Raised(Raised),
        /// Python ended while this thread had given it up, and is not held any more.
        Closed(Error),
    }

    impl fmt::Display for Interrupted {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Raised(raised) => raised.fmt(f),
                Self::Closed(error) => error.fmt(f),
            }
        }
    }

    impl core::error::Error for Interrupted {}

    impl Interrupted {
        /// Sets the exception again, if this thread still holds Python, and says what it was: for a
        /// caller in C, who is answered with a status.
        #[must_use]
        pub fn leave_set(self) -> Error {
            let Self::Raised(raised) = self else { return self.into() };
            let error = Error::new(Status::Python, raised.line().to_owned());
            if gate::is_held() {
                // SAFETY: held, as was just asked.
                raised.put_back(unsafe { Python::assume_attached() });
            }
            error
        }
    }

    impl From<Interrupted> for Error {
        fn from(interrupted: Interrupted) -> Self {
            match interrupted {
                Interrupted::Raised(raised) => raised.into(),
                Interrupted::Closed(error) => error,
            }
        }
    }

    impl From<WaitError> for Error {
        fn from(error: WaitError) -> Self {
            error.widen::<Interrupted>().into()
        }
    }

    impl From<WaitError<Interrupted>> for Error {
        fn from(error: WaitError<Interrupted>) -> Self {
            match error {
                WaitError::Stopped => {
                    Self::new(Status::Stopped, "it was stopped: make a new one to go on")
                }
                WaitError::TimedOut => Self::new(Status::TimedOut, "nothing came in time"),
                WaitError::Interrupted(interrupted) => interrupted.into(),
            }
        }
    }

    impl Tag for Plain {
        type Interrupted = core::convert::Infallible;

        fn wait(self, bell: &Bell, deadline: Option<Instant>) -> Result<bool, Self::Interrupted> {
            loop {
                match poll(bell.fd(), -1, deadline) {
                    Seen::Bell => return Ok(true),
                    Seen::Deadline => return Ok(false),
                    Seen::Signal => {}
                }
            }
        }
    }

    impl Tag for ReleasePython {
        type Interrupted = Interrupted;

        fn wait(self, bell: &Bell, deadline: Option<Instant>) -> Result<bool, Self::Interrupted> {
            if !gate::is_held() {
                let Ok(rung) = Plain.wait(bell, deadline);
                return Ok(rung);
            }
            // SAFETY: held, as was just asked.
            let py = unsafe { Python::assume_attached() };
            wait_held(py, bell, deadline)
        }
    }

    fn wait_held(
        py: Python<'_>,
        bell: &Bell,
        deadline: Option<Instant>,
    ) -> Result<bool, Interrupted> {
        // What the caller has set waits, so that signal handlers find nothing set.
        let pending = Raised::take(py);
        let signals = wakeup::open(py);
        let result = wait_for(py, bell, deadline, &signals);
        if matches!(result, Err(Interrupted::Closed(_))) {
            // Python is not held, nor ever will be.
            return result;
        }
        drop(signals);
        match (&result, pending) {
            (Ok(_), Some(pending)) => pending.put_back(py),
            (_, pending) => drop(pending),
        }
        result
    }

    fn wait_for(
        py: Python<'_>,
        bell: &Bell,
        deadline: Option<Instant>,
        signals: &Signals,
    ) -> Result<bool, Interrupted> {
        loop {
            let seen = match signals {
                Signals::Never => released(|| poll(bell.fd(), -1, deadline))?,
                Signals::By(wakeup) => {
                    if let Some(raised) = wakeup.look(py) {
                        return Err(Interrupted::Raised(raised));
                    }
                    let seen = released(|| poll(bell.fd(), wakeup.fd(), deadline))?;
                    if seen == Seen::Signal {
                        wakeup.take_bytes();
                    }
                    seen
                }
                Signals::Poll => {
                    if let Some(raised) = wakeup::check(py) {
                        return Err(Interrupted::Raised(raised));
                    }
                    let look = Instant::now() + LOOK_EVERY;
                    match deadline.filter(|deadline| *deadline <= look) {
                        Some(deadline) => released(|| poll(bell.fd(), -1, Some(deadline)))?,
                        None => match released(|| poll(bell.fd(), -1, Some(look)))? {
                            Seen::Deadline => Seen::Signal,
                            seen => seen,
                        },
                    }
                }
            };
            match seen {
                Seen::Bell => return Ok(true),
                Seen::Deadline => return Ok(false),
                Seen::Signal => {}
            }
        }
    }

    /// Runs `body` with Python given up. Python is held.
    fn released<R>(body: impl FnOnce() -> R) -> Result<R, Interrupted> {
        if gate::unblock_raw().is_ok() {
            let result = body();
            gate::block_raw().map_err(Interrupted::Closed)?;
            return Ok(result);
        }
        // Held in a Python that raddle was never told of.
        // SAFETY: held, by the caller's promise.
        let state = unsafe { pyo3_ffi::PyEval_SaveThread() };
        let result = body();
        // SAFETY: this thread's, given up above.
        unsafe { pyo3_ffi::PyEval_RestoreThread(state) };
        Ok(result)
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Seen {
        Bell,
        Deadline,
        /// One arrived, here or elsewhere, or perhaps none.
        Signal,
    }

    /// Waits for the first descriptor, or for the second if there is one.
    fn poll(bell: RawFd, signals: RawFd, deadline: Option<Instant>) -> Seen {
        let record = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // One that is negative is left out.
        let mut records = [record(bell), record(signals)];
        let timeout = deadline.map_or(-1, milliseconds_to);
        // SAFETY: two records.
        let ready = unsafe { libc::poll(records.as_mut_ptr(), 2, timeout) };
        match ready {
            0 if deadline.is_none_or(|deadline| Instant::now() < deadline) => Seen::Signal,
            0 => Seen::Deadline,
            1.. if records[0].revents != 0 => Seen::Bell,
            1.. => Seen::Signal,
            _ if io::Error::last_os_error().kind() == ErrorKind::Interrupted => Seen::Signal,
            // No memory for the poll: the caller looks again at what it waits for.
            _ => Seen::Bell,
        }
    }

    /// Rounded up, so that a wait never ends before its time.
    fn milliseconds_to(deadline: Instant) -> c_int {
        let rest = deadline.saturating_duration_since(Instant::now());
        c_int::try_from(rest.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
    }
}
