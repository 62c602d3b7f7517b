//! Where Python's own files are: the standard library, and an executable for `sys.executable`.
//!
//! CPython would look for itself from the host's name and from the first `python3` on the PATH, and
//! complain on stderr when that fails. So the place is found here first:
//!
//! | given        | prefix                                             | executable                |
//! |--------------|----------------------------------------------------|---------------------------|
//! | venv         | CPython follows its pyvenv.cfg                     | the environment's         |
//! | home         | that                                               | the one in it, else below |
//! | program name | upwards from its folder, if it names one           | the same                  |
//! | nothing      | upwards from the libpython that is loaded; else    | the same; else the one    |
//! |              | the one of the Python that raddle was built for    | raddle was built for      |
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use super::options::Options;
use super::version::{minor_version, python_abi};
use crate::error::{Error, Status};

/// The Python that raddle was built for, as it named itself then.
const BUILT_EXECUTABLE: &str = env!("RADDLE_PYTHON_EXECUTABLE");
const BUILT_PREFIX: &str = env!("RADDLE_PYTHON_PREFIX");
/// `lib` or `lib64`.
const LIBRARY_FOLDER: &str = env!("RADDLE_PYTHON_LIBRARY_FOLDER");

/// What Python is told about where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) home: Option<PathBuf>,
    pub(super) executable: Option<PathBuf>,
}

/// Finds the place; `libpython` is the file of the library that is loaded, if known.
///
/// # Errors
///
/// [`Status::Start`] or [`Status::Version`] with what was expected and what was found.
pub(super) fn find(options: &Options, libpython: Option<&Path>) -> Result<Place, Error> {
    for folder in &options.plugin_folders {
        if !folder.is_dir() {
            let line = format!("the plugin folder {} does not exist", folder.display());
            return Err(Error::new(Status::Start, line));
        }
    }
    if let Some(venv) = &options.venv {
        return in_venv(venv);
    }
    if let Some(home) = &options.home {
        // As PYTHONHOME: the two prefixes may be given apart.
        let text = home.to_string_lossy();
        let prefix = Path::new(text.split(':').next().unwrap_or_default());
        check_home(prefix)?;
        let executable = executable_in(prefix).or_else(|| built_executable(libpython));
        return Ok(Place { home: Some(home.clone()), executable });
    }
    let program = options.program_name.as_deref().map(Path::new);
    let program = program.filter(|name| name.components().count() > 1);
    let starts = [program.and_then(|name| name.canonicalize().ok()), real(libpython)];
    let mut prefixes: Vec<PathBuf> =
        starts.iter().flatten().filter_map(|path| above(path)).collect();
    prefixes.push(PathBuf::from(BUILT_PREFIX));
    let Some(prefix) = prefixes.iter().find(|prefix| has_library(prefix)) else {
        return Err(no_library(libpython));
    };
    match executable_in(prefix) {
        // From an executable that is in its place, Python finds all the rest by itself.
        Some(executable) => Ok(Place { home: None, executable: Some(executable) }),
        None => Ok(Place { home: Some(prefix.clone()), executable: built_executable(libpython) }),
    }
}

/// An environment: its executable leads Python to its pyvenv.cfg, and that to the library.
fn in_venv(venv: &Path) -> Result<Place, Error> {
    let file = venv.join("pyvenv.cfg");
    let Ok(text) = std::fs::read_to_string(&file) else {
        let line = format!("{} is no virtual environment: it has no pyvenv.cfg", venv.display());
        return Err(Error::new(Status::Start, line));
    };
    let minor = minor_version();
    if let Some(version) = value(&text, "version").or_else(|| value(&text, "version_info"))
        && !same_minor(version, minor)
    {
        let line = format!(
            "the virtual environment {} is of Python {version}, and raddle was built for {}: \
             make one with python{minor} -m venv",
            venv.display(),
            python_abi()
        );
        return Err(Error::new(Status::Version, line));
    }
    let names = [format!("python{minor}"), "python3".to_owned(), "python".to_owned()];
    let candidates = names.iter().map(|name| venv.join("bin").join(name));
    let Some(executable) = candidates.into_iter().find(|path| path.is_file()) else {
        let line = format!(
            "the virtual environment {} has no working bin/python: the Python that it was made \
             from is gone",
            venv.display()
        );
        return Err(Error::new(Status::Start, line));
    };
    // Made absolute: `sys.executable` is used from other folders too.
    let executable = std::path::absolute(&executable).unwrap_or(executable);
    let base = executable.canonicalize().ok().and_then(|base| above(&base));
    if !base.is_some_and(|prefix| has_library(&prefix)) {
        let home = value(&text, "home").unwrap_or("the folder it names");
        let line = format!(
            "the virtual environment {} is made from a Python in {home} that has no standard \
             library of Python {}",
            venv.display(),
            python_abi()
        );
        return Err(Error::new(Status::Start, line));
    }
    Ok(Place { home: None, executable: Some(executable) })
}

