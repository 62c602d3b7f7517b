//! `raddle.Completions`, the queue as Python has it.

use core::ffi::CStr;
use core::num::NonZeroU32;
use core::ptr;
use std::time::Duration;

use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::{self as ffi, Py_ssize_t, PyMethodDef, PyObject, PyType_Slot};

use super::drain::{Budget, DrainError};
use super::entry::Work;
use super::python::{self, reference};
use super::queue::{Completions, Full, Why};
use crate::arguments;
use crate::class::{self, Class};
use crate::cpython;
use crate::error::{Error, Status};
use crate::gate::{self, Raised};
use crate::object::{self, Kind, Object, Pending};
use crate::shelf::Key;
use crate::table::Table;

/// What adds the type to the module.
pub(crate) const ADD: class::Add = class::add::<Face>;

type Answer<'py> = Result<Object<'py>, Pending>;

/// A queue, as an object has it.
pub(super) struct Face(Completions);

impl Class for Face {
    const NAME: &'static CStr = c"raddle.Completions";
    const DOC: &'static CStr = c"Completions(capacity=None)\n--\n\n\
        A queue of calls that native threads post and one loop runs, in batches and in order.\n\n\
        With a capacity, posting waits while the queue is full.";
    const KEY: Key = Key::Completions;

    fn new(
        py: Python<'_>,
        arguments: *mut PyObject,
        keywords: *mut PyObject,
    ) -> Result<Self, Pending> {
        if !cpython::is_main_interpreter(py) {
            let line =
                "queues of completions belong to the main interpreter: raddle serves no other";
            return Err(Pending::new(py, Kind::Runtime, line));
        }
        // SAFETY: what CPython called the type with.
        let [capacity] = unsafe {
            arguments::bind_tuple(py, "Completions", [c"capacity"], 0, arguments, keywords)
        }?;
        // SAFETY: Python is held.
        let is_none = capacity == unsafe { ffi::Py_None() };
        let capacity = if is_none { ptr::null_mut() } else { capacity };
        // SAFETY: null or alive.
        let number = unsafe { arguments::number(py, "capacity", capacity, 1, 0) }?;
        let made = NonZeroU32::new(number).map_or_else(Completions::new, Completions::bounded);
        made.map(Self).map_err(|error| python::raise_error(py, &error))
    }

    fn methods() -> *mut PyMethodDef {
        METHODS.start()
    }

    fn slots() -> Vec<PyType_Slot> {
        vec![PyType_Slot { slot: ffi::Py_tp_getset, pfunc: PROPERTIES.start() }]
    }
}

static METHODS: Table<[PyMethodDef; 12]> = Table::new([
    class::method(c"post", post, c"post($self, callable, /, *args)\n--\n\n\
        Have callable(*args) called by whoever owns the queue. Waits for a place if the queue is full."),
    class::method(c"try_post", try_post, c"try_post($self, callable, /, *args)\n--\n\n\
        As post(), without waiting; say whether there was a place."),
    class::method(c"attach", attach, c"attach($self, loop=None)\n--\n\n\
        Have an asyncio loop run what is posted: the running one, unless another is given."),
    class::method(c"detach", detach, c"detach($self, loop=None)\n--\n\n\
        Take the queue from its loop; what is posted stays in it."),
    class::method(c"drain", drain, c"drain($self, count=None, seconds=None)\n--\n\n\
        Run what was posted, at most count of them and about as long as said; say how many ran."),
    class::method(c"_drain_on", drain_on, c"Run what was posted, for a loop."),
    class::method_alone(c"close", close, c"close($self)\n--\n\n\
        Refuse from now on, and drop what was not run."),
    class::method_alone(c"fileno", fileno, c"fileno($self)\n--\n\n\
        The descriptor that is readable while there is something to drain."),
    class::method_alone(c"statistics", statistics, c"statistics($self)\n--\n\n\
        What went through the queue, as a dict of ints."),
    class::method_alone(c"__enter__", enter, c"Return the queue itself."),
    class::method(c"__exit__", exit, c"Close the queue."),
    PyMethodDef::zeroed(),
]);

static PROPERTIES: Table<[ffi::PyGetSetDef; 3]> = Table::new([
    class::property(c"closed", closed, c"Whether it was closed."),
    class::property(c"capacity", capacity, c"How many it holds at most, or None."),
    class::no_property(),
]);

/// What a method is called with.
///
/// # Safety
///
/// `object` is one of this type, alive during the call.
unsafe fn queue<'a>(object: *mut PyObject) -> (Python<'a>, &'a Completions) {
    // SAFETY: CPython calls methods with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: by the caller's promise.
    let Face(queue) = unsafe { class::value(object) };
    (py, queue)
}

