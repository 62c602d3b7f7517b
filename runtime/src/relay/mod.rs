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

#[cfg(not(raddle_loom))]
pub mod bell;
#[cfg(raddle_loom)]
#[path = "bell_model.rs"]
pub mod bell;
pub mod completion;
mod flow;
#[cfg(not(raddle_loom))]
mod fork;
#[cfg(raddle_loom)]
mod fork {
    //! No model forks.
    pub(super) const fn count() -> u64 {
        0
    }
    pub(super) const fn watch() -> u64 {
        0
    }
}
#[cfg(not(raddle_loom))]
pub(crate) mod live;
pub mod log;
#[cfg(not(raddle_loom))]
mod outlet;
#[cfg(not(raddle_loom))]
pub(crate) mod python;
pub mod ring;
pub mod semaphore;
#[cfg(not(raddle_loom))]
pub mod stopper;
pub mod wait;
#[cfg(not(raddle_loom))]
pub mod wakeup;

#[cfg(not(raddle_loom))]
pub use wait::{Interrupted, ReleasePython};
pub use {
    ring::{PushError, Ring, RingStats},
    semaphore::Semaphore,
    wait::{Plain, WaitError},
};
