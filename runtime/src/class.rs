//! Types of `_raddle`: Python objects that carry a Rust value.
//!
//! Heap types made anew in each interpreter, where `#[pyclass]` would keep one for ever. An object
//! of such a type is
//!
//! ```text
//!   PyObject | weak references | the Rust value | what a Python subclass adds
//! ```
//!
//! and may be weakly referenced, subclassed and collected. The value is shared by every thread that
//! holds a reference, so its methods take `&self`, and it is dropped wherever the last one goes:
//! always with Python held. A type whose objects are laid out otherwise, and that brings all its slots
//! along, is made by `make`; the rows of tables are the same for both.

use core::ffi::{CStr, c_char, c_int, c_uint, c_ulong, c_void};
use core::mem::offset_of;
use core::ptr;

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyMemberDef, PyMethodDef, PyObject, PyType_Slot, PyTypeObject};

use crate::arguments::Creation;
use crate::cpython;
use crate::object::{self, Object, Pending};
use crate::shelf::{self, Key};
use crate::table::Table;

/// A Rust value that a Python type is made of.
pub trait Class: Send + Sync + 'static {
    /// The type's name with its package, as "raddle.Semaphore"; `_raddle` has it by the last part.
    const NAME: &'static CStr;
    /// What `help()` shows, with the signature first: "Semaphore(value=0)\n--\n\n...".
    const DOC: &'static CStr;
    /// Where native code finds the type.
    const KEY: Key;

    /// `Type(*arguments, **keywords)`.
    fn new(call: Creation<'_>) -> Result<Self, Pending>
    where
        Self: Sized;

    /// Its methods, a static table.
    fn methods() -> *mut PyMethodDef;

    /// Slots besides those that every type of ours has: `Py_tp_getset`, `Py_tp_iter` and so on.
    fn slots() -> Vec<PyType_Slot> {
        Vec::new()
    }

    /// Calls `visit` with each Python object that the value owns; returns what it does at once if
    /// that is not 0. Runs at any moment at which Python may collect, and must not run Python.
    fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        let _ = visit;
        0
    }

    /// Drops the Python objects that may be part of a cycle.
    fn clear(&self, py: Python<'_>) {
        let _ = py;
    }
}

#[repr(C)]
struct Instance<T> {
    base: PyObject,
    weak: *mut PyObject,
    value: T,
}

/// Where the value of an object of `T`'s type is.
fn place<T>(object: *mut PyObject) -> *mut T {
    object.wrapping_byte_add(offset_of!(Instance<T>, value)).cast()
}

/// What adds a type to the module that is being made.
pub type Add = unsafe fn(Python<'_>, *mut PyObject) -> object::Result<()>;

static MEMBERS: Table<[PyMemberDef; 2]> = Table::new(members(offset_of!(Instance<()>, weak)));

/// The members that Python wants to be told of: where an object's weak references are.
pub(crate) const fn members(weak: usize) -> [PyMemberDef; 2] {
    [
        PyMemberDef {
            name: c"__weaklistoffset__".as_ptr(),
            type_code: ffi::Py_T_PYSSIZET,
            offset: weak.cast_signed(),
            flags: ffi::Py_READONLY,
            doc: ptr::null(),
        },
        PyMemberDef { name: ptr::null(), type_code: 0, offset: 0, flags: 0, doc: ptr::null() },
    ]
}

/// A slot of a type.
pub(crate) const fn slot(slot: c_int, value: *mut c_void) -> PyType_Slot {
    PyType_Slot { slot, pfunc: value }
}

/// Makes the type, and puts it into the module and on the shelf.
///
/// # Safety
///
/// `module` is a module that is being made.
pub unsafe fn add<T: Class>(py: Python<'_>, module: *mut PyObject) -> object::Result<()> {
    let new: ffi::newfunc = new_instance::<T>;
    let dealloc: ffi::destructor = dealloc::<T>;
    let traverse: ffi::traverseproc = traverse::<T>;
    let clear: ffi::inquiry = clear::<T>;
    let mut slots = vec![
        slot(ffi::Py_tp_doc, T::DOC.as_ptr().cast_mut().cast()),
        slot(ffi::Py_tp_new, new as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_methods, T::methods().cast()),
        slot(ffi::Py_tp_members, MEMBERS.start()),
    ];
    slots.extend(T::slots());
    let flags = ffi::Py_TPFLAGS_BASETYPE | ffi::Py_TPFLAGS_HAVE_GC;
    // SAFETY: a module, by the caller's promise, and slots that point to what lives for ever and take
    // instances of `T`.
    let class = unsafe { make(py, module, T::NAME, size_of::<Instance<T>>(), flags, slots) }?;
    if cpython::is_main_interpreter(py) {
        shelf::put(T::KEY, class);
    }
    Ok(())
}

/// Makes a type from all its slots, and puts it into the module under the last part of its name.
///
/// # Safety
///
/// `module` is a module that is being made. What the slots point to lives for ever, and takes objects of
/// `size` bytes that begin with a `PyObject`.
pub(crate) unsafe fn make<'py>(
    py: Python<'py>,
    module: *mut PyObject,
    name: &'static CStr,
    size: usize,
    flags: c_ulong,
    mut slots: Vec<PyType_Slot>,
) -> object::Result<Object<'py>> {
    slots.push(slot(0, ptr::null_mut()));
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: c_int::try_from(size).unwrap_or(c_int::MAX),
        itemsize: 0,
        flags: c_uint::try_from(ffi::Py_TPFLAGS_DEFAULT | flags).unwrap_or(c_uint::MAX),
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: a module, and a spec whose slots end with an empty one, by the caller's promise.
    let class = unsafe { ffi::PyType_FromModuleAndSpec(module, &raw mut spec, ptr::null_mut()) };
    // SAFETY: as that function returns.
    let class = unsafe { Object::owned(py, class) }?;
    // SAFETY: a module, the type's own short name, and the type.
    let status =
        unsafe { ffi::PyObject_SetAttrString(module, short_name(name).as_ptr(), class.as_ptr()) };
    object::check(py, status)?;
    Ok(class)
}

