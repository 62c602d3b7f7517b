//! What a layer above the runtime adds to Python: a native module, and modules in Python.
//!
//! The runtime knows nothing of them but this record. A layer adds its record before Python is
//! started or adopted; then its native module is built in, or put where a running Python finds it,
//! and is imported at once, so that its types are on the [shelf](crate::shelf) from the beginning.

use core::ffi::CStr;

use pyo3_ffi::PyObject;

use crate::error::Error;
use crate::gate::{self, Entry};
use crate::primitive::{Mutex, lock};

/// A module in Python: its name, whether it is a package, its source.
pub type Carried = (&'static str, bool, &'static str);

/// The entry point of a module that is made in phases: gives what `PyModuleDef_Init` does.
pub type Init = unsafe extern "C" fn() -> *mut PyObject;

/// What a layer adds.
#[derive(Clone, Copy, Debug)]
pub struct Extension {
    /// The native module's name, as "_raddle_loop".
    pub name: &'static CStr,
    /// Its entry point.
    pub init: Init,
    /// What `import raddle.NAME` finds besides what the runtime carries.
    pub modules: &'static [Carried],
}

static ADDED: Mutex<Vec<Extension>> = Mutex::new(Vec::new());

/// Adds a layer's modules to every Python that is started or adopted from now on, and to the one
/// that runs. Adding the same again changes nothing.
///
/// # Errors
///
/// [`Status::Start`](crate::Status::Start) if the Python that runs refuses the module.
pub fn add(extension: Extension) -> Result<(), Error> {
    {
        let mut added = lock(&ADDED);
        if added.iter().any(|known| known.name == extension.name) {
            return Ok(());
        }
        added.push(extension);
    }
    if gate::refusal().is_none()
        && let Ok(entry) = Entry::new()
    {
        super::module::find_or_make_extensions(entry.py())?;
    }
    Ok(())
}

/// What was added.
pub(super) fn all() -> Vec<Extension> {
    lock(&ADDED).clone()
}
