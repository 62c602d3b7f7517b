//! The start shim's face: how Python is to be started, as plain text.

use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use std::ffi::CString;

/// `struct raddle_start` of start_shim.h.
#[repr(C)]
struct RawStart {
    program_name: *const c_char,
    home: *const c_char,
    executable: *const c_char,
    argv: *const *const c_char,
    argc: usize,
    signal_handlers: c_int,
}

unsafe extern "C" {
    fn raddle_py_start(how: *const RawStart, message: *mut c_char, size: usize) -> c_int;
}

/// How Python is to be started; what is absent is left to Python.
#[derive(Debug, Default)]
pub(crate) struct Start {
    /// `argv[0]`, from where Python looks for itself.
    pub(crate) program_name: Option<CString>,
    /// The prefix under which the standard library lies.
    pub(crate) home: Option<CString>,
    /// What `sys.executable` shall be.
    pub(crate) executable: Option<CString>,
    /// `sys.argv`.
    pub(crate) argv: Vec<CString>,
    /// Whether Python handles signals.
    pub(crate) signal_handlers: bool,
}

impl Start {
    /// Starts Python and leaves this thread attached. On failure, one line that says why.
    ///
    /// # Safety
    ///
    /// Python is not running in this process, and nobody else is starting it.
    pub(crate) unsafe fn run(&self) -> Result<(), String> {
        const SIZE: usize = 512;
        let or_null = |text: &Option<CString>| text.as_deref().map_or(ptr::null(), CStr::as_ptr);
        let argv: Vec<*const c_char> = self.argv.iter().map(|word| word.as_ptr()).collect();
        let how = RawStart {
            program_name: or_null(&self.program_name),
            home: or_null(&self.home),
            executable: or_null(&self.executable),
            argv: argv.as_ptr(),
            argc: argv.len(),
            signal_handlers: c_int::from(self.signal_handlers),
        };
        let mut message = [0 as c_char; SIZE];
        // SAFETY: the record and all that it points to outlive the call, which keeps none of it,
        // and Python is not running, by the caller's promise.
        let status = unsafe { raddle_py_start(&raw const how, message.as_mut_ptr(), SIZE) };
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the shim ended the line with a NUL, and the array was zeros before.
        let line = unsafe { CStr::from_ptr(message.as_ptr()) };
        Err(line.to_string_lossy().into_owned())
    }
}
