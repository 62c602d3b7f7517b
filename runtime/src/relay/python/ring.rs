//! `_raddle.Ring`: a ring of Python objects. Its waits always release Python.
//!
//! The counts are the native ring's. The slots are not: the collector has to see what is inside, so
//! they are a plain queue under a lock that is held for one step of it, always with Python held,
//! and never while anything of Python's runs. The collector looks when every thread has stopped
//! somewhere else.

use core::ffi::{CStr, c_int, c_void};
use core::ptr::NonNull;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;

use pyo3::Python;
use pyo3_ffi::{self as ffi, Py_ssize_t, PyGetSetDef, PyMethodDef, PyObject, PyType_Slot};

use super::{lifted, raise};
use crate::arguments::{Call, Creation};
use crate::class::{self, Class};
use crate::object::{self, Answer, Kind, Object, Pending};
use crate::primitive::{Mutex, lock};
use crate::relay::flow::Flow;
use crate::relay::live::{self, Stop};
use crate::relay::wait::{ReleasePython, Until, WaitError};
use crate::row::{method, method_alone, property};
use crate::shelf::Key;
use crate::table::Table;

/// What a Python object of this type carries.
pub(super) struct Face {
    /// Shared with whoever stops it at the end of Python, who must not drop objects.
    flow: Arc<Flow>,
    slots: Mutex<VecDeque<Item>>,
}

/// A reference to an object that is inside.
struct Item(NonNull<PyObject>);

// SAFETY: only looked at and given up with Python held.
unsafe impl Send for Item {}

impl Item {
    fn drop_all(items: impl IntoIterator<Item = Self>) {
        for Self(object) in items {
            // SAFETY: Python is held, and the reference was the ring's.
            unsafe { ffi::Py_DECREF(object.as_ptr()) };
        }
    }
}

impl Stop for Flow {
    fn stop(&self) {
        Self::stop(self);
    }
}

impl Face {
    /// Puts an object into the place that this thread has taken.
    fn fill(&self, object: NonNull<PyObject>) {
        // SAFETY: alive, lent by the caller, who holds Python.
        unsafe { ffi::Py_INCREF(object.as_ptr()) };
        lock(&self.slots).push_back(Item(object));
        self.flow.pushed();
    }

    /// Takes out the object that this thread has counted for itself.
    fn empty<'py>(&self, py: Python<'py>) -> Result<Object<'py>, Pending> {
        let item = lock(&self.slots).pop_front();
        self.flow.popped();
        // There is one, unless the collector has found the ring to be garbage and emptied it.
        let Some(Item(object)) = item else { return Err(super::stopped::raise(py)) };
        // SAFETY: the ring's reference goes with the answer.
        unsafe { Object::answered(py, object.as_ptr()) }
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        // With Python held, as every value of a class is dropped.
        Item::drop_all(core::mem::take(&mut *lock(&self.slots)));
    }
}

impl Class for Face {
    const NAME: &'static CStr = c"_raddle.Ring";
    const DOC: &'static CStr = c"Ring(capacity)\n--\n\nA bounded queue of objects between threads.";
    const KEY: Key = Key::Ring;

    fn new(call: Creation<'_>) -> Result<Self, Pending> {
        let [capacity] = call.bind("Ring", [c"capacity"], 1)?;
        let capacity = capacity.number("capacity", 1, 0)?;
        let flow = Flow::new(capacity).map_err(|error| {
            let too_much = error.kind() == ErrorKind::InvalidInput;
            let kind = if too_much { Kind::Value } else { Kind::Os };
            Pending::new(call.py(), kind, &error.to_string())
        })?;
        let flow = Arc::new(flow);
        live::add(&flow);
        Ok(Self { flow, slots: Mutex::default() })
    }

    fn methods() -> *mut PyMethodDef {
        METHODS.start()
    }

