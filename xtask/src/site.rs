//! Where the work for one interpreter happens: its directories, its environment, its builds.
#![forbid(unsafe_code)]

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Result,
    python::Python,
    run::{Reads, Report},
};

/// One interpreter, and the directories for what is built for it.
#[derive(Debug)]
pub(crate) struct Site {
    /// The checkout (or a copy of it).
    pub(crate) root: PathBuf,
    /// The interpreter.
    pub(crate) python: Python,
    /// cargo's target directory.
    pub(crate) target: PathBuf,
}

/// The checkout that this program was built from.
pub(crate) fn checkout() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map(Path::to_owned).ok_or_else(|| "xtask lies outside a checkout".to_owned())
}

impl Site {
    /// The default interpreter shares cargo's usual directory; any other has its own, so that
    /// changing between them rebuilds nothing.
    pub(crate) fn new(python: Python, is_default: bool) -> Result<Self> {
        let root = checkout()?;
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let own = !is_default || env::var_os("RADDLE_PYTHON").is_some();
        let target = if own { target.join("python").join(python.tag()) } else { target };
        Ok(Self { root, python, target })
    }

    /// A command that runs in the checkout and knows the interpreter.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            // What cargo told this program about itself is nothing that a build should depend on.
            let name_text = name.to_string_lossy();
            if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
            .env("CARGO_TARGET_DIR", &self.target)
            .env("PYO3_PYTHON", &self.python.executable)
            .env("RADDLE_PYTHON", &self.python.executable)
            .env("RADDLE_BUILD", self.meson_dir());
        if !self.python.is_on_default_path() {
            let mut path = OsString::from(&self.python.libdir);
            if let Some(rest) = env::var_os("LD_LIBRARY_PATH") {
                path.push(":");
                path.push(rest);
            }
            command.env("LD_LIBRARY_PATH", path);
        }
        command
    }

    /// `cargo` with arguments.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments);
        command
    }

    /// Where meson builds libraddle.so and the C tests.
    pub(crate) fn meson_dir(&self) -> PathBuf {
        self.target.join("meson")
    }

    /// Where meson builds the demo.
    pub(crate) fn indexer_dir(&self) -> PathBuf {
        self.target.join("meson-indexer")
    }

    /// Where meson builds the demo with a window.
    pub(crate) fn window_dir(&self) -> PathBuf {
        self.target.join("meson-gtk")
    }

    /// Where meson builds what is measured.
    pub(crate) fn bench_dir(&self) -> PathBuf {
        self.target.join("meson-bench")
    }

    /// Builds libraddle.so and the C tests; says whether it worked.
    pub(crate) fn build_c(&self, report: &mut Report) -> bool {
        self.meson(report, "libraddle.so and the C tests", &self.root, &self.meson_dir(), &[])
    }

    /// Builds the benches that are written in C and C++; says whether it worked.
    pub(crate) fn build_benches(&self, report: &mut Report) -> bool {
        let options = ["--buildtype=release", "-Dbenchmarks=true"];
        self.meson(report, "the benches in C", &self.root, &self.bench_dir(), &options)
    }

    /// Builds the indexer, which has raddle as a subproject; says whether it worked.
    pub(crate) fn build_indexer(&self, report: &mut Report) -> bool {
        self.build_demo(report, "the indexer", "demos/indexer", &self.indexer_dir())
    }

    /// Builds the indexer with a window, likewise.
    pub(crate) fn build_window(&self, report: &mut Report) -> bool {
        self.build_demo(report, "the indexer's window", "demos/gtk", &self.window_dir())
    }

    fn build_demo(&self, report: &mut Report, what: &str, source: &str, build: &Path) -> bool {
        // Also where another raddle is installed, this one is meant.
        let options = ["--buildtype=release", "--force-fallback-for=raddle"];
        self.meson(report, what, &self.root.join(source), build, &options)
    }

    /// Whether an interpreter finds a module.
    pub(crate) fn imports(&self, python: &str, module: &str) -> bool {
        let mut command = self.command(python);
        command.args(["-c", &format!("import {module}")]);
        command.output().is_ok_and(|output| output.status.success())
    }

    /// The interpreter of a virtual environment with these modules, each by the package that has it. One
    /// that cannot be installed is told of, and left out.
    pub(crate) fn with_packages(
        &self,
        report: &mut Report,
        name: &str,
        packages: &[(&str, &str)],
    ) -> String {
        let folder = self.target.join(name);
        let python = folder.join("bin/python").to_string_lossy().into_owned();
        if !self.imports(&python, "pip") {
            let mut venv = self.command(&self.python.executable.to_string_lossy());
            venv.args(["-m", "venv", "--system-site-packages"]).arg(&folder);
            report.run("make a virtual environment", venv, Reads::Nothing);
        }
        for (module, package) in packages {
            if !self.imports(&python, module) {
                let mut pip = self.command(&python);
                pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
                let installed = pip.arg(package).status();
                if !installed.is_ok_and(|status| status.success()) {
                    report.skip(package, &format!("pip cannot install it for {}", self.python));
                }
            }
        }
        python
    }

    /// Configures `build` unless it is configured, and builds it. All builds share what cargo made.
    fn meson(
        &self,
        report: &mut Report,
        what: &str,
        source: &Path,
        build: &Path,
        options: &[&str],
    ) -> bool {
        if !build.join("build.ninja").exists() {
            let prefix = if source == self.root { "" } else { "raddle:" };
            let python = self.python.executable.display();
            let cargo = self.target.join("embed");
            let mut setup = self.command("meson");
            setup.arg("setup").args(options).arg(build).arg(source);
            setup.arg(format!("-D{prefix}python={python}"));
            setup.arg(format!("-D{prefix}cargo_target_dir={}", cargo.display()));
            if !report.run(&format!("configure {what}"), setup, Reads::Nothing) {
                return false;
            }
        }
        let mut ninja = self.command("ninja");
        ninja.arg("-C").arg(build);
        report.run(&format!("build {what}"), ninja, Reads::Nothing)
    }
}
