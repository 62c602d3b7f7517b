//! raddle keeps native threads and Python apart: any thread may enter Python, nest, release and
//! leave, and nobody crashes or hangs at the end.
//!
//! Start or adopt a Python with [`Runtime`], then [`enter`] from wherever you are.

#[cfg(not(raddle_loom))]
mod cpython;
#[cfg(not(raddle_loom))]
pub mod embed;
pub mod error;
#[cfg(not(raddle_loom))]
mod exit;
pub mod gate;
pub mod primitive;
#[cfg(not(raddle_loom))]
pub mod weave;

#[cfg(not(raddle_loom))]
pub use embed::{Options, Runtime, StopError, python_abi};
pub use error::{Closed, Error, Status};
#[cfg(not(raddle_loom))]
pub use gate::{Entry, Handle, Lock, Raised, Ref, decref, enter, enter_fresh, release};
