//! `cargo xtask test`: every test, and one line at the end that says how many.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    Result,
    counts::Counts,
    matrix,
    packages::{self, on_path},
    python::Python,
    run::{Reads, Report},
    site::Site,
};

/// The packages whose tests depend on the Python they run with.
pub(crate) const WITH_PYTHON: &str = "-p raddle -p raddle-glib -p raddle-tests";

/// Runs every test with one interpreter, and those of Rust and C with a debug build of it too.
pub(crate) fn run(site: &Site) -> Result<Report> {
    let mut report = Report::default();
    everything(site, &mut report, "--workspace", &others(site))?;
    loom(site, &mut report);
    debug_build(site, &mut report)?;
    Ok(report)
}

/// The tests in Rust (of some packages), C and Python; those of pip with `others` too.
pub(crate) fn everything(
    site: &Site,
    report: &mut Report,
    packages: &str,
    others: &[PathBuf],
) -> Result<()> {
    let built = site.build_c(report);
    rust_and_c(site, report, built, packages);
    let demos = site.build_indexer(report) && site.build_window(report);
    if built && demos { pytest(site, report, others) } else { Ok(()) }
}

/// What an interpreter answers that pip can build an extension for: its version and flags.
const CAN_BUILD: &str = "
import ensurepip, os, sys, sysconfig, venv
assert os.path.exists(os.path.join(sysconfig.get_config_var('INCLUDEPY'), 'Python.h'))
print('%d.%d' % sys.version_info[:2] + sys.abiflags)";

/// The other interpreters that the package for pip is tested with, one of each minor version. Unlike
/// a host, it asks for no shared libpython.
fn others(site: &Site) -> Vec<PathBuf> {
    let mut seen = BTreeSet::from([format!("{}{}", site.python.minor, site.python.abiflags)]);
    let mut is_new = |path: &PathBuf| {
        let output = Command::new(path).args(["-c", CAN_BUILD]).stderr(Stdio::null()).output();
        output.is_ok_and(|output| {
            let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success() && seen.insert(answer)
        })
    };
    matrix::found().into_iter().filter(|path| is_new(path)).collect()
}

fn rust_and_c(site: &Site, report: &mut Report, built: bool, packages: &str) {
    let mut cargo = site.cargo(&["test", "--quiet", "--no-fail-fast"]);
    cargo.args(packages.split(' '));
    report.run("Rust tests", cargo, Reads::Tests(Counts::of_cargo));
    if built {
        let mut meson = with_display(site, "meson");
        meson.args(["test", "--no-rebuild", "--print-errorlogs", "-C"]).arg(site.meson_dir());
        report.run("C tests", meson, Reads::Tests(Counts::of_meson));
    }
}

/// The models: small copies of each state machine, run through every interleaving.
fn loom(site: &Site, report: &mut Report) {
    let mut cargo =
        site.cargo(&["test", "--quiet", "--release", "-p", "raddle-tests", "--test", "loom_*"]);
    cargo.env("CARGO_TARGET_DIR", site.target.join("loom"));
    cargo.env("RUSTFLAGS", "--cfg raddle_loom").env("LOOM_MAX_PREEMPTIONS", "2");
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off"); // Not worth its time for models.
    report.run("loom models", cargo, Reads::Tests(Counts::of_cargo));
}

/// The tests in Python, the comparison of the indexer with its reference among them.
fn pytest(site: &Site, report: &mut Report, others: &[PathBuf]) -> Result<()> {
    let python = with_pytest(site, report)?;
    let senders = site.with_packages(report, "stream-venv", packages::SENDERS);
    let mut pytest = with_display(site, &python);
    pytest.env("RADDLE_STREAM_PYTHON", senders);
    pytest.args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "tests/python"]);
    pytest.env("RADDLE_INDEXER", site.indexer_dir().join("indexer"));
    pytest.env("RADDLE_WINDOW", site.window_dir().join("indexer-window"));
    // The extension module that was built, and the package as it is in the checkout.
    let folders = [site.meson_dir().join("glue/python"), site.root.join("glue/python")];
    let path = env::join_paths(folders).map_err(|error| error.to_string())?;
    pytest.env("PYTHONPATH", path);
    let others = env::join_paths(others).map_err(|error| error.to_string())?;
    pytest.env("RADDLE_PYTHONS", others);
    report.run("Python tests", pytest, Reads::Tests(Counts::of_pytest));
    Ok(())
}

/// The interpreter itself if it has pytest, else a virtual environment of it that does.
fn with_pytest(site: &Site, report: &mut Report) -> Result<String> {
    let executable = site.python.executable.to_string_lossy().into_owned();
    if site.imports(&executable, "pytest") {
        return Ok(executable);
    }
    let python = site.with_packages(report, "venv", packages::RUNNERS);
    if site.imports(&python, "pytest") {
        Ok(python)
    } else {
        Err(format!("{executable} has no pytest and cannot install it"))
    }
}

/// A command that finds a display: the one that is there, or one of its own.
fn with_display(site: &Site, program: &str) -> Command {
    let shown = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some());
    if shown || !on_path("xvfb-run") {
        return site.command(program);
    }
    let mut command = site.command("xvfb-run");
    command.args(["--auto-servernum", program]);
    command
}

/// The tests in Rust and C with a Python whose own assertions are compiled in.
fn debug_build(site: &Site, report: &mut Report) -> Result<()> {
    if site.python.abiflags.contains('d') {
        return Ok(());
    }
    let name = format!("python{}-dbg", site.python.minor);
    let beside = site.python.executable.with_file_name(&name);
    if !beside.exists() {
        report
            .skip("debug build of Python", &format!("no {name} (Debian: apt-get install {name})"));
        return Ok(());
    }
    let python = Python::ask(&beside)?;
    println!("\n{python}, for the debug run");
    let site = Site::new(python, false)?;
    report.set_prefix("debug build: ");
    let built = site.build_c(report);
    rust_and_c(&site, report, built, WITH_PYTHON);
    report.set_prefix("");
    Ok(())
}
