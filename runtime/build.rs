//! Compiles the CPython shim against the headers of the interpreter that PyO3 was configured for.
#![forbid(unsafe_code)]

use std::{env, path::Path, process::Command};

/// Prints what embed/ wants to know, then the interpreter's include directories, one a
/// line, without duplicates. A virtual environment answers for the Python it was made from.
const ASK: &str = "import sys, sysconfig as s
print(getattr(sys, '_base_executable', None) or sys.executable, sys.base_prefix, sys.platlibdir, '%d.%d%s' % (*sys.version_info[:2], sys.abiflags), sep='\\n')
print(*dict.fromkeys([s.get_path('include'), s.get_path('platinclude'), s.get_config_var('INCLUDEPY')]), sep='\\n')";

/// What embed/ is told, in the order in which `ASK` prints it.
const FACTS: [&str; 4] = [
    "RADDLE_PYTHON_EXECUTABLE",
    "RADDLE_PYTHON_PREFIX",
    "RADDLE_PYTHON_LIBRARY_FOLDER",
    "RADDLE_PYTHON_ABI",
];

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    println!("cargo::rerun-if-changed=src/cpython");
    if env::var_os("CARGO_CFG_RADDLE_LOOM").is_some() {
        return; // The models run without Python.
    }
    let python = pyo3_build_config::get();
    #[allow(
        deprecated,
        clippy::allow_attributes,
        reason = "the getter came with PyO3 0.30, and 0.28 is allowed too"
    )]
    let executable = python
        .executable
        .as_deref()
        .expect("raddle is built against an interpreter it can ask: set PYO3_PYTHON to one");
    let output = Command::new(executable)
        .args(["-c", ASK])
        .output()
        .unwrap_or_else(|error| panic!("{executable} cannot be run: {error}"));
    assert!(output.status.success(), "{executable} did not name its directories");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let mut lines = stdout.lines();
    for (name, fact) in FACTS.iter().zip(&mut lines) {
        println!("cargo::rustc-env={name}={fact}");
    }
    let includes: Vec<&str> = lines.collect();
    assert!(
        includes.iter().any(|directory| Path::new(directory).join("Python.h").exists()),
        "no Python.h in {includes:?}: install the development files of {executable} \
         (Debian: python3-dev, Fedora: python3-devel)"
    );
    let mut build = cc::Build::new();
    for source in [
        "gate_shim.c",
        "gilstate_slot.c",
        "guard.c",
        "pending_call.c",
        "start_shim.c",
        "tasklet_shim.c",
    ] {
        build.file(Path::new("src/cpython").join(source));
    }
    if env::var_os("CARGO_FEATURE_DYNAMIC_TLS").is_some() {
        build.define("RADDLE_DYNAMIC_TLS", None);
    }
    build.includes(includes).std("c11").warnings(true).extra_warnings(false).compile("raddle_shim");
}
