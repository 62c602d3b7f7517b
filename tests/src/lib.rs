//! Helpers that the Rust tests share.
