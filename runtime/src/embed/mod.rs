//! Starting, adopting and stopping Python.
//!
//! ```text
//!   start:  right Python loaded? -> where is it? -> PyConfig -> boot.py -> gate open, Python given up
//!   stop:   stoppers -> gate closed -> wait for those inside and for Python's threads -> finalize -> end
//!                                          | deadline passed
//!                                          v
//!                                        Busy, with names: call again, or abandon
//! ```
//!
//! There is one Python per process, so a [`Runtime`] is a name for one start of it.

mod boot;
mod copies;
mod extension;
mod library;
mod life;
mod module;
mod options;
mod package;
mod place;
mod start;
mod stop;
mod threads;
mod version;

use std::time::Duration;

use self::boot::Importer;
#[doc(hidden)]
pub use self::extension::{Carried, Extension, Init, add};
pub use self::{module::PyInit__raddle, options::Options, stop::StopError, version::python_abi};
use crate::error::Error;
use crate::gate::control;

/// Which start of Python in this process the present one is.
#[doc(hidden)]
#[must_use]
pub fn generation() -> u64 {
    control::generation()
}

/// One start of Python, or the adoption of one that runs.
///
/// A name, not an owner: clones are equal, may be sent to any thread, and dropping them all stops
/// nothing. [`stop`](Self::stop) does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Runtime {
    generation: u64,
}

impl Runtime {
    /// Starts Python and gives it up at once, so that any thread, this one included, may
    /// [`enter`](crate::enter). This thread becomes Python's main thread.
    ///
    /// # Errors
    ///
    /// [`AlreadyStarted`](crate::Status::AlreadyStarted) if Python runs, whoever started it;
    /// [`Version`](crate::Status::Version) if it is not the one that raddle was built for;
    /// [`Start`](crate::Status::Start) if it cannot start;
    /// [`Busy`](crate::Status::Busy) after [`abandon`](Self::abandon);
    /// [`Invalid`](crate::Status::Invalid) for a latency out of range.
    pub fn start(options: &Options) -> Result<Self, Error> {
        start::start(options).map(|generation| Self { generation })
    }

    /// Opens the gate to a Python that somebody else started. This thread holds it, and still does
    /// afterwards. Adopting again gives the same runtime.
    ///
    /// When the owner of Python finalizes it, the gate closes first, waits for those inside for up
    /// to ten seconds, and entries are refused from then on.
    ///
    /// # Errors
    ///
    /// [`NotStarted`](crate::Status::NotStarted) if no Python runs;
    /// [`WrongThread`](crate::Status::WrongThread) if this thread does not hold it, or holds a
    /// subinterpreter;
    /// [`AlreadyStarted`](crate::Status::AlreadyStarted) if another copy of raddle serves it;
    /// [`Start`](crate::Status::Start) if its `raddle` cannot be set up;
    /// [`Version`](crate::Status::Version) if it is not the one that raddle was built for.
    pub fn adopt() -> Result<Self, Error> {
        start::adopt(Importer::Host).map(|generation| Self { generation })
    }

    /// Runs the exit stoppers ([`relay::stopper`](crate::relay::stopper)), closes the gate, waits for
    /// the threads that are inside and for non-daemon Python threads, and finalizes Python. `None` waits for as long as it takes. It may be started again
    /// afterwards. An adopted Python is only left: its owner finalizes it.
    ///
    /// Stopping what has stopped is fine.
    ///
    /// # Errors
    ///
    /// [`StopError::Busy`] if the time passes first: nothing was ended, and the gate stays closed
    /// unless stoppers are left to run; another stop goes on from there.
    /// [`StopError::Refused`] on another thread than the one that started Python
    /// ([`WrongThread`](crate::Status::WrongThread)), inside an entry
    /// ([`WrongOrder`](crate::Status::WrongOrder)), after [`abandon`](Self::abandon)
    /// ([`Closed`](crate::Status::Closed)), or if Python ended and could not flush its streams
    /// ([`Python`](crate::Status::Python)).
    pub fn stop(&self, timeout: Option<Duration>) -> Result<(), StopError> {
        stop::stop(self.generation, timeout)
    }

    /// Leaves Python unfinalized for good: for a host that must exit although somebody remains
    /// inside. The gate stays closed, Python's exit handlers do not run, and this process cannot
    /// start Python again. May be called on any thread.
    pub fn abandon(&self) {
        stop::abandon(self.generation);
    }

    /// Sets how long a thread may wait behind a busy Python thread: Python's switch interval, 1 µs
    /// to 1 s. Enters Python. It costs the busy thread throughput whenever somebody waits, and
    /// nothing otherwise; on a free-threaded Python nobody waits, and it has no effect.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::Status::Invalid) out of that range, [`Closed`](crate::Status::Closed) if
    /// the gate is, or this runtime has stopped.
    pub fn set_latency(&self, latency: Duration) -> Result<(), Error> {
        start::set_latency(self.generation, latency)
    }

    /// Which start of Python in this process this is, from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether an entry from outside would be let in now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        control::is_open() && control::generation() == self.generation
    }
}
