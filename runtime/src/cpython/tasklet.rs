//! The running fields of a thread state, for tasklets: the shim's functions with Rust's types.

use core::cell::UnsafeCell;
use core::ffi::{c_char, c_int, c_void};

use pyo3_ffi::{PyObject, PyThreadState, visitproc};

unsafe extern "C" {
    fn raddle_py_tasklets_work(why: *mut c_char, size: usize) -> c_int;
    fn raddle_py_running_fresh(
        state: *mut PyThreadState,
        fresh: *mut Running,
        chunk: *mut c_void,
        chunk_size: usize,
        stack: *mut c_void,
        stack_size: usize,
    );
    fn raddle_py_running_swap(state: *mut PyThreadState, from: *mut Running, to: *mut Running);
    fn raddle_py_running_park(state: *mut PyThreadState, running: *mut Running) -> c_int;
    fn raddle_py_running_unpark(running: *mut Running);
    fn raddle_py_running_end(state: *mut PyThreadState);
    fn raddle_py_running_context(running: *mut Running, context: *mut PyObject);
    fn raddle_py_nesting(state: *mut PyThreadState, running: *const Running) -> c_int;
    fn raddle_py_ident(state: *mut PyThreadState) -> core::ffi::c_ulong;
    fn raddle_py_is_parked(state: *mut PyThreadState) -> c_int;
    fn raddle_py_trace_swap(state: *mut PyThreadState, running: *mut Running);
    fn raddle_py_context(state: *mut PyThreadState, running: *const Running) -> *mut PyObject;
    fn raddle_py_context_exchange(
        state: *mut PyThreadState,
        context: *mut PyObject,
    ) -> *mut PyObject;
    fn raddle_py_context_is_entered(context: *mut PyObject) -> c_int;
    fn raddle_py_traced_by(
        state: *mut PyThreadState,
        running: *const Running,
        profile: c_int,
    ) -> *mut PyObject;
    #[cfg(not(Py_3_12))]
    fn raddle_py_trace_function(state: *mut PyThreadState) -> *mut c_void;
    fn raddle_py_depth(state: *mut PyThreadState, running: *const Running) -> c_int;
    fn raddle_py_traverse(
        running: *const Running,
        extent: *const *mut PyObject,
        visit: visitproc,
        argument: *mut c_void,
    ) -> c_int;
}

/// The size that tasklet_shim.h asserts to be enough, in words.
const WORDS: usize = 320 / 8;

/// A tasklet's record of the running fields, in the shim's own layout.
#[repr(C, align(16))]
#[derive(Debug)]
pub(crate) struct Running(UnsafeCell<[usize; WORDS]>);

// SAFETY: written by the shim only, with Python held.
unsafe impl Sync for Running {}

impl Running {
    /// A record that holds nothing yet.
    pub(crate) const fn empty() -> Self {
        Self(UnsafeCell::new([0; WORDS]))
    }

    /// Makes this the record of a tasklet that is about to run for the first time, in `context` (whose
    /// reference it takes).
    ///
    /// # Safety
    ///
    /// `state` is attached on this thread. `data` and `stack` are the tasklet's own memory, free, and
    /// live as long as it.
    pub(crate) unsafe fn start(
        &self,
        state: *mut PyThreadState,
        data: (*mut u8, usize),
        stack: (*mut u8, usize),
    ) {
        // SAFETY: by the caller's promise.
        unsafe {
            raddle_py_running_fresh(
                state,
                self.place(),
                data.0.cast(),
                data.1,
                stack.0.cast(),
                stack.1,
            );
        }
    }

    /// Moves the running fields of `state` here, and those of `next` into it.
    ///
    /// # Safety
    ///
    /// `state` is attached on this thread; the two records are of tasklets of this thread, `self` of the
    /// one that runs. The stack is switched next.
    #[inline(always)]
    pub(crate) unsafe fn swap(&self, state: *mut PyThreadState, next: &Self) {
        // SAFETY: by the caller's promise.
        unsafe { raddle_py_running_swap(state, self.place(), next.place()) };
    }

