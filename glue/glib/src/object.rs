//! `raddle.GObject`: Python's face of an object where PyGObject is not to be had.
//!
//! A handle owns one reference to its object. Two handles of the same object are equal, and neither is
//! kept by the object: what Python code wants to remember about one, it keys by the handle. When the
//! last reference goes with a handle, Python is given up for as long as the object takes to die.

use core::ffi::{CStr, c_int, c_void};
use core::ptr;
use std::ffi::CString;

use glib::gobject_ffi::{self, GObject, GParamSpec};
use glib::translate::ToGlibPtrMut as _;
use pyo3::Python;
use pyo3_ffi::{self as ffi, Py_hash_t, PyGetSetDef, PyMethodDef, PyObject, PyType_Slot};
use raddle::arguments::{Call, Creation};
use raddle::class::{self, Class};
use raddle::gate;
use raddle::object::{Answer, Kind, Object, Pending, answer};
use raddle::row::{method, property};
use raddle::shelf::Key;
use raddle::table::Table;

use crate::value::{self, text, text_of, type_name};
use crate::{face, signal};

/// The Rust value of a `raddle.GObject`: one reference, not null.
#[derive(Debug)]
pub(crate) struct Handle(*mut GObject);

// SAFETY: counting references of an object is safe on any thread, and a handle does nothing else with
// it by itself.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: alive, since this owns a reference; a count that is old in a moment only decides
        // whether to spare a release.
        let is_last = unsafe { (*self.0).ref_count } == 1;
        // What its end runs may wait for a thread that needs Python.
        let released = is_last && gate::is_held() && gate::unblock_raw().is_ok();
        // SAFETY: owned.
        unsafe { gobject_ffi::g_object_unref(self.0) };
        if released {
            // Refused only where Python is no more, and there is nothing to take back then.
            drop(gate::block_raw());
        }
    }
}

static METHODS: Table<[PyMethodDef; 6]> = Table::new([
    method(
        c"connect",
        face::connect_method,
        c"connect(signal, handler, after=False)\n--\n\nCalls handler(object, *arguments) when the signal is emitted; gives the handler's id.",
    ),
    method(c"disconnect", face::disconnect_method, c"disconnect(id)\n--\n\nRemoves a handler."),
    method(c"emit", Handle::emit, c"emit(signal, *arguments)\n--\n\nEmits a signal; gives what it returns."),
    method(c"get_property", Handle::get_property, c"get_property(name)\n--\n\nReads a property."),
    method(c"set_property", Handle::set_property, c"set_property(name, value)\n--\n\nWrites a property."),
    PyMethodDef::zeroed(),
]);

static PROPERTIES: Table<[PyGetSetDef; 4]> = Table::new([
    property(c"type_name", Handle::type_name, c"The name of its GType."),
    property(c"address", Handle::address, c"Where the object is, as an int."),
    property(
        c"ref_count",
        Handle::ref_count,
        c"How many references there are, this handle's among them.",
    ),
    class::no_property(),
]);

impl Class for Handle {
    const NAME: &'static CStr = c"raddle.GObject";
    const DOC: &'static CStr =
        c"GObject(type_name, **properties)\n--\n\nA GObject: a new one of that type, or the face of one that came from GLib.";
    const KEY: Key = Key::Above4;

    fn new(call: Creation<'_>) -> Result<Self, Pending> {
        // SAFETY: a tuple.
        if unsafe { ffi::PyTuple_Size(call.positional()) } != 1 {
            let line = "GObject() takes the name of a GType, and properties by name";
            return Err(Pending::new(call.py(), Kind::Type, line));
        }
        // SAFETY: a tuple of one, which lends it.
        let name = unsafe { ffi::PyTuple_GetItem(call.positional(), 0) };
        // SAFETY: alive.
        let name = unsafe { text_of(call.py(), name) }?;
        make(call.py(), &name, call.keywords()).map(Self)
    }

