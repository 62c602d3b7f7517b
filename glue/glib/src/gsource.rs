//! Sources that the glib crate does not make: of kinds of our own, one for a file descriptor, and
//! the one that lets Python's signal handlers run while the loop sleeps.
//!
//! The last carries no data: what it serves is its *thread's* wake-up descriptor, asked of a
//! thread-local. So it does nothing when another thread happens to iterate its context.

use core::ffi::{CStr, c_int};
use core::mem;
use std::os::fd::RawFd;

use glib::{ControlFlow, IOCondition, Priority, Source, ffi, translate::*};

use crate::wakeup;

unsafe extern "C" {
    // glib-unix.h, which glib-sys leaves out.
    fn g_unix_fd_source_new(fd: c_int, condition: ffi::GIOCondition) -> *mut ffi::GSource;
}

/// The functions of a kind of source. GLib takes a pointer that it may change through, and never does.
pub(crate) struct Funcs(ffi::GSourceFuncs);

// SAFETY: functions, which are never written.
unsafe impl Sync for Funcs {}

type Prepare = unsafe extern "C" fn(*mut ffi::GSource, *mut c_int) -> ffi::gboolean;
type Check = unsafe extern "C" fn(*mut ffi::GSource) -> ffi::gboolean;
type Dispatch =
    unsafe extern "C" fn(*mut ffi::GSource, ffi::GSourceFunc, ffi::gpointer) -> ffi::gboolean;
type Finalize = unsafe extern "C" fn(*mut ffi::GSource);

impl Funcs {
    pub(crate) const fn new(
        prepare: Prepare,
        check: Check,
        dispatch: Dispatch,
        finalize: Option<Finalize>,
    ) -> Self {
        Self(ffi::GSourceFuncs {
            prepare: Some(prepare),
            check: Some(check),
            dispatch: Some(dispatch),
            finalize,
            closure_callback: None,
            closure_marshal: None,
        })
    }
}

/// A source of a kind of our own, all zeros behind GLib's part: nobody else knows of it yet.
///
/// # Safety
///
/// A `T` begins with GLib's part, and `funcs` are for such sources.
pub(crate) unsafe fn make<T>(funcs: &'static Funcs) -> *mut ffi::GSource {
    let size = u32::try_from(mem::size_of::<T>()).unwrap_or(u32::MAX);
    // SAFETY: the functions live for ever, and the structure begins as GLib asks.
    unsafe { ffi::g_source_new((&raw const funcs.0).cast_mut(), size) }
}

/// Finishes a source, and takes its reference over. One that `recurses` is dispatched by a loop that
/// is run inside its own dispatch, too.
///
/// # Safety
///
/// It was just made, and the one reference is the caller's.
pub(crate) unsafe fn finish(
    source: *mut ffi::GSource,
    name: &CStr,
    recurses: bool,
    priority: Priority,
) -> Source {
    // SAFETY: a source, and a name that GLib copies.
    unsafe { ffi::g_source_set_name(source, name.as_ptr()) };
    // SAFETY: a source.
    unsafe { ffi::g_source_set_can_recurse(source, recurses.into_glib()) };
    // SAFETY: as above.
    unsafe { ffi::g_source_set_priority(source, priority.into_glib()) };
    // SAFETY: as above; its one reference becomes the value's.
    unsafe { from_glib_full(source) }
}

/// What a source for a file descriptor calls, with what that is ready for.
pub(crate) type Ready = Box<dyn Fn(RawFd, IOCondition) -> ControlFlow + Send>;

/// A source that calls `ready` with `fd` and what it is ready for.
pub(crate) fn fd_source(
    fd: RawFd,
    condition: IOCondition,
    priority: Priority,
    name: &CStr,
    ready: Ready,
) -> Source {
    // SAFETY: a file descriptor and a condition.
    let source = unsafe { g_unix_fd_source_new(fd, condition.into_glib()) };
    let data = Box::into_raw(Box::new(ready));
    // SAFETY: GLib's own way of declaring callbacks of other types than GSourceFunc.
    let call =
        unsafe { mem::transmute::<FdCall, unsafe extern "C" fn(ffi::gpointer) -> c_int>(call_fd) };
    // SAFETY: a source that was just made; it owns the box from here on, and drops it exactly once.
    unsafe { ffi::g_source_set_callback(source, Some(call), data.cast(), Some(drop_ready)) };
    // SAFETY: made above.
    unsafe { finish(source, name, false, priority) }
}

type FdCall = unsafe extern "C" fn(c_int, ffi::GIOCondition, ffi::gpointer) -> ffi::gboolean;

unsafe extern "C" fn call_fd(
    fd: c_int,
    ready: ffi::GIOCondition,
    data: ffi::gpointer,
) -> ffi::gboolean {
    // SAFETY: the box of `fd_source`, which GLib keeps during the call.
    let call = unsafe { &*data.cast::<Ready>() };
    // SAFETY: a condition of GLib's.
    let ready = unsafe { from_glib(ready) };
    let again = call(fd, ready);
    (again == ControlFlow::Continue).into_glib()
}

unsafe extern "C" fn drop_ready(data: ffi::gpointer) {
    // SAFETY: the box of `fd_source`, which GLib gives back once.
    drop(unsafe { Box::from_raw(data.cast::<Ready>()) });
}

/// A source of our own kind: GLib's part first.
#[repr(C)]
struct SignalSource {
    base: ffi::GSource,
    /// Names the file descriptor to GLib.
    tag: ffi::gpointer,
}

/// A source that serves the signals of the thread that runs its context; `fd` is the reading end
/// of the wake-up descriptor.
pub(crate) fn signal_source(fd: RawFd) -> Source {
    static FUNCS: Funcs = Funcs::new(prepare, check, dispatch, None);
    // SAFETY: a structure that begins with GLib's part, and its functions.
    let source = unsafe { make::<SignalSource>(&FUNCS) };
    // SAFETY: a source that was just made, of this kind.
    let tag = unsafe { ffi::g_source_add_unix_fd(source, fd, ffi::G_IO_IN) };
    // SAFETY: as above; nobody else knows of it yet.
    unsafe { (*source.cast::<SignalSource>()).tag = tag };
    // A handler may run a loop of its own, in which signals are served too.
    // SAFETY: made above.
    unsafe { finish(source, c"raddle-signals", true, Priority::HIGH) }
}

unsafe extern "C" fn prepare(_: *mut ffi::GSource, timeout: *mut c_int) -> ffi::gboolean {
    let longest = wakeup::before_wait();
    if !timeout.is_null() {
        // SAFETY: GLib's place for how long we let it sleep.
        unsafe { timeout.write(longest) };
    }
    ffi::GFALSE
}

unsafe extern "C" fn check(source: *mut ffi::GSource) -> ffi::gboolean {
    // SAFETY: a source of this kind.
    let tag = unsafe { (*source.cast::<SignalSource>()).tag };
    // SAFETY: the tag that this source was given for its file descriptor.
    let ready = unsafe { ffi::g_source_query_unix_fd(source, tag) };
    ffi::gboolean::from(ready & ffi::G_IO_IN != 0)
}

unsafe extern "C" fn dispatch(
    _: *mut ffi::GSource,
    _: ffi::GSourceFunc,
    _: ffi::gpointer,
) -> ffi::gboolean {
    wakeup::serve();
    ffi::GTRUE
}

const _: () = assert!(mem::offset_of!(SignalSource, base) == 0);
