//! Rust's `tracing` and `log` in Python's `logging`, and the other way.
//!
//! ```no_run
//! // A process that has no subscriber yet:
//! raddle_tracing::init()?;
//! // From here on Python may use raddle.log.TracingHandler:
//! raddle_tracing::offer_to_python();
//!
//! let span = tracing::info_span!("receive", port = 7148);
//! let _inside = span.enter();
//! tracing::warn!(heap = 7, "incomplete"); // record.heap == 7, record.port == 7148, record.span == "receive"
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! A program with a subscriber of its own adds [`layer()`] to it. No event waits for Python: see
//! [`raddle::relay::log`].
#![forbid(unsafe_code)]

mod layer;
mod outward;

pub use layer::{Levels, PythonLayer, layer};
pub use outward::offer_to_python;

use std::error::Error;

use tracing_subscriber::prelude::*;

/// Makes a registry with [`layer()`] the global subscriber, and has `log` write to it.
///
/// # Errors
///
/// If there is a global subscriber, or a logger of `log`, already.
pub fn init() -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_log::LogTracer::init()?;
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer()))?;
    Ok(())
}
