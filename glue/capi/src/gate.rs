//! `raddle-gate.h`: entering, leaving and releasing Python.

use raddle::gate::{self, Stats};
use raddle::tasklet;

use crate::{
    boundary::guard,
    pointer,
    status::{RaddleStatus, answer},
};

/// See `raddle-gate.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_enter() -> RaddleStatus {
    if gate::nest() { RaddleStatus::OK } else { enter_not_nested() }
}

// Apart, so that the nested case needs no stack frame, and the plain one no guard: neither panics.
#[inline(never)]
extern "C" fn enter_not_nested() -> RaddleStatus {
    if gate::enter_plainly() {
        return RaddleStatus::OK;
    }
    guard(|| answer(gate::enter_raw()))
}

/// See `raddle-gate.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_enter_fresh() -> RaddleStatus {
    guard(|| answer(gate::enter_fresh_raw()))
}

/// See `raddle-gate.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_leave() -> RaddleStatus {
    if gate::unnest() { RaddleStatus::OK } else { leave_not_nested() }
}

#[inline(never)]
extern "C" fn leave_not_nested() -> RaddleStatus {
    if gate::leave_plainly() {
        return RaddleStatus::OK;
    }
    guard(|| answer(gate::leave_raw()))
}

/// See `raddle-gate.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_unblock_threads() -> RaddleStatus {
    guard(|| answer(gate::unblock_raw()))
}

/// See `raddle-gate.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_block_threads() -> RaddleStatus {
    guard(|| answer(gate::block_raw()))
}

/// See `raddle-gate.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_is_held() -> bool {
    guard(gate::is_held)
}

/// See `raddle-gate.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "the header describes them")]
pub struct RaddleGateStats {
    pub entries: u64,
    pub nested: u64,
    pub threads: u64,
    pub live_threads: u64,
    pub waits: u64,
    pub wait_ns: u64,
    pub reaped: u64,
    pub decrefs: u64,
    pub leaked: u64,
}

impl From<Stats> for RaddleGateStats {
    fn from(stats: Stats) -> Self {
        Self {
            entries: stats.entries,
            nested: stats.nested,
            threads: stats.threads,
            live_threads: stats.live_threads,
            waits: stats.waits,
            wait_ns: stats.wait_ns,
            reaped: stats.reaped,
            decrefs: stats.decrefs,
            leaked: stats.leaked,
        }
    }
}

/// See `raddle-gate.h`.
///
/// # Safety
///
/// `out` is NULL or points to memory for the figures.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_gate_get_stats(out: *mut RaddleGateStats) -> RaddleStatus {
    // SAFETY: by the caller's promise.
    guard(|| answer(unsafe { pointer::put(out, || Ok(gate::stats().into())) }))
}

/// See `raddle-gate.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_thread_trim() -> RaddleStatus {
    guard(|| answer(gate::trim()))
}

/// See `raddle-gate.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_thread_end() -> RaddleStatus {
    guard(|| answer(tasklet::end_thread()))
}
