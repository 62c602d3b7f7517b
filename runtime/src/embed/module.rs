//! The extension module `_raddle`: built in where raddle started Python, put there where it adopted.

use core::ffi::{CStr, c_int};

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyMethodDef, PyModuleDef, PyObject};

use super::extension::{self, Extension, Init};
use super::package::CARRIED;
use super::{boot, copies, stop, version};
use crate::error::Error;
use crate::gate::{fork, stats};
use crate::object::{self, Answer, Kind, Object, Pending};
use crate::relay::log::python as log;
use crate::relay::{self, stopper};
use crate::row::function_alone;
use crate::shelf;
use crate::table::{Definition, ModuleSlots, Table, module_slots};
use crate::{class, tasklet, weave};

pub(super) const NAME: &CStr = c"_raddle";

/// The functions of the module, by the part of raddle that they belong to.
const PARTS: [&[PyMethodDef]; 7] = [
    &OWN,
    &log::METHODS,
    &stopper::METHODS,
    &tasklet::drive::METHODS,
    &tasklet::module::METHODS,
    &tasklet::wait::METHODS,
    &weave::METHODS,
];

/// The types of the module, each of which adds itself.
const CLASSES: [class::Add; 4] = relay::python::CLASSES;

const METHODS: usize = {
    let (mut part, mut count) = (0, 1);
    while part < PARTS.len() {
        count += PARTS[part].len();
        part += 1;
    }
    count
};

static METHOD_TABLE: Table<[PyMethodDef; METHODS]> = Table::new(methods());
static SLOT_TABLE: Table<ModuleSlots> = Table::new(module_slots(exec));
static DEFINITION: Definition = Definition::new(
    NAME,
    c"The native part of raddle. Its Python face is the package raddle.",
    METHOD_TABLE.start(),
    SLOT_TABLE.start(),
);

const OWN: [PyMethodDef; 6] = [
    function_alone(c"gate_stats", gate_stats, c"What went through the gate, as a dict of ints."),
    function_alone(c"carried", carried, c"The modules that the library carries."),
    function_alone(
        c"after_fork_in_child",
        after_fork_in_child,
        c"Open the gate in a child of os.fork.",
    ),
    function_alone(
        c"before_join",
        before_join,
        c"Have new work refused, waiters woken; say if the log runs.",
    ),
    function_alone(
        c"before_exit",
        before_exit,
        c"Stop pools, completions and the log, in this order.",
    ),
    function_alone(c"python_exits", python_exits, c"Close the gate and wait for those inside."),
];

const fn methods() -> [PyMethodDef; METHODS] {
    let mut table = [PyMethodDef::zeroed(); METHODS];
    let (mut part, mut at) = (0, 0);
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            table[at] = PARTS[part][row];
            at += 1;
            row += 1;
        }
        part += 1;
    }
    table
}

/// The module's entry point, for CPython's import.
///
/// # Safety
///
/// Python is held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyInit__raddle() -> *mut PyObject {
    // SAFETY: by the caller's promise.
    unsafe { DEFINITION.init() }
}

unsafe extern "C" fn exec(module: *mut PyObject) -> c_int {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    let done = match copies::serving(py) {
        Some(serving) => copies::stand_in(py, module, &serving),
        None => begin(py, module),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            let _set = Pending::new(py, Kind::Import, error.message());
            -1
        }
    }
}

/// Fills the module in, and has it serve the interpreter.
fn begin(py: Python<'_>, module: *mut PyObject) -> Result<(), Error> {
    fill(py, module)?;
    copies::serve(py, Some(module))?;
    boot::module_was_loaded(py).inspect_err(|_| {
        // Fails for want of memory alone, and there is an error to report already.
        let _gone = copies::serve(py, None);
    })
}

fn fill(py: Python<'_>, module: *mut PyObject) -> object::Result<()> {
    let add = |name: &CStr, value: Object<'_>| {
        // SAFETY: a module, a name that ends with a NUL, and an object that is alive.
        let status = unsafe { ffi::PyObject_SetAttrString(module, name.as_ptr(), value.as_ptr()) };
        object::check(py, status)
    };
    add(c"__version__", Object::text(py, env!("CARGO_PKG_VERSION"))?)?;
    add(c"python_abi", Object::text(py, version::python_abi())?)?;
    add(c"_C_API", copies::capsule(py)?)?;
    for add in CLASSES {
        // SAFETY: the module that is being made.
        unsafe { add(py, module) }?;
    }
    // SAFETY: as above.
    unsafe { class::add::<tasklet::reply::Face>(py, module) }?;
    tasklet::kinds::add(py, module)
}

/// Offers the modules of raddle to a Python that is about to start.
pub(super) fn offer() {
    offer_one(NAME, PyInit__raddle);
    for extension in extension::all() {
        offer_one(extension.name, extension.init);
    }
}

fn offer_one(name: &'static CStr, init: Init) {
    // SAFETY: Python does not run: nobody changes the table, which ends with a nameless entry.
    let mut entry = unsafe { ffi::PyImport_Inittab };
    // SAFETY: as above.
    while let Some(offered) = unsafe { entry.as_ref() }.filter(|entry| !entry.name.is_null()) {
        // SAFETY: a name that ends with a NUL.
        if unsafe { CStr::from_ptr(offered.name) } == name {
            return;
        }
        // SAFETY: not the last entry.
        entry = unsafe { entry.add(1) };
    }
    // SAFETY: Python does not run; the name lives for ever. It fails for want of memory alone, and
    // then the import at start says so.
    unsafe { ffi::PyImport_AppendInittab(name.as_ptr(), Some(init)) };
}

