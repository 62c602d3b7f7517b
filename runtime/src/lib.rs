//! raddle keeps native threads and Python apart: any thread may enter Python, nest, release and
//! leave, and nobody crashes or hangs at the end.
//!
//! Start or adopt a Python with [`Runtime`], then [`enter`] from wherever you are.

#[cfg(not(raddle_loom))]
#[doc(hidden)] // Public for the layers above, whose modules are made as `_raddle` is.
pub mod arguments;
mod chain;
#[cfg(not(raddle_loom))]
#[doc(hidden)] // Public for the layers above, whose modules are made as `_raddle` is.
pub mod class;
#[cfg(not(raddle_loom))]
mod cpython;
#[cfg(not(raddle_loom))]
pub mod embed;
pub mod error;
#[cfg(not(raddle_loom))]
mod exit;
pub mod gate;
#[doc(hidden)] // Public for the closures of the layer above, and for tests/loom.
pub mod lease;
#[cfg(not(raddle_loom))]
#[doc(hidden)]
pub mod object;
pub mod primitive;
pub mod relay;
#[cfg(not(raddle_loom))]
#[doc(hidden)] // Public for the layers above, whose modules are made as `_raddle` is.
pub mod row;
#[cfg(not(raddle_loom))]
#[doc(hidden)]
pub mod shelf;
#[cfg(not(raddle_loom))]
mod spare;
#[cfg(not(raddle_loom))]
#[doc(hidden)]
pub mod table;
#[cfg(not(raddle_loom))]
pub mod tasklet;
#[cfg(not(raddle_loom))]
pub mod weave;

#[cfg(not(raddle_loom))]
#[doc(hidden)]
pub use cpython::{length_unheld, shows_length};
#[cfg(not(raddle_loom))]
pub use embed::{Options, Runtime, StopError, python_abi};
pub use error::{Closed, Error, Status};
#[cfg(not(raddle_loom))]
pub use gate::{Entry, Handle, Lock, Raised, Ref, decref, enter, enter_fresh, release};