    /// Whether tools will see the frames while they are suspended.
    #[inline(always)]
    pub(crate) fn is_parked(&self) -> bool {
        !self.parked().is_null()
    }

    /// The thread state that shows the frames, or null.
    #[inline(always)]
    pub(crate) fn parked(&self) -> *mut PyThreadState {
        // SAFETY: the record's first word, in the shim's layout.
        unsafe { *self.place().cast::<*mut PyThreadState>() }
    }

    /// Makes one; does without if there is no memory.
    ///
    /// # Safety
    ///
    /// `state` is attached on this thread.
    #[cold]
    pub(crate) unsafe fn park(&self, state: *mut PyThreadState) {
        // SAFETY: by the caller's promise.
        let _made: c_int = unsafe { raddle_py_running_park(state, self.place()) };
    }

    /// Takes it back.
    ///
    /// # Safety
    ///
    /// Python is held, and the interpreter has not freed it.
    pub(crate) unsafe fn unpark(&self) {
        // SAFETY: by the caller's promise.
        unsafe { raddle_py_running_unpark(self.place()) };
    }

    /// The interpreter has freed it (in a child of fork, say).
    #[cold]
    pub(crate) fn forget_parked(&self) {
        // SAFETY: the record's first word, in the shim's layout.
        unsafe { *self.place().cast::<*mut PyThreadState>() = core::ptr::null_mut() };
    }

    /// The context that a fresh tasklet begins in: takes the reference, or null.
    pub(crate) fn set_context(&self, context: *mut PyObject) {
        // SAFETY: the record is not loaded yet.
        unsafe { raddle_py_running_context(self.place(), context) };
    }

    /// Exchanges the trace and profile functions with those of the thread state, and back.
    ///
    /// # Safety
    ///
    /// `state` is attached on this thread; the record is of a suspended tasklet of it.
    pub(crate) unsafe fn swap_trace(&self, state: *mut PyThreadState) {
        // SAFETY: by the caller's promise.
        unsafe { raddle_py_trace_swap(state, self.place()) };
    }

    /// The context of the suspended tasklet, lent, or null.
    pub(crate) fn context(&self) -> *mut PyObject {
        // SAFETY: reads the record.
        unsafe { raddle_py_context(core::ptr::null_mut(), self.place()) }
    }

    /// What traces (or profiles) the suspended tasklet, lent, or null.
    pub(crate) fn traced_by(&self, profile: bool) -> *mut PyObject {
        // SAFETY: reads the record.
        unsafe { raddle_py_traced_by(core::ptr::null_mut(), self.place(), profile.into()) }
    }

    /// How many calls from C are open in the suspended frames, the first one not counted.
    pub(crate) fn nesting(&self, state: *mut PyThreadState) -> c_int {
        // SAFETY: reads frames that are suspended, with Python held.
        unsafe { raddle_py_nesting(state, self.place()) }
    }

    /// How many Python calls are open in the suspended frames.
    pub(crate) fn depth(&self, state: *mut PyThreadState) -> c_int {
        // SAFETY: reads the record.
        unsafe { raddle_py_depth(state, self.place()) }
    }

    /// Visits what the suspended frames own; `extent` is where the arguments of the C function that
    /// suspended them end.
    ///
    /// # Safety
    ///
    /// As a `tp_traverse`; the record is of a suspended tasklet that has begun.
    pub(crate) unsafe fn traverse(
        &self,
        extent: *const *mut PyObject,
        visit: visitproc,
        argument: *mut c_void,
    ) -> c_int {
        // SAFETY: by the caller's promise.
        unsafe { raddle_py_traverse(self.place(), extent, visit, argument) }
    }

    fn place(&self) -> *mut Self {
        self.0.get().cast()
    }
}

/// How many calls from C are open in the frames that run.
///
/// # Safety
///
/// `state` is attached on this thread.
pub(crate) unsafe fn nesting(state: *mut PyThreadState) -> c_int {
    // SAFETY: by the caller's promise.
    unsafe { raddle_py_nesting(state, core::ptr::null()) }
}

