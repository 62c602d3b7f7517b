//! `raddle.MainContext`: a GMainContext for Python code that has no PyGObject.
//!
//! It hashes and compares by its address, as PyGObject's does, so that the one may stand in for the
//! other where PyGObject asks whose context an event loop has.

use core::ffi::{CStr, c_int, c_void};
use core::ptr;

use glib::MainContext;
use glib::translate::{ToGlibPtr, from_glib_none};
use pyo3::Python;
use pyo3_ffi::{self as ffi, Py_hash_t, PyGetSetDef, PyMethodDef, PyObject, PyType_Slot};
use raddle::arguments::{Call, Creation};
use raddle::class::{self, Class};
use raddle::object::{self, Answer, Kind, Object, Pending};
use raddle::row::{function_alone, method, method_alone, property};
use raddle::shelf::Key;
use raddle::table::Table;

/// The value of such an object.
#[derive(Debug)]
pub(crate) struct Context(pub(crate) MainContext);

impl Class for Context {
    const NAME: &'static CStr = c"raddle.MainContext";
    const DOC: &'static CStr = c"MainContext()\n--\n\nA new GMainContext.";
    const KEY: Key = crate::module::MAIN_CONTEXT;

    fn new(call: Creation<'_>) -> Result<Self, Pending> {
        let [] = call.bind("MainContext", [], 0)?;
        Ok(Self(MainContext::new()))
    }

    fn methods() -> *mut PyMethodDef {
        METHODS.start()
    }

    fn slots() -> Vec<PyType_Slot> {
        let hash: ffi::hashfunc = hash;
        let compare: ffi::richcmpfunc = compare;
        vec![
            PyType_Slot {
                slot: ffi::Py_tp_getset,
                pfunc: PROPERTIES.start::<PyGetSetDef>().cast(),
            },
            PyType_Slot { slot: ffi::Py_tp_hash, pfunc: hash as *mut c_void },
            PyType_Slot { slot: ffi::Py_tp_richcompare, pfunc: compare as *mut c_void },
        ]
    }
}

static METHODS: Table<[PyMethodDef; 7]> = Table::new([
    of_type(function_alone(
        c"default",
        default,
        c"default()\n--\n\nThe context of the process.",
    )),
    of_type(function_alone(
        c"thread_default",
        thread_default,
        c"thread_default()\n--\n\nThis thread's own default context, or None.",
    )),
    method(
        c"iteration",
        Context::iteration,
        c"iteration(may_block=True)\n--\n\nOne turn of the context; whether anything was dispatched.",
    ),
    method_alone(c"wakeup", Context::wakeup, c"wakeup()\n--\n\nEnd the context's sleep."),
    method_alone(
        c"is_owner",
        Context::is_owner,
        c"is_owner()\n--\n\nWhether this thread runs the context now.",
    ),
    class::method_of_one(
        c"call_as_default",
        call_as_default,
        c"call_as_default(function, /)\n--\n\nWhat the function returns, called while this is the thread's default context.",
    ),
    PyMethodDef::zeroed(),
]);

static PROPERTIES: Table<[PyGetSetDef; 2]> = Table::new([
    property(c"address", Context::address, c"Where it is, as an int."),
    class::no_property(),
]);

/// The module's functions about contexts.
pub(crate) const FUNCTIONS: [PyMethodDef; 1] = [PyMethodDef {
    ml_name: c"main_context_at".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: context_at },
    ml_flags: ffi::METH_O,
    ml_doc: c"The raddle.MainContext for the GMainContext at an address.".as_ptr(),
}];

const fn of_type(row: PyMethodDef) -> PyMethodDef {
    PyMethodDef { ml_flags: row.ml_flags | ffi::METH_STATIC, ..row }
}

