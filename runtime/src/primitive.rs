//! The one door to atomics and cells.
