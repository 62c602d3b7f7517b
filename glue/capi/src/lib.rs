//! The C API: `extern "C"` and nothing else.
//!
//! The headers in `include/raddle` are its documentation. One noun has one file here, one header, one
//! C test and one page in `docs/reference`. Each function's body is a few lines: `boundary` keeps
//! panics in, `pointer` turns what C passes into what Rust trusts, `status` turns what Rust answers
//! into a number and a message.

pub mod asyncio;
mod boundary;
pub mod closure;
pub mod completion;
pub mod gate;
pub mod glib;
pub mod gtype;
mod load;
pub mod log;
pub mod operation;
mod pointer;
pub mod pygtk_threads;
pub mod reference;
pub mod ring;
pub mod runtime;
pub mod scheduler;
pub mod semaphore;
pub mod stackless_api;
pub mod stackless_channel;
pub mod stackless_tasklet;
pub mod status;
pub mod stopper;
pub mod weave;
pub mod worker;