/// The Python object for a context.
pub(crate) fn wrap(py: Python<'_>, context: MainContext) -> Result<Object<'_>, Pending> {
    class::new(py, Context(context))
}

fn pointer(context: &MainContext) -> *mut glib::ffi::GMainContext {
    context.to_glib_none().0
}

/// The context of `this`, which CPython calls a slot of.
///
/// # Safety
///
/// An object of the type, alive during `'a`.
unsafe fn of<'a>(this: *mut PyObject) -> &'a MainContext {
    // SAFETY: by the caller's promise.
    &unsafe { class::value::<Context>(this) }.0
}

unsafe extern "C" fn context_at(_: *mut PyObject, address: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: alive; anything but an int is refused.
    let raw = unsafe { ffi::PyLong_AsVoidPtr(address) }.cast::<glib::ffi::GMainContext>();
    if raw.is_null() {
        // SAFETY: Python is held.
        if unsafe { ffi::PyErr_Occurred() }.is_null() {
            let _set = Pending::new(py, Kind::Value, "there is no main context at 0");
        }
        return ptr::null_mut();
    }
    // SAFETY: the address of a context that is alive, as raddle.asyncio takes it from PyGObject.
    let context: MainContext = unsafe { from_glib_none(raw) };
    object::answer(wrap(py, context))
}

fn default(py: Python<'_>) -> Answer<'_> {
    wrap(py, MainContext::default())
}

fn thread_default(py: Python<'_>) -> Answer<'_> {
    MainContext::thread_default().map_or_else(|| Ok(Object::none(py)), |context| wrap(py, context))
}

impl Context {
    fn iteration<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [may_block] = call.bind("iteration", [c"may_block"], 0)?;
        let may_block = may_block.truth(true)?;
        let dispatched = raddle::release(|| self.0.iteration(may_block));
        // What a callback of Python's has raised was reported; a signal's handler has its turn here.
        // SAFETY: Python is held.
        if unsafe { ffi::PyErr_CheckSignals() } != 0 {
            return Err(Pending::is_set());
        }
        Ok(Object::flag(call.py(), dispatched))
    }

    fn wakeup<'py>(&self, py: Python<'py>) -> Answer<'py> {
        self.0.wakeup();
        Ok(Object::none(py))
    }

    fn is_owner<'py>(&self, py: Python<'py>) -> Answer<'py> {
        Ok(Object::flag(py, self.0.is_owner()))
    }

    fn address<'py>(&self, py: Python<'py>) -> Answer<'py> {
        let address = pointer(&self.0).addr() as u64;
        Object::integer(py, address).map_err(|raised| raised.set(py))
    }
}

unsafe extern "C" fn call_as_default(
    this: *mut PyObject,
    function: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: CPython calls a method of an object of the type.
    let context = unsafe { of(this) };
    let Ok(_owned) = context.acquire() else {
        let line = "another thread runs this main context";
        return object::answer(Err(Pending::new(py, Kind::Runtime, line)));
    };
    // SAFETY: a context that is alive, and that this thread has acquired.
    unsafe { glib::ffi::g_main_context_push_thread_default(pointer(context)) };
    // SAFETY: alive; null with an exception set if it raises.
    let result = unsafe { ffi::PyObject_CallNoArgs(function) };
    // SAFETY: pushed above, by this thread.
    unsafe { glib::ffi::g_main_context_pop_thread_default(pointer(context)) };
    result
}

unsafe extern "C" fn hash(this: *mut PyObject) -> Py_hash_t {
    // SAFETY: CPython asks an object of the type. An address is never -1, which would be an error.
    pointer(unsafe { of(this) }).addr().cast_signed()
}

unsafe extern "C" fn compare(
    this: *mut PyObject,
    other: *mut PyObject,
    operation: c_int,
) -> *mut PyObject {
    let is_ours = ptr::eq(
        // SAFETY: alive.
        unsafe { ffi::Py_TYPE(this) },
        // SAFETY: alive.
        unsafe { ffi::Py_TYPE(other) },
    );
    if !is_ours || !matches!(operation, ffi::Py_EQ | ffi::Py_NE) {
        // SAFETY: Python is held.
        let not = unsafe { ffi::Py_NotImplemented() };
        // SAFETY: alive as long as Python.
        unsafe { ffi::Py_INCREF(not) };
        return not;
    }
    // SAFETY: both are of the type, whose objects CPython compares.
    let same = unsafe { of(this) } == unsafe { of(other) };
    // SAFETY: Python is held.
    unsafe { ffi::PyBool_FromLong((same == (operation == ffi::Py_EQ)).into()) }
}
