//! PyGObject, if it is in the process: the table of functions that it hands out to extensions.
//!
//! It is found at run time, in `gi._gobject`, so nothing has to be installed where raddle is built;
//! and looked for anew in each interpreter. The table only ever grew at its end. Until PyGObject is
//! imported the question is asked again whenever `sys.modules` has another size.

use core::ffi::{c_int, c_void};
use core::ptr;

use glib::{ffi as glib_ffi, gobject_ffi};
use gobject_ffi::{GObject, GValue};
use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject, PyTypeObject};
use raddle::object::{Kind, Object, Pending};
use raddle::primitive::{AtomicPtr, AtomicU64, Ordering};

type Unused = *const c_void;

/// The table, in its own order; what nobody here calls is only counted.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Api {
    _to_lookup_class: [Unused; 3],
    new_object: unsafe extern "C" fn(*mut GObject) -> *mut PyObject,
    _to_destroy_notify: [Unused; 3],
    _to_register_gtype_custom: [Unused; 5],
    _value_from_object: Unused,
    value_as_object: unsafe extern "C" fn(*const GValue, glib_ffi::gboolean) -> *mut PyObject,
    _to_error_check: [Unused; 11],
    _to_unblock_threads: [Unused; 3],
    _to_gvalue_from_param: [Unused; 7],
    _to_flags_from_gtype: [Unused; 6],
    _threads_enabled: c_int,
    _to_gil_state_release: [Unused; 3],
    _to_option_group_new: [Unused; 8],
    _type_from_object_strict: Unused,
    _new_object_full: Unused,
    object_type: *mut PyTypeObject,
    value_from_object_with_error: unsafe extern "C" fn(*mut GValue, *mut PyObject) -> c_int,
}

/// The beginning of a wrapper of PyGObject's.
#[repr(C)]
struct Wrapper {
    base: PyObject,
    object: *mut GObject,
}

/// The table of `GENERATION`, or null.
static TABLE: AtomicPtr<Api> = AtomicPtr::new(ptr::null_mut());
/// Of which Python that is: its generation, and how many modules it had when it was asked last.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// PyGObject's table, if Python code has imported it.
#[inline]
pub(crate) fn find(py: Python<'_>) -> Option<&'static Api> {
    let generation = raddle::gate::generation();
    // Acquire: the table is read through the pointer that was stored before this.
    let known = ASKED.load(Ordering::Acquire);
    let table = TABLE.load(Ordering::Acquire);
    if known >> 32 != generation || table.is_null() {
        return look(py, generation, known);
    }
    // SAFETY: PyGObject's static table, which is never unloaded.
    unsafe { table.as_ref() }
}

/// [`find`], where the table is not known.
fn look(py: Python<'_>, generation: u64, known: u64) -> Option<&'static Api> {
    // SAFETY: Python is held; lent, and alive as long as the interpreter.
    let modules = unsafe { ffi::PyImport_GetModuleDict() };
    // SAFETY: a dict; anything else is answered with -1.
    let count = unsafe { ffi::PyDict_Size(modules) };
    let asked = (generation << 32) | u64::from(u32::try_from(count).unwrap_or(u32::MAX));
    if known == asked {
        return None; // It was asked then, and there was none.
    }
    ask(py, asked)
}

#[cold]
fn ask(py: Python<'_>, asked: u64) -> Option<&'static Api> {
    let table = table(py).unwrap_or(ptr::null_mut());
    TABLE.store(table, Ordering::Release);
    ASKED.store(asked, Ordering::Release);
    // SAFETY: as in `find`.
    unsafe { table.as_ref() }
}

fn table(py: Python<'_>) -> Option<*mut Api> {
    let module = Object::imported(py, c"gi._gobject")?;
    let capsule = module.attribute(c"_PyGObject_API").ok()?;
    // SAFETY: alive; anything but a capsule of that name is refused with an exception.
    let table =
        unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), c"gobject._PyGObject_API".as_ptr()) };
    if table.is_null() {
        // SAFETY: Python is held; an unknown PyGObject is as good as none.
        unsafe { ffi::PyErr_Clear() };
        return None;
    }
    Some(table.cast())
}

impl Api {
    /// The wrapper of an object, made if there is none.
    ///
    /// # Safety
    ///
    /// `object` is alive.
    pub(crate) unsafe fn wrap<'py>(
        &self,
        py: Python<'py>,
        object: *mut GObject,
    ) -> Result<Object<'py>, Pending> {
        // SAFETY: alive, and Python is held.
        let raw = unsafe { (self.new_object)(object) };
        // SAFETY: owned, or null with an exception.
        unsafe { answered(py, raw) }
    }

    /// What PyGObject makes of a value; what is boxed is copied.
    ///
    /// # Safety
    ///
    /// `value` is initialised.
    pub(crate) unsafe fn to_python<'py>(
        &self,
        py: Python<'py>,
        value: *const GValue,
    ) -> Result<Object<'py>, Pending> {
        // SAFETY: initialised, and Python is held.
        let raw = unsafe { (self.value_as_object)(value, glib_ffi::GTRUE) };
        // SAFETY: owned, or null with an exception.
        unsafe { answered(py, raw) }
    }

    /// Has PyGObject put `object` into `value`.
    ///
    /// # Safety
    ///
    /// `value` is initialised, and `object` alive.
    pub(crate) unsafe fn to_value(
        &self,
        py: Python<'_>,
        object: *mut PyObject,
        value: *mut GValue,
    ) -> Result<(), Pending> {
        // SAFETY: by the caller's promise.
        if unsafe { (self.value_from_object_with_error)(value, object) } == 0 {
            return Ok(());
        }
        Err(pending(py))
    }

    /// The object that a wrapper of PyGObject's wraps: lent, null if it wraps none (yet); `None` if
    /// `wrapper` is none.
    ///
    /// # Safety
    ///
    /// `wrapper` is alive.
    pub(crate) unsafe fn unwrap(&self, wrapper: *mut PyObject) -> Option<*mut GObject> {
        // SAFETY: an object and a type, both alive.
        if unsafe { ffi::PyObject_TypeCheck(wrapper, self.object_type) } == 0 {
            return None;
        }
        // SAFETY: of that type, so it begins as all wrappers do.
        Some(unsafe { (*wrapper.cast::<Wrapper>()).object })
    }
}

/// # Safety
///
/// `raw` is owned, or null.
unsafe fn answered(py: Python<'_>, raw: *mut PyObject) -> Result<Object<'_>, Pending> {
    if raw.is_null() {
        return Err(pending(py));
    }
    // SAFETY: owned, and not null.
    unsafe { Object::answered(py, raw) }
}

/// PyGObject failed; not in all its ways does it set an exception.
fn pending(py: Python<'_>) -> Pending {
    // SAFETY: Python is held.
    if unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Pending::new(py, Kind::Type, "PyGObject cannot convert this value");
    }
    Pending::is_set()
}

const _: () = {
    // The places as PyGObject 3.42 to 3.56 have them.
    let word = size_of::<*const c_void>();
    assert!(core::mem::offset_of!(Api, value_as_object) == 13 * word);
    assert!(core::mem::offset_of!(Api, object_type) == 55 * word);
};
