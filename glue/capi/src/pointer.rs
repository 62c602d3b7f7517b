//! Pointers from C, and what Rust may believe of them: the one file where one becomes the other.
//!
//! NULL is looked for everywhere. That a pointer which is not NULL is what the header asks for is
//! the caller's promise, and each function here repeats it.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::Arc;

use ::glib::ffi::{GError, GQuark};
use ::glib::gobject_ffi::{self, GObject, GValue};
use ::glib::{MainContext, MainLoop, translate::from_glib_none};
use pyo3::{Bound, Python};
use pyo3_ffi::PyObject;
use raddle::{Entry, Error, Raised, Ref, Status, gate};
use raddle_glib::Hold;

/// What is behind `pointer`.
///
/// # Errors
///
/// [`Status::Null`] if it is NULL.
///
/// # Safety
///
/// A pointer that is not NULL points to a `T` that lives, and is not written, during `'a`.
pub(crate) unsafe fn borrow<'a, T>(pointer: *const T) -> Result<&'a T, Error> {
    // SAFETY: by the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(null)
}

/// What is behind `pointer`, to be changed.
///
/// # Errors
///
/// [`Status::Null`] if it is NULL.
///
/// # Safety
///
/// A pointer that is not NULL points to a `T` that lives, and is nobody else's, during `'a`.
pub(crate) unsafe fn borrow_mut<'a, T>(pointer: *mut T) -> Result<&'a mut T, Error> {
    // SAFETY: by the caller's promise.
    unsafe { pointer.as_mut() }.ok_or_else(null)
}

/// Takes back what [`Box::into_raw`] gave away; `None` for NULL.
///
/// # Safety
///
/// A pointer that is not NULL came from there, and is not used any more.
pub(crate) unsafe fn take_box<T>(pointer: *mut T) -> Option<Box<T>> {
    // SAFETY: by the caller's promise.
    (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
}

/// Counts one more reference; nothing for NULL.
///
/// # Safety
///
/// A pointer that is not NULL came from [`Arc::into_raw`], and a reference of it is alive.
pub(crate) unsafe fn share<T>(pointer: *const T) {
    if !pointer.is_null() {
        // SAFETY: by the caller's promise.
        unsafe { Arc::increment_strong_count(pointer) };
    }
}

/// Takes over one reference; `None` for NULL.
///
/// # Safety
///
/// A pointer that is not NULL came from [`Arc::into_raw`], and this reference is not used any more.
pub(crate) unsafe fn take_shared<T>(pointer: *const T) -> Option<Arc<T>> {
    // SAFETY: by the caller's promise.
    (!pointer.is_null()).then(|| unsafe { Arc::from_raw(pointer) })
}

/// Puts what `make` makes where `out` points to; nothing if it fails.
///
/// # Errors
///
/// [`Status::Null`] if `out` is NULL, in which case nothing is made; or what `make` says.
///
/// # Safety
///
/// An `out` that is not NULL points to memory for a `T`, whose old content is of no value.
pub(crate) unsafe fn put<T>(
    out: *mut T,
    make: impl FnOnce() -> Result<T, Error>,
) -> Result<(), Error> {
    if out.is_null() {
        return Err(null());
    }
    let value = make()?;
    // SAFETY: by the caller's promise.
    unsafe { out.write(value) };
    Ok(())
}

/// The text at `pointer`; `None` for NULL.
///
/// # Errors
///
/// [`Status::Invalid`] if it is not UTF-8.
///
/// # Safety
///
/// A pointer that is not NULL points to text that ends with a NUL and lives, unchanged, during `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char) -> Result<Option<&'a str>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: by the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| {
        Error::new(Status::Invalid, "a text is not UTF-8: convert it first, a file name as well")
    })
}

/// The bytes of a text, whatever they are; `None` for NULL.
///
/// # Safety
///
/// As [`text`].
pub(crate) unsafe fn bytes<'a>(pointer: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: by the caller's promise.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_bytes())
}

/// The elements of an array; none for NULL.
///
/// # Safety
///
/// A pointer that is not NULL points to `length` of them, which live and are not written during `'a`.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, length: usize) -> &'a [T] {
    if pointer.is_null() {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { core::slice::from_raw_parts(pointer, length) }
}

/// What must not have been NULL.
///
/// # Errors
///
/// [`Status::Null`] if it was.
pub(crate) fn required<T>(value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(null)
}

