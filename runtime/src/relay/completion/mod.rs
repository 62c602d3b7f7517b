//! Completions: native threads post, and Python runs what they posted in batches, on the loop that
//! owns the queue.
//!
//! ```text
//!   any thread, at any time             the list, the bell           the owner, Python held once
//!   -----------------------             ------------------           ---------------------------
//!   post  ---------------------------->  IDLE -> node, rings  -----> wakes up
//!   post, post, post ----------------->  node -> node, silent        runs them, oldest first,
//!   post  ---------------------------->  AWAKE -> node, silent ----> and these too
//!                                        hushed, AWAKE -> IDLE <---- nothing is left
//!   close ---------------------------->  CLOSED; the rest is dropped
//! ```
//!
//! The owner is an asyncio loop (uvloop or any other with `add_reader`), a main loop of the host's, or
//! whoever calls [`Completions::drain`]. What is posted runs in the order of posting. Nothing orders it
//! against `call_soon_threadsafe`: the loop looks at its descriptors once a turn and at what was
//! scheduled in each, so of two things done by one thread either may be first.
//!
//! A forked child has the queue, open and empty, with nobody for an owner: what was in it is run, or
//! dropped, by the parent.

#[doc(hidden)] // Public for tests/loom.
pub mod list;

#[cfg(not(raddle_loom))]
pub use with_python::*;

/// All but the list: the models run without Python.
#[cfg(not(raddle_loom))]
#[path = "."]
mod with_python {
    use super::list;

    mod drain;
    mod entry;
    mod future;
    mod live;
    mod object;
    mod operation;
    mod own;
    mod owner;
    mod python;
    mod queue;

    pub use self::{
        drain::{Budget, DrainError, Drained},
        entry::{Arguments, Callable, Data, Func, Make},
        operation::Operation,
        queue::{Body, Completions, Full, Refused, Stats},
    };
    pub(crate) use self::{
        live::{close_all, end_waits, has_waits, is_any},
        object::ADD,
    };
}
