//! Which Python raddle was built for, and whether the one in this process is it.
//!
//! The gate knows CPython's private layout, so the minor version and the ABI flags must agree. The
//! version and free-threadedness are asked before Python runs, since the size of an object depends
//! on them; whether it is a debug build, right after.

use core::ffi::CStr;
use std::sync::OnceLock;

use crate::cpython::{self, Build};
use crate::error::{Error, Status};

/// The Python that raddle was built for, as version and ABI flags: "3.11", "3.13t", "3.14d".
#[must_use]
pub fn python_abi() -> &'static str {
    static ABI: OnceLock<String> = OnceLock::new();
    ABI.get_or_init(|| {
        let Build { version, debug, free_threaded } = cpython::built_for();
        let flags = [(free_threaded, "t"), (debug, "d")];
        let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, flag)| *flag).collect();
        format!("{}.{}{flags}", version >> 24, version >> 16 & 0xff)
    })
}

/// "3.11": without the flags.
pub(super) fn minor_version() -> &'static str {
    python_abi().trim_end_matches(['t', 'd'])
}

/// Where a function of the loaded libpython is.
pub(super) fn address_in_python() -> *const core::ffi::c_void {
    pyo3_ffi::Py_GetVersion as *const core::ffi::c_void
}

/// Compares what can be known without a running Python.
///
/// # Errors
///
/// [`Status::Version`] with what was expected and found.
pub(super) fn check_loaded() -> Result<(), Error> {
    // Not Py_Version: that is a variable which came with 3.11, and a variable that is missing ends
    // the process before anything can be said.
    // SAFETY: works before start, and on every version.
    let version = unsafe { pyo3_ffi::Py_GetVersion() };
    // SAFETY: a string that is never freed.
    let version = unsafe { CStr::from_ptr(version) };
    let version = version.to_string_lossy();
    compare(&found(&version), built_without_debug())
}

/// Compares the ABI flags that a running Python names.
///
/// # Errors
///
/// [`Status::Version`] with what was expected and found.
pub(super) fn check_flags(flags: &str) -> Result<(), Error> {
    compare(&format!("{}{flags}", minor_version()), python_abi())
}

fn compare(found: &str, expected: &str) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    let built = python_abi();
    Err(Error::new(
        Status::Version,
        format!(
            "raddle was built for Python {built}, and this process has loaded Python {found}: \
             link the host with libpython{built}, or build raddle for {found}"
        ),
    ))
}

fn built_without_debug() -> &'static str {
    python_abi().trim_end_matches('d')
}

/// "3.13t" of "3.13.5 experimental free-threading build (main, …) [GCC …]".
fn found(version: &str) -> String {
    let number = version.split_whitespace().next().unwrap_or(version);
    let minor: Vec<&str> = number.split('.').take(2).collect();
    let threads = if version.contains("free-threading build") { "t" } else { "" };
    format!("{}{threads}", minor.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_threaded_versions_are_told_apart() {
        assert_eq!(found("3.11.2 (main, Apr 28 2025, 14:11:48) [GCC 12.2.0]"), "3.11");
        assert_eq!(found("3.13.5 experimental free-threading build (main, Jun) [GCC]"), "3.13t");
        assert_eq!(found("3.14.0 free-threading build (main, Oct) [GCC]"), "3.14t");
        assert_eq!(found("3.15.0a1+ (heads/main) [GCC]"), "3.15");
    }

    #[test]
    fn a_mismatch_names_both() {
        let error = compare("3.9", "3.99").unwrap_err();
        assert_eq!(error.status(), Status::Version);
        assert!(error.message().contains("loaded Python 3.9"), "{error}");
        assert!(error.message().contains(python_abi()), "{error}");
    }
}