/// The texts of an array.
///
/// # Errors
///
/// [`Status::Invalid`] for a negative length or text that is not UTF-8, [`Status::Null`] if the
/// array or one of the texts is NULL.
///
/// # Safety
///
/// An `array` that is not NULL points to `length` pointers, each as [`text`] asks.
pub(crate) unsafe fn texts<'a>(
    length: c_int,
    array: *const *const c_char,
) -> Result<Vec<&'a str>, Error> {
    let length = usize::try_from(length)
        .map_err(|_| Error::new(Status::Invalid, "an array cannot have a negative length"))?;
    if length == 0 {
        return Ok(Vec::new());
    }
    if array.is_null() {
        return Err(null());
    }
    // SAFETY: by the caller's promise.
    let array = unsafe { core::slice::from_raw_parts(array, length) };
    // SAFETY: by the caller's promise, each is a text or NULL.
    array.iter().map(|&pointer| required(unsafe { text(pointer) }?)).collect()
}

/// The context at `pointer`, referenced; the default one for NULL.
///
/// # Safety
///
/// A pointer that is not NULL is a main context that lives during the call.
pub(crate) unsafe fn context(pointer: *mut ::glib::ffi::GMainContext) -> MainContext {
    if pointer.is_null() {
        return MainContext::default();
    }
    // SAFETY: by the caller's promise.
    unsafe { from_glib_none(pointer) }
}

/// The loop at `pointer`, referenced.
///
/// # Errors
///
/// [`Status::Null`] if it is NULL.
///
/// # Safety
///
/// A pointer that is not NULL is a main loop that lives during the call.
pub(crate) unsafe fn main_loop(pointer: *mut ::glib::ffi::GMainLoop) -> Result<MainLoop, Error> {
    if pointer.is_null() {
        return Err(null());
    }
    // SAFETY: by the caller's promise.
    Ok(unsafe { from_glib_none(pointer) })
}

/// A reference of our own to the object at `pointer`. Enters Python.
///
/// # Errors
///
/// [`Status::Null`] if it is NULL; what an entry says.
///
/// # Safety
///
/// A pointer that is not NULL is an object of the present runtime's that lives during the call.
pub(crate) unsafe fn callable(pointer: *mut PyObject) -> Result<Ref, Error> {
    if pointer.is_null() {
        return Err(null());
    }
    let entry = Entry::new()?;
    // SAFETY: by the caller's promise, and Python is held.
    Ok(Ref::new(unsafe { Bound::from_borrowed_ptr(entry.py(), pointer) }))
}

/// The object at `pointer`.
///
/// # Errors
///
/// [`Status::Null`] if it is NULL, [`Status::Invalid`] if the instance is no GObject.
///
/// # Safety
///
/// A pointer that is not NULL is an instance of some type, alive.
pub(crate) unsafe fn object(pointer: *mut c_void) -> Result<*mut GObject, Error> {
    if pointer.is_null() {
        return Err(null());
    }
    // SAFETY: by the caller's promise.
    let is = unsafe {
        gobject_ffi::g_type_check_instance_is_a(pointer.cast(), gobject_ffi::G_TYPE_OBJECT)
    };
    if is == ::glib::ffi::GFALSE {
        return Err(Error::new(Status::Invalid, "the instance is no GObject"));
    }
    Ok(pointer.cast())
}

