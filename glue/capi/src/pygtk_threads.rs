//! `pygtk_threads.h`: PyGTK's BLOCK and UNBLOCK.

use raddle::gate;

use crate::{
    boundary::guard,
    status::{RaddleStatus, answer},
};

/// See `pygtk_threads.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_pygtk_block() -> RaddleStatus {
    guard(|| answer(gate::pygtk_block()))
}

/// See `pygtk_threads.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_pygtk_unblock() -> RaddleStatus {
    guard(|| answer(gate::pygtk_unblock()))
}