/// `callable` and the tuple of what follows it.
///
/// # Safety
///
/// What CPython called a method with.
unsafe fn call_of(
    py: Python<'_>,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> Result<Work, Pending> {
    if !keywords.is_null() {
        let line = "a completion takes no keyword arguments: wrap them with functools.partial";
        return Err(Pending::new(py, Kind::Type, line));
    }
    if count < 1 {
        return Err(Pending::new(py, Kind::Type, "there is no callable to post"));
    }
    // SAFETY: there is at least one.
    let callable = unsafe { *arguments };
    // SAFETY: alive.
    let Some(callable) = (unsafe { Object::borrowed(py, callable) }) else {
        return Err(Pending::is_set());
    };
    // SAFETY: alive.
    if unsafe { ffi::PyCallable_Check(callable.as_ptr()) } == 0 {
        return Err(Pending::new(py, Kind::Type, "the object to post is not callable"));
    }
    // SAFETY: Python is held.
    let tuple = unsafe { ffi::PyTuple_New(count - 1) };
    // SAFETY: as that function returns.
    let tuple = unsafe { Object::answered(py, tuple) }?;
    for index in 1..count {
        // SAFETY: there are `count` of them.
        let argument = unsafe { *arguments.wrapping_offset(index) };
        // SAFETY: alive.
        unsafe { ffi::Py_INCREF(argument) };
        // SAFETY: a fresh tuple that nobody else has seen, a place in it, and an owned reference.
        unsafe { ffi::PyTuple_SetItem(tuple.as_ptr(), index - 1, argument) };
    }
    Ok(Work::Python(reference(py, callable), reference(py, tuple)))
}

unsafe extern "C" fn post(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    // SAFETY: what CPython called this with.
    let work = unsafe { call_of(py, arguments, count, keywords) };
    object::answer(work.and_then(|work| match queue.submit(work, Full::Wait(None)) {
        Ok(()) => Ok(Object::none(py)),
        Err((why, _)) => Err(python::raise(py, why)),
    }))
}

unsafe extern "C" fn try_post(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    // SAFETY: what CPython called this with.
    let work = unsafe { call_of(py, arguments, count, keywords) };
    object::answer(work.and_then(|work| match queue.submit(work, Full::Refuse) {
        Ok(()) => Ok(Object::flag(py, true)),
        Err((Why::Full, _)) => Ok(Object::flag(py, false)),
        Err((why, _)) => Err(python::raise(py, why)),
    }))
}

/// The loop that was given, or the running one.
///
/// # Safety
///
/// What CPython called a method with.
unsafe fn loop_of<'py>(
    py: Python<'py>,
    function: &str,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> Result<Option<Object<'py>>, Pending> {
    // SAFETY: by the caller's promise.
    let bound = unsafe { arguments::bind(py, function, [c"loop"], 0, arguments, count, keywords) };
    let [given] = bound?;
    // SAFETY: Python is held.
    if given == unsafe { ffi::Py_None() } {
        return Ok(None);
    }
    // SAFETY: null, or alive.
    Ok(unsafe { Object::borrowed(py, given) })
}

unsafe extern "C" fn attach(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    // SAFETY: what CPython called this with.
    let given = unsafe { loop_of(py, "attach", arguments, count, keywords) };
    object::answer(given.and_then(|given| {
        let asyncio = given.map_or_else(|| python::running_loop(py), Ok)?;
        let callback = python::attribute(py, this, c"_drain_on")?;
        queue.attach_loop(py, &asyncio, &callback)?;
        Ok(Object::none(py))
    }))
}

unsafe extern "C" fn detach(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    // SAFETY: what CPython called this with.
    let given = unsafe { loop_of(py, "detach", arguments, count, keywords) };
    object::answer(given.and_then(|given| {
        let owner = queue.asyncio(py);
        let is_owner = match (&given, &owner) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(given), Some(owner)) => given.as_ptr() == owner.as_ptr(),
        };
        if !is_owner {
            let line = "the queue is not attached to this loop";
            return Err(Pending::new(py, Kind::Runtime, line));
        }
        queue.detach_loop(py)?;
        Ok(Object::none(py))
    }))
}

unsafe extern "C" fn drain(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    let names = [c"count", c"seconds"];
    // SAFETY: what CPython called this with.
    let bound = unsafe { arguments::bind(py, "drain", names, 0, arguments, count, keywords) };
    object::answer(bound.and_then(|[most, seconds]| {
        // SAFETY: Python is held.
        let most = if most == unsafe { ffi::Py_None() } { ptr::null_mut() } else { most };
        // SAFETY: null or alive.
        let count = unsafe { arguments::number(py, "count", most, 0, u32::MAX) }?;
        // SAFETY: null or alive.
        let time = unsafe { arguments::timeout(py, seconds) }?.unwrap_or(Duration::MAX);
        run(py, queue, Budget { count, time }, None)
    }))
}

