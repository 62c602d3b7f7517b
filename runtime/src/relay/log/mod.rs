//! Logging to Python: native threads push records, a worker hands them to `logging`.
//!
//! ```text
//!   native threads                          the worker, a native thread          Python
//!   --------------                          ---------------------------          ------
//!   enabled? one relaxed load of a Target <-- thresholds ---------------------- levels change
//!   push     a slot of the ring ------------> up to 1024 records or 2 ms ------> LogRecords with
//!            full? dropped and counted ----->   "12 records dropped (...)"       the thread, time
//!            worker asleep? bell                                                 and place of the
//!            worker gone? stderr                                                 push
//! ```
//!
//! A push takes no lock, waits for nobody and needs no Python, before its start and after its end
//! too. What a handler of the worker's logs natively is counted and goes nowhere: it would go round
//! in a circle.

pub mod drops;
pub mod fields;
pub mod level;
pub mod post;
pub mod ring;

#[cfg(not(raddle_loom))]
mod clock;
#[cfg(not(raddle_loom))]
mod desk;
#[cfg(not(raddle_loom))]
mod fork;
#[cfg(not(raddle_loom))]
mod outward;
#[cfg(not(raddle_loom))]
pub(crate) mod python;
#[cfg(not(raddle_loom))]
mod record;
#[cfg(not(raddle_loom))]
mod stderr;
#[cfg(not(raddle_loom))]
mod target;
#[cfg(not(raddle_loom))]
mod who;
#[cfg(not(raddle_loom))]
mod worker;

pub use drops::Counts;
pub use fields::{Buffer, Fields, Value};
pub use level::{BANDS, Level};
#[cfg(not(raddle_loom))]
pub use outward::{Outward, Sink, set_sink};
#[cfg(not(raddle_loom))]
pub use record::{Record, push, push_formatted};
#[cfg(not(raddle_loom))]
pub use target::Target;
#[cfg(not(raddle_loom))]
pub use worker::{Stats, flush, is_served, start, stats, stop};
#[cfg(not(raddle_loom))]
pub(crate) use worker::{is_needed, python_started, stop_at_exit};
