//! Helpers that the Rust tests share.

pub mod child;
#[cfg(not(raddle_loom))]
pub mod completions;
#[cfg(raddle_loom)]
pub mod explored;
#[cfg(not(raddle_loom))]
pub mod python;
#[cfg(not(raddle_loom))]
pub mod shutdown;
#[cfg(not(raddle_loom))]
pub mod situations;
#[cfg(not(raddle_loom))]
pub mod storm;
#[cfg(not(raddle_loom))]
pub mod tasklets;

use std::thread::{Builder, JoinHandle};

pub use child::{Child, in_child};

/// Starts a thread with a name.
///
/// # Panics
///
/// If the machine has no thread left.
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    Builder::new().name(name.to_owned()).spawn(body).expect("a thread can be started")
}