/// How many Python calls are open in the frames that run.
///
/// # Safety
///
/// `state` is attached on this thread.
pub(crate) unsafe fn depth(state: *mut PyThreadState) -> c_int {
    // SAFETY: by the caller's promise.
    unsafe { raddle_py_depth(state, core::ptr::null()) }
}

/// Drops what the running fields own, at the end of a tasklet.
///
/// # Safety
///
/// `state` is attached on this thread, and no Python code of the tasklet is left on the stack.
pub(crate) unsafe fn end_of_tasklet(state: *mut PyThreadState) {
    // SAFETY: by the caller's promise.
    unsafe { raddle_py_running_end(state) };
}

/// Why tasklets would not work in this Python; `None` if they do.
///
/// # Safety
///
/// Python is held.
pub(crate) unsafe fn tasklets_refused() -> Option<String> {
    let mut why = [0_u8; 256];
    // SAFETY: by the caller's promise; writes at most as many bytes as are said, the last a NUL.
    if unsafe { raddle_py_tasklets_work(why.as_mut_ptr().cast(), why.len()) } != 0 {
        return None;
    }
    let why = core::ffi::CStr::from_bytes_until_nul(&why).unwrap_or_default();
    Some(why.to_string_lossy().into_owned())
}

/// Whether a state only shows a suspended tasklet, or belonged to a thread that is no more.
pub(crate) fn is_parked(state: *mut PyThreadState) -> bool {
    // SAFETY: reads a state of the interpreter's list, with Python held.
    unsafe { raddle_py_is_parked(state) != 0 }
}

/// The context that runs, lent, or null.
pub(crate) fn context(state: *mut PyThreadState) -> *mut PyObject {
    // SAFETY: reads a state of a live scheduler, with Python held.
    unsafe { raddle_py_context(state, core::ptr::null()) }
}

/// What traces (or profiles) the tasklet that runs, lent, or null.
pub(crate) fn traced_by(state: *mut PyThreadState, profile: bool) -> *mut PyObject {
    // SAFETY: reads a state of a live scheduler, with Python held.
    unsafe { raddle_py_traced_by(state, core::ptr::null(), profile.into()) }
}

/// Whether somebody is inside `Context.run` of it.
pub(crate) fn is_entered(context: *mut PyObject) -> bool {
    // SAFETY: a context, alive.
    unsafe { raddle_py_context_is_entered(context) != 0 }
}

/// Puts a context in the place of the one that runs; both are owned, or null.
///
/// # Safety
///
/// `state` is attached on this thread.
pub(crate) unsafe fn exchange_context(
    state: *mut PyThreadState,
    context: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: by the caller's promise.
    unsafe { raddle_py_context_exchange(state, context) }
}

/// As [`exchange_context`], and drops the one before.
///
/// # Safety
///
/// As there.
pub(crate) unsafe fn replace_context(state: *mut PyThreadState, context: *mut PyObject) {
    // SAFETY: by the caller's promise.
    let before = unsafe { raddle_py_context_exchange(state, context) };
    // SAFETY: it was the state's.
    unsafe { pyo3_ffi::Py_XDECREF(before) };
}

/// Whether something traces the tasklet that runs.
#[cfg(not(Py_3_12))]
pub(crate) fn is_traced(state: *mut PyThreadState) -> bool {
    // SAFETY: reads a state of a live scheduler, with Python held.
    !unsafe { raddle_py_trace_function(state) }.is_null()
}

/// Whether `function` traces the tasklet that runs.
#[cfg(not(Py_3_12))]
pub(crate) fn is_traced_with(state: *mut PyThreadState, function: pyo3_ffi::Py_tracefunc) -> bool {
    // SAFETY: reads a state of a live scheduler, with Python held.
    core::ptr::eq(unsafe { raddle_py_trace_function(state) }, function as *mut c_void)
}

/// The identity of the thread that a state belongs to.
pub(crate) fn ident(state: *mut PyThreadState) -> u64 {
    // SAFETY: reads a state of the interpreter's list, with Python held.
    unsafe { raddle_py_ident(state) }
}
