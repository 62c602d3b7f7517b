//! Bombs: an exception as a value, which goes off when the tasklet that has it goes on.

use core::ptr;

use pyo3_ffi as ffi;

use super::kinds::{self, BombObject};
use super::ops::{self, Parts, Raw, refuse};
use crate::object::{Kind, Pending};

/// Whether an object is a bomb.
#[inline(always)]
pub(super) fn is(object: Raw) -> bool {
    object != ops::none() && ops::type_of(object) == kinds::bomb_type()
}

/// The value, owned; if it is a bomb, the exception is set and null returned.
#[inline(always)]
pub(super) fn explode(value: Raw) -> Raw {
    if is(value) { set_off(value) } else { value }
}

#[cold]
fn set_off(bomb: Raw) -> Raw {
    let object = of(bomb);
    let parts = Parts {
        kind: ops::xincref(object.kind),
        value: ops::xincref(object.value),
        traceback: ops::xincref(object.traceback),
    };
    ops::decref(bomb);
    // SAFETY: an object.
    if !parts.kind.is_null() && unsafe { ffi::PyExceptionClass_Check(parts.kind) } != 0 {
        ops::put_raised(parts);
        return ptr::null_mut();
    }
    release(parts);
    let _set: Result<(), _> = refuse("this bomb has no exception in it");
    ptr::null_mut()
}

fn release(parts: Parts) {
    for part in [parts.kind, parts.value, parts.traceback] {
        ops::xdecref(part);
    }
}

fn of<'a>(bomb: Raw) -> &'a BombObject {
    // SAFETY: a live object of the type.
    unsafe { &*bomb.cast::<BombObject>() }
}

/// The kind of exception in a bomb, lent.
pub(super) fn kind(bomb: Raw) -> Raw {
    of(bomb).kind
}

/// A bomb of three parts, whose references it takes. Owned.
pub(super) fn new(parts: Parts) -> Result<Raw, Pending> {
    let made = kinds::new_bomb(parts);
    if made.is_err() {
        release(parts);
    }
    made
}

/// A bomb of the exception that is set, which is taken. Owned.
pub(super) fn of_raised() -> Raw {
    surely(new(ops::take_raised()))
}

/// A bomb even if there was no memory for one: then with that news, for which Python keeps memory.
pub(super) fn surely(made: Result<Raw, Pending>) -> Raw {
    made.unwrap_or_else(|_| {
        let parts = ops::take_raised();
        new(parts).unwrap_or_else(|_| {
            ops::report_raised(ptr::null_mut());
            ops::new_none()
        })
    })
}

/// A RuntimeError. Owned.
pub(super) fn of_text(line: &str) -> Result<Raw, Pending> {
    let _set: Result<(), _> = refuse(line);
    new(ops::take_raised())
}

/// A bomb of a kind of exception and its arguments: a tuple, or one value. Owned.
pub(super) fn of_class(class: Raw, arguments: Raw, function: &str) -> Result<Raw, Pending> {
    // SAFETY: an object, and a type.
    let is_class = unsafe { ffi::PyExceptionClass_Check(class) } != 0;
    if !is_class {
        let line = format!("{function} needs Exception or string subclass as first parameter");
        return ops::raise(Kind::Type, &line);
    }
    // SAFETY: an object.
    let is_tuple = unsafe { ffi::PyTuple_Check(arguments) } != 0;
    let value = if is_tuple { ops::incref(arguments) } else { ops::tuple([arguments])? };
    new(Parts { kind: ops::incref(class), value, traceback: ptr::null_mut() })
}

/// A bomb of what `raise` takes: a class or an instance, a value or `None`, a traceback or `None`. Owned.
pub(super) fn of_raise(kind: Raw, value: Raw, traceback: Raw) -> Result<Raw, Pending> {
    let given = |object: Raw| if object == ops::none() { ptr::null_mut() } else { object };
    let (value, traceback) = (given(value), given(traceback));
    // SAFETY: null or an object.
    if !traceback.is_null() && unsafe { ffi::PyTraceBack_Check(traceback) } == 0 {
        return ops::raise(Kind::Type, "third argument must be a traceback object");
    }
    // SAFETY: an object.
    let (class, value) = if unsafe { ffi::PyExceptionClass_Check(kind) } != 0 {
        (kind, value)
    // SAFETY: an object.
    } else if unsafe { ffi::PyExceptionInstance_Check(kind) } != 0 {
        if !value.is_null() {
            return ops::raise(Kind::Type, "instance exception may not have a separate value");
        }
        (ops::type_of(kind), kind)
    } else {
        let name = kinds::type_name(kind);
        let line = format!("exceptions must be classes, or instances, not {name}");
        return ops::raise(Kind::Type, &line);
    };
    new(Parts {
        kind: ops::incref(class),
        value: ops::xincref(value),
        traceback: ops::xincref(traceback),
    })
}
