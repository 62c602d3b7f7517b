//! Who may know whom: demos and tests know the glue, the glue knows the runtime, the runtime knows CPython.
#![forbid(unsafe_code)]

use crate::{
    expect_none,
    source::{File, files},
};

#[test]
fn the_runtime_never_names_glib() {
    let mut faults = Vec::new();
    for file in
        files("runtime/").iter().filter(|file| file.ends_with(&[".rs", ".c", ".h", ".toml"]))
    {
        for (number, line) in file.code_lines() {
            let line = line.to_lowercase().replace("glibc", "");
            if line.contains("glib") || line.contains("gobject") {
                faults.push(format!("{}:{number} names GLib: move that to glue/glib", file.path));
            }
        }
    }
    expect_none(faults);
}

#[test]
fn nothing_depends_upwards() {
    let rules = [
        (
            "runtime/",
            &["raddle-glib", "raddle-capi", "raddle-tests", "glue/", "demos/", "tests/"][..],
        ),
        ("glue/glib/", &["raddle-capi", "raddle-tests", "demos/", "../tests"]),
        ("glue/capi/", &["raddle-tests", "demos/", "../tests"]),
        ("glue/python/", &["raddle-glib", "raddle-capi", "raddle-tests", "demos/", "../tests"]),
    ];
    let mut faults = Vec::new();
    for (layer, above) in rules {
        for file in files(layer).iter().filter(|file| file.ends_with(&["Cargo.toml"])) {
            for word in above.iter().filter(|word| file.text.contains(**word)) {
                faults.push(format!(
                    "{}: {word} lies above {layer}, which must not know it: move the code that needs it up",
                    file.path
                ));
            }
        }
    }
    expect_none(faults);
}

#[test]
fn nothing_outlives_an_interpreter() {
    // Each of them keeps a Python object in a static, which a second start of Python finds dead.
    let banned = [
        "PyOnceLock",
        "GILOnceCell",
        "intern!",
        "#[pyclass",
        "#[pymodule",
        "#[pyfunction",
        "#[pymethods",
    ];
    let ours = |file: &File| file.path.starts_with("runtime/") || file.path.starts_with("glue/");
    let mut faults = Vec::new();
    for file in files("").iter().filter(|file| ours(file) && file.ends_with(&[".rs"])) {
        for (number, line) in file.code_lines() {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                let path = &file.path;
                faults.push(format!(
                    "{path}:{number} uses {word}, which outlives an interpreter: \
                     call pyo3-ffi, and key the state by generation"
                ));
            }
        }
    }
    expect_none(faults);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let crates = files("").into_iter().filter(|file| {
        file.ends_with(&["/Cargo.toml"])
            && !file.path.contains("/embed/")
            // Two lines of code, in the workspace of the former.
            && file.path != "glue/python/Cargo.toml"
            // A demo prints, and shows what a host's own manifest needs.
            && !file.path.starts_with("demos/")
            && file.text.contains("[package]")
    });
    let lax = crates.filter(|file| !file.text.contains("[lints]\nworkspace = true"));
    let fault = |file: File| format!("{}: write [lints] and workspace = true", file.path);
    expect_none(lax.map(fault).collect());
}

#[test]
fn every_dependency_has_a_reason() {
    let reasons = crate::source::file("docs/design/dependencies.md").text;
    let mut faults = Vec::new();
    for file in files("").iter().filter(|file| file.ends_with(&["Cargo.toml"])) {
        let mut wanted = false;
        for line in file.text.lines() {
            if line.starts_with('[') {
                wanted = line.ends_with("dependencies]");
            } else if let Some((name, _)) = line.split_once(['=', '.']).filter(|_| wanted) {
                let name = name.trim();
                if !name.starts_with('#')
                    && !name.starts_with("raddle")
                    && !reasons.contains(&format!("`{name}`"))
                {
                    faults.push(format!(
                        "docs/design/dependencies.md: say why {} needs `{name}`",
                        file.path
                    ));
                }
            }
        }
    }
    expect_none(faults);
}
