//! `GCancellable`, of a library that raddle does not link: what of it Python and asyncio need.
//!
//! ```text
//!   any thread                         the context                 the loop's thread
//!   ----------                         -----------                 -----------------
//!   g_cancellable_cancel -> handler -> a source is attached -----> the callable is called
//! ```
//!
//! Whoever cancels, on whichever thread, never waits for Python: the handler is native, and all it
//! does is to attach a source.

use core::ffi::{CStr, c_int, c_ulong, c_void};
use core::mem;
use std::sync::Arc;

use glib::gobject_ffi::{self, GClosure, GObject};
use glib::{ControlFlow, MainContext, Priority};
use pyo3::{Bound, Python};
use pyo3_ffi::PyMethodDef;
use raddle::arguments::{Argument, Call};
use raddle::object::{Answer, Kind, Object, Pending};
use raddle::{Error, Ref, Status, row};

use crate::callable::{Arguments, Callable};
use crate::{arguments, face, failure, value};

/// The functions of this part.
pub(crate) const METHODS: [PyMethodDef; 4] = [
    row::function(
        c"cancel",
        cancel,
        c"cancel(cancellable)\n--\n\ng_cancellable_cancel(), for those who have no PyGObject.",
    ),
    row::function(
        c"is_cancelled",
        is_cancelled,
        c"is_cancelled(cancellable)\n--\n\nWhether a GCancellable was cancelled.",
    ),
    row::function_alone(
        c"new_cancellable",
        new_cancellable,
        c"new_cancellable()\n--\n\nA new GCancellable; loads GIO if nobody has yet.",
    ),
    row::function(
        c"on_cancelled",
        on_cancelled,
        c"on_cancelled(cancellable, context, callable)\n--\n\nHas callable called, without arguments, on the thread that runs the context once the\ncancellable is cancelled; gives the handler's id.",
    ),
];

/// A function of GIO's; `None` if it is not in the process, or with `load` if it cannot be loaded.
fn function(name: &CStr, load: bool) -> Option<*mut c_void> {
    let flags = libc::RTLD_LAZY | if load { 0 } else { libc::RTLD_NOLOAD };
    // SAFETY: a name; what is loaded stays, as a library that registers types has to.
    let gio = unsafe { libc::dlopen(c"libgio-2.0.so.0".as_ptr(), flags) };
    // SAFETY: a library, or null for those that everybody sees; and a name.
    let function = unsafe { libc::dlsym(gio, name.as_ptr()) };
    (!function.is_null()).then_some(function)
}

/// Whether `object` is a `GCancellable`.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn is_one(object: *mut GObject) -> bool {
    // SAFETY: a text; 0 if no such library is in the process, and then no object is of that type.
    let kind = unsafe { gobject_ffi::g_type_from_name(c"GCancellable".as_ptr()) };
    // SAFETY: alive, by the caller's promise, and a type or 0.
    let is = unsafe { gobject_ffi::g_type_check_instance_is_a(object.cast(), kind) };
    is != glib::ffi::GFALSE
}

/// Cancels `object`. Its handlers run here; Python is given up meanwhile, since
/// `g_cancellable_disconnect` on another thread waits for them.
///
/// # Safety
///
/// `object` is a `GCancellable`, alive.
unsafe fn cancel_it(object: *mut GObject) {
    let Some(function) = function(c"g_cancellable_cancel", false) else { return };
    // SAFETY: this is its signature.
    let cancel: unsafe extern "C" fn(*mut GObject) = unsafe { mem::transmute(function) };
    let released = raddle::gate::is_held() && raddle::gate::unblock_raw().is_ok();
    // SAFETY: by the caller's promise.
    unsafe { cancel(object) };
    if released {
        // Refused only where Python is no more, and there is nothing to take back then.
        drop(raddle::gate::block_raw());
    }
}

/// # Safety
///
/// `object` is a `GCancellable`, alive.
unsafe fn is_cancelled_now(object: *mut GObject) -> bool {
    let Some(function) = function(c"g_cancellable_is_cancelled", false) else { return false };
    // SAFETY: this is its signature.
    let ask: unsafe extern "C" fn(*mut GObject) -> c_int = unsafe { mem::transmute(function) };
    // SAFETY: by the caller's promise.
    unsafe { ask(object) != glib::ffi::GFALSE }
}

/// What a handler of "cancelled" has.
struct Watch {
    context: MainContext,
    callable: Arc<Callable>,
}