/// The bytes of a text that must be there.
///
/// # Errors
///
/// [`Status::Null`] if it is NULL.
///
/// # Safety
///
/// As [`text`].
pub(crate) unsafe fn c_text<'a>(pointer: *const c_char) -> Result<&'a CStr, Error> {
    if pointer.is_null() {
        return Err(null());
    }
    // SAFETY: by the caller's promise.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// Whether a handler runs after the class's own.
///
/// # Errors
///
/// [`Status::Invalid`] for other flags than `G_CONNECT_AFTER`.
pub(crate) fn connect_flags(flags: c_uint) -> Result<bool, Error> {
    match flags {
        0 => Ok(false),
        gobject_ffi::G_CONNECT_AFTER => Ok(true),
        _ => Err(Error::new(
            Status::Invalid,
            "a Python callable has no data to swap: pass G_CONNECT_DEFAULT or G_CONNECT_AFTER",
        )),
    }
}

/// The value at `pointer`.
///
/// # Errors
///
/// [`Status::Null`] if it is NULL, [`Status::Invalid`] if it was not initialised.
///
/// # Safety
///
/// A pointer that is not NULL is a `GValue` that lives during the call.
pub(crate) unsafe fn value(pointer: *mut GValue) -> Result<*mut GValue, Error> {
    if pointer.is_null() {
        return Err(null());
    }
    // SAFETY: by the caller's promise.
    if unsafe { (*pointer).g_type } == gobject_ffi::G_TYPE_INVALID {
        return Err(Error::new(Status::Invalid, "the GValue has no type: g_value_init() it first"));
    }
    Ok(pointer)
}

/// Runs `body` if this thread holds Python. What it raises stays set, and is told in the message.
///
/// # Errors
///
/// [`Status::WrongOrder`] if Python is not held, [`Status::Python`] with what was raised; what an
/// entry says.
pub(crate) fn held<R>(body: impl FnOnce(Python<'_>) -> Result<R, Raised>) -> Result<R, Error> {
    if !gate::is_held() {
        return Err(Error::new(
            Status::WrongOrder,
            "objects are made and looked at on a thread that holds Python: enter first",
        ));
    }
    let entry = Entry::new()?;
    body(entry.py()).map_err(|raised| {
        let error = Error::new(Status::Python, raised.line().to_owned());
        raised.put_back(entry.py());
        error
    })
}

/// Puts what was called for where `value` or `error` point to; says whether it is a value.
///
/// # Safety
///
/// `value` is NULL or zeroed memory for a value, `error` NULL or points to NULL.
pub(crate) unsafe fn give(
    called: Result<::glib::Value, *mut GError>,
    value: *mut GValue,
    error: *mut *mut GError,
) -> c_int {
    match called {
        Ok(called) => {
            if !value.is_null() {
                // SAFETY: by the caller's promise; the content goes with it.
                unsafe { value.write(called.into_raw()) };
            }
            ::glib::ffi::GTRUE
        }
        Err(failure) => {
            // SAFETY: by the caller's promise; the error goes there, or is freed.
            unsafe { ::glib::ffi::g_propagate_error(error, failure) };
            ::glib::ffi::GFALSE
        }
    }
}

/// Puts an error where `error` points to.
///
/// # Safety
///
/// `error` is NULL or points to NULL, and `message` is a text.
pub(crate) unsafe fn set_error(
    error: *mut *mut GError,
    domain: GQuark,
    code: c_int,
    message: *const c_char,
) {
    // SAFETY: by the caller's promise.
    unsafe { ::glib::ffi::g_set_error_literal(error, domain, code, message) };
}

/// The `RaddleHold` that a number from C is.
///
/// # Errors
///
/// [`Status::Invalid`] if it is none.
pub(crate) fn hold(number: c_uint) -> Result<Hold, Error> {
    match number {
        0 => Ok(Hold::Callback),
        1 => Ok(Hold::Turn),
        _ => Err(Error::new(Status::Invalid, "a RaddleHold is RADDLE_HOLD_CALLBACK or _TURN")),
    }
}

#[cold]
pub(crate) fn null() -> Error {
    Error::new(Status::Null, "NULL was passed where the header does not allow it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    #[test]
    fn null_is_refused_where_something_must_be() {
        // SAFETY: NULL is allowed to be asked about.
        assert_eq!(unsafe { borrow::<u8>(ptr::null()) }.map_err(|e| e.status()), Err(Status::Null));
        assert_eq!(required(None::<u8>).map_err(|error| error.status()), Err(Status::Null));
        // SAFETY: as above.
        assert_eq!(unsafe { text(ptr::null()) }, Ok(None));
    }

    #[test]
    fn an_out_parameter_is_written_on_success_only() {
        let mut out = 1;
        // SAFETY: points to a number.
        let refused = unsafe { put(&raw mut out, || Err(null())) };
        assert_eq!((refused.is_err(), out), (true, 1));
        // SAFETY: points to a number.
        let done = unsafe { put(&raw mut out, || Ok(2)) };
        assert_eq!((done, out), (Ok(()), 2));
    }

    #[test]
    fn texts_are_checked_one_by_one() {
        let good = [c"a".as_ptr(), c"\xc3\xa9".as_ptr()];
        // SAFETY: two texts.
        assert_eq!(unsafe { texts(2, good.as_ptr()) }, Ok(vec!["a", "é"]));
        let bad = [c"a".as_ptr(), c"\xff".as_ptr()];
        // SAFETY: two texts.
        let refused = unsafe { texts(2, bad.as_ptr()) };
        assert_eq!(refused.map_err(|error| error.status()), Err(Status::Invalid));
        // SAFETY: no element is looked at.
        let refused = unsafe { texts(-1, good.as_ptr()) };
        assert_eq!(refused.map_err(|error| error.status()), Err(Status::Invalid));
    }
}
