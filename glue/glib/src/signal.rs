//! Signals: connecting Python callables, emitting from Python, and handlers in C that run with Python
//! held.

use core::ffi::{CStr, c_uint, c_ulong, c_void};
use core::mem::MaybeUninit;
use core::ptr;

use glib::ffi as glib_ffi;
use glib::gobject_ffi::{self, GClosure, GClosureNotify, GObject, GSignalQuery, GValue};
use glib::translate::{FromGlib as _, ToGlibPtr as _, ToGlibPtrMut as _};
use glib::{Object as GlibObject, SignalHandlerId, prelude::IsA};
use pyo3::Python;
use pyo3_ffi::PyObject;
use raddle::object::{Kind, Object, Pending};
use raddle::{Error, Ref, Status};

use crate::callable::Visit;
use crate::closure;
use crate::value::{self, Answer, text_of, type_name};

/// Calls `callable` with the instance and the arguments whenever `signal` is emitted, "clicked" or
/// "notify::label"; with `after`, after the class's own handler.
///
/// The handler goes with the instance, or with [`disconnect`](glib::prelude::ObjectExt::disconnect).
/// [`closure`](crate::closure) says what becomes of results and exceptions.
///
/// # Errors
///
/// [`Status::Invalid`] if the instance has no such signal, or it is not callable; what
/// [`raddle::enter`] says if the gate is closed. The callable is dropped then.
pub fn signal_connect(
    instance: &impl IsA<GlibObject>,
    signal: &str,
    callable: impl Into<Ref>,
    after: bool,
) -> Result<SignalHandlerId, Error> {
    let signal = std::ffi::CString::new(signal)
        .map_err(|_| Error::new(Status::Invalid, "a signal's name has no NUL character in it"))?;
    let object = instance.as_ref().to_glib_none().0;
    // SAFETY: alive, as the borrow says.
    let id = unsafe { connect(object, &signal, callable.into(), after) }?;
    // SAFETY: a handler's id, which is not 0.
    Ok(unsafe { SignalHandlerId::from_glib(id) })
}

/// [`signal_connect`] in C's form.
///
/// # Errors
///
/// As there.
///
/// # Safety
///
/// `object` is alive.
pub unsafe fn connect(
    object: *mut GObject,
    signal: &CStr,
    callable: Ref,
    after: bool,
) -> Result<c_ulong, Error> {
    // SAFETY: by the caller's promise.
    let Some((id, detail)) = (unsafe { parse(object, signal) }) else {
        // SAFETY: as above.
        return Err(Error::new(Status::Invalid, unsafe { no_signal(object, signal) }));
    };
    let about = query(id);
    let is_plain =
        about.n_params == 0 && about.return_type & !STATIC_SCOPE == gobject_ffi::G_TYPE_NONE;
    let closure = if is_plain { closure::new_plain } else { closure::new }(callable)?;
    // Not watched by the object, which would cost each emission a reference to it: the handler is the only
    // one that has the closure, and the object's end takes the handlers away.
    // SAFETY: a signal of the object's, and a closure whose floating reference is taken.
    Ok(unsafe {
        gobject_ffi::g_signal_connect_closure_by_id(object, id, detail, closure, after.into())
    })
}

/// The bit of a type in what is known of a signal that says how its values may be passed in C.
const STATIC_SCOPE: usize = gobject_ffi::G_TYPE_FLAG_RESERVED_ID_BIT;

/// What is known of a signal.
fn query(id: c_uint) -> GSignalQuery {
    let mut query = MaybeUninit::<GSignalQuery>::uninit();
    // SAFETY: a signal's number, and room for what is known of it.
    unsafe { gobject_ffi::g_signal_query(id, query.as_mut_ptr()) };
    // SAFETY: written above.
    unsafe { query.assume_init() }
}

/// The number of a signal, and its detail.
///
/// # Safety
///
/// `object` is alive.
unsafe fn parse(object: *mut GObject, signal: &CStr) -> Option<(c_uint, u32)> {
    let (mut id, mut detail) = (0, 0);
    // SAFETY: alive, by the caller's promise.
    let kind = unsafe { value::type_of(object) };
    // SAFETY: a text, a type, and room for two numbers.
    let known = unsafe {
        gobject_ffi::g_signal_parse_name(
            signal.as_ptr(),
            kind,
            &raw mut id,
            &raw mut detail,
            glib_ffi::GTRUE,
        )
    };
    (known != glib_ffi::GFALSE).then_some((id, detail))
}

/// # Safety
///
/// `object` is alive.
unsafe fn no_signal(object: *mut GObject, signal: &CStr) -> String {
    // SAFETY: alive, by the caller's promise.
    let kind = unsafe { value::type_of(object) };
    format!("{} has no signal '{}'", type_name(kind), signal.to_string_lossy())
}

