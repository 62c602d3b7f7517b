//! Attaching that Python itself may refuse: PEP 788's views, which are there from 3.15 on.

use core::ffi::c_void;
use core::ptr;

use pyo3_ffi::PyThreadState;

use super::shim;
use crate::primitive::{AtomicPtr, Ordering};

/// A view of the gate's interpreter, or nothing: before the first start, and up to 3.14.
#[derive(Debug)]
pub(crate) struct View(AtomicPtr<c_void>);

impl View {
    /// No view yet.
    pub(crate) const fn none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Looks at the interpreter that this thread holds, from now on.
    ///
    /// # Safety
    ///
    /// Python is held, and nobody is attaching by the former view.
    pub(crate) unsafe fn renew(&self) {
        // SAFETY: held, by the caller's promise.
        let view = unsafe { shim::raddle_py_view_open() };
        // Release: pairs with the Acquire in `attach`.
        let former = self.0.swap(view, Ordering::AcqRel);
        if !former.is_null() {
            // SAFETY: opened by an earlier call, and used by nobody, by the caller's promise.
            unsafe { shim::raddle_py_view_close(former) };
        }
    }

    /// Attaches with `state`, waiting. Says no, and attaches nothing, if Python is going.
    ///
    /// # Safety
    ///
    /// `state` is this thread's, alive if Python is, and this thread holds nothing.
    pub(crate) unsafe fn attach(&self, state: *mut PyThreadState) -> bool {
        let view = self.0.load(Ordering::Acquire);
        if view.is_null() {
            // SAFETY: by the caller's promise.
            unsafe { pyo3_ffi::PyEval_RestoreThread(state) };
            return true;
        }
        // SAFETY: a view that was not closed, and the caller's promise for the state.
        unsafe { shim::raddle_py_attach_by_view(view, state) != 0 }
    }
}
