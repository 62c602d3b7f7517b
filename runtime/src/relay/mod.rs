//! The relay: native threads hand work, results and logs to Python without waiting for it.
//!
//! ```text
//!   native threads, in a hurry                              threads that hold Python
//!   --------------------------                              ------------------------
//!   completion  -- list, bell on empty to non-empty ------>  drained in batches by a loop
//!   log record  -- ring, dropped and counted when full --->  a worker hands them to logging
//!   item        -- ring, semaphores ----------------------> `get`, `async for`
//!   dropped reference -- the gate's pile ----------------->  the next entry
//!                                                            exit: stoppers, in stages
//! ```
//!
//! The design is spead2's (`seeds/spead2-python-bindings.txt`), without its faults: a failing
//! callback drops no other, what is lost is counted, Ctrl-C is noticed on the main thread, and
//! everything that waits is woken before Python joins its threads.

pub mod completion;
mod flow;
pub mod log;
pub mod ring;
pub mod semaphore;
pub mod wait;

#[cfg(raddle_loom)]
pub use models::*;
#[cfg(not(raddle_loom))]
pub use with_python::*;
pub use {
    ring::{PushError, Ring, RingStats},
    semaphore::Semaphore,
    wait::{Plain, WaitError},
};

/// What has to do with Python or with the kernel: the models run without either.
#[cfg(not(raddle_loom))]
#[path = "."]
mod with_python {
    use super::{completion, wait};

    pub mod bell;
    pub(crate) mod fork;
    pub(crate) mod live;
    pub(crate) mod outlet;
    pub(crate) mod python;
    pub mod stopper;
    pub mod wakeup;

    pub use super::wait::{Interrupted, ReleasePython};
}

/// What the models have in the place of it.
#[cfg(raddle_loom)]
#[path = "."]
mod models {
    #[path = "bell_model.rs"]
    pub mod bell;
    pub(crate) mod fork {
        //! No model forks.
        pub(crate) const fn count() -> u64 {
            0
        }
        pub(crate) const fn watch() -> u64 {
            0
        }
    }
}
