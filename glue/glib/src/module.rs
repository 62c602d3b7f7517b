//! The extension module `_raddle_glib`: what this crate adds to `import raddle`.
//!
//! Made as the runtime makes `_raddle`, whose rules hold here too: types are heap types made anew in
//! each interpreter, and native code finds them on the runtime's shelf. A part of this crate that has
//! functions or types for Python adds a row to `PARTS` or `CLASSES`, and a module of the package
//! `raddle` that stands on them a row to `CARRIED`.

use core::ffi::{CStr, c_int};

use pyo3::Python;
use pyo3_ffi::{PyMethodDef, PyObject};
use raddle::Error;
use raddle::class;
use raddle::embed::{self, Carried, Extension};
use raddle::object::{Kind, Pending, Raised};
use raddle::shelf::Key;
use raddle::table::{Definition, ModuleSlots, Table, module_slots};

use crate::coroutine::Outcome;
use crate::event_loop::LoopSource;
use crate::main_context::{self, Context};
use crate::object::Handle;
use crate::opaque::Opaque;
use crate::{cancellable, face, scheduler_face, value};

const NAME: &CStr = c"_raddle_glib";

/// Where the types are on the runtime's shelf.
pub(crate) const MAIN_CONTEXT: Key = Key::Above0;
pub(crate) const LOOP_SOURCE: Key = Key::Above1;
pub(crate) const OUTCOME: Key = Key::Above2;

/// The functions of the module, by the part of this crate that they belong to.
const PARTS: [&[PyMethodDef]; 4] =
    [&face::METHODS, &cancellable::METHODS, &main_context::FUNCTIONS, &scheduler_face::FUNCTIONS];

/// The types of the module, each of which adds itself.
const CLASSES: [class::Add; 6] = [
    class::add::<Handle>,
    class::add::<Opaque>,
    value::add_enumerations,
    class::add::<Context>,
    class::add::<LoopSource>,
    class::add::<Outcome>,
];

/// The modules in Python, of the package `raddle`.
const CARRIED: [Carried; 4] = [
    ("raddle._error", false, include_str!("../../python/raddle/_error.py")),
    ("raddle._gio", false, include_str!("../../python/raddle/_gio.py")),
    ("raddle._scheduler", false, include_str!("../../python/raddle/_scheduler.py")),
    ("raddle.asyncio", false, include_str!("../../python/raddle/asyncio.py")),
];

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
    c"The native part of raddle that knows GLib. Its Python face is the package raddle.",
    METHOD_TABLE.start(),
    SLOT_TABLE.start(),
);

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

/// Adds this crate's part to Python: `raddle.asyncio`, `raddle.log.GLibHandler` and what else stands on GLib. Call it before
/// Python is started or adopted (afterwards does as well); once is enough. libraddle has done it when
/// it is loaded.
///
/// # Errors
///
/// [`Status::Start`](raddle::Status::Start) if a Python that runs already refuses the module.
pub fn install() -> Result<(), Error> {
    raddle::relay::log::set_sink("glib", crate::log::send);
    embed::add(Extension { name: NAME, init, modules: &CARRIED })
}

unsafe extern "C" fn init() -> *mut PyObject {
    // SAFETY: CPython calls this with Python held, and so does the runtime.
    unsafe { DEFINITION.init() }
}

unsafe extern "C" fn exec(module: *mut PyObject) -> c_int {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    for add in CLASSES {
        // SAFETY: the module that is being made.
        if let Err(Raised(line)) = unsafe { add(py, module) } {
            let _set = Pending::new(py, Kind::Import, &line);
            return -1;
        }
    }
    0
}
