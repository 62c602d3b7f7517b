//! The hand-written headers and the Rust functions behind them: a C compiler compares the two.
#![forbid(unsafe_code)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_owned()
}

/// What the Rust of glue/capi exports, as C declarations.
fn generated() -> String {
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        no_includes: true,
        style: cbindgen::Style::Type,
        usize_is_size_t: true,
        ..cbindgen::Config::default()
    };
    // Types are the headers' own: the functions must agree with these.
    config.export.item_types = vec![cbindgen::ItemType::Functions];
    let mut builder = cbindgen::Builder::new().with_config(config);
    for entry in fs::read_dir(root().join("glue/capi/src")).expect("glue/capi/src can be read") {
        builder = builder.with_src(entry.expect("glue/capi/src can be read").path());
    }
    let bindings = builder.generate().expect("cbindgen reads the sources of glue/capi");
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).expect("cbindgen writes UTF-8")
}

/// The directories of the headers that ours include.
fn include_flags() -> Vec<String> {
    let ask = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        String::from_utf8(output.stdout).expect("paths are UTF-8").trim().to_owned()
    };
    let python = env::var("PYO3_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let code = "import sysconfig; print(sysconfig.get_config_var('INCLUDEPY'))";
    let mut flags = vec!["-isystem".to_owned(), ask(&python, &["-c", code])];
    flags.extend(ask("pkg-config", &["--cflags", "gobject-2.0"]).split(' ').map(str::to_owned));
    flags.push(format!("-I{}", root().join("glue/capi/include").display()));
    flags
}

#[test]
fn no_function_is_declared_differently_in_rust_and_in_c() {
    let generated = generated();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = folder.join("headers.c");
    let text = format!(
        "#include <raddle/raddle-glib.h>\n#include <raddle/pygtk_threads.h>\n\n/* What Rust exports: */\n{generated}"
    );
    fs::write(&source, text).expect("the target directory can be written");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-std=c11", "-fsyntax-only", "-Wall", "-Werror"])
        .args(include_flags())
        .arg(&source);
    let output = compiler.output().expect("cc can be run");
    assert!(
        output.status.success(),
        "a header of glue/capi/include/raddle and a function of glue/capi/src disagree; make the one \
         like the other:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        generated.contains("raddle_status_name"),
        "cbindgen found no function in glue/capi/src"
    );
}
