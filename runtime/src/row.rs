//! Rows of method and attribute tables, for functions in Rust.
//!
//! A row names a plain function, which gets what it was called with and returns what it answers; the
//! function that CPython calls is made of it here. Every function of Rust's has a type of its own,
//! without size, so the type alone says which one to call.

use core::ffi::{CStr, c_void};
use core::ptr;

use pyo3::Python;
use pyo3_ffi::{self as ffi, PyGetSetDef, PyMethodDef, PyMethodDefPointer, PyObject};

use crate::arguments::Call;
use crate::class::{self, Class};
use crate::object::{Answer, answer};

/// `function(*arguments, **keywords)`, of a module.
pub const fn function<F>(name: &'static CStr, _: F, doc: &'static CStr) -> PyMethodDef
where
    F: for<'py> Fn(Call<'py>) -> Answer<'py> + Copy,
{
    let call = PyMethodDefPointer { PyCFunctionFastWithKeywords: call_function::<F> };
    row(name, call, ffi::METH_FASTCALL | ffi::METH_KEYWORDS, doc)
}

/// `function()`, of a module.
pub const fn function_alone<F>(name: &'static CStr, _: F, doc: &'static CStr) -> PyMethodDef
where
    F: for<'py> Fn(Python<'py>) -> Answer<'py> + Copy,
{
    row(name, PyMethodDefPointer { PyCFunction: call_function_alone::<F> }, ffi::METH_NOARGS, doc)
}

/// `object.method(*arguments, **keywords)`, in the table of `T`'s own type.
pub const fn method<T: Class, F>(name: &'static CStr, _: F, doc: &'static CStr) -> PyMethodDef
where
    F: for<'py> Fn(&'py T, Call<'py>) -> Answer<'py> + Copy,
{
    let call = PyMethodDefPointer { PyCFunctionFastWithKeywords: call_method::<T, F> };
    row(name, call, ffi::METH_FASTCALL | ffi::METH_KEYWORDS, doc)
}

/// `object.method()`, in the table of `T`'s own type.
pub const fn method_alone<T: Class, F>(name: &'static CStr, _: F, doc: &'static CStr) -> PyMethodDef
where
    F: for<'py> Fn(&'py T, Python<'py>) -> Answer<'py> + Copy,
{
    row(name, PyMethodDefPointer { PyCFunction: call_method_alone::<T, F> }, ffi::METH_NOARGS, doc)
}

/// `object.property`, which is only read, in the table of `T`'s own type.
pub const fn property<T: Class, F>(name: &'static CStr, _: F, doc: &'static CStr) -> PyGetSetDef
where
    F: for<'py> Fn(&'py T, Python<'py>) -> Answer<'py> + Copy,
{
    class::property(name, get::<T, F>, doc)
}

const fn row(
    name: &'static CStr,
    call: PyMethodDefPointer,
    flags: core::ffi::c_int,
    doc: &'static CStr,
) -> PyMethodDef {
    PyMethodDef { ml_name: name.as_ptr(), ml_meth: call, ml_flags: flags, ml_doc: doc.as_ptr() }
}

/// The function that a row was made with.
fn named<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0, "a row names a function, and no closure with variables") };
    // SAFETY: a copy of the value that the row was given, and there is nothing to read.
    unsafe { ptr::dangling::<F>().read() }
}

unsafe extern "C" fn call_function<F>(
    module: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject
where
    F: for<'py> Fn(Call<'py>) -> Answer<'py> + Copy,
{
    // SAFETY: what CPython calls with.
    answer(named::<F>()(unsafe { Call::new(module, arguments, count, keywords) }))
}

unsafe extern "C" fn call_function_alone<F>(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject
where
    F: for<'py> Fn(Python<'py>) -> Answer<'py> + Copy,
{
    // SAFETY: CPython calls with Python held.
    answer(named::<F>()(unsafe { Python::assume_attached() }))
}

unsafe extern "C" fn call_method<T: Class, F>(
    object: *mut PyObject,
    arguments: *const *mut PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut PyObject,
) -> *mut PyObject
where
    F: for<'py> Fn(&'py T, Call<'py>) -> Answer<'py> + Copy,
{
    // SAFETY: CPython calls a method with an object of the type in whose table it is, alive meanwhile.
    let value = unsafe { class::value::<T>(object) };
    // SAFETY: what CPython calls with.
    answer(named::<F>()(value, unsafe { Call::new(object, arguments, count, keywords) }))
}

unsafe extern "C" fn call_method_alone<T: Class, F>(
    object: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject
where
    F: for<'py> Fn(&'py T, Python<'py>) -> Answer<'py> + Copy,
{
    // SAFETY: as CPython calls a method.
    unsafe { get::<T, F>(object, ptr::null_mut()) }
}

unsafe extern "C" fn get<T: Class, F>(object: *mut PyObject, _: *mut c_void) -> *mut PyObject
where
    F: for<'py> Fn(&'py T, Python<'py>) -> Answer<'py> + Copy,
{
    // SAFETY: as in `call_method`.
    let value = unsafe { class::value::<T>(object) };
    // SAFETY: CPython calls with Python held.
    answer(named::<F>()(value, unsafe { Python::assume_attached() }))
}