    fn slots() -> Vec<PyType_Slot> {
        let iter: ffi::getiterfunc = ffi::PyObject_SelfIter;
        let next: ffi::iternextfunc = next;
        let length: ffi::lenfunc = length;
        [
            (ffi::Py_tp_getset, PROPERTIES.start()),
            (ffi::Py_tp_iter, iter as *mut c_void),
            (ffi::Py_tp_iternext, next as *mut c_void),
            (ffi::Py_sq_length, length as *mut c_void),
        ]
        .map(|(slot, pfunc)| PyType_Slot { slot, pfunc })
        .into()
    }

    fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        let slots = lock(&self.slots);
        let mut answers = slots.iter().map(|Item(object)| visit(object.as_ptr()));
        answers.find(|answer| *answer != 0).unwrap_or(0)
    }

    fn clear(&self, _: Python<'_>) {
        // The lock is not held while finalizers run.
        let items = core::mem::take(&mut *lock(&self.slots));
        Item::drop_all(items);
    }
}

static METHODS: Table<[PyMethodDef; 12]> = Table::new([
    method(
        c"push",
        Face::push,
        c"push($self, /, item, timeout=None)\n--\n\nAdd an item, waiting for room with Python released; queue.Full if the time passes first.",
    ),
    class::method_of_one(
        c"try_push",
        try_push,
        c"try_push($self, item, /)\n--\n\nAdd an item if there is room; otherwise raise queue.Full.",
    ),
    method(
        c"pop",
        Face::pop,
        c"pop($self, /, timeout=None)\n--\n\nTake the oldest item out, waiting for one with Python released; queue.Empty if the time passes first.",
    ),
    method_alone(
        c"try_pop",
        Face::try_pop,
        c"try_pop($self, /)\n--\n\nTake the oldest item out if there is one; otherwise raise queue.Empty.",
    ),
    method_alone(
        c"stop",
        Face::stop,
        c"stop($self, /)\n--\n\nRefuse pushes from now on and wake everybody; what is inside may still be popped.",
    ),
    method_alone(
        c"add_producer",
        Face::add_producer,
        c"add_producer($self, /)\n--\n\nCount one who will push.",
    ),
    method_alone(
        c"remove_producer",
        Face::remove_producer,
        c"remove_producer($self, /)\n--\n\nCount one off; the last one to go stops the ring. Say whether it did.",
    ),
    method_alone(
        c"fileno",
        Face::fileno,
        c"fileno($self, /)\n--\n\nA descriptor to poll: readable while there may be an item. Call try_pop when it is.",
    ),
    method_alone(
        c"room_fileno",
        Face::room_fileno,
        c"room_fileno($self, /)\n--\n\nA descriptor to poll: readable while there may be room. Call try_push when it is.",
    ),
    method_alone(
        c"statistics",
        Face::statistics,
        c"statistics($self, /)\n--\n\nWhat went through the ring, as a dict of ints.",
    ),
    PyMethodDef {
        ml_name: c"__class_getitem__".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: ffi::Py_GenericAlias },
        ml_flags: ffi::METH_O | ffi::METH_CLASS,
        ml_doc: c"Ring[T] is a Ring of T, for type checkers.".as_ptr(),
    },
    PyMethodDef::zeroed(),
]);

static PROPERTIES: Table<[PyGetSetDef; 4]> = Table::new([
    property(c"capacity", Face::capacity, c"How many items fit."),
    property(c"producers", Face::producers, c"How many were added and not removed."),
    property(c"stopped", Face::stopped, c"Whether it was stopped."),
    class::no_property(),
]);

fn empty(py: Python<'_>) -> Pending {
    super::queues_own(py, Key::QueueEmpty, c"Empty")
}

fn full(py: Python<'_>) -> Pending {
    super::queues_own(py, Key::QueueFull, c"Full")
}

/// The ring of an object that CPython calls a slot of.
///
/// # Safety
///
/// `object` is of this type, and alive during `'a`.
unsafe fn ring<'a>(object: *mut PyObject) -> &'a Face {
    // SAFETY: by the caller's promise.
    unsafe { class::value::<Face>(object) }
}

