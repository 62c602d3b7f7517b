//! The only place that knows CPython's private layout: the shim's functions, and what stands in
//! for them in each minor version.

mod length;
mod shim;
mod start;
pub(crate) mod tasklet;
mod thread_state;
mod view;

pub use length::{length_unheld, shows_length};
pub(crate) use shim::{Build, SLOT_SIZE, built_for, slot_here};
pub(crate) use start::Start;
pub(crate) use thread_state::{
    attach, call_on_main_thread, current, detach, forget_gilstate, gilstate, is_held_by,
    is_held_by_kept, is_main_interpreter, new_state, orphan, reap,
};
pub(crate) use view::View;
