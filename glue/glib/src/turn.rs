//! The one source through which an asyncio loop lives on a main context.
//!
//! ```text
//!   prepare    handles ready? a stop asked for? a timer due?       read without Python
//!   poll       asyncio's epoll descriptor, and nothing else
//!   dispatch   _run_once; again while there is work, for BUDGET;   then one turn is sat out
//! ```
//!
//! A loop whose tasks never sleep is always ready, and GLib never comes to sources of a lower
//! priority. So what has used its budget up is tired: in the next turn it is not ready, whatever it
//! has, and whoever redraws a window has that turn.
//!
//! What `prepare` looks at changes on this thread only (asyncio's own rule; who calls from another
//! thread writes to a socket that epoll watches), so the lengths of two containers tell whether the
//! time of the next timer has to be asked for again.

use core::ffi::{c_int, c_void};
use core::{mem, ptr};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glib::{MainContext, MainLoop, Priority, Source, ffi as glib_ffi, translate::*};
use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::{self as ffi, PyObject};
use raddle::object::{self, Object, Pending};
use raddle::primitive::{AtomicBool, AtomicU64, Mutex, Ordering, lock};
use raddle::{Raised, embed, gate, length_unheld};

use crate::callable::Visit;
use crate::gsource::{self, Funcs};
use crate::main_loop;

/// For how long a loop may go on while others of its context wait.
const BUDGET: Duration = Duration::from_millis(1);

/// How many events are asked for at once.
const EVENTS: usize = 512;

/// How many looks for events are left out at most, where looks have found none.
const MOST_LEFT_OUT: u64 = 8;

/// No timer.
const NEVER: u64 = u64::MAX;

/// How many objects there are.
pub(crate) const OBJECTS: usize = 9;

/// What a loop has given us: owned references, null once it was taken apart.
#[derive(Debug)]
pub(crate) struct Objects {
    /// The deque of handles that are ready.
    pub(crate) ready: *mut PyObject,
    /// The function that runs them once.
    pub(crate) run: *mut PyObject,
    /// The function that makes a turn inside a loop that somebody else runs.
    pub(crate) hosted: *mut PyObject,
    /// The event loop.
    pub(crate) event_loop: *mut PyObject,
    /// The list of timers, which the loop replaces now and then.
    pub(crate) timers: *mut PyObject,
    /// The selector's dict of keys by file descriptor.
    pub(crate) keys: *mut PyObject,
    /// What is called before each run; null while no task has a priority of its own.
    pub(crate) sort: *mut PyObject,
    /// "_scheduled" and "_when".
    pub(crate) names: [*mut PyObject; 2],
}

// SAFETY: pointers to objects, which are used with Python held; what is read without is a length, under
// the lock under which the pointer would be taken away.
unsafe impl Send for Objects {}

impl Objects {
    /// Each of them, to be visited or dropped.
    pub(crate) fn all(&mut self) -> [&mut *mut PyObject; OBJECTS] {
        let [scheduled, when] = &mut self.names;
        [
            &mut self.ready,
            &mut self.run,
            &mut self.hosted,
            &mut self.event_loop,
            &mut self.timers,
            &mut self.keys,
            &mut self.sort,
            scheduled,
            when,
        ]
    }
}

type OnError = Arc<dyn Fn(Python<'_>, &Bound<'_, PyAny>) + Send + Sync>;
type OnQuit = Arc<dyn Fn(Python<'_>, Option<&Bound<'_, PyAny>>) + Send + Sync>;

/// What the host of a loop wants to be told.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) on_error: Option<OnError>,
    pub(crate) on_quit: Option<OnQuit>,
}

/// What a loop's source and its Python object share.
pub(crate) struct Turn {
    pub(crate) objects: Mutex<Objects>,
    pub(crate) context: MainContext,
    pub(crate) host: Mutex<Host>,
    /// The loop's own run, if it is run rather than hosted.
    pub(crate) own_run: Mutex<Option<MainLoop>>,
    /// Whose source this one belongs to, if it is only a level of it.
    pub(crate) parent: Option<Arc<Self>>,
    epoll: RawFd,
    events: Mutex<Vec<libc::epoll_event>>,
    stopping: AtomicBool,
    paused: AtomicBool,
    /// A turn of this loop is being made, at whatever level.
    busy: AtomicBool,
    tired: AtomicBool,
    sitting_out: AtomicBool,
    /// How many looks for more events are left out from now on, and how many the next one for nothing adds.
    leave_out: AtomicU64,
    leave_out_next: AtomicU64,
    /// Whose objects these are: after the end of that Python they must not be touched.
    generation: u64,
    /// How many timers there were when the next one's time was asked for.
    timers_seen: AtomicU64,
    /// When the next timer is due, on GLib's monotonic clock, in microseconds.
    due: AtomicU64,
}