unsafe extern "C" fn drain_on(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    _keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    if count != 1 {
        return object::answer(Err(Pending::new(py, Kind::Type, "_drain_on() takes a loop")));
    }
    // SAFETY: there is one.
    let asyncio = unsafe { *arguments };
    // SAFETY: alive during the call.
    let asyncio = unsafe { Bound::from_borrowed_ptr(py, asyncio) };
    let ran = run(py, queue, Budget::default(), Some(&asyncio));
    object::answer(ran.and_then(|ran| {
        if queue.is_closed() {
            queue.detach_loop(py)?;
        }
        Ok(ran)
    }))
}

/// Drains inside an entry of the gate's, so that a stop knows of it.
fn run<'py>(
    py: Python<'py>,
    queue: &Completions,
    budget: Budget,
    asyncio: Option<&Bound<'py, PyAny>>,
) -> Answer<'py> {
    let drained = gate::enter(|_| queue.drain_for(py, budget, asyncio));
    match drained.unwrap_or_else(|_closed| queue.drain_for(py, budget, asyncio)) {
        Ok(drained) => python::integer(py, drained.ran.into()),
        Err(DrainError::Raised(raised)) => {
            raised.put_back(py);
            Err(Pending::is_set())
        }
        Err(error) => Err(python::raise_error(py, &error.into())),
    }
}

impl Completions {
    /// The queue as a `raddle.Completions`: another object each time, of the same queue.
    ///
    /// # Errors
    ///
    /// [`Status::Python`] if Python has none for it: it is ending.
    pub fn object<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Error> {
        class::new(py, Face(self.clone())).map(|object| python::bound(py, object)).map_err(
            |_pending| {
                let line = "there is no object for the queue of completions";
                Raised::take(py).map_or_else(|| Error::new(Status::Python, line), Error::from)
            },
        )
    }

    /// The queue of a `raddle.Completions`.
    ///
    /// # Errors
    ///
    /// [`Status::Invalid`] if the object is none.
    pub fn of_object(object: &Bound<'_, PyAny>) -> Result<Self, Error> {
        let py = object.py();
        // SAFETY: alive.
        let found = unsafe { Object::borrowed(py, object.as_ptr()) }.and_then(|object| {
            class::of::<Face>(py, &object).ok().flatten().map(|face| face.0.clone())
        });
        found.ok_or_else(|| {
            drop(Raised::take(py));
            Error::new(Status::Invalid, "the object is no raddle.Completions")
        })
    }

    /// Closes it where Python is held: its loop lets go of it at once.
    pub(super) fn close_held(&self, py: Python<'_>) {
        self.close();
        self.fail_owed(py);
        if self.detach_loop(py).is_err()
            && let Some(raised) = Raised::take(py)
        {
            let nothing = py.None().into_bound(py);
            raised.report(&nothing);
        }
    }
}

unsafe extern "C" fn close(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    queue.close_held(py);
    Object::none(py).into_ptr()
}

unsafe extern "C" fn fileno(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    object::answer(python::integer(py, queue.fd().into()))
}

unsafe extern "C" fn statistics(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    let stats = queue.stats();
    let figures = [
        ("ran", stats.ran),
        ("raised", stats.raised),
        ("discarded", stats.discarded),
        ("refused", stats.refused),
        ("wakeups", stats.wakeups),
        ("drains", stats.drains),
        ("largest", stats.largest),
        ("waits", stats.waits),
    ];
    let figures = figures.map(|(name, figure)| (name, Object::integer(py, figure)));
    object::answer(
        Object::dict(py, figures)
            .map_err(|object::Raised(line)| Pending::new(py, Kind::Runtime, &line)),
    )
}

unsafe extern "C" fn enter(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: Python is held, and the object alive.
    unsafe { ffi::Py_NewRef(this) }
}

unsafe extern "C" fn exit(
    this: *mut PyObject,
    _arguments: *const *mut PyObject,
    _count: Py_ssize_t,
    _keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as this function's caller calls it.
    unsafe { close(this, ptr::null_mut()) }
}

unsafe extern "C" fn closed(this: *mut PyObject, _: *mut core::ffi::c_void) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    object::answer(Ok(Object::flag(py, queue.is_closed())))
}

unsafe extern "C" fn capacity(this: *mut PyObject, _: *mut core::ffi::c_void) -> *mut PyObject {
    // SAFETY: CPython calls this with an object of the type.
    let (py, queue) = unsafe { queue(this) };
    object::answer(match queue.capacity() {
        None => Ok(Object::none(py)),
        Some(capacity) => python::integer(py, capacity.get().into()),
    })
}
