//! What Python calls functions, methods and types with: bound to the names of arguments, and read.
//!
//! Mistakes raise what a Python function of the same signature would raise.

use core::ffi::{CStr, c_int};
use core::ptr;
use std::time::Duration;

use pyo3::{Bound, Python};
use pyo3_ffi::{self as ffi, Py_ssize_t, PyObject};

use crate::gate::Ref;
use crate::object::{Answer, Kind, Object, Pending};

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

    /// Whether there are none at all.
    pub fn is_empty(self) -> bool {
        self.count == 0 && self.names.is_null()
    }

    /// Where the arguments end that lie on the caller's stack of values; null if some have names.
    pub(crate) fn extent(self) -> *const *mut PyObject {
        if self.is_named() { ptr::null() } else { self.arguments.wrapping_add(self.count) }
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
        let mut bound = Binding::new(py, function, names, count)?;
        for (argument, place) in self.positional().iter().zip(&mut bound.places) {
            *place = *argument;
        }
        if self.is_named() {
            // SAFETY: a tuple of names, one for each argument after the first `count`.
            for index in 0..unsafe { ffi::PyTuple_Size(given) } {
                // SAFETY: within the tuple, lent.
                let name = unsafe { ffi::PyTuple_GetItem(given, index) };
                // SAFETY: there is one for each name.
                let value = unsafe { *arguments.wrapping_add(count + index.unsigned_abs()) };
                bound.place(name, value)?;
            }
        }
        bound.all(required)
    }
}

/// What a type is called with, `Type(*arguments, **keywords)`: lent for the call, with Python held.
#[derive(Clone, Copy)]
pub struct Creation<'py> {
    py: Python<'py>,
    positional: *mut PyObject,
    /// A dict, or null.
    keywords: *mut PyObject,
}

impl core::fmt::Debug for Creation<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Creation").field("keywords", &self.keywords).finish_non_exhaustive()
    }
}

impl<'py> Creation<'py> {
    /// # Safety
    ///
    /// A tuple, and a dict or null, alive for `'py`.
    pub(crate) unsafe fn new(
        py: Python<'py>,
        positional: *mut PyObject,
        keywords: *mut PyObject,
    ) -> Self {
        Self { py, positional, keywords }
    }

    /// The token that says that Python is held.
    pub fn py(self) -> Python<'py> {
        self.py
    }

    /// The tuple of the arguments without names.
    pub fn positional(self) -> *mut PyObject {
        self.positional
    }

    /// The dict of the others, or null.
    pub fn keywords(self) -> *mut PyObject {
        self.keywords
    }

    /// Binds the arguments, the first `required` of which must be there.
    ///
    /// # Errors
    ///
    /// As [`Call::bind`].
    pub fn bind<const N: usize>(
        self,
        class: &str,
        names: [&CStr; N],
        required: usize,
    ) -> Result<[Argument<'py>; N], Pending> {
        let Self { py, positional, keywords } = self;
        // SAFETY: a tuple.
        let count = unsafe { ffi::PyTuple_Size(positional) };
        let mut bound = Binding::new(py, class, names, count.unsigned_abs())?;
        for (index, place) in (0..count).zip(&mut bound.places) {
            // SAFETY: within the tuple, lent.
            *place = unsafe { ffi::PyTuple_GetItem(positional, index) };
        }
        if !keywords.is_null() {
            let (mut at, mut name, mut value) = (0, ptr::null_mut(), ptr::null_mut());
            // SAFETY: a dict that nobody changes meanwhile; lends both.
            while unsafe { ffi::PyDict_Next(keywords, &raw mut at, &raw mut name, &raw mut value) }
                != 0
            {
                bound.place(name, value)?;
            }
        }
        bound.all(required)
    }
}

