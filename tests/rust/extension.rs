//! What a layer above the runtime adds to Python. Each test is a process of its own.

use core::ffi::c_int;
use core::ptr;

use pyo3::ffi::PyObject;
use raddle::embed::{Extension, add};
use raddle::table::{Definition, ModuleSlots, Table, module_slots};
use raddle::{Options, Runtime};
use raddle_tests::in_child;
use raddle_tests::python::run;

static SLOTS: Table<ModuleSlots> = Table::new(module_slots(exec));
static DEFINITION: Definition =
    Definition::new(c"_raddle_above", c"Above.", ptr::null_mut(), SLOTS.start());
const ABOVE: Extension = Extension {
    name: c"_raddle_above",
    init,
    modules: &[(
        "raddle.above",
        false,
        "import _raddle_above\nheight = _raddle_above.height + 1\n",
    )],
};

unsafe extern "C" fn init() -> *mut PyObject {
    // SAFETY: the runtime and CPython call this with Python held.
    unsafe { DEFINITION.init() }
}

unsafe extern "C" fn exec(module: *mut PyObject) -> c_int {
    // SAFETY: as above; a module and a name that ends with a NUL.
    unsafe { pyo3::ffi::PyModule_AddIntConstant(module, c"height".as_ptr(), 6) }
}

/// The native module is there already; the one in Python is found when it is asked for.
fn height() -> String {
    run(
        "import sys\nassert '_raddle_above' in sys.modules\nimport raddle.above\nr = raddle.above.height",
    )
}

#[test]
fn a_layer_is_built_into_each_python_that_starts_after_it() {
    in_child("a_layer_is_built_into_each_python_that_starts_after_it", || {
        add(ABOVE).unwrap();
        add(ABOVE).unwrap();
        for _ in 0..2 {
            let runtime = Runtime::start(&Options::new()).unwrap();
            assert_eq!(run("import sys; r = sys.builtin_module_names.count('_raddle_above')"), "1");
            assert_eq!(height(), "7");
            runtime.stop(None).unwrap();
        }
    });
}

#[test]
fn a_layer_that_comes_late_is_put_where_the_running_python_finds_it() {
    in_child("a_layer_that_comes_late_is_put_where_the_running_python_finds_it", || {
        let runtime = Runtime::start(&Options::new()).unwrap();
        assert_eq!(run("import raddle, sys; r = '_raddle_above' in sys.modules"), "False");
        add(ABOVE).unwrap();
        assert_eq!(height(), "7");
        runtime.stop(None).unwrap();
    });
}

#[test]
fn a_layer_is_put_into_a_python_that_is_adopted() {
    in_child("a_layer_is_put_into_a_python_that_is_adopted", || {
        add(ABOVE).unwrap();
        raddle_glib::install().unwrap();
        // SAFETY: Python is not running.
        unsafe { pyo3::ffi::Py_InitializeEx(0) };
        Runtime::adopt().unwrap();
        assert_eq!(height(), "7");
        assert_eq!(run("import _raddle_glib; r = _raddle_glib.__spec__.name"), "_raddle_glib");
        // SAFETY: attached, on the thread that started it.
        assert_eq!(unsafe { pyo3::ffi::Py_FinalizeEx() }, 0);
    });
}
