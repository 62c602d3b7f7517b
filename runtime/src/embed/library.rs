//! libpython as a shared library: where its file is, and making its symbols visible to all.
//!
//! A host that opens its plugins with `dlopen` loads what they link as RTLD_LOCAL, libpython
//! included. Extension modules do not link libpython; they expect its symbols in the process, and
//! fail to import where there are none. Opening it once more, as RTLD_GLOBAL, cures that.

use core::ffi::{CStr, c_void};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The file that `address` was loaded from.
pub(super) fn file_of(address: *const c_void) -> Option<PathBuf> {
    let mut info = core::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: looks an address up, whatever it is, and fills the record.
    if unsafe { libc::dladdr(address, info.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: zeroed, which is valid for pointers, and filled by a call that succeeded.
    let info = unsafe { info.assume_init() };
    if info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader's name of a library that is loaded: this code calls it.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

/// Makes the symbols of the library at `file` visible to libraries that are loaded later.
///
/// A program that has Python linked in statically is no library, and needs nothing.
pub(super) fn promote(file: &std::path::Path) {
    let Ok(name) = std::ffi::CString::new(file.as_os_str().as_bytes()) else { return };
    let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_GLOBAL;
    // SAFETY: loads nothing, so no code runs. The handle is kept for good: Python's extension
    // modules are never unloaded either.
    unsafe { libc::dlopen(name.as_ptr(), flags) };
}
