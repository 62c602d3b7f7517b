//! What each door needs from the machine: one table, and the installing of it.
#![forbid(unsafe_code)]

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    Door::{self, Bench, Check, Demo, Matrix, Stress, Test, Window},
    Result,
};

/// How to tell that something is there.
#[derive(Clone, Copy, Debug)]
enum Probe {
    /// A program on the path.
    Program(&'static str),
    /// A module of pkg-config.
    Module(&'static str),
    /// Code that the system's Python runs without an error.
    Python(&'static str),
    /// A file.
    File(&'static str),
}

/// One need, and what it is called in three distributions.
#[derive(Debug)]
struct Need {
    probe: Probe,
    doors: &'static [Door],
    /// Whether a door opens without it, with less behind it.
    optional: bool,
    /// Whether it is about the system's Python, and so no need of a door that uses another.
    of_python: bool,
    debian: &'static str,
    fedora: &'static str,
    arch: &'static str,
}

const ALL: &[Door] = &[Demo, Window, Test, Check, Bench, Matrix, Stress];
const TESTS: &[Door] = &[Test, Matrix];
const GTK: &[Door] = &[Window, Test, Matrix];

/// A row: what proves it, which doors need it, its packages on Debian, Fedora and Arch.
const fn need(probe: Probe, doors: &'static [Door], packages: [&'static str; 3]) -> Need {
    let [debian, fedora, arch] = packages;
    Need { probe, doors, optional: false, of_python: false, debian, fedora, arch }
}

/// A row that only the system's Python needs.
const fn of_python(need: Need) -> Need {
    Need { of_python: true, ..need }
}

/// A row that a door can do without.
const fn want(probe: Probe, doors: &'static [Door], packages: [&'static str; 3]) -> Need {
    Need { optional: true, ..need(probe, doors, packages) }
}

const GTK_FROM_PYTHON: &str =
    "import gi; gi.require_version('Gtk', '4.0'); from gi.repository import Gtk";
const GTK_3_FROM_PYTHON: &str =
    "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk";

/// Everything that raddle needs from the machine, beside rustup and git.
const NEEDS: &[Need] = &[
    need(Probe::Program("cc"), ALL, ["gcc libc6-dev", "gcc", "gcc"]),
    need(Probe::Program("c++"), &[Test, Check, Bench, Matrix], ["g++", "gcc-c++", "gcc"]),
    need(Probe::Program("pkg-config"), ALL, ["pkg-config", "pkgconf-pkg-config", "pkgconf"]),
    of_python(need(
        Probe::Module("python3-embed"),
        ALL,
        ["python3-dev", "python3-devel", "python"],
    )),
    need(Probe::Module("gobject-2.0"), ALL, ["libglib2.0-dev", "glib2-devel", "glib2"]),
    need(Probe::Program("meson"), ALL, ["meson", "meson", "meson"]),
    need(Probe::Program("ninja"), ALL, ["ninja-build", "ninja-build", "ninja"]),
    of_python(need(
        Probe::Python("import ensurepip"),
        &[Test, Matrix, Bench],
        ["python3-venv", "python3-libs", "python"],
    )),
    of_python(need(
        Probe::Python("import pytest"),
        TESTS,
        ["python3-pytest", "python3-pytest", "python-pytest"],
    )),
    of_python(need(
        Probe::Python("import gi"),
        GTK,
        ["python3-gi", "python3-gobject", "python-gobject"],
    )),
    want(
        Probe::Program("g-ir-scanner"),
        TESTS,
        [
            "gobject-introspection libgirepository1.0-dev",
            "gobject-introspection-devel",
            "gobject-introspection",
        ],
    ),
    of_python(need(Probe::Python(GTK_FROM_PYTHON), GTK, ["gir1.2-gtk-4.0", "gtk4", "gtk4"])),
    // The last one that has a Gtk.main().
    of_python(want(Probe::Python(GTK_3_FROM_PYTHON), TESTS, ["gir1.2-gtk-3.0", "gtk3", "gtk3"])),
    need(Probe::Module("gtk4"), GTK, ["libgtk-4-dev", "gtk4-devel", "gtk4"]),
    need(
        Probe::Program("xvfb-run"),
        TESTS,
        ["xvfb xauth", "xorg-x11-server-Xvfb xorg-x11-xauth", "xorg-server-xvfb xorg-xauth"],
    ),
    // What clicks in the window, with the pointer and the keyboard of the display.
    need(Probe::Program("xdotool"), TESTS, ["xdotool", "xdotool", "xdotool"]),
    // What reads the window as a screen reader does, and the bus on which the two meet.
    of_python(want(
        Probe::Python("import gi; gi.require_version('Atspi', '2.0')"),
        TESTS,
        ["gir1.2-atspi-2.0", "at-spi2-core", "at-spi2-core"],
    )),
    want(
        Probe::File("/usr/libexec/at-spi-bus-launcher"),
        TESTS,
        ["at-spi2-core", "at-spi2-core", "at-spi2-core"],
    ),
    want(Probe::Program("dbus-daemon"), TESTS, ["dbus", "dbus-daemon", "dbus"]),
    need(
        Probe::File("/usr/include/pybind11/pybind11.h"),
        &[Test, Bench, Matrix],
        ["pybind11-dev", "pybind11-devel", "pybind11"],
    ),
    of_python(want(Probe::Program("python3-dbg"), &[Test], ["python3-dbg", "python3-debug", ""])),
    // Both look at the stacks of tasklets.
    want(Probe::Program("gdb"), TESTS, ["gdb", "gdb", "gdb"]),
    want(Probe::Program("valgrind"), TESTS, ["valgrind", "valgrind", "valgrind"]),
    // What pip builds PyGObject with, whose event loop raddle's is measured beside.
    want(
        Probe::Module("gobject-introspection-1.0"),
        &[Bench],
        ["libgirepository1.0-dev", "gobject-introspection-devel", "gobject-introspection"],
    ),
    want(Probe::Module("cairo"), &[Bench], ["libcairo2-dev", "cairo-devel", "cairo"]),
    // The oracle of the tasklets' switches.
    of_python(want(
        Probe::Python("import greenlet"),
        TESTS,
        ["python3-greenlet", "python3-greenlet", "python-greenlet"],
    )),
    // The interpreter's own tests of asyncio, which raddle's loop has to pass.
    want(
        Probe::Python("import test.test_asyncio"),
        TESTS,
        // A pattern, as apt takes it: the name has the version in it.
        ["^libpython3.[0-9]+-testsuite$", "python3-test", "python"],
    ),
];

/// What the benches in Python compare with, from PyPI: a module and the package that has it. They are
/// put into an environment of the bench's own; without one, its figures stand alone.
pub(crate) const PEERS: &[(&str, &str)] = &[
    ("gbulb", "gbulb"),
    ("gevent", "gevent"),
    // The first with an event loop, and the last that does without GLib 2.80.
    ("gi.events", "PyGObject>=3.50,<3.51"),
    ("greenlet", "greenlet"),
    ("numpy", "numpy"),
    ("spead2", "spead2"),
    ("uvloop", "uvloop"),
];

/// What runs the tests in Python, and what some of them compare with, where the interpreter has no pytest.
pub(crate) const RUNNERS: &[(&str, &str)] = &[("greenlet", "greenlet"), ("pytest", "pytest")];

/// What the stream is sent by, and computed with, in its tests; without them some are skipped.
pub(crate) const SENDERS: &[(&str, &str)] = &[("numpy", "numpy"), ("spead2", "spead2")];

impl Need {
    fn is_met(&self) -> bool {
        match self.probe {
            Probe::Program(name) => on_path(name),
            Probe::Module(name) => succeeds("pkg-config", &["--exists", name]),
            Probe::Python(code) => succeeds("/usr/bin/python3", &["-c", code]),
            Probe::File(path) => Path::new(path).exists(),
        }
    }
}

/// Whether a program is on the path.
pub(crate) fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether, and how, packages may be installed.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) install: bool,
    /// Whether the door uses the system's Python: no other was named.
    pub(crate) system_python: bool,
}

