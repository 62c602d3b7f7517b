//! Tables of C records that CPython keeps a pointer to: methods, slots, members, definitions.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_int, c_void};
use core::ptr;

use pyo3_ffi::{self as ffi, PyMethodDef, PyModuleDef, PyModuleDef_Slot, PyObject};

/// A table that CPython reads and nobody writes, in a static.
#[derive(Debug)]
#[repr(transparent)]
pub struct Table<T>(UnsafeCell<T>);

// SAFETY: never written after it was made.
unsafe impl<T> Sync for Table<T> {}

impl<T> Table<T> {
    /// `rows`, the last of which is empty, as CPython wants it.
    pub const fn new(rows: T) -> Self {
        Self(UnsafeCell::new(rows))
    }

    /// Its first row, in the form that C asks for.
    pub const fn start<Row>(&'static self) -> *mut Row {
        self.0.get().cast()
    }
}

/// The definition of a module that is made in phases, in a static.
#[derive(Debug)]
#[repr(transparent)]
pub struct Definition(UnsafeCell<PyModuleDef>);

// SAFETY: CPython writes an index and a type into it and keeps its own order there; nobody else
// looks inside.
unsafe impl Sync for Definition {}

impl Definition {
    /// Of a module with these functions (null for none), made by these slots.
    pub const fn new(
        name: &'static CStr,
        doc: &'static CStr,
        methods: *mut PyMethodDef,
        slots: *mut PyModuleDef_Slot,
    ) -> Self {
        Self(UnsafeCell::new(PyModuleDef {
            m_base: ffi::PyModuleDef_HEAD_INIT,
            m_name: name.as_ptr(),
            m_doc: doc.as_ptr(),
            m_size: 0,
            m_methods: methods,
            m_slots: slots,
            m_traverse: None,
            m_clear: None,
            m_free: None,
        }))
    }

    /// What the module's entry point returns.
    ///
    /// # Safety
    ///
    /// Python is held.
    pub unsafe fn init(&'static self) -> *mut PyObject {
        // SAFETY: a definition that lives for ever, and Python is held.
        unsafe { ffi::PyModuleDef_Init(self.0.get()) }
    }
}

const SLOTS: usize = if cfg!(Py_3_13) { 3 } else { 2 };

/// The slots of a module, as [`module_slots`] makes them.
pub type ModuleSlots = [PyModuleDef_Slot; SLOTS];

/// The slots of a module that `exec` fills in, and that does not want the GIL.
pub const fn module_slots(exec: unsafe extern "C" fn(*mut PyObject) -> c_int) -> ModuleSlots {
    const END: PyModuleDef_Slot = PyModuleDef_Slot { slot: 0, value: ptr::null_mut() };
    let mut table = [END; SLOTS];
    table[0] = PyModuleDef_Slot { slot: ffi::Py_mod_exec, value: exec as *mut c_void };
    #[cfg(Py_3_13)]
    {
        table[1] = PyModuleDef_Slot { slot: ffi::Py_mod_gil, value: ffi::Py_MOD_GIL_NOT_USED };
    }
    table
}
