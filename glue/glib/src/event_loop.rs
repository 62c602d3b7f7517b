//! `LoopSource`, the native half of `raddle.asyncio.GLibEventLoop`, and the loop's face for hosts.

use core::ffi::{CStr, c_int};
use core::{mem, ptr};
use std::sync::Arc;

use glib::translate::ToGlibPtr;
use glib::{MainContext, MainLoop, Priority, Source};
use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::{self as ffi, Py_ssize_t, PyMethodDef, PyObject};
use raddle::arguments::{bind, bind_tuple, truth};
use raddle::class::{self, Class};
use raddle::object::{self, Kind, Object, Pending};
use raddle::primitive::{Mutex, lock};
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

    fn new(
        py: Python<'_>,
        arguments: *mut PyObject,
        keywords: *mut PyObject,
    ) -> Result<Self, Pending> {
        let names = [c"event_loop", c"context", c"epoll", c"ready", c"run", c"hosted", c"keys"];
        // SAFETY: what CPython called the type with.
        let bound =
            unsafe { bind_tuple(py, "LoopSource", names, names.len(), arguments, keywords) }?;
        let [event_loop, context, epoll, ready, run, hosted, keys] = bound;
        // SAFETY: an argument.
        let context = unsafe { arguments::context(py, context) }?;
        // SAFETY: alive; anything but an int is refused.
        let epoll = unsafe { ffi::PyLong_AsLong(epoll) };
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

/// A reference of our own to an argument. Python is held.
fn own<'py>(object: *mut PyObject) -> Result<Object<'py>, Pending> {
    // SAFETY: the callers run with Python held, in functions that CPython called.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: an argument, alive.
    unsafe { Object::borrowed(py, object) }
        .ok_or_else(|| Pending::new(py, Kind::Runtime, "an argument is missing"))
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
    class::method_alone(c"attach", attach, c"attach()\n--\n\nPut the source on its context."),
    class::method_alone(c"destroy", destroy, c"destroy()\n--\n\nTake it away, for good."),
    class::method_alone(c"run", run, c"run()\n--\n\nRun the context until stop() is called."),
    class::method_alone(c"turn", one_turn, c"turn()\n--\n\nRun what is ready, within the budget."),
    class::method(
        c"select",
        select,
        c"select(timeout=None)\n--\n\nThe keys and events of what is ready, without waiting.",
    ),
    class::method_alone(c"stop", stop, c"stop()\n--\n\nHave the run end after this turn."),
    class::method(
        c"set_paused",
        set_paused,
        c"set_paused(paused)\n--\n\nLeave the loop out of its context's turns; what was so before.",
    ),
    class::method(
        c"set_sorter",
        set_sorter,
        c"set_sorter(sorter)\n--\n\nWhat is called before ready handles are run, or None.",
    ),
    class::method(
        c"level",
        level,
        c"level(priority, ready, run)\n--\n\nA source of another priority beside this one.",
    ),
    class::method_alone(
        c"acquire",
        acquire,
        c"acquire()\n--\n\nBecome the context's owner; false if another thread is.",
    ),
    class::method_alone(c"release", release, c"release()\n--\n\nUndo one acquire()."),
    PyMethodDef::zeroed(),
]);

/// The value of `this`, which CPython calls a method of, and the token.
///
/// # Safety
///
/// CPython called a method of `this`, an object of the type, which stays alive during `'a`.
unsafe fn called<'a>(this: *mut PyObject) -> (Python<'a>, &'a LoopSource) {
    // SAFETY: CPython calls methods with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: by the caller's promise.
    (py, unsafe { class::value::<LoopSource>(this) })
}

fn none(py: Python<'_>, done: Result<(), Pending>) -> *mut PyObject {
    object::answer(done.map(|()| Object::none(py)))
}

unsafe extern "C" fn attach(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method.
    let (py, this) = unsafe { called(this) };
    // From now on the list of timers is known, and its length watched.
    this.turn.ask_for_timers(py);
    let source = lock(&this.source);
    if let Some(source) = source.as_ref().filter(|source| !source.is_destroyed()) {
        source.attach(Some(&this.turn.context));
    }
    drop(source);
    none(py, Ok(()))
}

