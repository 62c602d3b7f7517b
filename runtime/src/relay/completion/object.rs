//! `raddle.Completions`, the queue as Python has it.

use core::ffi::CStr;
use core::num::NonZeroU32;
use std::time::Duration;

use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::{self as ffi, PyMethodDef, PyType_Slot};

use super::drain::{Budget, DrainError};
use super::entry::Work;
use super::python::{self, reference};
use super::queue::{Completions, Full, Why};
use crate::arguments::{self, Call, Creation};
use crate::class::{self, Class};
use crate::cpython;
use crate::error::{Error, Status};
use crate::gate::{self, Raised};
use crate::object::{Answer, Kind, Object, Pending};
use crate::row::{method, method_alone, property};
use crate::shelf::Key;
use crate::table::Table;

/// What adds the type to the module.
pub(crate) const ADD: class::Add = class::add::<Face>;

/// A queue, as an object has it.
pub(super) struct Face(Completions);

impl Class for Face {
    const NAME: &'static CStr = c"raddle.Completions";
    const DOC: &'static CStr = c"Completions(capacity=None)\n--\n\n\
        A queue of calls that native threads post and one loop runs, in batches and in order.\n\n\
        With a capacity, posting waits while the queue is full.";
    const KEY: Key = Key::Completions;

    fn new(call: Creation<'_>) -> Result<Self, Pending> {
        let py = call.py();
        if !cpython::is_main_interpreter(py) {
            let line =
                "queues of completions belong to the main interpreter: raddle serves no other";
            return Err(Pending::new(py, Kind::Runtime, line));
        }
        let [capacity] = call.bind("Completions", [c"capacity"], 0)?;
        let number = capacity.unless_none().number("capacity", 1, 0)?;
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
    method(c"post", Face::post, c"post($self, callable, /, *args)\n--\n\n\
        Have callable(*args) called by whoever owns the queue. Waits for a place if the queue is full."),
    method(c"try_post", Face::try_post, c"try_post($self, callable, /, *args)\n--\n\n\
        As post(), without waiting; say whether there was a place."),
    method(c"attach", Face::attach, c"attach($self, loop=None)\n--\n\n\
        Have an asyncio loop run what is posted: the running one, unless another is given."),
    method(c"detach", Face::detach, c"detach($self, loop=None)\n--\n\n\
        Take the queue from its loop; what is posted stays in it."),
    method(c"drain", Face::drain, c"drain($self, count=None, seconds=None)\n--\n\n\
        Run what was posted, at most count of them and about as long as said; say how many ran."),
    method(c"_drain_on", Face::drain_on, c"Run what was posted, for a loop."),
    method_alone(c"close", Face::close, c"close($self)\n--\n\n\
        Refuse from now on, and drop what was not run."),
    method_alone(c"fileno", Face::fileno, c"fileno($self)\n--\n\n\
        The descriptor that is readable while there is something to drain."),
    method_alone(c"statistics", Face::statistics, c"statistics($self)\n--\n\n\
        What went through the queue, as a dict of ints."),
    method(c"__enter__", Face::enter, c"Return the queue itself."),
    method(c"__exit__", Face::exit, c"Close the queue."),
    PyMethodDef::zeroed(),
]);

static PROPERTIES: Table<[ffi::PyGetSetDef; 3]> = Table::new([
    property(c"closed", Face::closed, c"Whether it was closed."),
    property(c"capacity", Face::capacity, c"How many it holds at most, or None."),
    class::no_property(),
]);

/// `callable` and the tuple of what follows it.
fn call_of(call: Call<'_>) -> Result<Work, Pending> {
    let py = call.py();
    if call.is_named() {
        let line = "a completion takes no keyword arguments: wrap them with functools.partial";
        return Err(Pending::new(py, Kind::Type, line));
    }
    let Some((callable, rest)) = call.positional().split_first() else {
        return Err(Pending::new(py, Kind::Type, "there is no callable to post"));
    };
    // SAFETY: alive.
    if unsafe { ffi::PyCallable_Check(*callable) } == 0 {
        return Err(Pending::new(py, Kind::Type, "the object to post is not callable"));
    }
    // SAFETY: alive.
    let Some(callable) = (unsafe { Object::borrowed(py, *callable) }) else {
        return Err(Pending::is_set());
    };
    // SAFETY: alive.
    let tuple = unsafe { arguments::tuple(py, rest) }?;
    Ok(Work::Python(reference(py, callable), reference(py, tuple)))
}

