//! A reference that its owner may take back at any moment, while others call its object.
//!
//! Who has bound the object keeps it by a count of its own, and drops it if it is the last. What has
//! to be safe is the moment between the look at the reference and that count:
//!
//! - With a GIL it is safe by itself. Who looks holds Python, and the owner's reference is dropped by
//!   somebody who holds Python too ([`decref`](super::decref) sees to it): not in that moment.
//! - Without a GIL nobody is kept out, so there users are counted: that is a [`Lease`].
//!
//! [`Lease`]: crate::lease::Lease

use pyo3::{Bound, PyAny, Python};

use super::Ref;
#[cfg(Py_GIL_DISABLED)]
use crate::lease::Lease;

/// A reference that may be taken back.
#[derive(Debug)]
pub struct Lent {
    #[cfg(not(Py_GIL_DISABLED))]
    object: crate::primitive::AtomicPtr<pyo3_ffi::PyObject>,
    #[cfg(not(Py_GIL_DISABLED))]
    generation: u64,
    #[cfg(Py_GIL_DISABLED)]
    lease: Lease<Ref>,
}

#[cfg(not(Py_GIL_DISABLED))]
mod with_a_gil {
    use core::ptr;

    use super::{Bound, Lent, PyAny, Python, Ref};
    use crate::primitive::{AtomicPtr, Ordering};

    impl Lent {
        /// Takes the reference over.
        #[must_use]
        pub fn new(reference: Ref) -> Self {
            let (object, generation) = reference.into_parts();
            Self { object: AtomicPtr::new(object), generation }
        }

        /// Whether it was taken back: for a look, before Python is waited for.
        #[inline]
        #[must_use]
        pub fn is_revoked(&self) -> bool {
            self.object.load(Ordering::Relaxed).is_null()
        }

        /// The object, with a count of its own; `None` if it was taken back, or Python restarted.
        #[inline]
        #[must_use]
        pub fn try_bind<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
            // Acquire: what happened to the object before it was lent is seen.
            let object = self.object.load(Ordering::Acquire);
            if object.is_null() || self.generation != crate::gate::generation() {
                return None;
            }
            // SAFETY: it was lent when this looked, and its generation is the present one; and since this
            // thread holds the GIL nobody has dropped that reference since.
            Some(unsafe { Bound::from_borrowed_ptr(py, object) })
        }

        /// Takes the reference back: nobody gets the object any more, and it goes with the last who is
        /// using it. Says whether this was the first time. Never waits.
        pub fn revoke(&self) -> bool {
            // AcqRel: what users did before is before the drop, and what the owner did is seen by whoever
            // finds it gone.
            let object = self.object.swap(ptr::null_mut(), Ordering::AcqRel);
            // SAFETY: taken out by this thread alone, or null.
            drop(unsafe { Ref::from_parts(object, self.generation) });
            !object.is_null()
        }
    }

    impl Drop for Lent {
        fn drop(&mut self) {
            self.revoke();
        }
    }
}

#[cfg(Py_GIL_DISABLED)]
impl Lent {
    /// Takes the reference over.
    #[must_use]
    pub fn new(reference: Ref) -> Self {
        Self { lease: Lease::new(reference) }
    }

    /// Whether it was taken back: for a look, before Python is waited for.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.lease.look().1
    }

    /// The object, with a count of its own; `None` if it was taken back, or Python restarted.
    #[must_use]
    pub fn try_bind<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.lease.use_it()?.try_bind(py)
    }

    /// Takes the reference back: nobody gets the object any more, and it goes with the last who is
    /// using it. Says whether this was the first time. Never waits.
    pub fn revoke(&self) -> bool {
        self.lease.revoke()
    }
}
