//! The C shim's face: where the thread slot is, and which Python the shim was compiled against.

use core::ffi::{c_int, c_ulong, c_void};

use pyo3_ffi::{PyInterpreterState, PyThreadState};

unsafe extern "C" {
    #[cfg_attr(
        all(target_os = "linux", target_arch = "x86_64", not(feature = "dynamic-tls")),
        expect(dead_code, reason = "the portable twin")
    )]
    fn raddle_gate_slot_here() -> *mut c_void;
    fn raddle_py_built_version() -> c_ulong;
    fn raddle_py_built_debug() -> c_int;
    fn raddle_py_built_free_threaded() -> c_int;

    pub(super) fn raddle_py_attach(state: *mut PyThreadState) -> c_int;
    pub(super) fn raddle_py_detach(state: *mut PyThreadState) -> c_int;
    pub(super) fn raddle_py_view_open() -> *mut c_void;
    pub(super) fn raddle_py_view_close(view: *mut c_void);
    pub(super) fn raddle_py_attach_by_view(view: *mut c_void, state: *mut PyThreadState) -> c_int;
    pub(super) fn raddle_py_orphan(state: *mut PyThreadState);
    pub(super) fn raddle_py_call_on_main_thread(
        interpreter: *mut PyInterpreterState,
        call: extern "C" fn(*mut c_void) -> c_int,
    );
    pub(super) fn raddle_py_reap(state: *mut PyThreadState);
    pub(super) fn raddle_py_find_gilstate_slot(mine: *mut PyThreadState);
    pub(super) fn raddle_py_forget_gilstate(stale: *mut PyThreadState);
}

/// The size that the shim reserves for a thread's slot; gate_shim.h says the same.
pub(crate) const SLOT_SIZE: usize = 256;

/// The address of this thread's slot: zeroed memory that is there from the thread's first
/// instruction to its last, thread-exit destructors included.
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(feature = "dynamic-tls")))]
#[inline(always)]
pub(crate) fn slot_here() -> *mut c_void {
    let slot: *mut c_void;
    // SAFETY: reads the thread pointer and one word of the offset table, which the loader filled
    // before any code of this library ran; the symbol is the shim's and initial-exec.
    unsafe {
        core::arch::asm!(
            "mov {slot}, qword ptr [rip + raddle_gate_slot@GOTTPOFF]",
            "add {slot}, qword ptr fs:[0]",
            slot = out(reg) slot,
            options(pure, nomem, nostack),
        );
    }
    slot
}

/// The address of this thread's slot, by a call: the portable twin.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(feature = "dynamic-tls"))))]
#[inline]
pub(crate) fn slot_here() -> *mut c_void {
    // SAFETY: returns an address and does nothing else.
    unsafe { raddle_gate_slot_here() }
}

/// The Python that the shim was compiled against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    /// `PY_VERSION_HEX` of the headers.
    pub(crate) version: u32,
    /// Whether it is a debug build (`d` in the ABI flags).
    pub(crate) debug: bool,
    /// Whether it is free-threaded (`t` in the ABI flags).
    pub(crate) free_threaded: bool,
}

/// Which Python raddle was built for.
pub(crate) fn built_for() -> Build {
    // SAFETY: returns a constant.
    let version = unsafe { raddle_py_built_version() };
    // SAFETY: returns a constant.
    let debug = unsafe { raddle_py_built_debug() } != 0;
    // SAFETY: returns a constant.
    let free_threaded = unsafe { raddle_py_built_free_threaded() } != 0;
    Build { version: u32::try_from(version).unwrap_or(0), debug, free_threaded }
}