unsafe extern "C" fn was_cancelled(_: *mut GObject, watch: *mut c_void) {
    // SAFETY: the box of `watch`, which lives as long as the handler's closure: an emission keeps that.
    let watch = unsafe { &*watch.cast::<Watch>() };
    let callable = Arc::clone(&watch.callable);
    let call = move || {
        callable.call(Arguments::None);
        ControlFlow::Break
    };
    let source = glib::idle_source_new(Some("raddle-cancelled"), Priority::DEFAULT, call);
    source.attach(Some(&watch.context));
}

unsafe extern "C" fn forget(watch: *mut c_void, _: *mut GClosure) {
    // SAFETY: the box of `watch`, once.
    drop(unsafe { Box::from_raw(watch.cast::<Watch>()) });
}

/// Has `callable` called on the thread that runs `context` when `object` is cancelled from now on.
///
/// # Safety
///
/// `object` is a `GCancellable`, alive.
unsafe fn watch(
    object: *mut GObject,
    context: MainContext,
    callable: Ref,
) -> Result<c_ulong, Error> {
    type Handler = unsafe extern "C" fn(*mut GObject, *mut c_void);
    let watch = Box::new(Watch { context, callable: Arc::new(Callable::new(callable)?) });
    // SAFETY: functions are pointers of one size; GLib calls this one with an instance and the data.
    let handler: unsafe extern "C" fn() = unsafe { mem::transmute::<Handler, _>(was_cancelled) };
    // SAFETY: an object with such a signal, a handler for it, its data, and what frees that once.
    let id = unsafe {
        gobject_ffi::g_signal_connect_data(
            object,
            c"cancelled".as_ptr(),
            Some(handler),
            Box::into_raw(watch).cast(),
            Some(forget),
            0,
        )
    };
    if id == 0 {
        return Err(Error::new(Status::Invalid, "this GCancellable has no signal 'cancelled'"));
    }
    Ok(id)
}

/// The `GCancellable` behind Python's face of one, which must be there.
fn native(argument: Argument<'_>) -> Result<*mut GObject, Pending> {
    // SAFETY: alive.
    let native = unsafe { face::object(argument.py(), argument.as_ptr()) }?;
    // SAFETY: alive while its face is.
    if unsafe { is_one(native) } {
        return Ok(native);
    }
    Err(Pending::new(argument.py(), Kind::Type, "a GCancellable is wanted"))
}

fn cancel(call: Call<'_>) -> Answer<'_> {
    let [cancellable] = call.bind("cancel", [c"cancellable"], 1)?;
    let native = native(cancellable)?;
    // SAFETY: alive while its face is, which the caller keeps.
    unsafe { cancel_it(native) };
    Ok(Object::none(call.py()))
}

fn is_cancelled(call: Call<'_>) -> Answer<'_> {
    let [cancellable] = call.bind("is_cancelled", [c"cancellable"], 1)?;
    let native = native(cancellable)?;
    // SAFETY: alive while its face is, which the caller keeps.
    Ok(Object::flag(call.py(), unsafe { is_cancelled_now(native) }))
}

fn new_cancellable(py: Python<'_>) -> Answer<'_> {
    let Some(function) = function(c"g_cancellable_new", true) else {
        return Err(Pending::new(py, Kind::Runtime, "libgio-2.0.so.0 is not to be had here"));
    };
    // SAFETY: this is its signature.
    let new: unsafe extern "C" fn() -> *mut GObject = unsafe { mem::transmute(function) };
    // SAFETY: makes an object, with a reference that is ours.
    let object = unsafe { new() };
    // SAFETY: alive; the face takes a reference of its own.
    let face = unsafe { value::object_to_python(py, object) };
    // SAFETY: ours.
    unsafe { gobject_ffi::g_object_unref(object) };
    face
}

fn on_cancelled(call: Call<'_>) -> Answer<'_> {
    let py = call.py();
    let names = [c"cancellable", c"context", c"callable"];
    let [cancellable, context, callable] = call.bind("on_cancelled", names, 3)?;
    let native = native(cancellable)?;
    let context = arguments::context(context)?;
    // SAFETY: alive, and Python is held.
    let callable = Ref::new(unsafe { Bound::from_borrowed_ptr(py, callable.as_ptr()) });
    // SAFETY: alive while its face is, which the caller keeps.
    let id = unsafe { watch(native, context, callable) };
    let id = id.map_err(|error| failure::raise(py, &error))?;
    Object::integer(py, id).map_err(|raised| raised.set(py))
}
