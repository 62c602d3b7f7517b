//! CPython's calls as the tasklets use them: on bare pointers, with Python held.
//!
//! The scheduler moves references between queues, records and stacks, and a type that counts in its
//! destructor would run Python in the middle of a switch. So references are moved by hand here, as C
//! does it: a `Raw` is lent unless a comment says that it is owned. Every function of this module tree
//! runs with Python held, and passes pointers to live objects.

use core::ffi::{CStr, c_int};
use core::ptr;

use pyo3::{Bound, PyAny, Python};
use pyo3_ffi::{self as ffi, PyObject};

use crate::gate::control;
use crate::object::{Answer, Kind, Object, Pending};

/// A Python object: alive, lent unless said otherwise.
pub(super) type Raw = *mut PyObject;

/// The token that says that Python is held, for code that CPython has called.
#[inline(always)]
pub(super) fn held() -> Python<'static> {
    // SAFETY: all of this module tree runs with Python held: its head says so.
    unsafe { Python::assume_attached() }
}

/// An owned reference in PyO3's form, for Rust's face.
pub(super) fn owned(py: Python<'_>, object: Raw) -> Bound<'_, PyAny> {
    // SAFETY: owned, as the caller says; not null, as all that this module tree passes.
    unsafe { Bound::from_owned_ptr(py, object) }
}

/// One reference more.
#[inline(always)]
pub(super) fn incref(object: Raw) -> Raw {
    // SAFETY: alive, and Python is held.
    unsafe { ffi::Py_INCREF(object) };
    object
}

/// One reference less; may run anything.
#[inline(always)]
pub(super) fn decref(object: Raw) {
    // SAFETY: alive, and Python is held.
    unsafe { ffi::Py_DECREF(object) };
}

/// [`incref`] for what may be null.
#[inline(always)]
pub(super) fn xincref(object: Raw) -> Raw {
    // SAFETY: null or alive, and Python is held.
    unsafe { ffi::Py_XINCREF(object) };
    object
}

/// [`decref`] for what may be null.
#[inline(always)]
pub(super) fn xdecref(object: Raw) {
    // SAFETY: null or alive, and Python is held.
    unsafe { ffi::Py_XDECREF(object) };
}

/// `None`, lent.
#[inline(always)]
pub(super) fn none() -> Raw {
    // SAFETY: Python is held.
    unsafe { ffi::Py_None() }
}

/// A new reference to `None`.
#[inline(always)]
pub(super) fn new_none() -> Raw {
    incref(none())
}

/// A new reference to `True` or `False`.
pub(super) fn truth(value: bool) -> Raw {
    // SAFETY: Python is held.
    unsafe { ffi::PyBool_FromLong(value.into()) }
}

/// A new `int`.
pub(super) fn integer(value: i64) -> Raw {
    // SAFETY: Python is held.
    unsafe { ffi::PyLong_FromLongLong(value) }
}

/// A new `int` that is not negative.
pub(super) fn unsigned(value: u64) -> Raw {
    // SAFETY: Python is held.
    unsafe { ffi::PyLong_FromUnsignedLongLong(value) }
}

/// Raises an exception of a built-in kind.
#[cold]
pub(super) fn raise<T>(kind: Kind, line: &str) -> Result<T, Pending> {
    Err(Pending::new(held(), kind, line))
}

/// Raises a RuntimeError.
#[cold]
pub(super) fn refuse<T>(line: &str) -> Result<T, Pending> {
    raise(Kind::Runtime, line)
}

/// What a C function returned: null with an exception set becomes an error.
#[inline(always)]
pub(super) fn check(returned: Raw) -> Result<Raw, Pending> {
    if returned.is_null() { Err(Pending::is_set()) } else { Ok(returned) }
}

/// What a C function returned: a negative status with an exception set becomes an error.
#[inline(always)]
pub(super) fn check_status(returned: c_int) -> Result<(), Pending> {
    if returned < 0 { Err(Pending::is_set()) } else { Ok(()) }
}

/// What CPython is answered.
#[inline(always)]
pub(super) fn answer(result: Result<Raw, Pending>) -> Raw {
    result.unwrap_or(ptr::null_mut())
}

/// An answer in the form of a function that a row names: an owned reference.
#[inline(always)]
pub(super) fn answered(result: Result<Raw, Pending>) -> Answer<'static> {
    // SAFETY: owned, as the caller says.
    result.and_then(|object| unsafe { Object::answered(held(), object) })
}

/// What CPython is answered where it wants a status.
#[inline(always)]
pub(super) fn status(result: Result<(), Pending>) -> c_int {
    if result.is_ok() { 0 } else { -1 }
}

/// `function(*arguments, **keywords)`: a tuple, and a dict or null. A new reference.
pub(super) fn call(function: Raw, arguments: Raw, keywords: Raw) -> Result<Raw, Pending> {
    // SAFETY: three live objects of the types that the function wants, the last perhaps null.
    check(unsafe { ffi::PyObject_Call(function, arguments, keywords) })
}

