//! A test that no build file names never runs: every program of tests/ is wired to a door.
#![forbid(unsafe_code)]

use crate::{
    expect_none,
    source::{File, file, files},
};

/// The files right in a folder that end with one of `endings`.
fn programs(folder: &str, endings: &[&str]) -> Vec<File> {
    let mut programs = files(folder);
    programs.retain(|file| !file.path[folder.len()..].contains('/') && file.ends_with(endings));
    programs
}

#[test]
fn every_rust_test_is_a_target_with_the_name_that_its_door_expects() {
    let manifest = file("tests/Cargo.toml").text;
    let mut faults = Vec::new();
    for (folder, prefix) in [("rust", ""), ("loom", "loom_"), ("stress", "stress_"), ("bench", "")]
    {
        for program in programs(&format!("tests/{folder}/"), &[".rs"]) {
            let place = program.path.trim_start_matches("tests/");
            let noun = place.trim_start_matches(folder).trim_matches('/').trim_end_matches(".rs");
            let wanted = format!("name = \"{prefix}{noun}\"\npath = \"{place}\"");
            if !manifest.contains(&wanted) {
                faults.push(format!(
                    "tests/Cargo.toml: make {} a target, with\n{wanted}",
                    program.path
                ));
            }
        }
    }
    expect_none(faults);
}

#[test]
fn every_c_test_and_bench_is_built() {
    let mut faults = Vec::new();
    for folder in ["tests/c/", "tests/bench/"] {
        for program in programs(folder, &[".c", ".cpp"]) {
            let build = file(&format!("{folder}meson.build")).text;
            let name = program.path.trim_start_matches(folder);
            let noun = name.split('.').next().unwrap_or(name);
            if !build.contains(&format!("'{noun}'")) && !build.contains(&format!("'{name}'")) {
                faults.push(format!("{folder}meson.build: add {name}"));
            }
        }
    }
    expect_none(faults);
}

#[test]
fn every_python_file_of_the_tests_is_found_by_pytest_or_used() {
    let all: Vec<File> = files("tests/");
    let mut faults = Vec::new();
    for script in programs("tests/python/", &[".py"]) {
        let name = script.path.trim_start_matches("tests/python/");
        let stem = name.trim_end_matches(".py");
        let used = all.iter().any(|other| other.path != script.path && other.text.contains(stem));
        if !name.starts_with("test_") && name != "conftest.py" && !used {
            faults.push(format!("{}: no test uses it; name it test_… or delete it", script.path));
        }
    }
    expect_none(faults);
}

#[test]
fn a_loom_model_is_compiled_for_loom_alone() {
    let models = programs("tests/loom/", &[".rs"]).into_iter();
    let loose = models.filter(|model| !model.text.contains("#![cfg(raddle_loom)]"));
    expect_none(
        loose
            .map(|model| format!("{}: write #![cfg(raddle_loom)] below its head", model.path))
            .collect(),
    );
}

#[test]
fn a_stress_test_only_runs_when_it_is_asked_for() {
    let mut faults = Vec::new();
    for program in programs("tests/stress/", &[".rs"]) {
        let (tests, ignored) =
            (program.text.matches("#[test]").count(), program.text.matches("#[ignore").count());
        if tests == 0 || tests != ignored {
            faults
                .push(format!("{}: mark every test #[ignore = \"why it is long\"]", program.path));
        }
    }
    expect_none(faults);
}
