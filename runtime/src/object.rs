//! The few things that raddle itself does with Python objects, on bare pointers.
//!
//! PyO3's own types are not used: fetching an exception, interning a name and the like keep statics
//! that outlive an interpreter, and this code runs in every generation. Its token is: it costs
//! nothing and says that Python is held.
//!
//! A call that fails has either *taken* the exception ([`Raised`], as text) or left it set on the
//! thread ([`Pending`], for a function that Python called and that answers it).

use core::ffi::CStr;
use core::ptr::NonNull;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pyo3::Python;
use pyo3_ffi::{self as ffi, Py_ssize_t, PyObject};

use crate::error::{Error, Status};
use crate::gate::control;

/// An exception that was taken, as text: "ImportError: no module named 'x'".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised(pub String);

impl From<Raised> for Error {
    fn from(Raised(line): Raised) -> Self {
        Self::new(Status::Start, format!("Python runs, but could not be set up: {line}"))
    }
}

impl Raised {
    /// Raises it again, as a RuntimeError.
    pub fn set(&self, py: Python<'_>) -> Pending {
        Pending::new(py, Kind::Runtime, &self.0)
    }
}

pub type Result<T> = core::result::Result<T, Raised>;

/// An exception is set on this thread, which holds Python: answer Python with a null.
#[derive(Debug)]
#[must_use = "an exception that is set must be answered or taken"]
pub struct Pending(());

impl Pending {
    /// An exception that somebody else has set.
    pub const fn is_set() -> Self {
        Self(())
    }

    /// Sets an exception of a built-in kind.
    pub fn new(_held: Python<'_>, kind: Kind, line: &str) -> Self {
        let line = std::ffi::CString::new(line.replace('\0', " ")).unwrap_or_default();
        // SAFETY: Python is held; an exception's type, and a text that ends with a NUL.
        unsafe { ffi::PyErr_SetString(kind.exception(), line.as_ptr()) };
        Self(())
    }
}

/// The built-in kinds of exception that raddle raises.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Import,
    Os,
    Overflow,
    Memory,
    Runtime,
    Timeout,
    Type,
    Value,
}

impl Kind {
    fn exception(self) -> *mut PyObject {
        match self {
            // SAFETY: read only, and written by Python before anybody holds it; so are the others.
            Self::Import => unsafe { ffi::PyExc_ImportError },
            // SAFETY: as above.
            Self::Os => unsafe { ffi::PyExc_OSError },
            // SAFETY: as above.
            Self::Overflow => unsafe { ffi::PyExc_OverflowError },
            // SAFETY: as above.
            Self::Memory => unsafe { ffi::PyExc_MemoryError },
            // SAFETY: as above.
            Self::Runtime => unsafe { ffi::PyExc_RuntimeError },
            // SAFETY: as above.
            Self::Timeout => unsafe { ffi::PyExc_TimeoutError },
            // SAFETY: as above.
            Self::Type => unsafe { ffi::PyExc_TypeError },
            // SAFETY: as above.
            Self::Value => unsafe { ffi::PyExc_ValueError },
        }
    }
}

/// What a function that Python called answers it.
pub type Answer<'py> = core::result::Result<Object<'py>, Pending>;

/// An answer in the form that CPython wants.
pub fn answer(result: Answer<'_>) -> *mut PyObject {
    match result {
        Ok(object) => object.into_ptr(),
        Err(Pending(())) => core::ptr::null_mut(),
    }
}

/// An owned reference, while Python is held.
pub struct Object<'py> {
    pointer: NonNull<PyObject>,
    py: Python<'py>,
}

impl core::fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Object").field(&self.pointer).finish()
    }
}

impl<'py> Object<'py> {
    /// What a C function returned: an owned reference, or null with an exception set.
    ///
    /// # Safety
    ///
    /// `raw` is such.
    pub unsafe fn owned(py: Python<'py>, raw: *mut PyObject) -> Result<Self> {
        NonNull::new(raw).map(|pointer| Self { pointer, py }).ok_or_else(|| raised(py))
    }

