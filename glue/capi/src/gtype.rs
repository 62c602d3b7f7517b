//! `raddle-gtype.h`: what GObject has to know of raddle: types, and the domain of errors.

use core::ffi::{c_char, c_int};
use core::ptr;
use std::sync::OnceLock;

use ::glib::ffi::{GError, GQuark, GType};
use ::glib::gobject_ffi::{self, GEnumValue};
use raddle_glib::failure;

use crate::{
    boundary::guard,
    pointer,
    runtime::{RaddleRuntime, raddle_runtime_ref, raddle_runtime_unref},
    status::{RaddleStatus, answer, raddle_last_error_message, refuse},
};

/// See `raddle-gtype.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_error_quark() -> GQuark {
    guard(raddle_glib::error_domain)
}

/// See `raddle-gtype.h`.
///
/// # Safety
///
/// `error` is NULL or points to NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_set_error(error: *mut *mut GError, status: RaddleStatus) -> c_int {
    guard(|| {
        if status == RaddleStatus::OK {
            return 1;
        }
        let domain = raddle_glib::error_domain();
        // SAFETY: by the caller's promise; the message is a text.
        unsafe { pointer::set_error(error, domain, status.code(), raddle_last_error_message()) };
        0
    })
}

/// See `raddle-gtype.h`.
///
/// # Safety
///
/// `error` is NULL or points to NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_set_error_from_python(error: *mut *mut GError) -> c_int {
    guard(|| {
        let taken = match pointer::held(|py| Ok(failure::take(py))) {
            Ok(taken) => taken,
            Err(refused) => failure::of_error(&refused),
        };
        if taken.is_null() {
            return 1;
        }
        // SAFETY: by the caller's promise; the error goes there, or is freed.
        unsafe { ::glib::ffi::g_propagate_error(error, taken) };
        0
    })
}

/// See `raddle-gtype.h`.
///
/// # Safety
///
/// `error` is NULL or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raddle_raise_error(error: *const GError) -> RaddleStatus {
    guard(|| {
        if error.is_null() {
            return refuse(&pointer::null());
        }
        answer(pointer::held(|py| {
            // SAFETY: alive, by the caller's promise.
            unsafe { failure::set(py, error) };
            Ok(())
        }))
    })
}

/// See `raddle-gtype.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_runtime_get_type() -> GType {
    unsafe extern "C" fn share(runtime: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
        // SAFETY: a runtime of which somebody has a reference.
        unsafe { raddle_runtime_ref(runtime.cast::<RaddleRuntime>()) }.cast()
    }
    unsafe extern "C" fn free(runtime: *mut core::ffi::c_void) {
        // SAFETY: a runtime of which a reference is given up.
        unsafe { raddle_runtime_unref(runtime.cast::<RaddleRuntime>()) };
    }
    static TYPE: OnceLock<GType> = OnceLock::new();
    guard(|| {
        *TYPE.get_or_init(|| {
            let name = c"RaddleRuntime".as_ptr();
            // SAFETY: a name that nobody else has, and the two functions of a boxed type.
            unsafe { gobject_ffi::g_boxed_type_register_static(name, Some(share), Some(free)) }
        })
    })
}

/// Values of an enum, for GObject, which keeps a pointer to them.
struct Values<const N: usize>([GEnumValue; N]);

// SAFETY: constants.
unsafe impl<const N: usize> Sync for Values<N> {}

const fn row(
    value: c_int,
    name: &'static core::ffi::CStr,
    nick: &'static core::ffi::CStr,
) -> GEnumValue {
    GEnumValue { value, value_name: name.as_ptr(), value_nick: nick.as_ptr() }
}

const END: GEnumValue = GEnumValue { value: 0, value_name: ptr::null(), value_nick: ptr::null() };

static STATUSES: Values<16> = Values([
    row(0, c"RADDLE_STATUS_OK", c"ok"),
    row(1, c"RADDLE_STATUS_NULL", c"null"),
    row(2, c"RADDLE_STATUS_INVALID", c"invalid"),
    row(3, c"RADDLE_STATUS_NOT_STARTED", c"not-started"),
    row(4, c"RADDLE_STATUS_ALREADY_STARTED", c"already-started"),
    row(5, c"RADDLE_STATUS_CLOSED", c"closed"),
    row(6, c"RADDLE_STATUS_WRONG_THREAD", c"wrong-thread"),
    row(7, c"RADDLE_STATUS_WRONG_ORDER", c"wrong-order"),
    row(8, c"RADDLE_STATUS_BUSY", c"busy"),
    row(9, c"RADDLE_STATUS_VERSION", c"version"),
    row(10, c"RADDLE_STATUS_START", c"start"),
    row(11, c"RADDLE_STATUS_PYTHON", c"python"),
    row(12, c"RADDLE_STATUS_NO_MEMORY", c"no-memory"),
    row(13, c"RADDLE_STATUS_STOPPED", c"stopped"),
    row(14, c"RADDLE_STATUS_TIMED_OUT", c"timed-out"),
    END,
]);

static HOLDS: Values<3> = Values([
    row(0, c"RADDLE_HOLD_CALLBACK", c"callback"),
    row(1, c"RADDLE_HOLD_TURN", c"turn"),
    END,
]);

fn register<const N: usize>(
    once: &OnceLock<GType>,
    name: &'static core::ffi::CStr,
    values: &'static Values<N>,
) -> GType {
    let name: *const c_char = name.as_ptr();
    // SAFETY: a name that nobody else has, and values that live for ever and end with an empty one.
    *once.get_or_init(|| unsafe { gobject_ffi::g_enum_register_static(name, values.0.as_ptr()) })
}

/// See `raddle-gtype.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_status_get_type() -> GType {
    static TYPE: OnceLock<GType> = OnceLock::new();
    guard(|| register(&TYPE, c"RaddleStatus", &STATUSES))
}

/// See `raddle-gtype.h`.
#[unsafe(no_mangle)]
pub extern "C" fn raddle_hold_get_type() -> GType {
    static TYPE: OnceLock<GType> = OnceLock::new();
    guard(|| register(&TYPE, c"RaddleHold", &HOLDS))
}
