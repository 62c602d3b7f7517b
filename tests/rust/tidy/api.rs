//! One C API, said the same in the map, the headers, the tests and the reference; one version everywhere.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use crate::{
    expect_none,
    source::{file, files},
};

const MAP: &str = "glue/capi/raddle.map";
const HEADERS: &str = "glue/capi/include/raddle/";

/// The symbols of the version script that are there for people.
fn symbols() -> BTreeSet<String> {
    let map = file(MAP);
    let names = map.text.lines().filter_map(|line| line.trim().strip_suffix(';'));
    names
        // The module's entry point is CPython's to call, not a host's.
        .filter(|name| {
            name.starts_with(|first: char| first.is_alphabetic()) && !name.starts_with("PyInit_")
        })
        .map(str::to_owned)
        .collect()
}

/// The functions that the headers declare as available, with the header of each.
fn declared() -> BTreeSet<(String, String)> {
    let mut names = BTreeSet::new();
    for header in files(HEADERS) {
        let code: Vec<String> = header
            .code()
            .replace("\\\n", " ")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        let code = code.join("\n");
        for declaration in code.split("RADDLE_AVAILABLE_IN_").skip(1) {
            let signature = declaration.split(';').next().unwrap_or_default();
            if let Some(name) = signature
                .split('(')
                .next()
                .and_then(|start| start.split([' ', '*', '\n']).rfind(|word| !word.is_empty()))
            {
                names.insert((name.to_owned(), header.path.clone()));
            }
        }
        for shared in code.split("RADDLE_DECLARE_SHARED").skip(1) {
            let prefix = shared.split([',', ')']).nth(1).unwrap_or_default().trim();
            for verb in ["ref", "unref"] {
                names.insert((format!("{prefix}_{verb}"), header.path.clone()));
            }
        }
    }
    names
}

/// Whether `name` is in `text` as a whole word.
fn has_word(text: &str, name: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(is_word) && !text[at + name.len()..].starts_with(is_word)
    })
}

#[test]
fn the_map_and_the_headers_name_the_same_functions() {
    let (symbols, declared) = (symbols(), declared());
    let mut faults = Vec::new();
    for (name, header) in &declared {
        if !symbols.contains(name) {
            faults.push(format!("{MAP}: list {name}, which {header} declares"));
        }
    }
    let names: BTreeSet<&String> = declared.iter().map(|(name, _)| name).collect();
    for name in symbols.iter().filter(|name| !names.contains(name)) {
        faults.push(format!(
            "{MAP} lists {name}: declare it in a header of {HEADERS} or strike it out"
        ));
    }
    assert!(!symbols.is_empty(), "{MAP} lists nothing");
    expect_none(faults);
}

#[test]
fn every_function_has_a_c_test() {
    let tests: String = files("tests/c/").iter().map(crate::source::File::code).collect();
    let untested = symbols().into_iter().filter(|name| !has_word(&tests, name));
    expect_none(untested.map(|name| format!("tests/c: write a test that calls {name}")).collect());
}

#[test]
fn every_function_is_in_the_reference() {
    let pages: String = files("docs/reference/").into_iter().map(|page| page.text).collect();
    let unknown = symbols().into_iter().filter(|name| !has_word(&pages, name));
    expect_none(unknown.map(|name| format!("docs/reference: say what {name} is for")).collect());
}

/// What stands between two quotes after `key`.
fn quoted_after<'a>(text: &'a str, key: &str) -> &'a str {
    let after = text.split_once(key).map_or("", |(_, after)| after);
    after.split(['"', '\'']).nth(1).unwrap_or_default()
}

#[test]
fn the_version_is_the_same_everywhere() {
    let cargo = file("Cargo.toml").text;
    let version = quoted_after(&cargo, "\nversion");
    let header = file("glue/capi/include/raddle/raddle.h").text;
    let number = |part: &str| {
        let after =
            header.split_once(&format!("RADDLE_{part}_VERSION ")).map_or("", |(_, after)| after);
        after.lines().next().unwrap_or_default().to_owned()
    };
    let stated = [
        (
            "glue/capi/embed/Cargo.toml",
            quoted_after(&file("glue/capi/embed/Cargo.toml").text, "\nversion").to_owned(),
        ),
        (
            "glue/python/Cargo.toml",
            quoted_after(&file("glue/python/Cargo.toml").text, "\nversion").to_owned(),
        ),
        (
            "glue/python/pyproject.toml",
            quoted_after(&file("glue/python/pyproject.toml").text, "\nversion").to_owned(),
        ),
        ("meson.build", quoted_after(&file("meson.build").text, "version:").to_owned()),
        (
            "glue/capi/include/raddle/raddle.h",
            format!("{}.{}.{}", number("MAJOR"), number("MINOR"), number("MICRO")),
        ),
    ];
    let wrong = stated.into_iter().filter(|(_, stated)| stated != version);
    let fault = |(path, stated)| {
        format!("{path} says version {stated}, Cargo.toml says {version}: make them equal")
    };
    expect_none(wrong.map(fault).collect());
}

/// The packages of a lock file, each as "name version".
fn locked(path: &str) -> BTreeSet<(String, String)> {
    let lock = file(path);
    let packages = lock.text.split("[[package]]").skip(1);
    packages
        .map(|package| {
            (quoted_after(package, "name").to_owned(), quoted_after(package, "version").to_owned())
        })
        .collect()
}

#[test]
fn both_lock_files_name_the_same_releases() {
    let ours = locked("Cargo.lock");
    let names: BTreeSet<&String> = ours.iter().map(|(name, _)| name).collect();
    let embed = locked("glue/capi/embed/Cargo.lock");
    let strays =
        embed.iter().filter(|package| !ours.contains(package) && names.contains(&package.0));
    let fault = |(name, version): &(String, String)| {
        format!(
            "glue/capi/embed/Cargo.lock has {name} {version}, Cargo.lock has another; make it anew: \
             cp Cargo.lock glue/capi/embed/ && \
             cargo metadata --format-version 1 --manifest-path glue/capi/embed/Cargo.toml >/dev/null"
        )
    };
    expect_none(strays.map(fault).collect());
}
