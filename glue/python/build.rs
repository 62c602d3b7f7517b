//! What the extension module `_raddle` asks of the linker.
#![forbid(unsafe_code)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    match std::env::var("CARGO_CFG_TARGET_VENDOR").as_deref() {
        // Python's symbols are found when the module is loaded, and only here is that not the rule.
        Ok("apple") => println!("cargo::rustc-link-arg-cdylib=-Wl,-undefined,dynamic_lookup"),
        // Threads keep destructors of raddle's for their end, so it is never unloaded before them.
        _ => println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete"),
    }
}
