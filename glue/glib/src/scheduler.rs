//! A GMainContext that runs a thread's tasklets: one source, which is ready while a tasklet can run.
//!
//! ```text
//!   prepare    a tasklet can run? one waits for a time?            read without Python
//!   poll       the descriptor of those that wait for one
//!   dispatch   tasklets run until nobody can, or the budget is spent; then one turn is sat out
//! ```
//!
//! While none can run, nothing happens: who makes one runnable, on whichever thread, wakes the context.

use core::ffi::{c_int, c_void};
use core::mem;
use std::sync::{Arc, Weak};
use std::time::Duration;

use glib::{MainContext, Priority, Source, ffi as glib_ffi, translate::*};
use pyo3::{Bound, PyAny, Python};
use raddle::object::Object;
use raddle::primitive::{AtomicBool, AtomicU64, Mutex, Ordering, lock};
use raddle::tasklet::drive::{Driven, Loop};
use raddle::{Error, Raised, Status, embed, gate};

use crate::callable::Visit;
use crate::gsource::{self, Funcs};
use crate::main_loop;

/// How a context runs tasklets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// For how long they may run while other sources wait.
    pub budget: Duration,
    /// The priority of the source.
    pub priority: Priority,
}

impl Default for Turns {
    /// Two milliseconds, at the default priority.
    fn default() -> Self {
        Self { budget: Duration::from_millis(2), priority: Priority::DEFAULT }
    }
}

type OnError = Arc<dyn Fn(Python<'_>, &Bound<'_, PyAny>) + Send + Sync>;

/// What the source of a context, and whoever asks about it, share.
struct Drive {
    context: MainContext,
    budget: AtomicU64,
    on_error: Mutex<Option<OnError>>,
    /// Whose tasklets these are: set once, before the source is attached.
    driven: Mutex<Option<Arc<Driven>>>,
    source: Mutex<Option<Source>>,
    /// Of which Python.
    generation: u64,
    tired: AtomicBool,
    sitting_out: AtomicBool,
}

/// The contexts that run tasklets.
static DRIVES: Mutex<Vec<Weak<Drive>>> = Mutex::new(Vec::new());

/// The way back from the tasklets to their context.
struct Back(Weak<Drive>);

impl Loop for Back {
    fn wake(&self) {
        if let Some(drive) = self.0.upgrade() {
            drive.context.wakeup();
        }
    }

    fn end(&self) {
        if let Some(drive) = self.0.upgrade() {
            drive.end();
        }
    }
}

/// Has `context` run the tasklets of the thread that calls, which is the one that iterates the context. Once
/// it does, this changes how.
///
/// What a tasklet does not catch goes to [`on_scheduler_error`], or to `sys.unraisablehook`; KeyboardInterrupt
/// and SystemExit end the innermost [`run`](crate::run) of the thread, if there is one. The others go on.
///
/// It ends by [`detach_scheduler`], with the thread, or with Python. Until then the context is kept alive.
///
/// # Errors
///
/// What [`raddle::enter`] says if the gate is closed; [`Status::WrongOrder`] if another thread's tasklets run on
/// this context, or those of this thread on another; [`Status::Python`] where there can be no tasklets.
pub fn attach_scheduler(context: &MainContext, turns: Turns) -> Result<(), Error> {
    let visit = Visit::begin()?;
    let py = visit.py();
    let budget = u64::try_from(turns.budget.as_nanos()).unwrap_or(u64::MAX);
    if let Some(drive) = find(context) {
        let driven = lock(&drive.driven).clone();
        if !driven.is_some_and(|driven| driven.is_here()) {
            return Err(Error::new(
                Status::WrongOrder,
                "another thread's tasklets run on this context: detach them there",
            ));
        }
        drive.budget.store(budget, Ordering::Relaxed);
        if let Some(source) = &*lock(&drive.source) {
            let source: *mut glib_ffi::GSource = source.to_glib_none().0;
            // SAFETY: a source that is alive.
            unsafe { glib_ffi::g_source_set_priority(source, turns.priority.into_glib()) };
        }
        return Ok(());
    }
    let drive = Arc::new(Drive {
        context: context.clone(),
        budget: AtomicU64::new(budget),
        on_error: Mutex::new(None),
        driven: Mutex::new(None),
        source: Mutex::new(None),
        generation: embed::generation(),
        tired: AtomicBool::new(false),
        sitting_out: AtomicBool::new(false),
    });
    let driven = Driven::begin(Back(Arc::downgrade(&drive))).map_err(|_set| refused(py))?;
    *lock(&drive.driven) = Some(Arc::clone(&driven));
    let source = source(&drive, driven, turns.priority);
    source.attach(Some(context));
    *lock(&drive.source) = Some(source);
    lock(&DRIVES).push(Arc::downgrade(&drive));
    Ok(())
}

