//! A Python callable as a `GClosure`, and what happens when it is invoked.
//!
//! ```text
//!   any thread invokes        what is lent           Python
//!   ------------------        ------------           ------
//!   marshal ----------------> revoked? ------------> nothing is called
//!                             enter -- closed -----> nothing is called
//!                             values to objects ---> callable(*values)
//!                             result to a value <--- what it returns, or raises
//!   any thread invalidates -> revoked: who is inside keeps the callable, the last one drops it
//! ```
//!
//! Invalidating and dropping never enter Python: the callable is [`Lent`]. The marshal keeps no
//! entry open, and where Python is held already (`Hold::Turn`, or inside an entry) its own nests.

use core::ffi::{c_uint, c_void};
use core::mem::MaybeUninit;
use core::ptr;

use glib::ffi::GType;
use glib::gobject_ffi::{self, GClosure, GObject, GSignalInvocationHint, GValue};
use glib::translate::from_glib_none;
use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::{self as ffi, PyObject};
use raddle::gate::Lent;
use raddle::object::{Object, Pending};
use raddle::{Error, Raised, Ref};

use crate::callable::{Callable, Visit};
use crate::value::{self, type_name};
use crate::{failure, main_loop};

/// How many values are kept on the stack: an instance and seven arguments.
const USUAL: usize = 8;

/// GLib's record, and the callable behind it.
#[repr(C)]
struct PyClosure {
    /// `struct _GClosure`: its bits and three pointers, which are GLib's alone.
    base: [*mut c_void; 4],
    callable: Lent,
}

/// A closure that calls `callable` with the values it is invoked with, on whichever thread that is.
///
/// What it returns becomes the result; what it raises goes to `sys.unraisablehook` with the signal's
/// name, and the result keeps its default; a result that is a `GError` becomes that error instead.
/// KeyboardInterrupt and SystemExit end the innermost [`run`](crate::run) of the thread, if there is
/// one. After a stop nothing is called.
///
/// # Errors
///
/// [`Status::Invalid`](raddle::Status::Invalid) if it is not callable; what [`raddle::enter`] says
/// if the gate is closed. The callable is dropped then.
pub fn closure(callable: impl Into<Ref>) -> Result<glib::Closure, Error> {
    let raw = new(callable.into())?;
    // SAFETY: a closure that was just made; its floating reference becomes the value's.
    Ok(unsafe { from_glib_none(raw) })
}

/// [`closure`] in C's form, with a floating reference.
///
/// # Errors
///
/// As there.
pub fn new(callable: Ref) -> Result<*mut GClosure, Error> {
    let callable = Callable::new(callable)?.into_ref();
    let size = c_uint::try_from(size_of::<PyClosure>()).unwrap_or(c_uint::MAX);
    // SAFETY: the size of a record that begins with GLib's; the rest is zero.
    let raw = unsafe { gobject_ffi::g_closure_new_simple(size, ptr::null_mut()) };
    let ours: *mut Lent = lent(raw);
    // SAFETY: room for what is lent, which nobody knows of yet.
    unsafe { ours.write(Lent::new(callable)) };
    // SAFETY: a closure that was just made.
    unsafe { gobject_ffi::g_closure_set_marshal(raw, Some(marshal)) };
    // SAFETY: as above; both run once.
    unsafe {
        gobject_ffi::g_closure_add_invalidate_notifier(raw, ptr::null_mut(), Some(invalidated));
    }
    // SAFETY: as above.
    unsafe { gobject_ffi::g_closure_add_finalize_notifier(raw, ptr::null_mut(), Some(finalised)) };
    Ok(raw)
}

/// A closure for a signal without arguments or result: a handler in C's form, which GLib calls by the
/// signal's own marshaller, without values and without a look at them.
///
/// # Errors
///
/// As [`closure`].
pub(crate) fn new_plain(callable: Ref) -> Result<*mut GClosure, Error> {
    let callable = Callable::new(callable)?.into_ref();
    let lent = Box::into_raw(Box::new(Lent::new(callable)));
    // SAFETY: functions are pointers of one size; GLib calls this one with an instance and the data.
    let handler: unsafe extern "C" fn() = unsafe { core::mem::transmute::<Plain, _>(handle) };
    // SAFETY: a handler, and its data.
    let raw = unsafe { gobject_ffi::g_cclosure_new(Some(handler), lent.cast(), None) };
    // SAFETY: a closure that was just made; both run once.
    unsafe { gobject_ffi::g_closure_add_invalidate_notifier(raw, lent.cast(), Some(revoked)) };
    // SAFETY: as above.
    unsafe { gobject_ffi::g_closure_add_finalize_notifier(raw, lent.cast(), Some(freed)) };
    Ok(raw)
}

