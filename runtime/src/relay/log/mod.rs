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

pub use drops::Counts;
pub use fields::{Buffer, Fields, Value};
pub use level::{BANDS, Level};
#[cfg(not(raddle_loom))]
pub use with_python::*;

/// All but the ring and what it carries: the models run without Python.
#[cfg(not(raddle_loom))]
#[path = "."]
mod with_python {
    use super::{Counts, Fields, Value, drops, fields, level, post, ring};

    mod clock;
    mod desk;
    mod fork;
    mod outward;
    pub(crate) mod python;
    mod record;
    mod stderr;
    mod target;
    mod who;
    mod worker;

    pub use self::{
        outward::{Outward, Sink, set_sink},
        record::{Record, push, push_formatted},
        target::Target,
        worker::{Stats, flush, is_served, start, stats, stop},
    };
    pub(crate) use worker::{gate_closed, is_needed, python_started, stop_at_exit};
}