impl core::fmt::Debug for Turn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Turn").field("context", &self.context).field("epoll", &self.epoll).finish()
    }
}

/// Whether, and when, there is something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Now,
    /// After so many milliseconds.
    Later(c_int),
    /// When a descriptor is ready.
    Unknown,
}

// All of a turn's own words change on the thread that runs its context, or with Python held on
// another that then wakes the context up: Relaxed is enough for each of them.
impl Turn {
    pub(crate) fn new(
        context: MainContext,
        epoll: RawFd,
        objects: Objects,
        parent: Option<Arc<Self>>,
    ) -> Self {
        Self {
            objects: Mutex::new(objects),
            context,
            host: Mutex::default(),
            own_run: Mutex::new(None),
            parent,
            epoll,
            events: Mutex::new(Vec::new()),
            stopping: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            tired: AtomicBool::new(false),
            sitting_out: AtomicBool::new(false),
            leave_out: AtomicU64::new(0),
            leave_out_next: AtomicU64::new(1),
            generation: embed::generation(),
            timers_seen: AtomicU64::new(0),
            due: AtomicU64::new(NEVER),
        }
    }

    pub(crate) fn set_stopping(&self, stopping: bool) {
        self.stopping.store(stopping, Ordering::Relaxed);
    }

    pub(crate) fn set_paused(&self, paused: bool) -> bool {
        self.paused.swap(paused, Ordering::Relaxed)
    }

