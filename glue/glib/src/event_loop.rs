//! `LoopSource`, the native half of `raddle.asyncio.GLibEventLoop`, and the loop's face for hosts.

use core::ffi::{CStr, c_int};
use core::{mem, ptr};
use std::sync::Arc;

use glib::translate::ToGlibPtr;
use glib::{MainContext, MainLoop, Priority, Source};
use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};
use raddle::arguments::{Argument, Call, Creation};
use raddle::class::{self, Class};
use raddle::object::{self, Answer, Kind, Object, Pending};
use raddle::primitive::{Mutex, lock};
use raddle::row::{method, method_alone};
use raddle::shelf::Key;
use raddle::table::Table;
use raddle::{Error, Ref, Status, shows_length};

use crate::arguments;
use crate::callable::Visit;
use crate::main_context;
use crate::main_loop::{self, RunError};
use crate::turn::{self, Host, OBJECTS, Objects, Turn};

/// The value of such an object: it is taken apart with it, or by Python's collector.
#[derive(Debug)]
pub(crate) struct LoopSource {
    turn: Arc<Turn>,
    source: Mutex<Option<Source>>,
}

impl Class for LoopSource {
    const NAME: &'static CStr = c"raddle.asyncio.LoopSource";
    const DOC: &'static CStr =
        c"LoopSource(event_loop, context, epoll, ready, run, hosted, keys)\n\
        --\n\nThe source through which an event loop lives on a main context.";
    const KEY: Key = crate::module::LOOP_SOURCE;

    fn new(call: Creation<'_>) -> Result<Self, Pending> {
        let names = [c"event_loop", c"context", c"epoll", c"ready", c"run", c"hosted", c"keys"];
        let [event_loop, context, epoll, ready, run, hosted, keys] =
            call.bind("LoopSource", names, names.len())?;
        let py = call.py();
        let context = arguments::context(context)?;
        // SAFETY: alive; anything but an int is refused.
        let epoll = unsafe { ffi::PyLong_AsLong(epoll.as_ptr()) };
        // SAFETY: Python is held.
        if epoll == -1 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
            return Err(Pending::is_set());
        }
        let names = [intern(py, c"_scheduled")?, intern(py, c"_when")?];
        let class = own(ready)?;
        check_length(py, &class)?;
        let objects = Objects {
            ready: class.into_ptr(),
            run: own(run)?.into_ptr(),
            hosted: own(hosted)?.into_ptr(),
            event_loop: own(event_loop)?.into_ptr(),
            timers: ptr::null_mut(),
            keys: own(keys)?.into_ptr(),
            sort: ptr::null_mut(),
            names: names.map(Object::into_ptr),
        };
        let epoll = c_int::try_from(epoll).unwrap_or(-1);
        Ok(Self::around(Turn::new(context, epoll, objects, None), Priority::DEFAULT))
    }

    fn methods() -> *mut PyMethodDef {
        METHODS.start()
    }

    fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        let mut objects = lock(&self.turn.objects);
        for object in objects.all() {
            if !object.is_null() {
                let stop = visit(*object);
                if stop != 0 {
                    return stop;
                }
            }
        }
        0
    }

    fn clear(&self, _: Python<'_>) {
        self.take_apart();
    }
}

/// A reference of our own to an argument.
fn own(argument: Argument<'_>) -> Answer<'_> {
    let missing = || Pending::new(argument.py(), Kind::Runtime, "an argument is missing");
    argument.object().ok_or_else(missing)
}

fn intern<'py>(py: Python<'py>, name: &CStr) -> Result<Object<'py>, Pending> {
    // SAFETY: a text that ends with a NUL.
    let name = unsafe { ffi::PyUnicode_InternFromString(name.as_ptr()) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, name) }
}

/// Refuses a container whose length cannot be seen without Python.
fn check_length(py: Python<'_>, container: &Object<'_>) -> Result<(), Pending> {
    // SAFETY: alive.
    let class = unsafe { ffi::Py_TYPE(container.as_ptr()) };
    // SAFETY: a type, alive while its object is.
    let class = unsafe { Object::borrowed(py, class.cast()) };
    let shows = class.is_some_and(|class| shows_length(py, &class).unwrap_or(false));
    if shows {
        return Ok(());
    }
    let line = "this Python's collections.deque does not show its length as raddle expects";
    Err(Pending::new(py, Kind::Runtime, line))
}