fn refused(py: Python<'_>) -> Error {
    let line = Raised::take(py).map_or_else(String::new, |raised| raised.line().to_owned());
    let text = line.split_once(": ").map_or(line.as_str(), |(_, text)| text);
    let status = if text.contains("already") { Status::WrongOrder } else { Status::Python };
    Error::new(status, text.to_owned())
}

/// Has `context` run tasklets no longer. They stay where they are: run them, or attach them again.
///
/// # Errors
///
/// What [`raddle::enter`] says if the gate is closed; [`Status::WrongOrder`] if it does not run any.
pub fn detach_scheduler(context: &MainContext) -> Result<(), Error> {
    let _visit = Visit::begin()?;
    let Some(drive) = find(context) else { return Err(not_attached()) };
    let driven = lock(&drive.driven).clone();
    if let Some(driven) = driven {
        driven.detach();
    }
    drive.end();
    Ok(())
}

/// Has `on_error` called with each exception that a tasklet of the context does not catch, on the context's
/// thread with Python held; `None` for the usual: see [`attach_scheduler`].
///
/// # Errors
///
/// [`Status::WrongOrder`] if the context runs no tasklets.
pub fn on_scheduler_error(
    context: &MainContext,
    on_error: Option<impl Fn(Python<'_>, &Bound<'_, PyAny>) + Send + Sync + 'static>,
) -> Result<(), Error> {
    let Some(drive) = find(context) else { return Err(not_attached()) };
    let on_error = on_error.map(|on_error| Arc::new(on_error) as OnError);
    let former = mem::replace(&mut *lock(&drive.on_error), on_error);
    drop(former); // Not under the lock: it may be anything.
    Ok(())
}

fn not_attached() -> Error {
    Error::new(Status::WrongOrder, "this context runs no tasklets: attach a scheduler first")
}

fn find(context: &MainContext) -> Option<Arc<Drive>> {
    let mut drives = lock(&DRIVES);
    drives.retain(|drive| drive.strong_count() > 0);
    let alive = drives.iter().filter_map(Weak::upgrade);
    // Those that have ended are about to go.
    alive.into_iter().find(|drive| drive.context == *context && lock(&drive.source).is_some())
}

impl Drive {
    fn end(&self) {
        let source = lock(&self.source).take();
        if let Some(source) = source {
            source.destroy();
        }
        drop(lock(&self.on_error).take());
    }

    fn is_out(&self, driven: &Driven) -> bool {
        driven.is_over()
            || !driven.is_here()
            || gate::refusal().is_some()
            || embed::generation() != self.generation
    }

    /// One turn. Says whether there may be another.
    fn dispatch(&self, driven: &Driven) -> bool {
        let Ok(visit) = Visit::of_dispatch() else { return false };
        if embed::generation() != self.generation || driven.is_over() {
            return false;
        }
        let budget = Duration::from_nanos(self.budget.load(Ordering::Relaxed));
        if driven.turn(budget).is_err()
            && let Some(raised) = Raised::take(visit.py())
        {
            self.raise(visit.py(), raised);
        }
        // Whoever has something left after its budget lets others be first.
        self.tired.store(driven.is_ready(), Ordering::Relaxed);
        true
    }

    fn raise(&self, py: Python<'_>, raised: Raised) {
        let on_error = lock(&self.on_error).clone();
        match (on_error, raised.exception(py)) {
            (Some(on_error), Some(exception)) if !raised.asks_for_end() => {
                on_error(py, &exception);
            }
            _ => {
                let about = Object::import(py, c"raddle.stackless");
                let about = about.unwrap_or_else(|_| Object::none(py));
                // SAFETY: a reference of its own.
                let about = unsafe { Bound::from_owned_ptr(py, about.into_ptr()) };
                main_loop::raise(raised, &about);
            }
        }
    }
}

