//! The gate: entering Python from any thread, nesting, giving it up, leaving.
//!
//! ```text
//!   any thread                       the gate                          Python
//!   ----------                       --------                          ------
//!   enter   ----------------------->  admission: open? -- no -> Closed
//!                                     slot: current? -- yes -> depth + 1
//!                                        | no
//!                                     kept thread state ------------>  attach (waits)
//!                                     piles: drops, dead states ---->  drain
//!   leave   ----------------------->  depth - 1, or   ------------->   detach
//!   thread ends  ------------------>  orphan on the pile, no waiting
//!   drop a reference  ------------->  pile, no waiting
//! ```
//!
//! The idea of a recursive entry counter per thread is PyGTK's (Paul Fisher, `pygtk-threads`). It
//! needed the GDK lock because a fresh thread's counter said "held"; here a fresh thread starts at
//! "not held", and the counter is believed only while CPython agrees.

#[doc(hidden)] // Public for tests/loom.
pub mod admission;
#[doc(hidden)]
pub mod pile;

#[cfg(not(raddle_loom))]
pub use with_python::*;
#[cfg(not(raddle_loom))]
pub(crate) use with_python::{control, fork, monotonic_ns, stack};

/// What the models do not run. Its files lie beside this one.
#[cfg(not(raddle_loom))]
#[path = "."]
mod with_python {
    use super::{admission, pile};
    use crate::cpython;
    use crate::primitive::{AtomicBool, AtomicPtr, AtomicU64, Mutex};

    pub(crate) mod control;
    mod entry;
    pub(crate) mod fork;
    mod guard;
    mod lent;
    mod lock;
    mod python;
    mod raised;
    mod reaper;
    mod reference;
    mod registry;
    mod release;
    mod slot;
    pub(crate) mod stack;

    pub(crate) use registry::monotonic_ns;
    pub use {
        control::generation,
        entry::{
            enter_fresh_raw, enter_plainly, enter_raw, entries_here, is_held, leave_plainly,
            leave_raw, nest, refusal, trim, unnest,
        },
        guard::{Entry, enter, enter_fresh, release},
        lent::Lent,
        lock::Lock,
        raised::Raised,
        reference::{Handle, Ref, decref},
        registry::{Remaining, Since, Stats, stats},
        release::{block_raw, pygtk_block, pygtk_unblock, unblock_raw},
        stack::Dispatch,
    };

    /// All that the gate shares between threads. One per process: the next start of Python is a new
    /// generation of the same gate.
    struct Gate {
        admission: admission::Admission,
        /// References dropped by threads that did not hold Python.
        drops: pile::Pile<reference::Dropped>,
        /// Thread states whose threads are dead.
        orphans: pile::Pile<reaper::Orphan>,
        /// The interpreter that entries run in; written before the gate opens.
        interpreter: AtomicPtr<pyo3_ffi::PyInterpreterState>,
        /// The same interpreter, as PEP 788 shows it.
        view: cpython::View,
        /// The slot of the thread that finalizes Python, once one does.
        finalizer: AtomicPtr<slot::Slot>,
        timing: AtomicBool,
        reap_here: AtomicBool,
        registry: Mutex<registry::Registry>,
        reaped: AtomicU64,
        decrefs: AtomicU64,
        leaked: AtomicU64,
    }

    static GATE: Gate = Gate {
        admission: admission::Admission::new(),
        drops: pile::Pile::new(),
        orphans: pile::Pile::new(),
        interpreter: AtomicPtr::new(core::ptr::null_mut()),
        view: cpython::View::none(),
        finalizer: AtomicPtr::new(core::ptr::null_mut()),
        timing: AtomicBool::new(false),
        reap_here: AtomicBool::new(false),
        registry: Mutex::new(registry::Registry::new()),
        reaped: AtomicU64::new(0),
        decrefs: AtomicU64::new(0),
        leaked: AtomicU64::new(0),
    };

    #[cfg(test)]
    mod tests;
}