impl Setup {
    /// Sees to it that a door has what it needs.
    pub(crate) fn prepare(&self, door: Door) -> Result<()> {
        let missing = self.missing(door);
        if missing.is_empty() {
            return Ok(());
        }
        if self.install
            && let Some(sudo) = administrator()
        {
            let packages: Vec<&str> =
                missing.iter().flat_map(|need| need.debian.split(' ')).collect();
            eprintln!("missing here, so installed now: {}", packages.join(" "));
            if let Err(message) = apt_get(sudo, &packages) {
                eprintln!("{message}");
            }
        }
        let missing = self.missing(door);
        for need in missing.iter().filter(|need| need.optional) {
            eprintln!("note: {} is not installed, so its part is skipped", need.debian);
        }
        let required: Vec<&Need> = missing.into_iter().filter(|need| !need.optional).collect();
        if required.is_empty() { Ok(()) } else { Err(advice(&required)) }
    }

    fn missing(&self, door: Door) -> Vec<&'static Need> {
        let concerns =
            |need: &&Need| need.doors.contains(&door) && (self.system_python || !need.of_python);
        NEEDS.iter().filter(concerns).filter(|need| !need.is_met()).collect()
    }
}

/// What to put before apt-get, where this user may run it.
fn administrator() -> Option<&'static [&'static str]> {
    if !on_path("apt-get") {
        None
    } else if Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n") {
        Some(&[])
    } else if succeeds("sudo", &["-n", "true"]) {
        Some(&["sudo", "-n"])
    } else {
        None
    }
}

fn apt_get(sudo: &[&str], packages: &[&str]) -> Result<()> {
    let apt = [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-qq",
        "-o",
        "DPkg::Lock::Timeout=300",
    ];
    for action in [&["update"][..], &["install", "-y", "--no-install-recommends"]] {
        let mut words = [sudo, &apt, action].concat();
        if action.len() > 1 {
            words.extend(packages);
        }
        eprintln!("$ {}", words.join(" "));
        let status = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).status();
        if !status.is_ok_and(|status| status.success()) {
            return Err(format!("'{}' failed", words.join(" ")));
        }
    }
    Ok(())
}

/// The commands that install what is missing.
fn advice(missing: &[&Need]) -> String {
    let list = |column: fn(&Need) -> &'static str| {
        let mut names: Vec<&str> = missing.iter().map(|need| column(need)).collect();
        names.dedup();
        names.join(" ")
    };
    format!(
        "something is missing on this machine. Install it by the line for your distribution:\n  \
         Debian: apt-get install {}\n  Fedora: dnf install {}\n  Arch: pacman -S {}",
        list(|need| need.debian),
        list(|need| need.fedora),
        list(|need| need.arch)
    )
}
