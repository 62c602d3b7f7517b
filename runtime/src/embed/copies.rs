//! One copy of raddle per interpreter: each leaves its module where every other one looks.
//!
//! Two copies in a process would each count entries that the other does not see. That comes about
//! easily: a host has libraddle, and a virtual environment that it uses has the wheel, whose
//! extension module embeds another. The copy that serves an interpreter first keeps it:
//!
//! | a second copy                              | is answered by                                   |
//! |--------------------------------------------|--------------------------------------------------|
//! | is imported, and has the same key          | the serving copy's module, whatever was asked for |
//! | is imported, and has another key           | ImportError, with both keys                      |
//! | wants to adopt this Python, from native code | `AlreadyStarted`: its own functions would be its own gate |

use core::ffi::{CStr, c_char, c_void};
use core::ptr;

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};

use super::library;
use crate::error::{Error, Status};
use crate::object::{self, Object};

/// The capsule's name, and the place in the interpreter's own dict where the module lies.
const CAPSULE: &CStr = c"raddle._C_API";
const ABI_KEY: &CStr = match CStr::from_bytes_with_nul(
    concat!("raddle-", env!("CARGO_PKG_VERSION"), "/", env!("RADDLE_PYTHON_ABI"), "\0").as_bytes(),
) {
    Ok(key) => key,
    Err(_) => panic!("the version has a NUL in it"),
};

/// What the capsule `raddle._C_API` points to: by its address one copy of raddle in the process
/// knows another, and by its key whether they could work together.
#[repr(C)]
#[derive(Debug)]
struct Api {
    /// "raddle-0.1.0/3.11": raddle's version, and the Python it was built for.
    key: *const c_char,
}

// SAFETY: points to a constant.
unsafe impl Sync for Api {}

static API: Api = Api { key: ABI_KEY.as_ptr() };

/// This copy's capsule.
pub(super) fn capsule(py: Python<'_>) -> object::Result<Object<'_>> {
    let api = (&raw const API).cast_mut().cast();
    // SAFETY: a pointer that is not null and a name, both of which live for ever.
    let capsule = unsafe { ffi::PyCapsule_New(api, CAPSULE.as_ptr(), None) };
    // SAFETY: as that function returns.
    unsafe { Object::owned(py, capsule) }
}

/// What another copy is.
#[derive(Debug)]
pub(super) struct Other {
    key: String,
    file: String,
}

impl Other {
    /// Whether one may stand in for the other.
    fn is_alike(&self) -> bool {
        self.key.as_bytes() == ABI_KEY.to_bytes()
    }

    /// Why this copy cannot serve the interpreter.
    pub(super) fn refusal(&self) -> Error {
        let line = format!(
            "another copy of raddle ({}, in {}) serves this Python, and a process can have one \
             only: link both with the shared libraddle, or let this one ({}) come first",
            self.key,
            self.file,
            ABI_KEY.to_string_lossy()
        );
        Error::new(Status::AlreadyStarted, line)
    }
}

/// Whose module this is: nobody else's if it is this copy's.
pub(super) fn owner(py: Python<'_>, module: &Object<'_>) -> object::Result<Option<Other>> {
    let capsule = module.attribute(c"_C_API")?;
    // SAFETY: alive; anything but a capsule of that name is refused with an exception.
    let api = unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), CAPSULE.as_ptr()) };
    object::check(py, if api.is_null() { -1 } else { 0 })?;
    if ptr::eq(api, (&raw const API).cast::<c_void>()) {
        return Ok(None);
    }
    // SAFETY: every copy's capsule points to a record that begins with its key.
    let key = unsafe { (*api.cast::<Api>()).key };
    // SAFETY: a text that ends with a NUL, in a library that is never unloaded.
    let key = unsafe { CStr::from_ptr(key) }.to_string_lossy().into_owned();
    let file = library::file_of(api);
    let file = file.map_or_else(|| "an unknown file".to_owned(), |file| file.display().to_string());
    Ok(Some(Other { key, file }))
}

