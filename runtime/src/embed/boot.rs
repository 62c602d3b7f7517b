//! Running `_boot.py` in a Python that was just started or adopted, and asking it later.

use core::ffi::CStr;
use std::ffi::CString;

use pyo3::Python;
use pyo3_ffi as ffi;

use super::life::{Life, life, watch_the_end};
use super::options::Options;
use super::package::BOOT;
use super::place::Place;
use super::{module, start};
use crate::cpython;
use crate::error::Error;
use crate::object::{self, Object, Raised};

const NAME: &CStr = c"raddle._boot";

/// Whose wish it is that there is a `raddle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Importer {
    /// A host's: what its library carries wins over what is installed.
    Host,
    /// That of Python code, which found `_raddle` by itself: what is installed beside it goes first.
    Python,
}

/// Sets up a Python that was started by us.
pub(super) fn begin(py: Python<'_>, options: &Options, place: &Place) -> Result<(), Error> {
    module::find_or_make(py)?;
    module::find_or_make_extensions(py)?;
    let paths = |paths: &[std::path::PathBuf]| {
        Object::list(py, paths.iter().map(|path| Object::path(py, path)))
    };
    let executable = place.executable.clone().unwrap_or_default();
    let arguments = [
        Object::path(py, &executable),
        paths(&options.search_paths),
        paths(&options.plugin_folders),
        Object::truth(py, options.signal_handlers),
        Object::float(py, options.latency.map_or(0.0, |latency| latency.as_secs_f64())),
        Object::truth(py, options.answer_ft_utils),
    ];
    run(py)?.attribute(c"begin")?.call(arguments)?;
    watch_the_end();
    Ok(())
}

/// Sets up a Python that was started by somebody else, once.
pub(super) fn watch(py: Python<'_>, importer: Importer) -> Result<(), Error> {
    module::find_or_make(py)?;
    module::find_or_make_extensions(py)?;
    if Object::imported(py, NAME).is_none() {
        run(py)?.attribute(c"watch")?.call([Object::truth(py, importer == Importer::Host)])?;
        watch_the_end();
    }
    Ok(())
}

/// Runs the source as a module.
fn run(py: Python<'_>) -> object::Result<Object<'_>> {
    let (_, _, source) = BOOT;
    let source = CString::new(source).map_err(|_| Raised("_boot.py has a NUL in it".to_owned()))?;
    let file = c"<libraddle>/raddle/_boot.py";
    // SAFETY: two texts that end with a NUL.
    let code = unsafe { ffi::Py_CompileString(source.as_ptr(), file.as_ptr(), ffi::Py_file_input) };
    // SAFETY: as that function returns.
    let code = unsafe { Object::owned(py, code) }?;
    // SAFETY: code, and a name that ends with a NUL. Puts the module into sys.modules.
    let module = unsafe { ffi::PyImport_ExecCodeModule(NAME.as_ptr(), code.as_ptr()) };
    // SAFETY: as that function returns.
    unsafe { Object::owned(py, module) }
}

/// The non-daemon Python threads that run, after they were told to end.
pub(super) fn python_threads(py: Python<'_>) -> object::Result<Vec<String>> {
    match Object::imported(py, NAME) {
        Some(boot) => boot.attribute(c"remaining")?.call([])?.texts(),
        // A plugin that empties sys.modules gets what Python itself does: a wait without a bound.
        None => Ok(Vec::new()),
    }
}

/// The module was executed: if nobody started or adopted this Python, it is a plain `python3` that
/// imported the extension, and is adopted.
pub(super) fn module_was_loaded(py: Python<'_>) -> Result<(), Error> {
    if !matches!(*life(), Life::Idle) || !cpython::is_main_interpreter(py) {
        return Ok(());
    }
    let built_in = module::is_built_in(py, module::NAME);
    start::adopt(if built_in { Importer::Host } else { Importer::Python })?;
    Ok(())
}