type Plain = unsafe extern "C" fn(*mut GObject, *mut c_void);

unsafe extern "C" fn revoked(lent: *mut c_void, _: *mut GClosure) {
    // SAFETY: the box of `new_plain`, which is freed later.
    let lent = unsafe { &*lent.cast::<Lent>() };
    lent.revoke();
}

unsafe extern "C" fn freed(lent: *mut c_void, _: *mut GClosure) {
    // SAFETY: the box of `new_plain`, once.
    drop(unsafe { Box::from_raw(lent.cast::<Lent>()) });
}

unsafe extern "C" fn handle(instance: *mut GObject, lent: *mut c_void) {
    // SAFETY: the box of `new_plain`, which lives as long as the closure: an invocation keeps that.
    let lent = unsafe { &*lent.cast::<Lent>() };
    if lent.is_revoked() {
        return; // Before the entry, so that nobody waits for Python in vain.
    }
    let Ok(visit) = Visit::of_dispatch() else { return };
    let py = visit.py();
    let Some(bound) = lent.try_bind(py) else { return };
    // SAFETY: the instance that emits, alive.
    let called = unsafe { value::object_to_python(py, instance) }.and_then(|object| {
        let places = [ptr::null_mut(), object.as_ptr()];
        let (start, count) = (places[1..].as_ptr(), 1 | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET);
        // SAFETY: a callable, and one argument with a place in front of it.
        let raw =
            unsafe { ffi::PyObject_Vectorcall(bound.as_ptr(), start, count, ptr::null_mut()) };
        // SAFETY: as that function returns.
        unsafe { Object::answered(py, raw) }
    });
    if called.is_err() {
        // SAFETY: an instance, alive.
        let hint = unsafe { gobject_ffi::g_signal_get_invocation_hint(instance) };
        // SAFETY: as above.
        let kind = unsafe { value::type_of(instance) };
        // SAFETY: the hint of its emission, or null.
        unsafe { report(py, &bound, hint, kind) };
    }
}

fn lent(closure: *mut GClosure) -> *mut Lent {
    closure.wrapping_byte_add(core::mem::offset_of!(PyClosure, callable)).cast()
}

unsafe extern "C" fn invalidated(_: *mut c_void, closure: *mut GClosure) {
    // SAFETY: one of ours, alive during the call.
    let lent = unsafe { &*lent(closure) };
    lent.revoke();
}

unsafe extern "C" fn finalised(_: *mut c_void, closure: *mut GClosure) {
    // SAFETY: one of ours; nobody invokes it any more, since an invocation keeps a reference.
    unsafe { ptr::drop_in_place(lent(closure)) };
}

unsafe extern "C" fn marshal(
    closure: *mut GClosure,
    result: *mut GValue,
    count: c_uint,
    values: *const GValue,
    hint: *mut c_void,
    _: *mut c_void,
) {
    // SAFETY: one of ours, which an invocation keeps alive.
    let lent = unsafe { &*lent(closure) };
    if lent.is_revoked() {
        return; // Before the entry, so that nobody waits for Python in vain.
    }
    let Ok(visit) = Visit::of_dispatch() else { return };
    let py = visit.py();
    let Some(bound) = lent.try_bind(py) else { return };
    // SAFETY: `count` values, initialised, as GLib invokes closures.
    let called = unsafe { call(py, bound.as_ptr(), count as usize, values) };
    let done = called.and_then(|answer| {
        if result.is_null() {
            return Ok(());
        }
        // SAFETY: a value of the type that the invoker wants, and an object that is alive.
        unsafe { value::to_value(py, answer.as_ptr(), result) }
    });
    // SAFETY: null, or a value that GLib has initialised.
    if done.is_err() && !unsafe { fails(py, result) } {
        // SAFETY: the first is the instance, if there is a hint; GLib passes null for none at all.
        let kind = unsafe { values.as_ref() }.map_or(0, |value| value.g_type);
        // SAFETY: GLib's hint, or null.
        unsafe { report(py, &bound, hint.cast(), kind) };
    }
    // While Python is held, so that the callable of a handler that disconnected itself goes here.
    drop(bound);
}