    /// Whether the loop is to be left out: by request, or since one of its callbacks runs a loop.
    fn is_out(&self) -> bool {
        let top = self.top();
        top.paused.load(Ordering::Relaxed) || top.busy.load(Ordering::Relaxed)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// How many handles are ready, and how many timers there are.
    fn lengths(&self) -> (usize, usize) {
        let objects = lock(&self.objects);
        let length = |object: *mut PyObject| {
            if object.is_null() {
                return 0;
            }
            // SAFETY: a deque or a list, kept alive by the reference that only the lock's holder
            // takes away.
            unsafe { length_unheld(object) }
        };
        (length(objects.ready), length(objects.timers))
    }

    fn next(&self) -> Next {
        if gate::refusal().is_some() || embed::generation() != self.generation {
            return Next::Unknown;
        }
        let (ready, timers) = self.lengths();
        if ready > 0 || self.is_stopping() {
            return Next::Now;
        }
        if self.timers_seen.load(Ordering::Relaxed) != timers as u64 {
            // Somebody has added one outside of a turn. A closed gate runs none of them.
            let Ok(visit) = Visit::begin() else { return Next::Unknown };
            self.ask_for_timers(visit.py());
        }
        let due = self.due.load(Ordering::Relaxed);
        if due == NEVER {
            return Next::Unknown;
        }
        // SAFETY: a clock.
        let now = unsafe { glib_ffi::g_get_monotonic_time() }.unsigned_abs();
        match due.saturating_sub(now) {
            0 => Next::Now,
            // To the next millisecond, as asyncio itself waits.
            rest => Next::Later(c_int::try_from(rest.div_ceil(1000)).unwrap_or(c_int::MAX)),
        }
    }

    /// Asks when the next timer is due. Python is held, and no exception set.
    pub(crate) fn ask_for_timers(&self, py: Python<'_>) {
        if self.parent.is_some() {
            return;
        }
        if let Ok((count, due)) = self.next_timer(py) {
            self.timers_seen.store(count, Ordering::Relaxed);
            self.due.store(due, Ordering::Relaxed);
        } else {
            // A subclass that keeps its timers elsewhere looks after them itself.
            drop(Raised::take(py));
        }
    }

    fn next_timer(&self, py: Python<'_>) -> Result<(u64, u64), Pending> {
        let (event_loop, [scheduled, when]) = {
            let objects = lock(&self.objects);
            (objects.event_loop, objects.names)
        };
        let event_loop = borrow(py, event_loop)?;
        // SAFETY: alive; an interned name, which lives as long as the turn's objects.
        let timers = unsafe { ffi::PyObject_GetAttr(event_loop.as_ptr(), scheduled) };
        // SAFETY: as that function returns.
        let timers = unsafe { Object::answered(py, timers) }?;
        let replaced = {
            let mut objects = lock(&self.objects);
            if objects.timers == timers.as_ptr() || objects.event_loop.is_null() {
                None
            } else {
                // SAFETY: alive.
                unsafe { ffi::Py_INCREF(timers.as_ptr()) };
                Some(mem::replace(&mut objects.timers, timers.as_ptr()))
            }
        };
        // SAFETY: null, or a reference that was ours; dropped after the lock.
        unsafe { ffi::Py_XDECREF(replaced.unwrap_or(ptr::null_mut())) };
        // SAFETY: alive; anything but a list is refused.
        let count = unsafe { ffi::PyList_Size(timers.as_ptr()) };
        if count <= 0 {
            return if count == 0 { Ok((0, NEVER)) } else { Err(Pending::is_set()) };
        }
        // SAFETY: a list that is not empty; lends.
        let first = unsafe { ffi::PyList_GetItem(timers.as_ptr(), 0) };
        let first = borrow(py, first)?;
        // SAFETY: alive, and an interned name.
        let seconds = unsafe { ffi::PyObject_GetAttr(first.as_ptr(), when) };
        // SAFETY: as that function returns.
        let seconds = unsafe { Object::answered(py, seconds) }?;
        // SAFETY: alive.
        let seconds = unsafe { ffi::PyFloat_AsDouble(seconds.as_ptr()) };
        // SAFETY: Python is held.
        if seconds == -1.0 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
            return Err(Pending::is_set());
        }
        let due = Duration::try_from_secs_f64(seconds.max(0.0));
        // Upwards, so that asyncio finds it due.
        let due = due.map(|due| due.as_nanos().div_ceil(1000));
        Ok((count.unsigned_abs() as u64, due.map_or(NEVER, |due| due.try_into().unwrap_or(NEVER))))
    }

    /// Runs what is ready, and what becomes ready meanwhile, for as long as the budget lasts. Python
    /// is held; `Err` with an exception set.
    pub(crate) fn run(&self, py: Python<'_>) -> Result<(), Pending> {
        let run = lock(&self.objects).run;
        let run = borrow(py, run)?;
        let start = Instant::now();
        loop {
            // A task may have been given a priority just now.
            let sort = lock(&self.objects).sort;
            // SAFETY: null, or alive: with Python held nobody takes the turn's objects away.
            if let Some(sort) = unsafe { Object::borrowed(py, sort) } {
                call(py, &sort)?;
            }
            call(py, &run)?;
            if self.parent.is_some()
                || self.is_stopping()
                || self.lengths().0 == 0 && !self.has_more_events()
            {
                return Ok(());
            }
            if start.elapsed() >= BUDGET {
                // Events that were seen are told again: others may close their descriptors now.
                lock(&self.events).clear();
                self.tired.store(true, Ordering::Relaxed);
                return Ok(());
            }
        }
    }

    /// Whether a descriptor has become ready during this turn. Under a stream of requests it has, and one
    /// turn of the context serves many; where each answer is waited for, it never has, and the look is a
    /// system call for nothing. So looks that find nothing are left out more and more, up to a limit.
    fn has_more_events(&self) -> bool {
        let left = self.leave_out.load(Ordering::Relaxed);
        if left > 0 {
            self.leave_out.store(left - 1, Ordering::Relaxed);
            return false;
        }
        let found = self.has_events();
        let next = if found { 0 } else { self.leave_out_next.load(Ordering::Relaxed) };
        self.leave_out.store(next, Ordering::Relaxed);
        self.leave_out_next.store((next * 2).clamp(1, MOST_LEFT_OUT), Ordering::Relaxed);
        found
    }

