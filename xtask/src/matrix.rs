//! `cargo xtask matrix`: builds and tests with one interpreter after another.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    Result,
    python::Python,
    run::{Reads, Report},
    site::Site,
    test,
};

/// The last PyO3 that supports the free-threaded Python 3.13; later ones begin at 3.14.
const OLDER_PYO3: &str = "0.28.3";

/// Tests with each of `words`, or with all that are found.
pub(crate) fn run(words: &[String]) -> Result<Report> {
    let mut report = Report::default();
    let mut seen = BTreeSet::new();
    let paths = if words.is_empty() { found() } else { words.iter().map(PathBuf::from).collect() };
    for path in paths {
        match Python::ask(&path) {
            Ok(python) if !seen.insert(python.tag()) => {}
            Ok(python) => {
                println!("\n{python}");
                report.set_prefix(&format!("{}: ", python.tag()));
                let mut site = Site::new(python, false)?;
                let ready =
                    !site.python.needs_older_pyo3() || with_older_pyo3(&mut site, &mut report)?;
                if ready {
                    test::everything(&site, &mut report, test::WITH_PYTHON, &[])?;
                }
                report.set_prefix("");
            }
            Err(message) if words.is_empty() => report.skip(&path.to_string_lossy(), &message),
            Err(message) => return Err(message),
        }
    }
    Ok(report)
}

/// The interpreters of 3.11 to 3.15 on the path and in pyenv's folder.
pub(crate) fn found() -> Vec<PathBuf> {
    let search = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> =
        env::split_paths(&search).filter(|path| !path.ends_with("shims")).collect();
    let pyenv = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".pyenv")));
    if let Some(versions) = pyenv.and_then(|root| fs::read_dir(root.join("versions")).ok()) {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let mut paths = Vec::new();
    for folder in folders {
        for minor in 11..=15 {
            for suffix in ["", "t", "-dbg"] {
                let path = folder.join(format!("python3.{minor}{suffix}"));
                if path.exists() {
                    paths.push(path);
                }
            }
        }
    }
    paths
}

/// Moves the site to a copy of the checkout whose lock files name the older PyO3: cargo has no
/// stable option for a second lock file, and a copy derived on the spot cannot fall behind.
fn with_older_pyo3(site: &mut Site, report: &mut Report) -> Result<bool> {
    let copy = site.target.join("checkout");
    copy_tracked(site, &copy)?;
    site.root = copy;
    for folder in ["", "glue/capi/embed/"] {
        let manifest = format!("{folder}Cargo.toml");
        let path = site.root.join(format!("{folder}Cargo.lock"));
        for package in ["pyo3", "pyo3-ffi", "pyo3-build-config"] {
            // An update of one may have taken another along.
            let lock = fs::read_to_string(&path);
            let lock = lock.map_err(|error| format!("{}: {error}", path.display()))?;
            for version in newer_versions(&lock, package) {
                let spec = format!("{package}@{version}");
                let mut update = site.cargo(&["update", "--quiet", "--manifest-path", &manifest]);
                update.args(["--package", &spec, "--precise", OLDER_PYO3]);
                let name = format!("lock {spec} to {OLDER_PYO3}");
                if !report.run(&name, update, Reads::Nothing) {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// The versions of a package in a lock file, but for the one that it should have.
fn newer_versions<'a>(lock: &'a str, package: &str) -> Vec<&'a str> {
    let entry = format!("name = \"{package}\"\nversion = \"");
    let entries = lock.split(&entry).skip(1);
    entries
        .filter_map(|after| after.split('"').next())
        .filter(|found| *found != OLDER_PYO3)
        .collect()
}

/// Copies what git tracks, and leaves files alone that are the same, so that nothing is rebuilt.
fn copy_tracked(site: &Site, copy: &Path) -> Result<()> {
    let listed = site.command("git").args(["ls-files", "-z"]).output();
    let listed = listed.map_err(|error| format!("git cannot be run: {error}"))?;
    for name in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
        let (from, to) = (site.root.join(name), copy.join(name));
        copy_one(&from, &to).map_err(|error| format!("{name} cannot be copied: {error}"))?;
    }
    Ok(())
}

fn copy_one(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    if from.is_symlink() {
        let target = fs::read_link(from)?;
        return if to.is_symlink() { Ok(()) } else { std::os::unix::fs::symlink(target, to) };
    }
    let text = fs::read(from)?;
    if !fs::read(to).is_ok_and(|old| old == text) {
        fs::copy(from, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_not_mistaken_for_one_whose_name_goes_on() {
        let package = |name, version| format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let lock = package("a-b", "1") + &package("a", "2") + &package("a", OLDER_PYO3);
        assert_eq!(newer_versions(&lock, "a"), ["2"]);
        assert!(newer_versions(&lock, "c").is_empty());
    }
}
