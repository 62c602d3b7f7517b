//! Arguments of functions that Python calls: bound to their names, and read.
//!
//! Mistakes raise what a Python function of the same signature would raise.

use core::ffi::{CStr, c_int};
use core::ptr;
use std::time::Duration;

use pyo3::Python;
use pyo3_ffi::{self as ffi, Py_ssize_t, PyObject};

use crate::object::{Kind, Object, Pending};

/// What CPython calls a function or a method with: lent for the call, with Python held.
#[derive(Clone, Copy)]
pub struct Call<'py> {
    py: Python<'py>,
    this: *mut PyObject,
    arguments: *const *mut PyObject,
    /// How many of them have no name.
    count: usize,
    /// The names of the others, or null.
    names: *mut PyObject,
}

impl core::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { this, count, .. } = self;
        f.debug_struct("Call").field("this", this).field("count", count).finish_non_exhaustive()
    }
}

impl<'py> Call<'py> {
    /// # Safety
    ///
    /// What CPython calls a `METH_FASTCALL | METH_KEYWORDS` function with, which lasts for `'py`.
    pub(crate) unsafe fn new(
        this: *mut PyObject,
        arguments: *const *mut PyObject,
        count: Py_ssize_t,
        names: *mut PyObject,
    ) -> Self {
        // SAFETY: CPython calls with Python held.
        let py = unsafe { Python::assume_attached() };
        Self { py, this, arguments, count: count.unsigned_abs(), names }
    }

    /// The token that says that Python is held.
    pub fn py(self) -> Python<'py> {
        self.py
    }

    /// What the method is called on: alive.
    pub fn this(self) -> *mut PyObject {
        self.this
    }

    /// A reference to what the method is called on.
    pub fn itself(self) -> Object<'py> {
        // SAFETY: alive, and not null, as this was made.
        unsafe { Object::borrowed(self.py, self.this) }.unwrap_or_else(|| Object::none(self.py))
    }

    /// The arguments without names: alive.
    pub fn positional(self) -> &'py [*mut PyObject] {
        if self.count == 0 {
            return &[]; // There may be no place for none.
        }
        // SAFETY: there are so many, as this was made, for `'py`.
        unsafe { core::slice::from_raw_parts(self.arguments, self.count) }
    }

    /// Whether any argument has a name.
    pub fn is_named(self) -> bool {
        !self.names.is_null()
    }

    /// Binds the arguments, the first `required` of which must be there.
    ///
    /// # Errors
    ///
    /// What a Python function of that name and signature would raise.
    pub fn bind<const N: usize>(
        self,
        function: &str,
        names: [&CStr; N],
        required: usize,
    ) -> Result<[Argument<'py>; N], Pending> {
        let Self { py, arguments, count, names: given, .. } = self;
        // SAFETY: as this was made.
        let bound =
            unsafe { bind(py, function, names, required, arguments, count.cast_signed(), given) }?;
        Ok(bound.map(|pointer| Argument { py, pointer }))
    }
}

/// An argument of a call, lent for it; null if it was left out.
#[derive(Clone, Copy)]
pub struct Argument<'py> {
    py: Python<'py>,
    pointer: *mut PyObject,
}

impl core::fmt::Debug for Argument<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Argument").field(&self.pointer).finish()
    }
}

impl<'py> Argument<'py> {
    /// The token that says that Python is held.
    pub fn py(self) -> Python<'py> {
        self.py
    }

    /// The bare pointer.
    pub fn as_ptr(self) -> *mut PyObject {
        self.pointer
    }

    /// The same, left out if it is `None`.
    #[must_use]
    pub fn unless_none(self) -> Self {
        // SAFETY: Python is held.
        let is_none = self.pointer == unsafe { ffi::Py_None() };
        if is_none { Self { pointer: ptr::null_mut(), ..self } } else { self }
    }

    /// A reference to it, unless it was left out.
    pub fn object(self) -> Option<Object<'py>> {
        // SAFETY: null, or alive.
        unsafe { Object::borrowed(self.py, self.pointer) }
    }

    /// As [`timeout`].
    pub fn timeout(self) -> Result<Option<Duration>, Pending> {
        // SAFETY: null, or alive.
        unsafe { timeout(self.py, self.pointer) }
    }

    /// As [`number`].
    pub fn number(self, name: &str, least: u32, default: u32) -> Result<u32, Pending> {
        // SAFETY: null, or alive.
        unsafe { number(self.py, name, self.pointer, least, default) }
    }

    /// As [`truth`].
    pub fn truth(self, default: bool) -> Result<bool, Pending> {
        // SAFETY: null, or alive.
        unsafe { truth(self.pointer, default) }
    }
}

/// The arguments of a call, null where one was left out: lent for the call.
pub type Bound<const N: usize> = [*mut PyObject; N];

/// Binds the arguments of a `METH_FASTCALL | METH_KEYWORDS` function, the first `required` of which
/// must be there.
///
/// # Safety
///
/// The three are what CPython called the function with.
pub unsafe fn bind<const N: usize>(
    py: Python<'_>,
    function: &str,
    names: [&CStr; N],
    required: usize,
    arguments: *const *mut PyObject,
    count: Py_ssize_t,
    keywords: *mut PyObject,
) -> Result<Bound<N>, Pending> {
    let mut bound = [ptr::null_mut(); N];
    let count = usize::try_from(count).unwrap_or(0);
    too_many(py, function, count, N)?;
    for (index, place) in bound.iter_mut().take(count).enumerate() {
        // SAFETY: there are `count` of them.
        *place = unsafe { *arguments.wrapping_add(index) };
    }
    if !keywords.is_null() {
        // SAFETY: a tuple of names, one for each argument after the first `count`.
        for index in 0..unsafe { ffi::PyTuple_Size(keywords) } {
            // SAFETY: within the tuple, lent.
            let name = unsafe { ffi::PyTuple_GetItem(keywords, index) };
            // SAFETY: there is one for each name.
            let value = unsafe { *arguments.wrapping_add(count + index.unsigned_abs()) };
            place(py, function, &names, &mut bound, name, value)?;
        }
    }
    all_there(py, function, names, required, bound)
}