unsafe extern "C" fn destroy(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method.
    let (py, this) = unsafe { called(this) };
    this.destroy();
    none(py, Ok(()))
}

unsafe extern "C" fn run(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method.
    let (py, this) = unsafe { called(this) };
    none(py, this.run(py))
}

unsafe extern "C" fn one_turn(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method.
    let (py, this) = unsafe { called(this) };
    none(py, this.turn.run(py))
}

unsafe extern "C" fn select(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: Py_ssize_t,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method.
    let (py, this) = unsafe { called(this) };
    object::answer(this.turn.take_events(py))
}

unsafe extern "C" fn stop(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method.
    let (py, this) = unsafe { called(this) };
    this.turn.set_stopping(true);
    // For a stop from another thread, or from a callback of somebody else's.
    this.turn.context.wakeup();
    none(py, Ok(()))
}

unsafe extern "C" fn set_paused(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method.
    let (py, this) = unsafe { called(this) };
    let names = [c"paused"];
    // SAFETY: what CPython called the method with.
    let bound = unsafe { bind(py, "set_paused", names, 1, arguments, count, keywords) };
    // SAFETY: alive, and Python is held.
    let Ok(paused) = bound.and_then(|[paused]| unsafe { truth(paused, true) }) else {
        return ptr::null_mut();
    };
    let before = this.turn.set_paused(paused);
    if let Some(source) = lock(&this.source).as_ref() {
        turn::watch(source, !paused);
    }
    // SAFETY: Python is held.
    unsafe { ffi::PyBool_FromLong(before.into()) }
}

unsafe extern "C" fn set_sorter(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method.
    let (py, this) = unsafe { called(this) };
    let names = [c"sorter"];
    // SAFETY: what CPython called the method with.
    let bound = unsafe { bind(py, "set_sorter", names, 1, arguments, count, keywords) };
    let Ok([sorter]) = bound else { return ptr::null_mut() };
    // SAFETY: Python's own None.
    let is_none = sorter == unsafe { ffi::Py_None() };
    let sorter = if is_none { ptr::null_mut() } else { sorter };
    // SAFETY: null or alive, lent for the call.
    unsafe { ffi::Py_XINCREF(sorter) };
    let former = mem::replace(&mut lock(&this.turn.objects).sort, sorter);
    // SAFETY: owned, or null.
    unsafe { ffi::Py_XDECREF(former) };
    none(py, Ok(()))
}

unsafe extern "C" fn level(
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method.
    let (py, this) = unsafe { called(this) };
    let names = [c"priority", c"ready", c"run"];
    // SAFETY: what CPython called the method with.
    let bound = unsafe { bind(py, "level", names, 3, arguments, count, keywords) };
    object::answer(bound.and_then(|[priority, ready, run]| {
        // SAFETY: an argument.
        let priority = unsafe { arguments::priority(py, priority) }?;
        let ready = own(ready)?;
        check_length(py, &ready)?;
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
        let parent = Some(Arc::clone(&this.turn));
        let turn = Turn::new(this.turn.context.clone(), -1, objects, parent);
        class::new(py, LoopSource::around(turn, priority))
    }))
}

unsafe extern "C" fn acquire(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method.
    let (_, this) = unsafe { called(this) };
    // SAFETY: a context that is alive.
    let acquired = unsafe { glib::ffi::g_main_context_acquire(this.turn.context.to_glib_none().0) };
    // SAFETY: Python is held.
    unsafe { ffi::PyBool_FromLong(acquired.into()) }
}

unsafe extern "C" fn release(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method.
    let (py, this) = unsafe { called(this) };
    if !this.turn.context.is_owner() {
        let line = "this thread does not own the loop's main context";
        return none(py, Err(Pending::new(py, Kind::Runtime, line)));
    }
    // SAFETY: a context that is alive, and that this thread owns.
    unsafe { glib::ffi::g_main_context_release(this.turn.context.to_glib_none().0) };
    none(py, Ok(()))
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
