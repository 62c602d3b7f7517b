//! `GCancellable`, of a library that raddle does not link: found where an object of it is.

use core::ffi::c_void;
use core::mem;

use glib::gobject_ffi::{self, GObject};

/// Cancels `object`; says no if it is no `GCancellable`.
///
/// Its handlers run here; Python is given up meanwhile, since `g_cancellable_disconnect` on another
/// thread waits for them.
///
/// # Safety
///
/// `object` is alive.
pub(crate) unsafe fn cancel(object: *mut GObject) -> bool {
    // SAFETY: a text; 0 if no such library is in the process, and then no object is of that type.
    let kind = unsafe { gobject_ffi::g_type_from_name(c"GCancellable".as_ptr()) };
    // SAFETY: alive, by the caller's promise, and a type or 0.
    let is = unsafe { gobject_ffi::g_type_check_instance_is_a(object.cast(), kind) };
    if is == glib::ffi::GFALSE {
        return false;
    }
    // SAFETY: a name; looks no further than what is loaded, and keeps it so.
    let gio =
        unsafe { libc::dlopen(c"libgio-2.0.so.0".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    // SAFETY: a library, or null for those that everybody sees; and a name.
    let function: *mut c_void = unsafe { libc::dlsym(gio, c"g_cancellable_cancel".as_ptr()) };
    if function.is_null() {
        return false;
    }
    // SAFETY: this is its signature.
    let cancel: unsafe extern "C" fn(*mut GObject) = unsafe { mem::transmute(function) };
    let released = raddle::gate::is_held() && raddle::gate::unblock_raw().is_ok();
    // SAFETY: a GCancellable, alive.
    unsafe { cancel(object) };
    if released {
        // Refused only where Python is no more, and there is nothing to take back then.
        drop(raddle::gate::block_raw());
    }
    true
}