impl Face {
    fn push<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [item, timeout] = call.bind("push", [c"item", c"timeout"], 1)?;
        let until = Until::within(timeout.timeout()?);
        let pushed = self.flow.push(ReleasePython, until);
        pushed.map_err(|error| raise(call.py(), error, || full(call.py())))?;
        self.fill(lent(item.as_ptr()));
        Ok(Object::none(call.py()))
    }

    fn pop<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [timeout] = call.bind("pop", [c"timeout"], 0)?;
        let until = Until::within(timeout.timeout()?);
        let popped = self.flow.pop(ReleasePython, until);
        popped.map_err(|error| raise(call.py(), error, || empty(call.py())))?;
        self.empty(call.py())
    }

    fn try_pop<'py>(&self, py: Python<'py>) -> Answer<'py> {
        let popped = self.flow.try_pop();
        popped.map_err(|error| raise(py, error.widen(), || empty(py)))?;
        self.empty(py)
    }

    fn stop<'py>(&self, py: Python<'py>) -> Answer<'py> {
        self.flow.stop();
        Ok(Object::none(py))
    }

    fn add_producer<'py>(&self, py: Python<'py>) -> Answer<'py> {
        self.flow.add_producer();
        Ok(Object::none(py))
    }

    fn remove_producer<'py>(&self, py: Python<'py>) -> Answer<'py> {
        let last = self.flow.remove_producer();
        let last = last.map_err(|error| Pending::new(py, Kind::Value, error.message()))?;
        Ok(Object::flag(py, last))
    }

    fn fileno<'py>(&self, py: Python<'py>) -> Answer<'py> {
        lifted(py, Object::signed(py, self.flow.fd().into()))
    }

    fn room_fileno<'py>(&self, py: Python<'py>) -> Answer<'py> {
        lifted(py, Object::signed(py, self.flow.room_fd().into()))
    }

    fn statistics<'py>(&self, py: Python<'py>) -> Answer<'py> {
        let stats = self.flow.stats();
        let figures = [
            ("length", stats.length),
            ("capacity", stats.capacity),
            ("max_length", stats.max_length),
            ("pushes", stats.pushes),
            ("pops", stats.pops),
            ("push_waits", stats.push_waits),
            ("pop_waits", stats.pop_waits),
        ];
        let figures = figures.map(|(name, figure)| (name, Object::integer(py, figure)));
        lifted(py, Object::dict(py, figures))
    }

    fn capacity<'py>(&self, py: Python<'py>) -> Answer<'py> {
        lifted(py, Object::integer(py, self.flow.capacity() as u64))
    }

    fn producers<'py>(&self, py: Python<'py>) -> Answer<'py> {
        lifted(py, Object::integer(py, self.flow.producers()))
    }

    fn stopped<'py>(&self, py: Python<'py>) -> Answer<'py> {
        Ok(Object::flag(py, self.flow.is_stopped()))
    }
}

/// An argument that must be there, and is.
fn lent(argument: *mut PyObject) -> NonNull<PyObject> {
    // SAFETY: CPython passes no nulls, and a missing argument was refused.
    unsafe { NonNull::new_unchecked(argument) }
}

unsafe extern "C" fn try_push(object: *mut PyObject, item: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held, as it does `next`.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: a method is called with an object of its type; so is a slot.
    let ring = unsafe { ring(object) };
    object::answer(match ring.flow.try_push() {
        Ok(()) => {
            ring.fill(lent(item));
            Ok(Object::none(py))
        }
        Err(error) => Err(raise(py, error.widen(), || full(py))),
    })
}

/// `next(ring)`: as `pop`, and the end of the ring is the end of the loop.
unsafe extern "C" fn next(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: as in `try_push`.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: as in `try_push`.
    let ring = unsafe { ring(object) };
    object::answer(match ring.flow.pop(ReleasePython, Until::Ever) {
        Ok(()) => ring.empty(py),
        // Null without an exception says that there is no more.
        Err(WaitError::Stopped) => return core::ptr::null_mut(),
        Err(error) => Err(raise(py, error, || empty(py))),
    })
}

unsafe extern "C" fn length(object: *mut PyObject) -> Py_ssize_t {
    // SAFETY: as in `try_push`.
    unsafe { ring(object) }.flow.len().cast_signed()
}
