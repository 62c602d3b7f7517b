//! Helpers that the Rust tests share.

pub mod child;

pub use child::{Child, in_child};