/// Arguments on their way to their names; null where there is none yet.
struct Binding<'a, 'py, const N: usize> {
    py: Python<'py>,
    function: &'a str,
    names: [&'a CStr; N],
    places: [*mut PyObject; N],
}

impl<'a, 'py, const N: usize> Binding<'a, 'py, N> {
    fn new(
        py: Python<'py>,
        function: &'a str,
        names: [&'a CStr; N],
        count: usize,
    ) -> Result<Self, Pending> {
        if count > N {
            let line = format!("{function}() takes at most {N} arguments ({count} given)");
            return Err(Pending::new(py, Kind::Type, &line));
        }
        Ok(Self { py, function, names, places: [ptr::null_mut(); N] })
    }

    /// Places an argument by its name, a str.
    fn place(&mut self, name: *mut PyObject, value: *mut PyObject) -> Result<(), Pending> {
        // SAFETY: the name of a keyword is a str.
        let is = |known: &&CStr| unsafe {
            ffi::PyUnicode_CompareWithASCIIString(name, known.as_ptr()) == 0
        };
        let wrong = match self.names.iter().position(is) {
            Some(index) if self.places[index].is_null() => {
                self.places[index] = value;
                return Ok(());
            }
            Some(_) => "multiple values for",
            None => "an unexpected keyword",
        };
        // SAFETY: alive, lent by the caller.
        let name = unsafe { Object::borrowed(self.py, name) };
        let name = name.map_or_else(String::new, |name| name.to_text());
        let line = format!("{}() got {wrong} argument '{name}'", self.function);
        Err(Pending::new(self.py, Kind::Type, &line))
    }

    fn all(self, required: usize) -> Result<[Argument<'py>; N], Pending> {
        let Self { py, function, names, places } = self;
        match places.iter().take(required).position(|argument| argument.is_null()) {
            None => Ok(places.map(|pointer| Argument { py, pointer })),
            Some(missing) => {
                let name = names[missing].to_string_lossy();
                let line = format!("{function}() missing required argument '{name}'");
                Err(Pending::new(py, Kind::Type, &line))
            }
        }
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
    /// An argument that was got in another way.
    ///
    /// # Safety
    ///
    /// `pointer` is null, or alive for `'py`.
    pub(crate) unsafe fn lent(py: Python<'py>, pointer: *mut PyObject) -> Self {
        Self { py, pointer }
    }

    /// The token that says that Python is held.
    pub fn py(self) -> Python<'py> {
        self.py
    }

    /// The bare pointer.
    pub fn as_ptr(self) -> *mut PyObject {
        self.pointer
    }

    /// Whether it is not there.
    pub fn is_left_out(self) -> bool {
        self.pointer.is_null()
    }

    /// Whether it is `None`.
    pub fn is_none(self) -> bool {
        // SAFETY: Python is held.
        self.pointer == unsafe { ffi::Py_None() }
    }

    /// The same, left out if it is `None`.
    #[must_use]
    pub fn unless_none(self) -> Self {
        if self.is_none() { Self { pointer: ptr::null_mut(), ..self } } else { self }
    }

    /// A reference to it, unless it was left out.
    pub fn object(self) -> Option<Object<'py>> {
        // SAFETY: null, or alive.
        unsafe { Object::borrowed(self.py, self.pointer) }
    }

    /// A reference to it that any thread may have; a TypeError with `refusal` if it is not callable.
    pub fn callable(self, refusal: &str) -> Result<Ref, Pending> {
        // SAFETY: null, or alive.
        if unsafe { ffi::PyCallable_Check(self.pointer) } == 0 {
            return Err(Pending::new(self.py, Kind::Type, refusal));
        }
        // SAFETY: alive, since it is callable.
        Ok(Ref::new(unsafe { Bound::from_borrowed_ptr(self.py, self.pointer) }))
    }

    /// A time in seconds: `None`, or nothing at all, is for ever; so is what no clock reaches.
    pub fn timeout(self) -> Result<Option<Duration>, Pending> {
        if self.is_left_out() || self.is_none() {
            return Ok(None);
        }
        // SAFETY: alive.
        let seconds = unsafe { ffi::PyFloat_AsDouble(self.pointer) };
        // SAFETY: Python is held.
        if seconds == -1.0 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
            return Err(Pending::is_set());
        }
        if seconds.is_nan() || seconds < 0.0 {
            let line =
                "a timeout is a number of seconds that is not negative, or None to wait for ever";
            return Err(Pending::new(self.py, Kind::Value, line));
        }
        Ok(Duration::try_from_secs_f64(seconds).ok())
    }

    /// A number from `least` on, or `default` if it was left out.
    pub fn number(self, name: &str, least: u32, default: u32) -> Result<u32, Pending> {
        if self.is_left_out() {
            return Ok(default);
        }
        let mut overflow: c_int = 0;
        // SAFETY: alive.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(self.pointer, &raw mut overflow) };
        // SAFETY: Python is held.
        if value == -1 && overflow == 0 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
            return Err(Pending::is_set());
        }
        match u32::try_from(value) {
            Ok(number) if overflow == 0 && number >= least => Ok(number),
            _ => {
                let line = format!("{name} must be from {least} to {}", u32::MAX);
                Err(Pending::new(self.py, Kind::Value, &line))
            }
        }
    }

    /// Whether it is true; `default` if it was left out.
    pub fn truth(self, default: bool) -> Result<bool, Pending> {
        if self.is_left_out() {
            return Ok(default);
        }
        // SAFETY: alive.
        match unsafe { ffi::PyObject_IsTrue(self.pointer) } {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Pending::is_set()),
        }
    }
}

/// A tuple of arguments.
///
/// # Safety
///
/// All are alive.
pub(crate) unsafe fn tuple<'py>(py: Python<'py>, arguments: &[*mut PyObject]) -> Answer<'py> {
    let count = arguments.len().cast_signed();
    // SAFETY: Python is held.
    let tuple = unsafe { ffi::PyTuple_New(count) };
    // SAFETY: as that function returns.
    let tuple = unsafe { Object::answered(py, tuple) }?;
    for (index, argument) in (0..count).zip(arguments) {
        // SAFETY: alive.
        unsafe { ffi::Py_INCREF(*argument) };
        // SAFETY: a new tuple, an index within it, and a reference that it takes.
        unsafe { ffi::PyTuple_SetItem(tuple.as_ptr(), index, *argument) };
    }
    Ok(tuple)
}