    /// Whether a descriptor is ready; which ones is kept for [`take_events`](Self::take_events).
    fn has_events(&self) -> bool {
        let mut events = lock(&self.events);
        if events.is_empty() {
            events.reserve(EVENTS);
            let most = c_int::try_from(events.capacity()).unwrap_or(c_int::MAX);
            // SAFETY: a descriptor of epoll's, or one that it refuses, and room for so many events.
            let count = unsafe { libc::epoll_wait(self.epoll, events.as_mut_ptr(), most, 0) };
            // SAFETY: filled in by the call.
            unsafe { events.set_len(usize::try_from(count).unwrap_or(0)) };
        }
        !events.is_empty()
    }

    /// What the selector answers `_run_once`, which never waits here: a list of `(key, events)`.
    pub(crate) fn take_events<'py>(&self, py: Python<'py>) -> Result<Object<'py>, Pending> {
        // SAFETY: Python is held.
        let list = unsafe { ffi::PyList_New(0) };
        // SAFETY: as that function returns.
        let list = unsafe { Object::answered(py, list) }?;
        if !self.has_events() {
            return Ok(list);
        }
        let keys = lock(&self.objects).keys;
        let keys = borrow(py, keys)?;
        let mut events = mem::take(&mut *lock(&self.events));
        for event in &events {
            tell(py, &list, &keys, *event)?;
        }
        events.clear();
        *lock(&self.events) = events;
        Ok(list)
    }

    /// One turn. Says whether there may be another.
    fn dispatch(&self) -> bool {
        let Ok(visit) = Visit::of_dispatch() else { return false };
        if embed::generation() != self.generation {
            return false;
        }
        let py = visit.py();
        let is_hosted = self.top().is_hosted();
        self.top().busy.store(true, Ordering::Relaxed);
        let done =
            if is_hosted && self.parent.is_none() { self.run_hosted(py) } else { self.run(py) };
        self.top().busy.store(false, Ordering::Relaxed);
        if done.is_err()
            && let Some(raised) = Raised::take(py)
        {
            self.top().raise(py, raised);
        }
        self.ask_for_timers(py);
        if self.is_stopping() {
            self.quit(py, is_hosted);
        }
        true
    }

    fn top(&self) -> &Self {
        self.parent.as_deref().unwrap_or(self)
    }

    fn is_hosted(&self) -> bool {
        lock(&self.own_run).is_none()
    }

    fn run_hosted(&self, py: Python<'_>) -> Result<(), Pending> {
        // The guard must not live during the call.
        let hosted = lock(&self.objects).hosted;
        call(py, &borrow(py, hosted)?)
    }

    /// The loop was told to stop: its own run ends, or its host hears of it.
    fn quit(&self, py: Python<'_>, is_hosted: bool) {
        if let Some(own_run) = &*lock(&self.own_run) {
            own_run.quit();
        } else if is_hosted {
            self.set_stopping(false);
            let on_quit = lock(&self.host).on_quit.clone();
            if let Some(on_quit) = on_quit {
                on_quit(py, None);
            }
        }
    }

    /// An exception has left a turn.
    fn raise(&self, py: Python<'_>, raised: Raised) {
        let Some(about) = self.about(py) else { return };
        if !self.is_hosted() {
            if let Some(left) = main_loop::end(raised) {
                left.report(&about);
            }
            return;
        }
        let (on_error, on_quit) = {
            let host = lock(&self.host);
            (host.on_error.clone(), host.on_quit.clone())
        };
        let Some(exception) = raised.try_bind(py) else { return };
        // SAFETY: Python's own type, written before anybody holds it.
        let exit = unsafe { ffi::PyExc_SystemExit };
        // SAFETY: an exception and a type, both alive.
        let asks_to_quit =
            unsafe { ffi::PyErr_GivenExceptionMatches(exception.as_ptr(), exit) } != 0;
        match (on_error, on_quit) {
            (_, Some(on_quit)) if asks_to_quit => on_quit(py, Some(&exception)),
            (Some(on_error), _) => on_error(py, &exception),
            _ => main_loop::raise(raised, &about),
        }
    }

    /// The event loop, which an exception is about.
    fn about<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let event_loop = lock(&self.objects).event_loop;
        if event_loop.is_null() {
            return None;
        }
        // SAFETY: alive, since the turn has a reference, which nobody takes away while Python is held.
        Some(unsafe { Bound::from_borrowed_ptr(py, event_loop) })
    }
}