/// `function(*arguments)`. A new reference.
pub(super) fn call_with<const N: usize>(
    function: Raw,
    arguments: [Raw; N],
) -> Result<Raw, Pending> {
    let arguments = tuple(arguments)?;
    let result = call(function, arguments, ptr::null_mut());
    decref(arguments);
    result
}

/// A new tuple of objects, each of which gets a reference more.
pub(super) fn tuple<const N: usize>(items: [Raw; N]) -> Result<Raw, Pending> {
    let length = ffi::Py_ssize_t::try_from(N).unwrap_or(0);
    // SAFETY: Python is held.
    let tuple = check(unsafe { ffi::PyTuple_New(length) })?;
    for (index, item) in (0..length).zip(items) {
        // SAFETY: a new tuple, an index within it, and a reference that it takes.
        unsafe { ffi::PyTuple_SetItem(tuple, index, incref(item)) };
    }
    Ok(tuple)
}

/// `object.name`. A new reference.
pub(super) fn attribute(object: Raw, name: &CStr) -> Result<Raw, Pending> {
    // SAFETY: alive, and a name that ends with a NUL.
    check(unsafe { ffi::PyObject_GetAttrString(object, name.as_ptr()) })
}

/// Whether an object may be called.
pub(super) fn is_callable(object: Raw) -> bool {
    // SAFETY: alive.
    unsafe { ffi::PyCallable_Check(object) != 0 }
}

/// Whether an object is of a type or of one derived from it.
#[inline(always)]
pub(super) fn is_instance(object: Raw, class: Raw) -> bool {
    // SAFETY: an object and a type, both alive.
    unsafe { ffi::PyObject_TypeCheck(object, class.cast()) != 0 }
}

/// The type of an object, lent.
#[inline(always)]
pub(super) fn type_of(object: Raw) -> Raw {
    // SAFETY: alive.
    unsafe { ffi::Py_TYPE(object) }.cast()
}

/// Whether an object is an `int`.
pub(super) fn is_int(object: Raw) -> bool {
    // SAFETY: alive.
    unsafe { ffi::PyLong_Check(object) != 0 }
}

/// Whether an object is true.
pub(super) fn is_true(object: Raw) -> Result<bool, Pending> {
    // SAFETY: alive.
    let answer = unsafe { ffi::PyObject_IsTrue(object) };
    check_status(answer).map(|()| answer != 0)
}

/// Whether an exception is set.
#[inline(always)]
pub(super) fn is_raised() -> bool {
    // SAFETY: Python is held.
    !unsafe { ffi::PyErr_Occurred() }.is_null()
}

/// Whether the exception that is set is of a kind.
pub(super) fn raised_is(kind: Raw) -> bool {
    // SAFETY: an exception is set, and a type is given.
    unsafe { ffi::PyErr_ExceptionMatches(kind) != 0 }
}

/// Forgets the exception that is set.
pub(super) fn forget_raised() {
    // SAFETY: Python is held.
    unsafe { ffi::PyErr_Clear() };
}

/// An exception in the three parts in which it is raised: each owned, or null.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) kind: Raw,
    pub(super) value: Raw,
    pub(super) traceback: Raw,
}

/// Takes the exception that is set.
#[cfg(Py_3_12)]
pub(super) fn take_raised() -> Parts {
    take_instance()
}

/// Takes the exception that is set; its value may not be an instance yet.
#[cfg(not(Py_3_12))]
pub(super) fn take_raised() -> Parts {
    let (mut kind, mut value, mut traceback) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: three places for what is set, owned or null.
    unsafe { ffi::PyErr_Fetch(&raw mut kind, &raw mut value, &raw mut traceback) };
    Parts { kind, value, traceback }
}

/// Takes the exception that is set, as an instance.
pub(super) fn take_instance() -> Parts {
    let value = control::take_pending();
    if value.is_null() {
        return Parts { kind: value, value, traceback: value };
    }
    // SAFETY: an exception; a new reference or null.
    let traceback = unsafe { ffi::PyException_GetTraceback(value) };
    Parts { kind: incref(type_of(value)), value, traceback }
}

/// Sets an exception; takes the references.
#[cfg(Py_3_12)]
pub(super) fn put_raised(parts: Parts) {
    let Parts { kind, value, traceback } = parts;
    if kind.is_null() {
        return forget_raised();
    }
    if let Ok(exception) = instance(kind, value) {
        // SAFETY: null, or alive.
        let is_trace = !traceback.is_null() && unsafe { ffi::PyTraceBack_Check(traceback) } != 0;
        // As PyErr_Restore: in place of the one that it has, and nothing else than a traceback.
        let shown = if is_trace { traceback } else { none() };
        // SAFETY: an exception, and a traceback or None, which it takes a reference to.
        unsafe { ffi::PyException_SetTraceback(exception, shown) };
        // SAFETY: an exception, whose reference it takes.
        unsafe { ffi::PyErr_SetRaisedException(exception) };
    }
    for part in [kind, value, traceback] {
        xdecref(part);
    }
}