/// Calls `callable` with the values.
///
/// # Safety
///
/// `callable` is alive, and there are `count` values, initialised.
pub(crate) unsafe fn call(
    py: Python<'_>,
    callable: *mut PyObject,
    count: usize,
    values: *const GValue,
) -> Result<Object<'_>, Pending> {
    // One place in front of the arguments belongs to whoever is called.
    let mut few = [const { MaybeUninit::<*mut PyObject>::uninit() }; USUAL + 1];
    let mut many = Vec::new();
    let places: &mut [MaybeUninit<*mut PyObject>] = if count <= USUAL {
        &mut few
    } else {
        many.resize(count + 1, MaybeUninit::uninit());
        &mut many
    };
    let mut arguments = Arguments { places, count: 0 };
    for index in 0..count {
        // SAFETY: within the values, and initialised.
        let object = unsafe { value::to_python(py, values.wrapping_add(index)) }?;
        arguments.push(object);
    }
    let start = arguments.places[1..].as_ptr().cast::<*mut PyObject>();
    let flags = count | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
    // SAFETY: a callable, and so many arguments, with a place in front of them.
    let raw = unsafe { ffi::PyObject_Vectorcall(callable, start, flags, ptr::null_mut()) };
    // SAFETY: as that function returns.
    unsafe { Object::answered(py, raw) }
}

/// References that go when the call is over.
struct Arguments<'a> {
    places: &'a mut [MaybeUninit<*mut PyObject>],
    count: usize,
}

impl Arguments<'_> {
    fn push(&mut self, object: Object<'_>) {
        self.count += 1;
        self.places[self.count].write(object.into_ptr());
    }
}

impl Drop for Arguments<'_> {
    fn drop(&mut self) {
        for place in &self.places[1..=self.count] {
            // SAFETY: written by `push`.
            let object = unsafe { place.assume_init() };
            // SAFETY: owned; Python is held, as it was when the object was pushed.
            unsafe { ffi::Py_DECREF(object) };
        }
    }
}

/// Makes what was raised the result, where that is an error: who emits asks for it. Says whether it did.
///
/// # Safety
///
/// `result` is null, or initialised.
#[cold]
unsafe fn fails(py: Python<'_>, result: *mut GValue) -> bool {
    // SAFETY: by the caller's promise.
    if unsafe { result.as_ref() }.is_none_or(|result| result.g_type != value::error_type()) {
        return false;
    }
    let Some(raised) = Raised::take(py) else { return false };
    if raised.asks_for_end() {
        raised.put_back(py);
        return false;
    }
    let error = failure::of_raised(py, &raised);
    // SAFETY: a value of this kind, which the error is given to.
    unsafe { gobject_ffi::g_value_take_boxed(result, error.cast_const().cast()) };
    true
}

/// Takes what was raised to where it belongs, with the signal's name.
///
/// # Safety
///
/// `hint` is null, or of an emission by an instance of that kind.
#[cold]
unsafe fn report(
    py: Python<'_>,
    callable: &Bound<'_, PyAny>,
    hint: *const GSignalInvocationHint,
    kind: GType,
) {
    let Some(raised) = Raised::take(py) else { return };
    // SAFETY: by the caller's promise.
    let named = unsafe { name_signal(py, callable, hint, kind) };
    main_loop::raise(raised, named.as_ref().unwrap_or(callable));
    // What the naming may have left.
    drop(Raised::take(py));
}

/// "the signal clicked of GtkButton, in `<function f>`", as a str.
///
/// # Safety
///
/// As [`report`].
unsafe fn name_signal<'py>(
    py: Python<'py>,
    callable: &Bound<'py, PyAny>,
    hint: *const GSignalInvocationHint,
    kind: GType,
) -> Option<Bound<'py, PyAny>> {
    // SAFETY: by the caller's promise.
    let hint = unsafe { hint.as_ref() }?;
    // SAFETY: the number of a signal that is being emitted.
    let name = unsafe { gobject_ffi::g_signal_name(hint.signal_id) };
    // SAFETY: its name, which is for ever.
    let mut name = unsafe { value::native_text(name) };
    if hint.detail != 0 {
        // SAFETY: a quark.
        let detail = unsafe { glib::ffi::g_quark_to_string(hint.detail) };
        // SAFETY: its text, which is for ever.
        let detail = unsafe { value::native_text(detail) };
        name = format!("{name}::{detail}");
    }
    let kind = type_name(kind);
    // SAFETY: alive.
    let raw = unsafe { ffi::PyObject_Repr(callable.as_ptr()) };
    // SAFETY: as that function returns.
    let what =
        unsafe { Object::owned(py, raw) }.map_or_else(|_| String::new(), |what| what.to_text());
    let line = value::text(py, &format!("the signal {name} of {kind}, in {what}")).ok()?;
    // SAFETY: owned, and not null.
    Some(unsafe { Bound::from_owned_ptr(py, line.into_ptr()) })
}

/// Whether GLib's record has the size that ours begins with.
const _: () = {
    assert!(core::mem::offset_of!(PyClosure, callable) == size_of::<[usize; 4]>());
    assert!(align_of::<Lent>() <= align_of::<usize>());
};