impl LoopSource {
    fn around(turn: Turn, priority: Priority) -> Self {
        let turn = Arc::new(turn);
        let source = turn::source(Arc::clone(&turn), priority);
        Self { turn, source: Mutex::new(Some(source)) }
    }

    /// Drops what the loop has given. Python is held.
    fn take_apart(&self) {
        let mut taken = [ptr::null_mut(); OBJECTS];
        {
            let mut objects = lock(&self.turn.objects);
            for (object, place) in objects.all().into_iter().zip(&mut taken) {
                *place = mem::replace(object, ptr::null_mut());
            }
        }
        for object in taken {
            // SAFETY: owned, or null; Python is held, and the lock is not.
            unsafe { ffi::Py_XDECREF(object) };
        }
    }

    fn destroy(&self) {
        let source = lock(&self.source).take();
        if let Some(source) = source {
            source.destroy();
        }
        let host = mem::take(&mut *lock(&self.turn.host));
        drop(host);
    }

    /// Runs the context until the loop is told to stop. Python is held.
    fn run(&self, py: Python<'_>) -> Result<(), Pending> {
        let context = &self.turn.context;
        if lock(&self.source).is_none() {
            let line = "this loop was taken off its main context: Python is ending";
            return Err(Pending::new(py, Kind::Runtime, line));
        }
        let Ok(owned) = context.acquire() else {
            let line = "another thread runs this loop's main context";
            return Err(Pending::new(py, Kind::Runtime, line));
        };
        let main_loop = MainLoop::new(Some(context), false);
        *lock(&self.turn.own_run) = Some(main_loop.clone());
        let default = ThreadDefault::push(context);
        let ran = main_loop::run(&main_loop);
        drop(default);
        *lock(&self.turn.own_run) = None;
        self.turn.set_stopping(false);
        drop(owned);
        match ran {
            Ok(()) => Ok(()),
            Err(RunError::Raised(raised)) => {
                raised.put_back(py);
                Err(Pending::is_set())
            }
            Err(RunError::Closed(closed)) => {
                Err(Pending::new(py, Kind::Runtime, &closed.to_string()))
            }
        }
    }
}

impl Drop for LoopSource {
    fn drop(&mut self) {
        // With the object, or because the object could not be made: with Python held both times.
        self.destroy();
        self.take_apart();
    }
}

/// A context that is this thread's default one for a while, unless it is the process's.
struct ThreadDefault<'a>(Option<&'a MainContext>);

impl<'a> ThreadDefault<'a> {
    fn push(context: &'a MainContext) -> Self {
        if *context == MainContext::default() {
            return Self(None);
        }
        // SAFETY: a context that this thread has acquired.
        unsafe { glib::ffi::g_main_context_push_thread_default(context.to_glib_none().0) };
        Self(Some(context))
    }
}

impl Drop for ThreadDefault<'_> {
    fn drop(&mut self) {
        if let Some(context) = self.0 {
            // SAFETY: pushed by this thread.
            unsafe { glib::ffi::g_main_context_pop_thread_default(context.to_glib_none().0) };
        }
    }
}

