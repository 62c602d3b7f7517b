//! Tables of C records that CPython keeps a pointer to: methods, slots, members.

use core::cell::UnsafeCell;

/// A table that CPython reads and nobody writes, in a static.
#[repr(transparent)]
pub(crate) struct Table<T>(UnsafeCell<T>);

// SAFETY: never written after it was made.
unsafe impl<T> Sync for Table<T> {}

impl<T> Table<T> {
    /// `rows`, the last of which is empty, as CPython wants it.
    pub(crate) const fn new(rows: T) -> Self {
        Self(UnsafeCell::new(rows))
    }

    /// Its first row, in the form that C asks for.
    pub(crate) const fn start<Row>(&'static self) -> *mut Row {
        self.0.get().cast()
    }
}
