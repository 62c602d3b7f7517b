//! The Python types `bomb` and `atomic`.

use core::ffi::{c_int, c_void};
use core::mem::offset_of;

use pyo3_ffi::{self as ffi, PyGetSetDef, PyMethodDef, PyObject, PyType_Slot};

use super::kinds::BombObject;
use super::ops::{self, Raw, answer};
use super::scheduler::Scheduler;
use super::{bomb, watchdog};
use crate::arguments::Creation;
use crate::class::{getters, method_alone, no_property, property, slot};
use crate::table::Table;

static BOMB_PROPERTIES: Table<[PyGetSetDef; 4]> = Table::new([
    property(c"type", kind, c"The class of the exception."),
    property(c"value", value, c"The exception, or the arguments that it is made from."),
    property(c"traceback", traceback, c"The traceback."),
    no_property(),
]);

/// What is in a bomb.
///
/// # Safety
///
/// CPython's promise to a getter of the type.
unsafe fn of<'a>(object: Raw) -> &'a BombObject {
    // SAFETY: by the caller's promise.
    unsafe { &*object.cast::<BombObject>() }
}

fn part(part: Raw) -> Raw {
    if part.is_null() { ops::new_none() } else { ops::incref(part) }
}

getters! { of:
    kind = |bomb| part(bomb.kind);
    value = |bomb| part(bomb.value);
    traceback = |bomb| part(bomb.traceback);
}

pub(super) fn bomb_slots() -> Vec<PyType_Slot> {
    let new: ffi::newfunc = new_bomb;
    let dealloc: ffi::destructor = dealloc_bomb;
    let traverse: ffi::traverseproc = traverse_bomb;
    let clear: ffi::inquiry = clear_bomb;
    let doc = c"bomb(type=None, value=None, traceback=None)\n--\n\nAn exception as a value: it is raised in the \
tasklet that goes on with it.";
    vec![
        slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast()),
        slot(ffi::Py_tp_new, new as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_getset, BOMB_PROPERTIES.start()),
    ]
}

unsafe extern "C" fn new_bomb(_: *mut ffi::PyTypeObject, args: Raw, kwargs: Raw) -> Raw {
    let mut args = args;
    // A triple as sys.exc_info() gives it stands for its parts.
    // SAFETY: a tuple.
    if unsafe { ffi::PyTuple_Size(args) } == 1 {
        // SAFETY: within the tuple, lent.
        let only = unsafe { ffi::PyTuple_GetItem(args, 0) };
        // SAFETY: an object.
        if unsafe { ffi::PyTuple_Check(only) } != 0 {
            args = only;
        }
    }
    let names = [c"type", c"value", c"traceback"];
    // SAFETY: a tuple, and a dict or null.
    let call = unsafe { Creation::new(ops::held(), args, kwargs) };
    answer(call.bind("bomb", names, 0).and_then(|parts| {
        let [kind, value, traceback] = parts.map(|part| ops::xincref(part.as_ptr()));
        bomb::new(ops::Parts { kind, value, traceback })
    }))
}

fn parts(object: Raw) -> [*mut Raw; 3] {
    [offset_of!(BombObject, kind), offset_of!(BombObject, value), offset_of!(BombObject, traceback)]
        .map(|offset| object.wrapping_byte_add(offset).cast())
}

unsafe extern "C" fn clear_bomb(object: Raw) -> c_int {
    for place in parts(object) {
        // SAFETY: a place within a live object; what is in it is owned or null.
        ops::xdecref(unsafe { place.replace(core::ptr::null_mut()) });
    }
    0
}

unsafe extern "C" fn dealloc_bomb(object: Raw) {
    let class = ops::type_of(object);
    // SAFETY: an object of a type that the collector knows.
    unsafe { ffi::PyObject_GC_UnTrack(object.cast()) };
    // SAFETY: as the collector would call it.
    unsafe { clear_bomb(object) };
    // SAFETY: allocated as a collectable object.
    unsafe { ffi::PyObject_GC_Del(object.cast()) };
    ops::decref(class);
}

unsafe extern "C" fn traverse_bomb(
    object: Raw,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: places within a live object.
    let parts = parts(object).map(|place| unsafe { place.read() });
    for part in parts.into_iter().chain([ops::type_of(object)]).filter(|part| !part.is_null()) {
        // SAFETY: the collector's own function, with its argument.
        let stop = unsafe { visit(part, argument) };
        if stop != 0 {
            return stop;
        }
    }
    0
}

#[repr(C)]
struct AtomicObject {
    base: PyObject,
    before: core::cell::Cell<bool>,
}

pub(super) const ATOMIC_SIZE: usize = size_of::<AtomicObject>();

static ATOMIC_METHODS: Table<[PyMethodDef; 3]> = Table::new([
    method_alone(c"__enter__", enter, c"Make the current tasklet atomic."),
    PyMethodDef {
        ml_name: c"__exit__".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: exit },
        ml_flags: ffi::METH_VARARGS,
        ml_doc: c"Make it again what it was before.".as_ptr(),
    },
    PyMethodDef::zeroed(),
]);

pub(super) fn atomic_slots() -> Vec<PyType_Slot> {
    let new: ffi::newfunc = ffi::PyType_GenericNew;
    let doc = c"atomic()\n--\n\nKeeps the watchdog from interrupting the current tasklet in a with block.";
    vec![
        slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast()),
        slot(ffi::Py_tp_new, new as *mut c_void),
        slot(ffi::Py_tp_methods, ATOMIC_METHODS.start()),
    ]
}

unsafe extern "C" fn enter(object: Raw, _: Raw) -> Raw {
    if let Some(task) = Scheduler::try_here().and_then(|s| s.current.get()) {
        // SAFETY: an object of the type.
        unsafe { &*object.cast::<AtomicObject>() }.before.set(task.atomic.replace(true));
    }
    ops::new_none()
}

unsafe extern "C" fn exit(object: Raw, _: Raw) -> Raw {
    if let Some(task) = Scheduler::try_here().and_then(|s| s.current.get()) {
        // SAFETY: an object of the type.
        task.atomic.set(unsafe { &*object.cast::<AtomicObject>() }.before.get());
        watchdog::check_pending(task);
    }
    ops::new_none()
}