/// The interpreter's own dict, lent: Python's code does not see it.
fn shelf(py: Python<'_>) -> Option<Object<'_>> {
    // SAFETY: attached.
    let interpreter = unsafe { ffi::PyInterpreterState_Get() };
    // SAFETY: the interpreter that is held.
    let dict = unsafe { ffi::PyInterpreterState_GetDict(interpreter) };
    // SAFETY: lent, or null without an exception.
    unsafe { Object::borrowed(py, dict) }
}

/// The module of the copy that serves this interpreter.
pub(super) fn serving(py: Python<'_>) -> Option<Object<'_>> {
    let shelf = shelf(py)?;
    // SAFETY: a dict, and a name that ends with a NUL.
    let module = unsafe { ffi::PyMapping_GetItemString(shelf.as_ptr(), CAPSULE.as_ptr()) };
    // SAFETY: as that function returns.
    unsafe { Object::owned(py, module) }.ok()
}

/// From now on this module's copy serves the interpreter; or no more, without one.
pub(super) fn serve(py: Python<'_>, module: Option<*mut PyObject>) -> object::Result<()> {
    let Some(shelf) = shelf(py) else { return Ok(()) };
    let name = CAPSULE.as_ptr();
    let status = match module {
        // SAFETY: a dict, a name that ends with a NUL, and a module that is alive.
        Some(module) => unsafe { ffi::PyMapping_SetItemString(shelf.as_ptr(), name, module) },
        // SAFETY: a dict, and a name that ends with a NUL.
        None => unsafe { ffi::PyMapping_DelItemString(shelf.as_ptr(), name.cast_mut()) },
    };
    object::check(py, status)
}

/// Makes `module`, which is being executed, another name of the one that serves: what Python finds
/// in it is the serving copy's, and `import` hands the serving module itself out.
///
/// # Errors
///
/// The refusal, if the two copies have different keys; what Python raised.
pub(super) fn stand_in(
    py: Python<'_>,
    module: *mut PyObject,
    serving: &Object<'_>,
) -> Result<(), Error> {
    if let Some(other) = owner(py, serving)?.filter(|other| !other.is_alike()) {
        return Err(other.refusal());
    }
    let set = |key: *mut PyObject, value: *mut PyObject| {
        // SAFETY: three objects that are alive.
        object::check(py, unsafe { ffi::PyObject_SetAttr(module, key, value) })
    };
    // A copy, since another thread may change the original meanwhile.
    // SAFETY: a module's dict.
    let names = unsafe { ffi::PyDict_Copy(serving.attribute(c"__dict__")?.as_ptr()) };
    // SAFETY: as that function returns.
    let names = unsafe { Object::owned(py, names) }?;
    let (mut at, mut key, mut value) = (0, ptr::null_mut(), ptr::null_mut());
    // SAFETY: a dict that nobody changes; lends both objects.
    while unsafe { ffi::PyDict_Next(names.as_ptr(), &raw mut at, &raw mut key, &raw mut value) }
        != 0
    {
        // SAFETY: lent by the dict, which is alive.
        let name = unsafe { Object::borrowed(py, key) }.map(|name| name.to_text());
        // Who it is and where it came from stays its own.
        if name.is_some_and(|name| !name.starts_with("__") || name == "__version__") {
            set(key, value)?;
        }
    }
    replace(py, module, serving)?;
    Ok(())
}

/// What `import` returns is what stands in `sys.modules` once a module was executed.
fn replace(py: Python<'_>, module: *mut PyObject, by: &Object<'_>) -> object::Result<()> {
    let name = super::module::NAME;
    match Object::imported(py, name).filter(|found| ptr::eq(found.as_ptr(), module)) {
        Some(_) => put(py, name, by),
        None => Ok(()),
    }
}

/// Puts a module into `sys.modules`.
pub(super) fn put(py: Python<'_>, name: &CStr, module: &Object<'_>) -> object::Result<()> {
    let modules = Object::of_sys(py, c"modules").ok_or_else(|| object::raised(py))?;
    let mapping = modules.as_ptr();
    // SAFETY: a mapping, a name that ends with a NUL, and a module.
    let status = unsafe { ffi::PyMapping_SetItemString(mapping, name.as_ptr(), module.as_ptr()) };
    object::check(py, status)
}