static METHODS: Table<[PyMethodDef; 12]> = Table::new([
    method_alone(c"attach", LoopSource::attach, c"attach()\n--\n\nPut the source on its context."),
    method_alone(c"destroy", LoopSource::destroy_now, c"destroy()\n--\n\nTake it away, for good."),
    method_alone(
        c"run",
        LoopSource::run_now,
        c"run()\n--\n\nRun the context until stop() is called.",
    ),
    method_alone(
        c"turn",
        LoopSource::one_turn,
        c"turn()\n--\n\nRun what is ready, within the budget.",
    ),
    method(
        c"select",
        LoopSource::select,
        c"select(timeout=None)\n--\n\nThe keys and events of what is ready, without waiting.",
    ),
    method_alone(c"stop", LoopSource::stop, c"stop()\n--\n\nHave the run end after this turn."),
    method(
        c"set_paused",
        LoopSource::set_paused,
        c"set_paused(paused)\n--\n\nLeave the loop out of its context's turns; what was so before.",
    ),
    method(
        c"set_sorter",
        LoopSource::set_sorter,
        c"set_sorter(sorter)\n--\n\nWhat is called before ready handles are run, or None.",
    ),
    method(
        c"level",
        LoopSource::level,
        c"level(priority, ready, run)\n--\n\nA source of another priority beside this one.",
    ),
    method_alone(
        c"acquire",
        LoopSource::acquire,
        c"acquire()\n--\n\nBecome the context's owner; false if another thread is.",
    ),
    method_alone(c"release", LoopSource::release, c"release()\n--\n\nUndo one acquire()."),
    PyMethodDef::zeroed(),
]);

impl LoopSource {
    fn attach<'py>(&self, py: Python<'py>) -> Answer<'py> {
        // From now on the list of timers is known, and its length watched.
        self.turn.ask_for_timers(py);
        if let Some(source) = lock(&self.source).as_ref().filter(|source| !source.is_destroyed()) {
            source.attach(Some(&self.turn.context));
        }
        Ok(Object::none(py))
    }

    fn destroy_now<'py>(&self, py: Python<'py>) -> Answer<'py> {
        self.destroy();
        Ok(Object::none(py))
    }

    fn run_now<'py>(&self, py: Python<'py>) -> Answer<'py> {
        self.run(py)?;
        Ok(Object::none(py))
    }

    fn one_turn<'py>(&self, py: Python<'py>) -> Answer<'py> {
        self.turn.run(py)?;
        Ok(Object::none(py))
    }

    fn select<'py>(&self, call: Call<'py>) -> Answer<'py> {
        self.turn.take_events(call.py())
    }

    fn stop<'py>(&self, py: Python<'py>) -> Answer<'py> {
        self.turn.set_stopping(true);
        // For a stop from another thread, or from a callback of somebody else's.
        self.turn.context.wakeup();
        Ok(Object::none(py))
    }

    fn set_paused<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [paused] = call.bind("set_paused", [c"paused"], 1)?;
        let paused = paused.truth(true)?;
        let before = self.turn.set_paused(paused);
        if let Some(source) = lock(&self.source).as_ref() {
            turn::watch(source, !paused);
        }
        Ok(Object::flag(call.py(), before))
    }

    fn set_sorter<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [sorter] = call.bind("set_sorter", [c"sorter"], 1)?;
        let sorter = sorter.unless_none().object().map_or(ptr::null_mut(), Object::into_ptr);
        let former = mem::replace(&mut lock(&self.turn.objects).sort, sorter);
        // SAFETY: owned, or null.
        unsafe { ffi::Py_XDECREF(former) };
        Ok(Object::none(call.py()))
    }

    fn level<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let [priority, ready, run] = call.bind("level", [c"priority", c"ready", c"run"], 3)?;
        let priority = arguments::priority(priority)?;
        let ready = own(ready)?;
        check_length(call.py(), &ready)?;
        let objects = Objects {
            ready: ready.into_ptr(),
            run: own(run)?.into_ptr(),
            hosted: ptr::null_mut(),
            event_loop: ptr::null_mut(),
            timers: ptr::null_mut(),
            keys: ptr::null_mut(),
            sort: ptr::null_mut(),
            names: [ptr::null_mut(); 2],
        };
        let parent = Some(Arc::clone(&self.turn));
        let turn = Turn::new(self.turn.context.clone(), -1, objects, parent);
        class::new(call.py(), Self::around(turn, priority))
    }

    fn acquire<'py>(&self, py: Python<'py>) -> Answer<'py> {
        let context = self.turn.context.to_glib_none().0;
        // SAFETY: a context that is alive.
        let acquired = unsafe { glib::ffi::g_main_context_acquire(context) };
        Ok(Object::flag(py, acquired != glib::ffi::GFALSE))
    }

    fn release<'py>(&self, py: Python<'py>) -> Answer<'py> {
        if !self.turn.context.is_owner() {
            let line = "this thread does not own the loop's main context";
            return Err(Pending::new(py, Kind::Runtime, line));
        }
        // SAFETY: a context that is alive, and that this thread owns.
        unsafe { glib::ffi::g_main_context_release(self.turn.context.to_glib_none().0) };
        Ok(Object::none(py))
    }
}

