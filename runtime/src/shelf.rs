//! Objects of the running interpreter that native code needs without asking Python: the types of
//! `_raddle` and its exceptions.
//!
//! Filled when the module is executed in the main interpreter, and emptied while its exit handlers
//! run: what is on the shelf belongs to the Python that is held, in every generation.

use core::ptr::{self, NonNull};

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyObject};

use crate::object::{Kind, Object, Pending};
use crate::primitive::{AtomicPtr, Mutex, Ordering, lock};

/// What is kept, one place each.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub enum Key {
    /// Places for layers above, each of which names its own.
    Above0,
    Above1,
    Above2,
    Above3,
    Above4,
    Above5,
    Above6,
    Above7,
    /// The exception `raddle.Stopped`.
    Stopped,
    /// The type of semaphores.
    Semaphore,
    /// The type of queues of completions.
    Completions,
    /// The type of rings.
    Ring,
    /// `queue.Empty`.
    QueueEmpty,
    /// `queue.Full`.
    QueueFull,
    /// The types of `raddle.stackless`, its exception and its callbacks.
    Tasklet,
    Channel,
    Bomb,
    TaskletExit,
    ScheduleCallback,
    ChannelCallback,
    ErrorHandler,
    /// The type of replies.
    Reply,
    /// What counts VM instructions now.
    Watch,
    Last,
}

static SHELF: [AtomicPtr<PyObject>; Key::Last as usize + 1] =
    [const { AtomicPtr::new(ptr::null_mut()) }; Key::Last as usize + 1];

/// Pointers for C that follow a place, each with the place that it follows.
static MIRRORS: Mutex<Vec<(Key, &'static AtomicPtr<PyObject>)>> = Mutex::new(Vec::new());

/// Has `pointer` follow a place from now on.
pub(crate) fn mirror(key: Key, pointer: &'static AtomicPtr<PyObject>) {
    let mut mirrors = lock(&MIRRORS);
    // Release: as `put`. With the lock held, so that no change is missed.
    pointer.store(peek(key), Ordering::Release);
    mirrors.push((key, pointer));
}

/// A place has changed, or all have.
fn reflect() {
    for (key, pointer) in lock(&MIRRORS).iter() {
        // Release: as `put`.
        pointer.store(peek(*key), Ordering::Release);
    }
}

/// Puts an object on the shelf, in place of the one of an earlier generation.
pub fn put(key: Key, object: Object<'_>) {
    // Release: whoever reads the pointer sees the object. One that is replaced went with its Python.
    SHELF[key as usize].store(object.into_ptr(), Ordering::Release);
    reflect();
}

/// The object, lent: alive while Python is held, until its exit handlers have run.
pub fn get(py: Python<'_>, key: Key) -> Result<*mut PyObject, Pending> {
    // Acquire: see `put`.
    let object = SHELF[key as usize].load(Ordering::Acquire);
    if object.is_null() {
        let line = "raddle serves this Python no longer: it is ending, or was never adopted";
        return Err(Pending::new(py, Kind::Runtime, line));
    }
    Ok(object)
}

/// The object, if it is there: lent as by [`get`].
pub fn find(key: Key) -> Option<NonNull<PyObject>> {
    // Acquire: see `put`.
    NonNull::new(SHELF[key as usize].load(Ordering::Acquire))
}

/// Puts an object there (owned, or null for none) and gives back what was there (likewise).
pub(crate) fn swap(_held: Python<'_>, key: Key, object: *mut PyObject) -> *mut PyObject {
    // AcqRel: as `get` and `put`.
    let before = SHELF[key as usize].swap(object, Ordering::AcqRel);
    reflect();
    before
}

/// The object, lent; null if there is none.
#[inline(always)]
pub(crate) fn peek(key: Key) -> *mut PyObject {
    // Acquire: see `put`.
    SHELF[key as usize].load(Ordering::Acquire)
}

/// Python's exit handlers run: gives all objects back.
pub fn clear(_held: Python<'_>) {
    // AcqRel: as `get` and `put`.
    let objects = SHELF.each_ref().map(|place| place.swap(ptr::null_mut(), Ordering::AcqRel));
    reflect();
    for object in objects {
        // SAFETY: Python is held, and the reference was the shelf's.
        unsafe { ffi::Py_XDECREF(object) };
    }
}

/// Python has ended, with its objects.
pub fn forget() {
    for place in &SHELF {
        // Relaxed: nobody holds a Python that could read it.
        place.store(ptr::null_mut(), Ordering::Relaxed);
    }
    reflect();
}