    fn methods() -> *mut PyMethodDef {
        METHODS.start()
    }

    fn slots() -> Vec<PyType_Slot> {
        let repr: ffi::reprfunc = repr;
        let hash: ffi::hashfunc = hash;
        let compare: ffi::richcmpfunc = compare;
        vec![
            PyType_Slot { slot: ffi::Py_tp_getset, pfunc: PROPERTIES.start() },
            PyType_Slot { slot: ffi::Py_tp_repr, pfunc: repr as *mut c_void },
            PyType_Slot { slot: ffi::Py_tp_hash, pfunc: hash as *mut c_void },
            PyType_Slot { slot: ffi::Py_tp_richcompare, pfunc: compare as *mut c_void },
        ]
    }
}

/// A handle with a reference of its own.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn wrap(py: Python<'_>, object: *mut GObject) -> Answer<'_> {
    // One that was never owned, as a widget in its making, is not taken over but shared: the floating
    // reference stays for its container.
    // SAFETY: alive, by the caller's promise.
    unsafe { gobject_ffi::g_object_ref(object) };
    class::new(py, Handle(object))
}

/// The object of a handle, lent; `None` if `object` is no handle.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn native(
    py: Python<'_>,
    object: *mut PyObject,
) -> Result<Option<*mut GObject>, Pending> {
    // SAFETY: by the caller's promise.
    let Some(object) = (unsafe { Object::borrowed(py, object) }) else { return Ok(None) };
    Ok(class::of::<Handle>(py, &object)?.map(|handle| handle.0))
}

/// # Safety
///
/// `object` is a handle, alive.
unsafe fn handle<'a>(object: *mut PyObject) -> &'a Handle {
    // SAFETY: by the caller's promise.
    unsafe { class::value(object) }
}

/// A new object of a type, with properties: a dict or null.
fn make(py: Python<'_>, name: &CStr, properties: *mut PyObject) -> Result<*mut GObject, Pending> {
    // SAFETY: a text.
    let kind = unsafe { gobject_ffi::g_type_from_name(name.as_ptr()) };
    // SAFETY: a type, or 0.
    let is_object = unsafe { gobject_ffi::g_type_is_a(kind, gobject_ffi::G_TYPE_OBJECT) };
    // SAFETY: as above.
    let abstract_flag =
        unsafe { gobject_ffi::g_type_test_flags(kind, gobject_ffi::G_TYPE_FLAG_ABSTRACT) };
    if is_object == glib::ffi::GFALSE || abstract_flag != glib::ffi::GFALSE {
        let line = format!("{} is no type of object that can be made", name.to_string_lossy());
        return Err(Pending::new(py, Kind::Value, &line));
    }
    // SAFETY: a type of object.
    let class = unsafe { gobject_ffi::g_type_class_ref(kind) };
    let made = properties_of(py, class.cast(), properties).map(|properties| {
        let names: Vec<_> = properties.iter().map(|(name, _)| name.as_ptr()).collect();
        let values: Vec<gobject_ffi::GValue> =
            // SAFETY: bits, which are only read while the values themselves live.
            properties.iter().map(|(_, value)| unsafe { ptr::read(raw(value)) }).collect();
        let count = u32::try_from(names.len()).unwrap_or(0);
        // SAFETY: a type, and so many names of its properties with values for them.
        unsafe {
            gobject_ffi::g_object_new_with_properties(
                kind,
                count,
                names.as_ptr().cast_mut(),
                values.as_ptr(),
            )
        }
    });
    // SAFETY: referenced above.
    unsafe { gobject_ffi::g_type_class_unref(class) };
    let object = made?;
    // SAFETY: alive; one that floats becomes the handle's.
    if unsafe { gobject_ffi::g_object_is_floating(object) } != glib::ffi::GFALSE {
        // SAFETY: as above.
        unsafe { gobject_ffi::g_object_ref_sink(object) };
    }
    Ok(object)
}