    /// As [`owned`](Self::owned), with the exception left where it is.
    ///
    /// # Safety
    ///
    /// As there.
    pub unsafe fn answered(py: Python<'py>, raw: *mut PyObject) -> Answer<'py> {
        NonNull::new(raw).map(|pointer| Self { pointer, py }).ok_or(Pending(()))
    }

    /// `None`.
    pub fn none(py: Python<'py>) -> Self {
        // SAFETY: Python is held.
        let raw = unsafe { ffi::Py_None() };
        // SAFETY: alive as long as Python.
        unsafe { ffi::Py_INCREF(raw) };
        // SAFETY: Python's own None is not null.
        Self { pointer: unsafe { NonNull::new_unchecked(raw) }, py }
    }

    /// `True` or `False`, which are always there.
    pub fn flag(py: Python<'py>, value: bool) -> Self {
        // SAFETY: Python is held.
        let raw = unsafe { ffi::PyBool_FromLong(value.into()) };
        // SAFETY: an owned reference to an object that is alive as long as Python.
        Self { pointer: unsafe { NonNull::new_unchecked(raw) }, py }
    }

    /// What a C function lent, if it did.
    ///
    /// # Safety
    ///
    /// `raw` is null or a live object.
    pub unsafe fn borrowed(py: Python<'py>, raw: *mut PyObject) -> Option<Self> {
        let pointer = NonNull::new(raw)?;
        // SAFETY: alive, by the caller's promise, and Python is held.
        unsafe { ffi::Py_INCREF(raw) };
        Some(Self { pointer, py })
    }

    /// The bare pointer; this keeps the reference.
    pub fn as_ptr(&self) -> *mut PyObject {
        self.pointer.as_ptr()
    }

    /// The bare pointer, and the reference with it.
    pub fn into_ptr(self) -> *mut PyObject {
        core::mem::ManuallyDrop::new(self).pointer.as_ptr()
    }

    /// A `str`.
    pub fn text(py: Python<'py>, text: &str) -> Result<Self> {
        // SAFETY: as many bytes of UTF-8 as are said.
        let raw =
            unsafe { ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), size(text.len())) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(py, raw) }
    }

    /// A `str` of a path, decoded as Python decodes what the system gives it.
    pub fn path(py: Python<'py>, path: &Path) -> Result<Self> {
        let bytes = path.as_os_str().as_bytes();
        let start = bytes.as_ptr().cast();
        // SAFETY: as many bytes as are said.
        let raw = unsafe { ffi::PyUnicode_DecodeFSDefaultAndSize(start, size(bytes.len())) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(py, raw) }
    }

    /// A `bool`.
    pub fn truth(py: Python<'py>, value: bool) -> Result<Self> {
        // SAFETY: Python is held.
        let raw = unsafe { ffi::PyBool_FromLong(value.into()) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(py, raw) }
    }

    /// An `int`.
    pub fn integer(py: Python<'py>, value: u64) -> Result<Self> {
        // SAFETY: Python is held.
        let raw = unsafe { ffi::PyLong_FromUnsignedLongLong(value) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(py, raw) }
    }

    /// An `int` that may be negative.
    pub(crate) fn signed(py: Python<'py>, value: i64) -> Result<Self> {
        // SAFETY: Python is held.
        let raw = unsafe { ffi::PyLong_FromLongLong(value) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(py, raw) }
    }

    /// `bytes`.
    pub(crate) fn bytes(py: Python<'py>, value: &[u8]) -> Result<Self> {
        // SAFETY: as many bytes as are said.
        let raw =
            unsafe { ffi::PyBytes_FromStringAndSize(value.as_ptr().cast(), size(value.len())) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(py, raw) }
    }

    /// A `float`.
    pub fn float(py: Python<'py>, value: f64) -> Result<Self> {
        // SAFETY: Python is held.
        let raw = unsafe { ffi::PyFloat_FromDouble(value) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(py, raw) }
    }

    /// A `list`.
    pub fn list(py: Python<'py>, items: impl IntoIterator<Item = Result<Self>>) -> Result<Self> {
        // SAFETY: Python is held.
        let raw = unsafe { ffi::PyList_New(0) };
        // SAFETY: as that function returns.
        let list = unsafe { Self::owned(py, raw) }?;
        for item in items {
            let item = item?;
            // SAFETY: a list, and an object that is alive.
            let status = unsafe { ffi::PyList_Append(list.as_ptr(), item.as_ptr()) };
            check(py, status)?;
        }
        Ok(list)
    }

    /// A `tuple`.
    pub fn tuple(py: Python<'py>, items: impl IntoIterator<Item = Result<Self>>) -> Result<Self> {
        let list = Self::list(py, items)?;
        // SAFETY: a list.
        let raw = unsafe { ffi::PyList_AsTuple(list.as_ptr()) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(py, raw) }
    }

    /// A `dict` with names for keys.
    pub fn dict(
        py: Python<'py>,
        items: impl IntoIterator<Item = (&'static str, Result<Self>)>,
    ) -> Result<Self> {
        Self::mapping(py, items.into_iter().map(|(name, value)| (Self::text(py, name), value)))
    }

    /// A `dict` with keys of any kind.
    pub(crate) fn mapping(
        py: Python<'py>,
        items: impl IntoIterator<Item = (Result<Self>, Result<Self>)>,
    ) -> Result<Self> {
        // SAFETY: Python is held.
        let raw = unsafe { ffi::PyDict_New() };
        // SAFETY: as that function returns.
        let dict = unsafe { Self::owned(py, raw) }?;
        for (name, value) in items {
            let (name, value) = (name?, value?);
            // SAFETY: a dict, and two objects that are alive.
            let status =
                unsafe { ffi::PyDict_SetItem(dict.as_ptr(), name.as_ptr(), value.as_ptr()) };
            check(py, status)?;
        }
        Ok(dict)
    }

    /// `import name`, the innermost module of a dotted one.
    pub fn import(py: Python<'py>, name: &CStr) -> Result<Self> {
        let name = Self::text(py, &name.to_string_lossy())?;
        // SAFETY: a str.
        let raw = unsafe { ffi::PyImport_Import(name.as_ptr()) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(py, raw) }
    }

    /// A name of the `sys` module.
    pub fn of_sys(py: Python<'py>, name: &CStr) -> Option<Self> {
        // SAFETY: Python is held, and the name ends with a NUL.
        let raw = unsafe { ffi::PySys_GetObject(name.as_ptr()) };
        // SAFETY: as that function lends.
        unsafe { Self::borrowed(py, raw) }
    }

    /// A module of `sys.modules`, if it is there.
    pub fn imported(py: Python<'py>, name: &CStr) -> Option<Self> {
        let modules = Self::of_sys(py, c"modules")?;
        // SAFETY: a mapping, and a name that ends with a NUL.
        let raw = unsafe { ffi::PyMapping_GetItemString(modules.as_ptr(), name.as_ptr()) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(py, raw) }.ok()
    }

    /// `self.name`.
    pub fn attribute(&self, name: &CStr) -> Result<Self> {
        // SAFETY: alive, and a name that ends with a NUL.
        let raw = unsafe { ffi::PyObject_GetAttrString(self.as_ptr(), name.as_ptr()) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(self.py, raw) }
    }

    /// `self(*arguments)`.
    pub fn call(&self, arguments: impl IntoIterator<Item = Result<Self>>) -> Result<Self> {
        let arguments = Self::tuple(self.py, arguments)?;
        // SAFETY: alive, and a tuple.
        let raw = unsafe { ffi::PyObject_CallObject(self.as_ptr(), arguments.as_ptr()) };
        // SAFETY: as that function returns.
        unsafe { Self::owned(self.py, raw) }
    }

    /// The texts of a list.
    pub fn texts(&self) -> Result<Vec<String>> {
        // SAFETY: alive; anything but a list is refused with an exception.
        let length = unsafe { ffi::PyList_Size(self.as_ptr()) };
        check(self.py, if length < 0 { -1 } else { 0 })?;
        let item = |index| {
            // SAFETY: a list, as its size was told; lends an object or raises.
            let raw = unsafe { ffi::PyList_GetItem(self.as_ptr(), index) };
            // SAFETY: as that function lends.
            let item = unsafe { Self::borrowed(self.py, raw) };
            item.map(|item| item.to_text()).ok_or_else(|| raised(self.py))
        };
        (0..length).map(item).collect()
    }

    /// `str(self)`, or nothing if that raises.
    pub fn to_text(&self) -> String {
        // SAFETY: alive.
        let raw = unsafe { ffi::PyObject_Str(self.as_ptr()) };
        // SAFETY: as that function returns.
        let Ok(text) = (unsafe { Self::owned(self.py, raw) }) else { return String::new() };
        // SAFETY: a str; its UTF-8 form lives as long as it.
        let start = unsafe { ffi::PyUnicode_AsUTF8(text.as_ptr()) };
        if start.is_null() {
            // Lone surrogates: told by the exception, which is of no use to anybody.
            drop(raised(self.py));
            return String::new();
        }
        // SAFETY: ends with a NUL, and `text` is alive.
        let text = unsafe { CStr::from_ptr(start) };
        text.to_string_lossy().into_owned()
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        // SAFETY: owned, and Python is held while the token lives.
        unsafe { ffi::Py_DECREF(self.as_ptr()) };
    }
}

fn size(length: usize) -> Py_ssize_t {
    Py_ssize_t::try_from(length).unwrap_or(Py_ssize_t::MAX)
}

/// Turns a C function's status into a result.
pub fn check(py: Python<'_>, status: core::ffi::c_int) -> Result<()> {
    if status < 0 { Err(raised(py)) } else { Ok(()) }
}

/// Takes the exception that is set.
pub fn raised(py: Python<'_>) -> Raised {
    let Some(pointer) = NonNull::new(control::take_pending()) else {
        return Raised("an error without an exception".to_owned());
    };
    let exception = Object { pointer, py };
    // SAFETY: an object's type is alive while the object is.
    let kind = unsafe { ffi::Py_TYPE(exception.as_ptr()) };
    // SAFETY: as above.
    let kind = unsafe { Object::borrowed(py, kind.cast()) };
    let name = kind.and_then(|kind| kind.attribute(c"__name__").ok());
    let name = name.map_or_else(|| "an exception".to_owned(), |name| name.to_text());
    let text = exception.to_text();
    Raised(if text.is_empty() { name } else { format!("{name}: {text}") })
}