/// The loop that was given, or the running one.
fn loop_of<'py>(call: Call<'py>, function: &str) -> Result<Option<Object<'py>>, Pending> {
    let [given] = call.bind(function, [c"loop"], 0)?;
    Ok(given.unless_none().object())
}

impl Face {
    fn post<'py>(&self, call: Call<'py>) -> Answer<'py> {
        match self.0.submit(call_of(call)?, Full::Wait(None)) {
            Ok(()) => Ok(Object::none(call.py())),
            Err((why, _)) => Err(python::raise(call.py(), why)),
        }
    }

    fn try_post<'py>(&self, call: Call<'py>) -> Answer<'py> {
        match self.0.submit(call_of(call)?, Full::Refuse) {
            Ok(()) => Ok(Object::flag(call.py(), true)),
            Err((Why::Full, _)) => Ok(Object::flag(call.py(), false)),
            Err((why, _)) => Err(python::raise(call.py(), why)),
        }
    }

    fn attach<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let py = call.py();
        let asyncio = loop_of(call, "attach")?.map_or_else(|| python::running_loop(py), Ok)?;
        let callback = python::attribute(py, call.this(), c"_drain_on")?;
        self.0.attach_loop(py, &asyncio, &callback)?;
        Ok(Object::none(py))
    }

    fn detach<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let py = call.py();
        let given = loop_of(call, "detach")?;
        let owner = self.0.asyncio(py);
        let is_owner = match (&given, &owner) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(given), Some(owner)) => given.as_ptr() == owner.as_ptr(),
        };
        if !is_owner {
            let line = "the queue is not attached to this loop";
            return Err(Pending::new(py, Kind::Runtime, line));
        }
        self.0.detach_loop(py)?;
        Ok(Object::none(py))
    }

    fn drain<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [most, seconds] = call.bind("drain", [c"count", c"seconds"], 0)?;
        let count = most.unless_none().number("count", 0, u32::MAX)?;
        let time = seconds.timeout()?.unwrap_or(Duration::MAX);
        run(call.py(), &self.0, Budget { count, time }, None)
    }

    fn drain_on<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let py = call.py();
        let [asyncio] = call.positional() else {
            return Err(Pending::new(py, Kind::Type, "_drain_on() takes a loop"));
        };
        // SAFETY: alive during the call.
        let asyncio = unsafe { Bound::from_borrowed_ptr(py, *asyncio) };
        let ran = run(py, &self.0, Budget::default(), Some(&asyncio))?;
        if self.0.is_closed() {
            self.0.detach_loop(py)?;
        }
        Ok(ran)
    }

    fn close<'py>(&self, py: Python<'py>) -> Answer<'py> {
        self.0.close_held(py);
        Ok(Object::none(py))
    }

    fn fileno<'py>(&self, py: Python<'py>) -> Answer<'py> {
        python::integer(py, self.0.fd().into())
    }

    fn statistics<'py>(&self, py: Python<'py>) -> Answer<'py> {
        let stats = self.0.stats();
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
        Object::dict(py, figures).map_err(|raised| raised.set(py))
    }

    fn enter<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [] = call.bind("__enter__", [], 0)?;
        Ok(call.itself())
    }

    fn exit<'py>(&self, call: Call<'py>) -> Answer<'py> {
        self.close(call.py())
    }

    fn closed<'py>(&self, py: Python<'py>) -> Answer<'py> {
        Ok(Object::flag(py, self.0.is_closed()))
    }

    fn capacity<'py>(&self, py: Python<'py>) -> Answer<'py> {
        match self.0.capacity() {
            None => Ok(Object::none(py)),
            Some(capacity) => python::integer(py, capacity.get().into()),
        }
    }
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