/// The asyncio event loop of `context`: the `raddle.asyncio.GLibEventLoop` that lives there, made if
/// there is none, and kept until it is closed or Python ends. From then on its tasks run whenever
/// the context is iterated, by whomever. Needs [`install`](crate::install).
///
/// # Errors
///
/// [`Status::NotStarted`] or [`Status::Closed`] if no Python can be entered; [`Status::Python`] with
/// what Python raised, if another asyncio loop has the context for one.
pub fn event_loop(context: &MainContext) -> Result<Ref, Error> {
    let visit = Visit::begin()?;
    let py = visit.py();
    let made = || -> object::Result<Object<'_>> {
        let class = Object::import(py, c"raddle.asyncio")?.attribute(c"GLibEventLoop")?;
        let context = main_context::wrap(py, context.clone()).map_err(|_set| object::raised(py))?;
        class.attribute(c"for_context")?.call([Ok(context)])
    };
    let event_loop = made().map_err(|raised| Error::new(Status::Python, raised.0))?;
    // SAFETY: a reference that is ours.
    Ok(Ref::new(unsafe { Bound::from_owned_ptr(py, event_loop.into_ptr()) }))
}

/// Has `on_error` called with each exception that leaves a turn of the context's event loop while
/// somebody else than the loop itself runs the context; `None` for the usual: a KeyboardInterrupt or
/// SystemExit ends the innermost [`run`](crate::run) of the thread, and without one `sys.unraisablehook`
/// hears of it, as of the others. asyncio itself handles what is no such: its exception handler logs it.
///
/// It is called on the context's thread, with Python held.
///
/// # Errors
///
/// As [`event_loop`].
pub fn on_error(
    context: &MainContext,
    on_error: Option<impl Fn(Python<'_>, &Bound<'_, PyAny>) + Send + Sync + 'static>,
) -> Result<(), Error> {
    let on_error = on_error.map(|on_error| Arc::new(on_error) as _);
    with_host(context, |host| mem::replace(&mut host.on_error, on_error)).map(drop)
}

/// Has `on_quit` called when a host that runs the context should end its loop: `loop.stop()` was
/// called, or a SystemExit, which is then passed, has left a turn. raddle never ends the process for it.
///
/// It is called on the context's thread, with Python held.
///
/// # Errors
///
/// As [`event_loop`].
pub fn on_quit(
    context: &MainContext,
    on_quit: Option<impl Fn(Python<'_>, Option<&Bound<'_, PyAny>>) + Send + Sync + 'static>,
) -> Result<(), Error> {
    let on_quit = on_quit.map(|on_quit| Arc::new(on_quit) as _);
    with_host(context, |host| mem::replace(&mut host.on_quit, on_quit)).map(drop)
}

/// Changes what the loop's host wants to be told.
fn with_host<R>(context: &MainContext, change: impl FnOnce(&mut Host) -> R) -> Result<R, Error> {
    let event_loop = event_loop(context)?;
    let visit = Visit::begin()?;
    let py = visit.py();
    let source = || -> object::Result<Object<'_>> {
        let event_loop = event_loop.bind(py);
        // SAFETY: alive.
        let event_loop = unsafe { Object::borrowed(py, event_loop.as_ptr()) };
        event_loop.ok_or_else(|| object::raised(py))?.attribute(c"_source")
    };
    let source = source().map_err(|raised| Error::new(Status::Python, raised.0))?;
    let turn = match class::of::<LoopSource>(py, &source) {
        Ok(Some(source)) => Arc::clone(&source.turn),
        Ok(None) => return Err(Error::new(Status::Closed, "the event loop is closed")),
        Err(_set) => return Err(Error::new(Status::Python, object::raised(py).0)),
    };
    let mut host = lock(&turn.host);
    Ok(change(&mut host))
}
