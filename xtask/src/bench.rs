//! `cargo xtask bench`: runs the programs of tests/bench and lays their figures side by side.
#![forbid(unsafe_code)]

use std::{env, fs, path::Path};

use serde_json::Value;

use crate::{
    Result, packages,
    run::{Reads, Report},
    site::Site,
};

/// Measures the figures whose names start with `name`; prints a table, or the lines as they are.
pub(crate) fn run(site: &Site, name: &str, json: bool) -> Result<Report> {
    let mut report = Report::aside();
    let mut lines = Vec::new();
    if site.build_benches(&mut report) {
        for program in programs(site)? {
            let mut command = site.command(&program[0]);
            command.args(&program[1..]).arg(name);
            report.run_for(&program[0], command, Reads::Nothing, &mut lines);
        }
    }
    let mut cargo = site.cargo(&["bench", "--quiet", "-p", "raddle-tests", "--bench", "*", "--"]);
    cargo.arg(name);
    report.run_for("the benches in Rust", cargo, Reads::Nothing, &mut lines);
    in_python(site, name, &mut report, &mut lines)?;
    let figures: Vec<Value> = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|figure| figure["bench"].as_str().is_some_and(|bench| bench.starts_with(name)))
        .collect();
    if figures.is_empty() && report.is_clean() {
        return Err(format!("tests/bench has no figure whose name starts with '{name}'"));
    }
    if json {
        figures.iter().for_each(|figure| println!("{figure}"));
    } else {
        print_table(&figures);
    }
    Ok(report)
}

/// Runs the benches in Python, with their peers installed beside them.
fn in_python(site: &Site, name: &str, report: &mut Report, lines: &mut Vec<String>) -> Result<()> {
    let scripts: Vec<String> =
        scripts(site)?.into_iter().filter(|script| may_have(script, name)).collect();
    if scripts.is_empty() || !report.is_clean() {
        return Ok(());
    }
    let python = site.with_packages(report, "bench-venv", packages::PEERS);
    for script in scripts {
        let mut command = site.command(&python);
        command.arg(Path::new("tests/bench").join(&script)).arg(name);
        let folders = [site.bench_dir().join("glue/python"), site.root.join("glue/python")];
        let path = env::join_paths(folders).map_err(|error| error.to_string())?;
        command.env("PYTHONPATH", path).env("RADDLE_BUILD", site.bench_dir());
        report.run_for(&script, command, Reads::Nothing, lines);
    }
    Ok(())
}

/// The scripts of tests/bench; measure.py is what they share.
fn scripts(site: &Site) -> Result<Vec<String>> {
    let folder = site.root.join("tests/bench");
    let listed = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let names = listed.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> =
        names.filter(|name| name.ends_with(".py") && name != "measure.py").collect();
    names.sort();
    Ok(names)
}

/// Whether a script may print a figure whose name starts with `name`: "relay_log.py" has those that
/// start with "relay.log". Making room for its peers takes time, so it is asked first.
fn may_have(script: &str, name: &str) -> bool {
    let noun = script.trim_end_matches(".py").replacen('_', ".", 1);
    noun.starts_with(name) || name.starts_with(&noun)
}

/// The command lines of the programs that meson built.
fn programs(site: &Site) -> Result<Vec<Vec<String>>> {
    let mut command = site.command("meson");
    command.args(["introspect", "--benchmarks"]).arg(site.bench_dir());
    let output = command.output().map_err(|error| format!("meson cannot be run: {error}"))?;
    let listed: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("meson introspect --benchmarks: {error}"))?;
    let words = |bench: &Value| -> Option<Vec<String>> {
        bench["cmd"].as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let listed = listed.as_array().into_iter().flatten();
    Ok(listed.filter_map(words).filter(|words| !words.is_empty()).collect())
}

fn print_table(figures: &[Value]) {
    println!("{:<32} {:>10}  {:<34} {:<34}", "ns", "ours", "peer", "floor");
    for figure in figures {
        let unit = if figure["ours_bytes"].is_null() { "ns" } else { "bytes" };
        let ours = figure[format!("ours_{unit}")].as_f64();
        let beside = |name: &str| -> String {
            let Some(what) = figure[name].as_str() else { return String::new() };
            let theirs = figure[format!("{name}_{unit}")].as_f64();
            match (ours, theirs) {
                (Some(ours), Some(theirs)) if ours > 0.0 && theirs > 0.0 => {
                    let (factor, word) = compared(unit, ours, theirs);
                    format!("{what} {theirs:.1} ({factor:.2}x {word})")
                }
                _ => what.to_owned(),
            }
        };
        let bench = figure["bench"].as_str().unwrap_or_default();
        let suffix = if unit == "bytes" { " B" } else { "" };
        let ours = ours.map_or_else(String::new, |ours| format!("{ours:.1}{suffix}"));
        println!("{bench:<32} {ours:>10}  {:<34} {:<34}", beside("peer"), beside("floor"));
    }
    if let Some(python) = figures.iter().find_map(|figure| figure["python"].as_str()) {
        println!("Python {python}; ratios hold on any machine, nanoseconds only on this one");
    }
}

/// How theirs compares with ours: a factor of at least one, and its direction.
fn compared(unit: &str, ours: f64, theirs: f64) -> (f64, &'static str) {
    let (more, less) = if unit == "bytes" { ("larger", "smaller") } else { ("slower", "faster") };
    if theirs >= ours { (theirs / ours, more) } else { (ours / theirs, less) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_run_for_the_figures_of_its_noun() {
        assert!(may_have("relay.py", "") && may_have("relay.py", "rel"));
        assert!(may_have("relay.py", "relay.ring") && may_have("relay_log.py", "relay.log_push"));
        assert!(!may_have("relay_log.py", "relay.ring") && !may_have("relay.py", "gate"));
    }

    #[test]
    fn a_comparison_always_reads_as_a_factor_of_at_least_one() {
        assert_eq!(compared("ns", 2.0, 5.0), (2.5, "slower"));
        assert_eq!(compared("ns", 5.0, 2.0), (2.5, "faster"));
        assert_eq!(compared("bytes", 5.0, 2.0), (2.5, "smaller"));
    }
}