/// Finds the module, or puts it there; refuses if it is another copy's.
///
/// # Errors
///
/// [`Status::AlreadyStarted`](crate::Status::AlreadyStarted) in that case;
/// [`Status::Start`](crate::Status::Start) if Python refuses.
pub(super) fn find_or_make(py: Python<'_>) -> Result<(), Error> {
    let module = match copies::serving(py).or_else(|| Object::imported(py, NAME)) {
        Some(module) => module,
        None if is_built_in(py, NAME) => Object::import(py, NAME)?,
        None => make(py, NAME, PyInit__raddle)?,
    };
    if let Some(other) = copies::owner(py, &module)? {
        return Err(other.refusal());
    }
    // It may serve without being there: loaded by hand, or thrown out.
    Ok(copies::put(py, NAME, &module)?)
}

/// Imports the modules of the layers above, each put there if Python knew nothing of it when it
/// started.
pub(super) fn find_or_make_extensions(py: Python<'_>) -> Result<(), Error> {
    for Extension { name, init, .. } in extension::all() {
        if Object::imported(py, name).is_none() {
            drop(if is_built_in(py, name) {
                Object::import(py, name)?
            } else {
                make(py, name, init)?
            });
        }
    }
    Ok(())
}

pub(super) fn is_built_in(py: Python<'_>, name: &CStr) -> bool {
    let names = Object::of_sys(py, c"builtin_module_names");
    // SAFETY: a name that ends with a NUL.
    let name = unsafe { ffi::PyUnicode_FromString(name.as_ptr()) };
    // SAFETY: as that function returns.
    let (Some(names), Ok(name)) = (names, unsafe { Object::owned(py, name) }) else { return false };
    // SAFETY: a tuple and a str.
    unsafe { ffi::PySequence_Contains(names.as_ptr(), name.as_ptr()) == 1 }
}

/// Makes a module in a Python that knew nothing of it when it started.
fn make<'py>(py: Python<'py>, name: &CStr, init: Init) -> object::Result<Object<'py>> {
    let machinery = Object::import(py, c"importlib.machinery")?;
    let text = || Object::text(py, &name.to_string_lossy());
    let loader = machinery.attribute(c"BuiltinImporter");
    let spec = machinery.attribute(c"ModuleSpec")?.call([text(), loader])?;
    // SAFETY: an entry point whose modules are made in phases, with Python held: the definition,
    // which lives for ever.
    let definition = unsafe { init() }.cast::<PyModuleDef>();
    let version = ffi::PYTHON_API_VERSION;
    // SAFETY: a definition and a spec.
    let module = unsafe { ffi::PyModule_FromDefAndSpec2(definition, spec.as_ptr(), version) };
    // SAFETY: as that function returns.
    let module = unsafe { Object::owned(py, module) }?;
    // What import does for a module that it makes itself.
    // SAFETY: a module, a name that ends with a NUL, and an object that is alive.
    let status = unsafe {
        ffi::PyObject_SetAttrString(module.as_ptr(), c"__spec__".as_ptr(), spec.as_ptr())
    };
    object::check(py, status)?;
    copies::put(py, name, &module)?;
    // SAFETY: the module of this definition.
    let status = unsafe { ffi::PyModule_ExecDef(module.as_ptr(), definition) };
    object::check(py, status)?;
    Ok(module)
}

fn gate_stats(py: Python<'_>) -> Answer<'_> {
    let stats = stats();
    let figures = [
        ("entries", stats.entries),
        ("nested", stats.nested),
        ("threads", stats.threads),
        ("live_threads", stats.live_threads),
        ("waits", stats.waits),
        ("wait_ns", stats.wait_ns),
        ("reaped", stats.reaped),
        ("decrefs", stats.decrefs),
        ("leaked", stats.leaked),
    ];
    let figures = figures.map(|(name, figure)| (name, Object::integer(py, figure)));
    Object::dict(py, figures).map_err(|raised| raised.set(py))
}

fn carried(py: Python<'_>) -> Answer<'_> {
    let above = extension::all();
    let above = above.iter().flat_map(|extension| extension.modules);
    let modules = CARRIED.iter().chain(above).map(|(name, package, source)| {
        (*name, Object::tuple(py, [Object::truth(py, *package), Object::text(py, source)]))
    });
    Object::dict(py, modules).map_err(|raised| raised.set(py))
}

fn after_fork_in_child(py: Python<'_>) -> Answer<'_> {
    fork::after_in_child();
    super::life::after_fork_in_child();
    tasklet::after_fork_in_child();
    stopper::after_fork_in_child();
    Ok(Object::none(py))
}

fn before_join(py: Python<'_>) -> Answer<'_> {
    stop::python_stops(stopper::Stage::Refuse);
    Ok(Object::flag(py, relay::log::is_needed()))
}

fn before_exit(py: Python<'_>) -> Answer<'_> {
    stop::python_stops(stopper::Stage::Log);
    Ok(Object::none(py))
}

fn python_exits(py: Python<'_>) -> Answer<'_> {
    tasklet::python_exits();
    let names = stop::python_exits();
    shelf::clear(py);
    let names = Object::list(py, names.iter().map(|name| Object::text(py, name)));
    names.map_err(|raised| raised.set(py))
}