/// Emits a signal with arguments from Python; what it returns, or None.
///
/// # Safety
///
/// All are alive.
pub(crate) unsafe fn emit<'py>(
    py: Python<'py>,
    object: *mut GObject,
    signal: *mut PyObject,
    arguments: &[*mut PyObject],
) -> Answer<'py> {
    // SAFETY: by the caller's promise.
    let signal = unsafe { text_of(py, signal) }?;
    // SAFETY: by the caller's promise.
    let Some((id, detail)) = (unsafe { parse(object, &signal) }) else {
        // SAFETY: as above.
        return Err(Pending::new(py, Kind::Value, &unsafe { no_signal(object, &signal) }));
    };
    let query = query(id);
    if query.n_params as usize != arguments.len() {
        let line = format!(
            "the signal {} takes {} arguments ({} given)",
            signal.to_string_lossy(),
            query.n_params,
            arguments.len()
        );
        return Err(Pending::new(py, Kind::Type, &line));
    }
    let mut values = Vec::with_capacity(arguments.len() + 1);
    let mut instance = value::empty(gobject_ffi::G_TYPE_OBJECT);
    // SAFETY: a value of an object's type, and an object.
    unsafe { gobject_ffi::g_value_set_object(instance.to_glib_none_mut().0, object) };
    values.push(instance);
    for (index, argument) in arguments.iter().enumerate() {
        // SAFETY: there is a type for each argument.
        let kind = unsafe { *query.param_types.wrapping_add(index) } & !STATIC_SCOPE;
        let mut value = value::empty(kind);
        // SAFETY: initialised, and alive by the caller's promise.
        unsafe { value::to_value(py, *argument, value.to_glib_none_mut().0) }?;
        values.push(value);
    }
    let raw: Vec<GValue> =
        // SAFETY: bits, which are only read while the values themselves live.
        values.iter().map(|value| unsafe { ptr::read(value.to_glib_none().0) }).collect();
    let kind = query.return_type & !STATIC_SCOPE;
    if kind == gobject_ffi::G_TYPE_NONE {
        // SAFETY: an instance and the arguments of its signal; nothing is returned.
        unsafe { gobject_ffi::g_signal_emitv(raw.as_ptr(), id, detail, ptr::null_mut()) };
        return Ok(Object::none(py));
    }
    let mut result = value::empty(kind);
    let place = result.to_glib_none_mut().0;
    // SAFETY: an instance and the arguments of its signal, and a value for what it returns.
    unsafe { gobject_ffi::g_signal_emitv(raw.as_ptr(), id, detail, place) };
    // SAFETY: initialised.
    unsafe { value::to_python(py, place) }
}

/// A closure around a handler in C, which runs with Python held. Once the gate is closed it is not
/// called, and what the signal returns keeps its default.
///
/// `data` is passed to the handler last; `notify` gets it once, when the closure is no more.
///
/// # Safety
///
/// `handler` takes what the closure is invoked with, and then `data`; both may be called on any thread
/// that invokes or drops the closure.
pub unsafe fn wrap(
    handler: unsafe extern "C" fn(),
    data: *mut c_void,
    notify: Option<unsafe extern "C" fn(*mut c_void)>,
) -> *mut GClosure {
    // SAFETY: a handler and its data, by the caller's promise.
    let closure = unsafe { gobject_ffi::g_cclosure_new(Some(handler), data, None) };
    if let Some(notify) = notify {
        let with_closure: unsafe extern "C" fn(*mut c_void, *mut GClosure) =
            // SAFETY: one argument more than it looks at, which C allows, as GLib itself does with
            // such functions.
            unsafe { core::mem::transmute(notify) };
        let notify: GClosureNotify = Some(with_closure);
        // SAFETY: a closure that was just made.
        unsafe { gobject_ffi::g_closure_add_finalize_notifier(closure, data, notify) };
    }
    // SAFETY: as above.
    unsafe { gobject_ffi::g_closure_set_marshal(closure, Some(marshal_held)) };
    closure
}

unsafe extern "C" fn marshal_held(
    closure: *mut GClosure,
    result: *mut GValue,
    count: c_uint,
    values: *const GValue,
    hint: *mut c_void,
    data: *mut c_void,
) {
    // Without an instance in front it is no signal's, and there is nothing to call the handler with.
    if count == 0 {
        return;
    }
    let Ok(_visit) = Visit::of_dispatch() else { return };
    // SAFETY: GLib's arguments, passed on to what GLib would have called: the marshaller for any
    // signature.
    unsafe {
        gobject_ffi::g_cclosure_marshal_generic(closure, result, count, values, hint, data);
    }
}