/// The exception that a kind and a value stand for, the value itself if it is of that kind. Owned.
#[cfg(Py_3_12)]
fn instance(kind: Raw, value: Raw) -> Result<Raw, Pending> {
    // SAFETY: alive.
    let is_exception = |object: Raw| unsafe { ffi::PyExceptionInstance_Check(object) } != 0;
    // SAFETY: null or alive.
    let is_tuple = !value.is_null() && unsafe { ffi::PyTuple_Check(value) } != 0;
    let made = if value.is_null() || value == none() {
        call_with(kind, [])
    } else if is_tuple {
        call(kind, value, ptr::null_mut())
    // SAFETY: an exception, and what may be its type.
    } else if is_exception(value) && unsafe { ffi::PyErr_GivenExceptionMatches(value, kind) } != 0 {
        return Ok(incref(value));
    } else {
        call_with(kind, [value])
    }?;
    if is_exception(made) {
        return Ok(made);
    }
    decref(made);
    raise(Kind::Type, "calling an exception's type did not give an exception")
}

/// Sets an exception; takes the references.
#[cfg(not(Py_3_12))]
pub(super) fn put_raised(parts: Parts) {
    // SAFETY: owned or null, as `Parts` says.
    unsafe { ffi::PyErr_Restore(parts.kind, parts.value, parts.traceback) };
}

/// Shows the exception that is set as one that nobody can catch; `about` may be null.
pub(super) fn report_raised(about: Raw) {
    // SAFETY: an object or null.
    unsafe { ffi::PyErr_WriteUnraisable(about) };
}

/// Tells audit hooks of an event.
pub(super) fn audit(event: &CStr) -> Result<(), Pending> {
    unsafe extern "C" {
        fn PySys_Audit(
            event: *const core::ffi::c_char,
            format: *const core::ffi::c_char,
            ...
        ) -> c_int;
    }
    // SAFETY: a name that ends with a NUL, and no format: no arguments.
    check_status(unsafe { PySys_Audit(event.as_ptr(), ptr::null()) })
}

/// Finalizes an object whose last reference has gone. Says no if somebody refers to it again.
pub(super) fn finalize(object: Raw) -> bool {
    // SAFETY: called by the object's own `tp_dealloc`.
    unsafe { ffi::PyObject_CallFinalizerFromDealloc(object) == 0 }
}

/// An argument of a fast call; null if there are not so many.
pub(super) fn argument(
    arguments: *const Raw,
    count: ffi::Py_ssize_t,
    index: ffi::Py_ssize_t,
) -> Raw {
    if index >= count {
        return ptr::null_mut();
    }
    // SAFETY: there are `count` of them, as CPython promises.
    unsafe { *arguments.wrapping_offset(index) }
}

/// The names of a dict's keywords, and one tuple of the arguments and of its values. Both owned.
pub(super) fn flatten(arguments: Raw, keywords: Raw) -> Result<(Raw, Raw), Pending> {
    // SAFETY: a dict; a new reference.
    let names = check(unsafe { ffi::PyDict_Keys(keywords) });
    // SAFETY: a dict; a new reference.
    let values = check(unsafe { ffi::PyDict_Values(keywords) });
    let parts = [names, values];
    let tuples = parts.map(|part| part.and_then(tuple_of));
    match tuples {
        [Ok(names), Ok(values)] => {
            // SAFETY: two tuples.
            let all = check(unsafe { ffi::PySequence_Concat(arguments, values) });
            decref(values);
            if all.is_err() {
                decref(names);
            }
            all.map(|all| (names, all))
        }
        [names, values] => {
            for part in [names, values].into_iter().flatten() {
                decref(part);
            }
            Err(Pending::is_set())
        }
    }
}

/// The tuple of a list, whose reference it takes. Owned.
fn tuple_of(list: Raw) -> Result<Raw, Pending> {
    // SAFETY: a list.
    let tuple = check(unsafe { ffi::PyList_AsTuple(list) });
    decref(list);
    tuple
}

/// Calls a function with the items of a tuple, the last of which go by the names of another one.
pub(super) fn call_flat(function: Raw, all: Raw, names: Raw) -> Result<Raw, Pending> {
    // SAFETY: a tuple.
    let count = unsafe { ffi::PyTuple_Size(all) };
    // SAFETY: a tuple.
    let named = unsafe { ffi::PyTuple_Size(names) };
    // SAFETY: within the tuple, lent.
    let items: Vec<Raw> = (0..count).map(|at| unsafe { ffi::PyTuple_GetItem(all, at) }).collect();
    let positional = (count - named).unsigned_abs();
    // SAFETY: so many objects that are alive, and a tuple of names for the last of them.
    check(unsafe { ffi::PyObject_Vectorcall(function, items.as_ptr(), positional, names) })
}
