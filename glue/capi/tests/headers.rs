//! The hand-written headers and the Rust functions behind them: a C compiler compares the two.
#![forbid(unsafe_code)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A file or directory of glue/capi.
fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What the Rust of glue/capi exports of one kind, as C declarations; `prefix` renames the types.
fn generated(kind: cbindgen::ItemType, prefix: Option<&str>) -> String {
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        no_includes: true,
        usize_is_size_t: true,
        // The headers say `RaddleHandle`, never `struct RaddleHandle`; only `layouts` wants the tag.
        style: if prefix.is_some() { cbindgen::Style::Both } else { cbindgen::Style::Type },
        ..cbindgen::Config::default()
    };
    config.export.item_types = vec![kind];
    config.export.prefix = prefix.map(str::to_owned);
    // cbindgen follows the modules.
    let builder = cbindgen::Builder::new().with_config(config);
    let builder = builder.with_src(here("src/lib.rs"));
    let bindings = builder.generate().expect("cbindgen reads the sources of glue/capi");
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).expect("cbindgen writes UTF-8")
}

/// The structs of `generated`, with assertions that the headers' are laid out alike.
fn layouts(generated: &str) -> Vec<String> {
    let mut assertions = Vec::new();
    for body in generated.split("typedef struct ").skip(1) {
        let (head, body) = body.split_once('{').expect("a struct has a body");
        let name = head.trim().trim_start_matches("rust_");
        let body = body.split_once("} rust_").map_or(body, |(body, _)| body);
        let same = |what: &str, ours: &str, theirs: &str| {
            format!(
                "_Static_assert ({ours} == {theirs}, \"{name}: {what} differs in Rust and in C\");"
            )
        };
        assertions.push(same(
            "size",
            &format!("sizeof ({name})"),
            &format!("sizeof (rust_{name})"),
        ));
        for line in body.lines().map(str::trim).filter(|line| line.ends_with(';')) {
            let field = line.trim_end_matches(';').rsplit([' ', '*']).next().unwrap_or(line);
            let offset = |name: &str| format!("__builtin_offsetof ({name}, {field})");
            assertions.push(same(field, &offset(name), &offset(&format!("rust_{name}"))));
        }
    }
    assertions
}

/// Compiles the headers followed by `text`.
fn compile(name: &str, text: &str) -> Result<(), String> {
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let folder = fs::read_dir(here("include/raddle")).expect("the headers are there");
    let mut names: Vec<String> =
        folder.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".h"));
    names.sort();
    let includes: String = names.iter().map(|name| format!("#include <raddle/{name}>\n")).collect();
    let text = format!("{includes}\n/* What Rust exports: */\n{text}");
    fs::write(&source, text).expect("the target directory can be written");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-fsyntax-only", "-Wall", "-Werror"]);
    let output = compiler.args(include_flags()).arg(&source).output().expect("cc can be run");
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
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
    flags.extend(ask("pkg-config", &["--cflags", "gio-2.0"]).split(' ').map(str::to_owned));
    flags.push(format!("-I{}", here("include").display()));
    flags
}

const ADVICE: &str = "a header of glue/capi/include/raddle and the Rust of glue/capi/src disagree; make one like the other";

#[test]
fn no_function_is_declared_differently_in_rust_and_in_c() {
    let functions = generated(cbindgen::ItemType::Functions, None);
    assert!(
        functions.contains("raddle_status_name"),
        "cbindgen found no function in glue/capi/src"
    );
    if let Err(message) = compile("functions.c", &functions) {
        panic!("{ADVICE}:\n{message}");
    }
}

#[test]
fn no_struct_is_laid_out_differently_in_rust_and_in_c() {
    let structs = generated(cbindgen::ItemType::Structs, Some("rust_"));
    let assertions = layouts(&structs);
    assert!(!assertions.is_empty(), "cbindgen found no struct in glue/capi/src");
    if let Err(message) = compile("structs.c", &format!("{structs}\n{}", assertions.join("\n"))) {
        panic!("{ADVICE}:\n{message}");
    }
}