fn short_name(name: &'static CStr) -> &'static CStr {
    let bytes = name.to_bytes_with_nul();
    let start = bytes.iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1);
    CStr::from_bytes_with_nul(&bytes[start..]).unwrap_or(name)
}

/// An object around `value`, of the type itself.
pub fn new<T: Class>(py: Python<'_>, value: T) -> Result<Object<'_>, Pending> {
    let class = shelf::get(py, T::KEY)?;
    // SAFETY: the shelf has the type of `T` at its key.
    unsafe { allocate(py, class.cast(), value) }
}

/// # Safety
///
/// `class` is the type that [`add`] made for `T`, or a subclass of it.
unsafe fn allocate<T: Class>(
    py: Python<'_>,
    class: *mut PyTypeObject,
    value: T,
) -> Result<Object<'_>, Pending> {
    // SAFETY: a type that may be allocated; the value is made already, so that nothing runs between
    // the allocation, which the collector sees, and the writing below.
    let raw = unsafe { ffi::PyType_GenericAlloc(class, 0) };
    // SAFETY: as that function returns.
    let object = unsafe { Object::answered(py, raw) }?;
    // SAFETY: the type's size is that of an instance of `T`, or more.
    unsafe { place::<T>(raw).write(value) };
    Ok(object)
}

/// The value of an object.
///
/// # Safety
///
/// `object` is one of `T`'s type, and stays alive as long as the reference is used.
pub unsafe fn value<'a, T: Class>(object: *mut PyObject) -> &'a T {
    // SAFETY: by the caller's promise; the value is shared, and nobody changes it but its own
    // methods.
    unsafe { &*place::<T>(object) }
}

/// The value of an object that may be of any type.
pub fn of<'a, T: Class>(py: Python<'_>, object: &'a Object<'_>) -> Result<Option<&'a T>, Pending> {
    let class = shelf::get(py, T::KEY)?;
    // SAFETY: an object and a type, both alive.
    if unsafe { ffi::PyObject_TypeCheck(object.as_ptr(), class.cast()) } == 0 {
        return Ok(None);
    }
    // SAFETY: of the type, as was just asked, and kept alive by `object`.
    Ok(Some(unsafe { value(object.as_ptr()) }))
}

/// A row of a method table: `method()`.
pub const fn method_alone(
    name: &'static CStr,
    function: ffi::PyCFunction,
    doc: &'static CStr,
) -> PyMethodDef {
    PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: doc.as_ptr(),
    }
}

/// A row of a method table: `method(argument)`.
pub const fn method_of_one(
    name: &'static CStr,
    function: ffi::PyCFunction,
    doc: &'static CStr,
) -> PyMethodDef {
    PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: ffi::METH_O,
        ml_doc: doc.as_ptr(),
    }
}

/// A function of Python's fast calls, without keywords.
pub(crate) type Fast =
    unsafe extern "C" fn(*mut PyObject, *const *mut PyObject, ffi::Py_ssize_t) -> *mut PyObject;

/// A row of a method table: `method(*arguments)`, which lie on the caller's stack of values.
pub(crate) const fn method_fast(
    name: &'static CStr,
    function: Fast,
    doc: &'static CStr,
) -> PyMethodDef {
    PyMethodDef {
        ml_name: name.as_ptr(),
        // SAFETY: two spellings of one signature: PyO3's says that the arguments may be written to.
        ml_meth: unsafe { core::mem::transmute::<Fast, ffi::PyMethodDefPointer>(function) },
        ml_flags: ffi::METH_FASTCALL,
        ml_doc: doc.as_ptr(),
    }
}