fn raw(value: &glib::Value) -> *const gobject_ffi::GValue {
    glib::translate::ToGlibPtr::to_glib_none(value).0
}

fn properties_of(
    py: Python<'_>,
    class: *mut gobject_ffi::GObjectClass,
    properties: *mut PyObject,
) -> Result<Vec<(CString, glib::Value)>, Pending> {
    let mut found = Vec::new();
    let (mut at, mut name, mut value) = (0, ptr::null_mut(), ptr::null_mut());
    if properties.is_null() {
        return Ok(found);
    }
    // SAFETY: a dict that nobody else has; lends both.
    while unsafe { ffi::PyDict_Next(properties, &raw mut at, &raw mut name, &raw mut value) } != 0 {
        // SAFETY: alive.
        let name = unsafe { text_of(py, name) }?;
        // SAFETY: the class of an object's type, and a text.
        let spec = unsafe { gobject_ffi::g_object_class_find_property(class, name.as_ptr()) };
        // SAFETY: alive.
        let value = unsafe { writable(py, spec, &name, value, 0) }?;
        found.push((name, value));
    }
    Ok(found)
}

fn no_property(py: Python<'_>, name: &CStr, what: &str) -> Pending {
    let line = format!("there is no property '{}' that can be {what}", name.to_string_lossy());
    Pending::new(py, Kind::Value, &line)
}

/// `value`, converted for a property that may be written and has none of the flags in `never`.
///
/// # Safety
///
/// `spec` is null or a property, and `value` alive.
unsafe fn writable(
    py: Python<'_>,
    spec: *mut GParamSpec,
    name: &CStr,
    value: *mut PyObject,
    never: gobject_ffi::GParamFlags,
) -> Result<glib::Value, Pending> {
    // SAFETY: by the caller's promise.
    let about = unsafe { spec.as_ref() };
    let may = |about: &&GParamSpec| {
        about.flags & gobject_ffi::G_PARAM_WRITABLE != 0 && about.flags & never == 0
    };
    let Some(about) = about.filter(may) else { return Err(no_property(py, name, "written")) };
    let mut converted = value::empty(about.value_type);
    let place = converted.to_glib_none_mut().0;
    // SAFETY: initialised, and alive by the caller's promise.
    unsafe { value::to_value(py, value, place) }?;
    // SAFETY: a property and a value of its type, of our own: it says whether it had to change it.
    let changed = unsafe { gobject_ffi::g_param_value_validate(spec, place) };
    if changed != glib::ffi::GFALSE {
        let line =
            format!("the value is out of the range of property '{}'", name.to_string_lossy());
        return Err(Pending::new(py, Kind::Overflow, &line));
    }
    Ok(converted)
}

/// # Safety
///
/// `object` is alive.
unsafe fn find(object: *mut GObject, name: &CStr) -> *mut GParamSpec {
    // SAFETY: alive; its class is the first that it points to.
    let class = unsafe { (*object).g_type_instance.g_class };
    // SAFETY: an object's class, and a text.
    unsafe { gobject_ffi::g_object_class_find_property(class.cast(), name.as_ptr()) }
}

impl Handle {
    /// The object, which is alive as long as this.
    pub(crate) fn object(&self) -> *mut GObject {
        self.0
    }

    fn kind(&self) -> String {
        // SAFETY: alive while its handle is.
        type_name(unsafe { value::type_of(self.0) })
    }

