//! Which Python is built for, and what it says about itself.
#![forbid(unsafe_code)]

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Result;

/// One fact a line, in the order in which `Python::ask` reads them.
const ASK: &str = "
import os, sys, sysconfig
get = sysconfig.get_config_var
print(sys.executable)
print('%d.%d' % sys.version_info[:2], '.'.join(map(str, sys.version_info[:3])), 'f' + sys.abiflags)
print(get('LIBDIR'))
print('shared' if get('Py_ENABLE_SHARED') else 'static')
print('headers' if os.path.exists(os.path.join(get('INCLUDEPY'), 'Python.h')) else 'bare')";

/// An interpreter that raddle can be built for.
#[derive(Clone, Debug)]
pub(crate) struct Python {
    /// Where it is.
    pub(crate) executable: PathBuf,
    /// All three parts: "3.11.2".
    pub(crate) version: String,
    /// The first two parts: "3.11".
    pub(crate) minor: String,
    /// `sys.abiflags`: "", "d", "t", "td".
    pub(crate) abiflags: String,
    /// Where its libpython is.
    pub(crate) libdir: PathBuf,
}

impl Python {
    /// Takes the first that is given of `wanted`, $`RADDLE_PYTHON` and the one of python3-embed.
    pub(crate) fn choose(wanted: Option<&Path>) -> Result<Self> {
        let (path, why) = if let Some(path) = wanted {
            (path.to_owned(), "--python")
        } else if let Some(path) = named_by_environment() {
            (path, "RADDLE_PYTHON")
        } else {
            (of_pkg_config()?, "pkg-config's python3-embed")
        };
        let python = Self::ask(&path)?;
        eprintln!("{python}, chosen by {why}");
        Ok(python)
    }

    /// Asks an interpreter what it is.
    pub(crate) fn ask(path: &Path) -> Result<Self> {
        let output =
            Command::new(path).args(["-c", ASK]).stderr(Stdio::null()).output().map_err(
                |error| format!("{}: {error}; name a Python interpreter", path.display()),
            )?;
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = text.lines().collect();
        let [executable, version, libdir, shared, headers] = lines[..] else {
            return Err(format!(
                "{} does not answer as a Python 3 interpreter does",
                path.display()
            ));
        };
        if shared != "shared" {
            return Err(format!(
                "{executable} has no shared libpython; use one configured with --enable-shared"
            ));
        }
        if headers != "headers" {
            return Err(format!(
                "{executable} has no Python.h; install its development files \
                 (Debian: python3-dev, Fedora: python3-devel)"
            ));
        }
        let parts: Vec<&str> = version.split(' ').collect();
        let [minor, version, flags] = parts[..] else {
            return Err(format!("{executable} names no version"));
        };
        Ok(Self {
            executable: executable.into(),
            version: version.to_owned(),
            minor: minor.to_owned(),
            abiflags: flags[1..].to_owned(),
            libdir: libdir.into(),
        })
    }

    /// A name for its directories: "3.11.2", "3.13.5t".
    pub(crate) fn tag(&self) -> String {
        format!("{}{}", self.version, self.abiflags)
    }

    /// Whether the dynamic linker finds its libpython without being told.
    pub(crate) fn is_on_default_path(&self) -> bool {
        ["/usr/lib", "/lib"].iter().any(|folder| self.libdir.starts_with(folder))
    }

    /// Whether it is the last free-threaded one that only PyO3 0.28 supports.
    pub(crate) fn needs_older_pyo3(&self) -> bool {
        self.minor == "3.13" && self.abiflags.contains('t')
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, abiflags, executable, .. } = self;
        write!(f, "Python {version} (ABI flags '{abiflags}') at {}", executable.display())
    }
}

fn named_by_environment() -> Option<PathBuf> {
    env::var_os("RADDLE_PYTHON").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Whether $`RADDLE_PYTHON` says which interpreter to use.
pub(crate) fn is_named_by_environment() -> bool {
    named_by_environment().is_some()
}

/// The interpreter that the installed libpython belongs to.
fn of_pkg_config() -> Result<PathBuf> {
    let ask = |option: &str| {
        let output = Command::new("pkg-config").args([option, "python3-embed"]).output();
        let output = output.ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match (ask("--variable=exec_prefix"), ask("--modversion")) {
        (Some(prefix), Some(version)) => Ok(format!("{prefix}/bin/python{version}").into()),
        _ => Err("pkg-config knows no python3-embed: install it (Debian: python3-dev, Fedora: \
                  python3-devel, Arch: python) or use --python PATH"
            .to_owned()),
    }
}