/// A row of a method table: `method(*arguments, **keywords)`, as a tuple and a dict.
pub(crate) const fn method_of_tuple(
    name: &'static CStr,
    function: ffi::PyCFunctionWithKeywords,
    doc: &'static CStr,
) -> PyMethodDef {
    PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionWithKeywords: function },
        ml_flags: ffi::METH_VARARGS | ffi::METH_KEYWORDS,
        ml_doc: doc.as_ptr(),
    }
}

/// A row of an attribute table: a property that is only read.
pub const fn property(
    name: &'static CStr,
    get: ffi::getter,
    doc: &'static CStr,
) -> ffi::PyGetSetDef {
    ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set: None,
        doc: doc.as_ptr().cast::<c_char>(),
        closure: ptr::null_mut(),
    }
}

/// A row of an attribute table: a property that is also written.
pub(crate) const fn settable(
    name: &'static CStr,
    get: ffi::getter,
    set: ffi::setter,
    doc: &'static CStr,
) -> ffi::PyGetSetDef {
    ffi::PyGetSetDef { set: Some(set), ..property(name, get, doc) }
}

/// Getters of an attribute table, each from what an unsafe function finds in the object to a new
/// reference, or null with an exception set.
macro_rules! getters {
    ($of:path: $($name:ident = |$what:ident| $value:expr;)*) => {$(
        unsafe extern "C" fn $name(
            object: *mut pyo3_ffi::PyObject,
            _: *mut core::ffi::c_void,
        ) -> *mut pyo3_ffi::PyObject {
            // SAFETY: CPython asks an object of the table's own type.
            let $what = unsafe { $of(object) };
            $value
        }
    )*};
}

/// Setters of an attribute table, each for what an unsafe function finds in the object and a value, null to
/// delete it; from a result to CPython's status.
macro_rules! setters {
    ($of:path: $($name:ident = |$what:ident, $value:ident| $result:expr;)*) => {$(
        unsafe extern "C" fn $name(
            object: *mut pyo3_ffi::PyObject,
            $value: *mut pyo3_ffi::PyObject,
            _: *mut core::ffi::c_void,
        ) -> core::ffi::c_int {
            // SAFETY: as in a getter.
            let $what = unsafe { $of(object) };
            let result: Result<(), crate::object::Pending> = $result;
            if result.is_ok() { 0 } else { -1 }
        }
    )*};
}

pub(crate) use {getters, setters};

/// The row that ends an attribute table.
pub const fn no_property() -> ffi::PyGetSetDef {
    ffi::PyGetSetDef {
        name: ptr::null(),
        get: None,
        set: None,
        doc: ptr::null(),
        closure: ptr::null_mut(),
    }
}

unsafe extern "C" fn new_instance<T: Class>(
    class: *mut PyTypeObject,
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: CPython calls a type with such.
    let made = T::new(unsafe { Creation::new(py, arguments, keywords) });
    // SAFETY: CPython passes the type or a subclass.
    object::answer(made.and_then(|value| unsafe { allocate(py, class, value) }))
}

unsafe extern "C" fn dealloc<T: Class>(object: *mut PyObject) {
    let instance = object.cast::<Instance<T>>();
    // SAFETY: alive until it is freed below.
    let class = unsafe { ffi::Py_TYPE(object) };
    // SAFETY: an object of a type that the collector knows.
    unsafe { ffi::PyObject_GC_UnTrack(object.cast()) };
    // SAFETY: as above.
    if !unsafe { (*instance).weak }.is_null() {
        // SAFETY: an object whose type has a place for weak references.
        unsafe { ffi::PyObject_ClearWeakRefs(object) };
    }
    // SAFETY: written by `allocate`, and nobody has a reference to the object any more.
    unsafe { ptr::drop_in_place(place::<T>(object)) };
    // SAFETY: allocated as a collectable object by `PyType_GenericAlloc`.
    unsafe { ffi::PyObject_GC_Del(object.cast()) };
    // SAFETY: an object of a heap type owns a reference to it.
    unsafe { ffi::Py_DECREF(class.cast()) };
}

unsafe extern "C" fn traverse<T: Class>(
    object: *mut PyObject,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the collector's own function, with its argument.
    let mut visit = |owned: *mut PyObject| unsafe { visit(owned, argument) };
    // SAFETY: alive during the call.
    let class = unsafe { ffi::Py_TYPE(object) };
    let stop = visit(class.cast());
    if stop != 0 {
        return stop;
    }
    // SAFETY: the collector asks an object of its own type, alive.
    unsafe { value::<T>(object) }.traverse(&mut visit)
}

unsafe extern "C" fn clear<T: Class>(object: *mut PyObject) -> c_int {
    // SAFETY: the collector calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: the collector asks an object of its own type, alive.
    unsafe { value::<T>(object) }.clear(py);
    0
}