/// `function()`. No exception is set.
fn call(py: Python<'_>, function: &Object<'_>) -> Result<(), Pending> {
    // SAFETY: alive, and no exception is set.
    let result = unsafe { ffi::PyObject_CallNoArgs(function.as_ptr()) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, result) }.map(drop)
}

/// A reference of our own; an error if the loop was taken apart. Python is held.
fn borrow(py: Python<'_>, object: *mut PyObject) -> Result<Object<'_>, Pending> {
    // SAFETY: null or alive, as the turn's objects are.
    unsafe { Object::borrowed(py, object) }.ok_or_else(|| {
        Pending::new(py, object::Kind::Runtime, "this event loop is closed, or was collected")
    })
}

/// Adds `(key, events)` to the list, if the descriptor has a key.
fn tell(
    py: Python<'_>,
    list: &Object<'_>,
    keys: &Object<'_>,
    event: libc::epoll_event,
) -> Result<(), Pending> {
    const READ: i64 = 1;
    const WRITE: i64 = 2;
    let (bits, data) = (event.events, event.u64.to_ne_bytes());
    // Python keeps the descriptor in the first half of the event's data.
    let descriptor = c_int::from_ne_bytes([data[0], data[1], data[2], data[3]]);
    let mut mask = 0;
    if bits & !libc::EPOLLIN.cast_unsigned() != 0 {
        mask |= WRITE;
    }
    if bits & !libc::EPOLLOUT.cast_unsigned() != 0 {
        mask |= READ;
    }
    // SAFETY: Python is held.
    let number = unsafe { ffi::PyLong_FromLong(descriptor.into()) };
    // SAFETY: as that function returns.
    let number = unsafe { Object::answered(py, number) }?;
    // SAFETY: a dict and an int; lends, or gives null.
    let key = unsafe { ffi::PyDict_GetItemWithError(keys.as_ptr(), number.as_ptr()) };
    // SAFETY: as that function lends.
    let Some(key) = (unsafe { Object::borrowed(py, key) }) else {
        // SAFETY: Python is held.
        return if unsafe { ffi::PyErr_Occurred() }.is_null() {
            Ok(())
        } else {
            Err(Pending::is_set())
        };
    };
    // SAFETY: a SelectorKey, which is a tuple of four; anything else is refused. Lends.
    let wanted = unsafe { ffi::PyTuple_GetItem(key.as_ptr(), 2) };
    if wanted.is_null() {
        return Err(Pending::is_set());
    }
    // SAFETY: an int; anything else is refused.
    let wanted = unsafe { ffi::PyLong_AsLongLong(wanted) };
    // SAFETY: Python is held.
    let mask = unsafe { ffi::PyLong_FromLongLong(mask & wanted) };
    // SAFETY: as that function returns.
    let mask = unsafe { Object::answered(py, mask) }?;
    // SAFETY: two objects that are alive.
    let pair = unsafe { ffi::PyTuple_Pack(2, key.as_ptr(), mask.as_ptr()) };
    // SAFETY: as that function returns.
    let pair = unsafe { Object::answered(py, pair) }?;
    // SAFETY: a list and an object.
    if unsafe { ffi::PyList_Append(list.as_ptr(), pair.as_ptr()) } != 0 {
        return Err(Pending::is_set());
    }
    Ok(())
}

/// A source of our own kind: GLib's part first.
#[repr(C)]
struct TurnSource {
    base: glib_ffi::GSource,
    /// From `Arc::into_raw`, given back in `finalize`.
    turn: *const Turn,
    /// Names the descriptor to GLib; null if there is none.
    tag: *mut c_void,
}

const _: () = assert!(mem::offset_of!(TurnSource, base) == 0);

/// A source for `turn`, not attached yet.
pub(crate) fn source(turn: Arc<Turn>, priority: Priority) -> Source {
    static FUNCS: Funcs = Funcs::new(prepare, check, dispatch, Some(finalize));
    let epoll = turn.epoll;
    // SAFETY: a structure that begins with GLib's part, and its functions.
    let source = unsafe { gsource::make::<TurnSource>(&FUNCS) };
    let ours = source.cast::<TurnSource>();
    // SAFETY: a source of this kind that was just made, and that nobody else knows of yet.
    unsafe { (*ours).turn = Arc::into_raw(turn) };
    if epoll >= 0 {
        // SAFETY: as above.
        let tag = unsafe { glib_ffi::g_source_add_unix_fd(source, epoll, glib_ffi::G_IO_IN) };
        // SAFETY: as above.
        unsafe { (*ours).tag = tag };
    }
    // asyncio cannot be entered from inside one of its callbacks: a loop that is run there leaves it out.
    // SAFETY: made above.
    unsafe { gsource::finish(source, c"raddle-asyncio", false, priority) }
}

/// Has the source of a paused loop watch nothing, so that no poll comes back for it.
pub(crate) fn watch(source: &Source, watch: bool) {
    let raw: *mut glib_ffi::GSource = source.to_glib_none().0;
    // SAFETY: a source that `source` made.
    let tag = unsafe { (*raw.cast::<TurnSource>()).tag };
    let events = if watch { glib_ffi::G_IO_IN } else { 0 };
    if !tag.is_null() && !source.is_destroyed() {
        // SAFETY: the tag that this source was given for its descriptor.
        unsafe { glib_ffi::g_source_modify_unix_fd(raw, tag, events) };
    }
}

/// The turn of a source of this kind.
///
/// # Safety
///
/// Such a source, alive during `'a`.
unsafe fn turn_of<'a>(source: *mut glib_ffi::GSource) -> &'a Turn {
    // SAFETY: by the caller's promise.
    let turn = unsafe { (*source.cast::<TurnSource>()).turn };
    // SAFETY: from an `Arc` that the source gives back at its end.
    unsafe { &*turn }
}

unsafe extern "C" fn prepare(
    source: *mut glib_ffi::GSource,
    timeout: *mut c_int,
) -> glib_ffi::gboolean {
    // SAFETY: GLib calls this for a source of this kind.
    let turn = unsafe { turn_of(source) };
    let tired = turn.tired.swap(false, Ordering::Relaxed);
    turn.sitting_out.store(tired, Ordering::Relaxed);
    let (ready, longest) = match turn.next() {
        _ if turn.is_out() => (false, -1),
        _ if tired => (false, 0),
        Next::Now => (true, 0),
        Next::Later(milliseconds) => (false, milliseconds),
        Next::Unknown => (false, -1),
    };
    if !timeout.is_null() {
        // SAFETY: GLib's place for how long we let it sleep.
        unsafe { timeout.write(longest) };
    }
    ready.into_glib()
}

unsafe extern "C" fn check(source: *mut glib_ffi::GSource) -> glib_ffi::gboolean {
    // SAFETY: GLib calls this for a source of this kind.
    let turn = unsafe { turn_of(source) };
    if turn.sitting_out.load(Ordering::Relaxed) || turn.is_out() {
        return glib_ffi::GFALSE;
    }
    // SAFETY: as above.
    let tag = unsafe { (*source.cast::<TurnSource>()).tag };
    // SAFETY: the tag that this source was given for its descriptor.
    let is_readable =
        !tag.is_null() && unsafe { glib_ffi::g_source_query_unix_fd(source, tag) } != 0;
    (is_readable || turn.next() == Next::Now).into_glib()
}

unsafe extern "C" fn dispatch(
    source: *mut glib_ffi::GSource,
    _: glib_ffi::GSourceFunc,
    _: glib_ffi::gpointer,
) -> glib_ffi::gboolean {
    // The loop may be closed inside, which ends its source; GLib keeps that during the dispatch.
    // SAFETY: GLib calls this for a source of this kind.
    unsafe { turn_of(source) }.dispatch().into_glib()
}

unsafe extern "C" fn finalize(source: *mut glib_ffi::GSource) {
    let ours = source.cast::<TurnSource>();
    // SAFETY: GLib calls this once, for a source of this kind.
    let turn = unsafe { (*ours).turn };
    // SAFETY: from `Arc::into_raw`, in `source`.
    drop(unsafe { Arc::from_raw(turn) });
}