/// A source of our own kind: GLib's part first.
#[repr(C)]
struct DriveSource {
    base: glib_ffi::GSource,
    /// From `Box::into_raw`, given back in `finalize`.
    shared: *const (Arc<Drive>, Arc<Driven>),
    /// Names the descriptor to GLib.
    tag: *mut c_void,
}

const _: () = assert!(mem::offset_of!(DriveSource, base) == 0);

/// A source for `drive`, not attached yet.
fn source(drive: &Arc<Drive>, driven: Arc<Driven>, priority: Priority) -> Source {
    static FUNCS: Funcs = Funcs::new(prepare, check, dispatch, Some(finalize));
    let descriptor = driven.descriptor();
    // SAFETY: a structure that begins with GLib's part, and its functions.
    let source = unsafe { gsource::make::<DriveSource>(&FUNCS) };
    let ours = source.cast::<DriveSource>();
    let shared = Box::into_raw(Box::new((Arc::clone(drive), driven)));
    // SAFETY: a source of this kind that was just made, and that nobody else knows of yet.
    unsafe { (*ours).shared = shared };
    // SAFETY: as above.
    let tag = unsafe { glib_ffi::g_source_add_unix_fd(source, descriptor, glib_ffi::G_IO_IN) };
    // SAFETY: as above.
    unsafe { (*ours).tag = tag };
    // A tasklet may run a loop of its own, in which the others go on.
    // SAFETY: made above.
    unsafe { gsource::finish(source, c"raddle-tasklets", true, priority) }
}

/// What a source of this kind shares.
///
/// # Safety
///
/// Such a source, alive during `'a`.
unsafe fn shared<'a>(source: *mut glib_ffi::GSource) -> &'a (Arc<Drive>, Arc<Driven>) {
    // SAFETY: by the caller's promise.
    let shared = unsafe { (*source.cast::<DriveSource>()).shared };
    // SAFETY: from a box that the source gives back at its end.
    unsafe { &*shared }
}

unsafe extern "C" fn prepare(
    source: *mut glib_ffi::GSource,
    timeout: *mut c_int,
) -> glib_ffi::gboolean {
    // SAFETY: GLib calls this for a source of this kind.
    let (drive, driven) = unsafe { shared(source) };
    let tired = drive.tired.swap(false, Ordering::Relaxed);
    drive.sitting_out.store(tired, Ordering::Relaxed);
    let (ready, longest) = if drive.is_out(driven) {
        (false, -1)
    } else if tired {
        (false, 0)
    } else {
        let due = driven.next_due();
        let milliseconds = due.map_or(-1, |due| {
            c_int::try_from(due.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
        });
        (driven.is_ready() || milliseconds == 0, milliseconds)
    };
    if !timeout.is_null() {
        // SAFETY: GLib's place for how long we let it sleep.
        unsafe { timeout.write(longest) };
    }
    ready.into_glib()
}

unsafe extern "C" fn check(source: *mut glib_ffi::GSource) -> glib_ffi::gboolean {
    // SAFETY: GLib calls this for a source of this kind.
    let (drive, driven) = unsafe { shared(source) };
    if drive.sitting_out.load(Ordering::Relaxed) || drive.is_out(driven) {
        return glib_ffi::GFALSE;
    }
    // SAFETY: as above.
    let tag = unsafe { (*source.cast::<DriveSource>()).tag };
    // SAFETY: the tag that this source was given for its descriptor.
    let is_readable = unsafe { glib_ffi::g_source_query_unix_fd(source, tag) } != 0;
    let is_due = || driven.next_due().is_some_and(|due| due.is_zero());
    (is_readable || driven.is_ready() || is_due()).into_glib()
}

unsafe extern "C" fn dispatch(
    source: *mut glib_ffi::GSource,
    _: glib_ffi::GSourceFunc,
    _: glib_ffi::gpointer,
) -> glib_ffi::gboolean {
    // Detaching inside ends the source; GLib keeps it during the dispatch.
    // SAFETY: GLib calls this for a source of this kind.
    let (drive, driven) = unsafe { shared(source) };
    drive.dispatch(driven).into_glib()
}

unsafe extern "C" fn finalize(source: *mut glib_ffi::GSource) {
    // SAFETY: GLib calls this once, for a source of this kind.
    let shared = unsafe { (*source.cast::<DriveSource>()).shared };
    // SAFETY: from `Box::into_raw`, in `source`.
    drop(unsafe { Box::from_raw(shared.cast_mut()) });
}