    fn get_property<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let py = call.py();
        let [name] = call.bind("get_property", [c"name"], 1)?;
        // SAFETY: alive.
        let name = unsafe { text_of(py, name.as_ptr()) }?;
        // SAFETY: alive while its handle is.
        let spec = unsafe { find(self.0, &name) };
        // SAFETY: null, or a property.
        let about = unsafe { spec.as_ref() };
        let readable = about.filter(|spec| spec.flags & gobject_ffi::G_PARAM_READABLE != 0);
        let Some(about) = readable else { return Err(no_property(py, &name, "read")) };
        let mut value = value::empty(about.value_type);
        let place = value.to_glib_none_mut().0;
        // SAFETY: an object, a property of its, and a value of that type.
        unsafe { gobject_ffi::g_object_get_property(self.0, name.as_ptr(), place) };
        // SAFETY: initialised.
        unsafe { value::to_python(py, place) }
    }

    fn set_property<'py>(&self, call: Call<'py>) -> Answer<'py> {
        let py = call.py();
        let [name, value] = call.bind("set_property", [c"name", c"value"], 2)?;
        // SAFETY: alive.
        let name = unsafe { text_of(py, name.as_ptr()) }?;
        // SAFETY: alive while its handle is.
        let spec = unsafe { find(self.0, &name) };
        let never = gobject_ffi::G_PARAM_CONSTRUCT_ONLY;
        // SAFETY: null or a property, and alive.
        let mut value = unsafe { writable(py, spec, &name, value.as_ptr(), never) }?;
        let place = value.to_glib_none_mut().0;
        // SAFETY: an object, a property of its, and a value of that type.
        unsafe { gobject_ffi::g_object_set_property(self.0, name.as_ptr(), place) };
        Ok(Object::none(py))
    }

    fn emit<'py>(&self, call: Call<'py>) -> Answer<'py> {
        match call.positional() {
            // SAFETY: alive while its handle is; the arguments are, too.
            [signal, arguments @ ..] if !call.is_named() => unsafe {
                signal::emit(call.py(), self.0, *signal, arguments)
            },
            _ => {
                let line = "emit() takes a signal's name and its arguments, by place";
                Err(Pending::new(call.py(), Kind::Type, line))
            }
        }
    }

    fn type_name<'py>(&self, py: Python<'py>) -> Answer<'py> {
        text(py, &self.kind())
    }

    fn address<'py>(&self, py: Python<'py>) -> Answer<'py> {
        Object::integer(py, self.0.addr() as u64).map_err(|raised| raised.set(py))
    }

    fn ref_count<'py>(&self, py: Python<'py>) -> Answer<'py> {
        // SAFETY: alive while its handle is.
        let count = unsafe { (*self.0).ref_count };
        Object::integer(py, count.into()).map_err(|raised| raised.set(py))
    }
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: a handle, as CPython saw to.
    let handle = unsafe { handle(this) };
    answer(text(py, &format!("<raddle.GObject {} at {:p}>", handle.kind(), handle.0)))
}

unsafe extern "C" fn hash(this: *mut PyObject) -> Py_hash_t {
    // SAFETY: a handle, as CPython saw to.
    let address = unsafe { handle(this) }.0.addr();
    // Objects lie on multiples of 16; and -1, which means an error, is none.
    address.rotate_right(4).cast_signed()
}

unsafe extern "C" fn compare(
    this: *mut PyObject,
    other: *mut PyObject,
    how: c_int,
) -> *mut PyObject {
    // SAFETY: CPython calls this with Python held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: alive, as CPython saw to.
    let other = match unsafe { native(py, other) } {
        Ok(other) => other,
        Err(pending) => return answer(Err(pending)),
    };
    // SAFETY: a handle, as CPython saw to.
    let same = other.map(|other| ptr::eq(other, unsafe { handle(this) }.0));
    let truth = match (how, same) {
        (ffi::Py_EQ, Some(same)) => same,
        (ffi::Py_NE, Some(same)) => !same,
        _ => {
            // SAFETY: Python is held.
            let unknown = unsafe { ffi::Py_NotImplemented() };
            // SAFETY: alive as long as Python.
            unsafe { ffi::Py_INCREF(unknown) };
            return unknown;
        }
    };
    // SAFETY: Python is held.
    unsafe { ffi::PyBool_FromLong(truth.into()) }
}
