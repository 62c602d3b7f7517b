//! What happens when libraddle is loaded, before anybody can call it.

use crate::boundary::guard;
use crate::stackless_api;

/// Called by the loader: what is set up here is there whoever comes first, a host's call or the import
/// of `_raddle`.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static LOADED: extern "C" fn() = loaded;

extern "C" fn loaded() {
    guard(|| {
        // Fails only where Python runs and the gate is open, which no code of this library has opened yet.
        drop(raddle_glib::install());
        stackless_api::install();
    });
}