/// Binds the arguments of a type's `__new__`: a tuple, and a dict or null.
///
/// # Safety
///
/// The two are such.
pub unsafe fn bind_tuple<const N: usize>(
    py: Python<'_>,
    function: &str,
    names: [&CStr; N],
    required: usize,
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> Result<Bound<N>, Pending> {
    let mut bound = [ptr::null_mut(); N];
    // SAFETY: a tuple.
    let count = unsafe { ffi::PyTuple_Size(arguments) };
    too_many(py, function, usize::try_from(count).unwrap_or(0), N)?;
    for (index, place) in (0..count).zip(&mut bound) {
        // SAFETY: within the tuple, lent.
        *place = unsafe { ffi::PyTuple_GetItem(arguments, index) };
    }
    if !keywords.is_null() {
        let (mut at, mut name, mut value) = (0, ptr::null_mut(), ptr::null_mut());
        // SAFETY: a dict that nobody changes meanwhile; lends both.
        while unsafe { ffi::PyDict_Next(keywords, &raw mut at, &raw mut name, &raw mut value) } != 0
        {
            place(py, function, &names, &mut bound, name, value)?;
        }
    }
    all_there(py, function, names, required, bound)
}

fn too_many(py: Python<'_>, function: &str, count: usize, most: usize) -> Result<(), Pending> {
    if count <= most {
        return Ok(());
    }
    let line = format!("{function}() takes at most {most} arguments ({count} given)");
    Err(Pending::new(py, Kind::Type, &line))
}

fn place<const N: usize>(
    py: Python<'_>,
    function: &str,
    names: &[&CStr; N],
    bound: &mut Bound<N>,
    name: *mut PyObject,
    value: *mut PyObject,
) -> Result<(), Pending> {
    // SAFETY: the name of a keyword is a str.
    let is =
        |known: &&CStr| unsafe { ffi::PyUnicode_CompareWithASCIIString(name, known.as_ptr()) } == 0;
    let found = names.iter().position(is);
    let wrong = match found {
        Some(index) if bound[index].is_null() => {
            bound[index] = value;
            return Ok(());
        }
        Some(_) => "multiple values for",
        None => "an unexpected keyword",
    };
    // SAFETY: alive, lent by the caller.
    let name =
        unsafe { Object::borrowed(py, name) }.map_or_else(String::new, |name| name.to_text());
    Err(Pending::new(py, Kind::Type, &format!("{function}() got {wrong} argument '{name}'")))
}

fn all_there<const N: usize>(
    py: Python<'_>,
    function: &str,
    names: [&CStr; N],
    required: usize,
    bound: Bound<N>,
) -> Result<Bound<N>, Pending> {
    match bound.iter().take(required).position(|argument| argument.is_null()) {
        None => Ok(bound),
        Some(missing) => {
            let name = names[missing].to_string_lossy();
            let line = format!("{function}() missing required argument '{name}'");
            Err(Pending::new(py, Kind::Type, &line))
        }
    }
}

/// A time in seconds: `None`, or nothing at all, is for ever; so is what no clock reaches.
///
/// # Safety
///
/// `argument` is null or alive.
pub unsafe fn timeout(
    py: Python<'_>,
    argument: *mut PyObject,
) -> Result<Option<Duration>, Pending> {
    // SAFETY: Python is held.
    if argument.is_null() || argument == unsafe { ffi::Py_None() } {
        return Ok(None);
    }
    // SAFETY: alive.
    let seconds = unsafe { ffi::PyFloat_AsDouble(argument) };
    // SAFETY: Python is held.
    if seconds == -1.0 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(Pending::is_set());
    }
    if seconds.is_nan() || seconds < 0.0 {
        let line =
            "a timeout is a number of seconds that is not negative, or None to wait for ever";
        return Err(Pending::new(py, Kind::Value, line));
    }
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

/// A number from `least` on, or `default` if it was left out.
///
/// # Safety
///
/// `argument` is null or alive.
pub unsafe fn number(
    py: Python<'_>,
    name: &str,
    argument: *mut PyObject,
    least: u32,
    default: u32,
) -> Result<u32, Pending> {
    if argument.is_null() {
        return Ok(default);
    }
    let mut overflow: c_int = 0;
    // SAFETY: alive.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(argument, &raw mut overflow) };
    // SAFETY: Python is held.
    if value == -1 && overflow == 0 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(Pending::is_set());
    }
    match u32::try_from(value) {
        Ok(number) if overflow == 0 && number >= least => Ok(number),
        _ => {
            let line = format!("{name} must be from {least} to {}", u32::MAX);
            Err(Pending::new(py, Kind::Value, &line))
        }
    }
}

/// Whether something is true; `default` if it was left out.
///
/// # Safety
///
/// `argument` is null or alive, and Python is held.
pub unsafe fn truth(argument: *mut PyObject, default: bool) -> Result<bool, Pending> {
    if argument.is_null() {
        return Ok(default);
    }
    // SAFETY: by the caller's promise.
    match unsafe { ffi::PyObject_IsTrue(argument) } {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Pending::is_set()),
    }
}