/// The value of `key` in a pyvenv.cfg.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

fn same_minor(version: &str, minor: &str) -> bool {
    version.strip_prefix(minor).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// "python3.11" or "python3.13t": the standard library's folder.
fn library_name() -> String {
    format!("python{}", python_abi().trim_end_matches('d'))
}

fn library_folders(prefix: &Path) -> Vec<PathBuf> {
    let mut folders = vec![prefix.join(LIBRARY_FOLDER)];
    if LIBRARY_FOLDER != "lib" {
        folders.push(prefix.join("lib"));
    }
    folders
}

/// Whether a standard library lies under `prefix`.
fn has_library(prefix: &Path) -> bool {
    let name = library_name();
    let archive = format!("python{}.zip", minor_version().replace('.', ""));
    library_folders(prefix).iter().any(|folder| {
        let library = folder.join(&name);
        let whole = library.join("os.py").is_file() && library.join("encodings").is_dir();
        whole || folder.join(&archive).is_file()
    })
}

fn check_home(prefix: &Path) -> Result<(), Error> {
    if has_library(prefix) {
        return Ok(());
    }
    let name = library_name();
    let found = if prefix.is_dir() { others(prefix) } else { "no such folder".to_owned() };
    let line = format!(
        "the home {} has no standard library of Python {}: expected {}/{name}/os.py, found {found}",
        prefix.display(),
        python_abi(),
        prefix.join(LIBRARY_FOLDER).display(),
    );
    Err(Error::new(Status::Start, line))
}

/// The libraries of other Pythons under `prefix`, in words.
fn others(prefix: &Path) -> String {
    let mut names: Vec<String> = library_folders(prefix)
        .iter()
        .filter_map(|folder| folder.read_dir().ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("python3"))
        .collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn no_library(libpython: Option<&Path>) -> Error {
    let near = libpython.map_or_else(String::new, |path| format!("above {} and ", path.display()));
    let line = format!(
        "no standard library of Python {} was found: looked {near}in {BUILT_PREFIX} for \
         {LIBRARY_FOLDER}/{}/os.py; install it, or set the home",
        python_abi(),
        library_name()
    );
    Error::new(Status::Start, line)
}

fn real(path: Option<&Path>) -> Option<PathBuf> {
    path?.canonicalize().ok()
}

/// The closest folder above `path` that has a standard library.
fn above(path: &Path) -> Option<PathBuf> {
    path.ancestors().skip(1).find(|folder| has_library(folder)).map(Path::to_owned)
}

/// A Python of the right version and flags in `prefix`, by its name.
fn executable_in(prefix: &Path) -> Option<PathBuf> {
    let abi = python_abi();
    let mut names = vec![format!("python{abi}")];
    if abi.ends_with('d') {
        names.push(format!("python{}-dbg", abi.trim_end_matches('d')));
    }
    if Path::new(BUILT_PREFIX) == prefix {
        let built = Path::new(BUILT_EXECUTABLE);
        names.extend(built.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    let candidates = names.iter().map(|name| prefix.join("bin").join(name));
    candidates.into_iter().find(|path| path.is_file())
}

/// The executable that raddle was built for, or one that is near the loaded library.
fn built_executable(libpython: Option<&Path>) -> Option<PathBuf> {
    let built = PathBuf::from(BUILT_EXECUTABLE);
    if built.is_file() {
        return Some(built);
    }
    executable_in(&above(&real(libpython)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_parts() {
        assert!(same_minor("3.11.2", "3.11"));
        assert!(same_minor("3.11", "3.11"));
        assert!(!same_minor("3.1.1", "3.11"));
        assert!(!same_minor("3.110", "3.11"));
    }

    #[test]
    fn a_pyvenv_cfg_is_read_as_python_reads_it() {
        let text = "home = /usr/bin\nversion= 3.11.2\nexecutable =/usr/bin/python3.11\n";
        assert_eq!(value(text, "version"), Some("3.11.2"));
        assert_eq!(value(text, "home"), Some("/usr/bin"));
        assert_eq!(value(text, "version_info"), None);
    }

    #[test]
    fn the_python_that_was_built_for_is_found_without_options() {
        let place = find(&Options::new(), None).unwrap();
        assert!(place.executable.is_some_and(|path| path.is_file()));
    }

    #[test]
    fn a_bad_home_is_named_with_what_was_expected() {
        let error = find(&Options::new().home("/nowhere"), None).unwrap_err();
        assert_eq!(error.status(), Status::Start);
        assert!(error.message().contains("/nowhere/"), "{error}");
        assert!(error.message().contains("no such folder"), "{error}");
    }

    #[test]
    fn a_plugin_folder_must_exist() {
        let error = find(&Options::new().plugin_folder("/nowhere"), None).unwrap_err();
        assert!(error.message().contains("plugin folder /nowhere"), "{error}");
    }
}
