//! `cargo xtask check`: formatting, lints, documentation, headers, symbols and the rules of the house.
#![forbid(unsafe_code)]

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    Result,
    counts::Counts,
    packages::on_path,
    run::{Reads, Report},
    site::Site,
};

/// Runs every check.
pub(crate) fn run(site: &Site) -> Result<Report> {
    let mut report = Report::default();
    let loom = site.target.join("loom").to_string_lossy().into_owned();
    let models = [("RUSTFLAGS", "--cfg raddle_loom"), ("CARGO_TARGET_DIR", &loom)];
    let strictly = [("RUSTDOCFLAGS", "-D warnings")];
    let mut cargo = |name: &str, line: &str, environment: &[(&str, &str)], reads: Reads| {
        let mut command = site.cargo(&line.split(' ').collect::<Vec<_>>());
        command.envs(environment.iter().copied());
        report.run(name, command, reads);
    };
    cargo("formatting", "fmt --all --check", &[], Reads::OneCheck);
    let line = "clippy --quiet --workspace --all-targets -- -D warnings";
    cargo("lints", line, &[], Reads::OneCheck);
    let line = "clippy --quiet -p raddle-tests --test loom_* -- -D warnings";
    cargo("lints of the models", line, &models, Reads::OneCheck);
    let line = "doc --quiet --workspace --no-deps --document-private-items";
    cargo("documentation", line, &strictly, Reads::OneCheck);
    let line =
        "test --quiet -p raddle-tests -p raddle-capi --test tidy --test headers --no-fail-fast";
    cargo("house rules and header drift", line, &[], Reads::Tests(Counts::of_cargo));
    headers_alone(site, &mut report)?;
    if site.build_c(&mut report) {
        report.check("exported symbols", symbols(site));
    }
    for (tool, package, words) in
        [("cargo-deny", "cargo-deny", &["check"][..]), ("typos", "typos-cli", &[])]
    {
        if on_path(tool) {
            let mut command = site.command(tool);
            command.args(words);
            report.run(tool, command, Reads::OneCheck);
        } else {
            report.skip(tool, &format!("not installed (cargo install --locked {package})"));
        }
    }
    Ok(report)
}

/// Compiles each header alone, in the oldest C and C++ that raddle promises.
fn headers_alone(site: &Site, report: &mut Report) -> Result<()> {
    let include = site.root.join("glue/capi/include");
    let mut flags = vec![format!("-I{}", include.display())];
    let output = site.command("pkg-config").args(["--cflags", "gobject-2.0"]).output();
    let output = output.map_err(|error| format!("pkg-config cannot be run: {error}"))?;
    flags.extend(String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned));
    let code = "import sysconfig; print(sysconfig.get_config_var('INCLUDEPY'))";
    let python =
        site.command(&site.python.executable.to_string_lossy()).args(["-c", code]).output();
    let python = python.map_err(|error| format!("{}: {error}", site.python))?;
    // Python's own headers are not what is on trial.
    flags
        .extend(["-isystem".to_owned(), String::from_utf8_lossy(&python.stdout).trim().to_owned()]);
    for path in listing(&include.join("raddle"))? {
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        let languages = [("cc", "c", "c11"), ("c++", "c++", "c++17")];
        for (compiler, language, standard) in languages {
            if language == "c" && name.ends_with(".hpp") {
                continue;
            }
            let mut command = site.command(compiler);
            command.args(["-fsyntax-only", "-x", language, &format!("-std={standard}")]);
            command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"]).args(&flags).arg(&path);
            report.run(&format!("{name} alone as {standard}"), command, Reads::OneCheck);
        }
    }
    Ok(())
}

fn listing(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<String> =
        entries.flatten().map(|entry| entry.path().to_string_lossy().into_owned()).collect();
    paths.sort();
    Ok(paths)
}

/// Compares what the library exports with what raddle.map promises.
fn symbols(site: &Site) -> Result<()> {
    let library = site.meson_dir().join("libraddle.so");
    let output = site.command("nm").args(["-D", "--defined-only"]).arg(&library).output();
    let output = output.map_err(|error| format!("nm cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let exported: BTreeSet<String> = text
        .lines()
        // Functions, data, and data that begins as zeros.
        .filter_map(|line| [" T ", " D ", " B "].iter().find_map(|kind| line.split_once(kind)))
        .map(|(_, name)| name.replace("@@", " "))
        .collect();
    let map = fs::read_to_string(site.root.join("glue/capi/raddle.map"));
    let promised = promised(&map.map_err(|error| format!("glue/capi/raddle.map: {error}"))?);
    let mut faults = Vec::new();
    for name in promised.difference(&exported) {
        faults.push(format!("glue/capi/raddle.map lists {name}, and libraddle.so has no such symbol: write it in glue/capi/src"));
    }
    for name in exported.difference(&promised) {
        faults.push(format!("libraddle.so exports {name}: list it in glue/capi/raddle.map, or make it private in glue/capi/src"));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// The symbols of a version script, each as "name NODE".
fn promised(map: &str) -> BTreeSet<String> {
    let mut node = String::new();
    let mut names = BTreeSet::new();
    for line in map.lines().map(str::trim) {
        if let Some(name) = line.strip_suffix(" {") {
            name.clone_into(&mut node);
        } else if let Some(name) = line.strip_suffix(';')
            && !name.starts_with(['*', '}'])
        {
            names.insert(format!("{name} {node}"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_of_the_map_belongs_to_its_node() {
        let map = "A_0 {\n  global:\n    one;\n  local:\n    *;\n};\nA_1 {\n  global:\n    two;\n} A_0;\n";
        let names: Vec<String> = promised(map).into_iter().collect();
        assert_eq!(names, ["one A_0", "two A_1"]);
    }
}
