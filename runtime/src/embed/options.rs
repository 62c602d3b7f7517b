//! How to start Python: a plain record with a builder's face.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

/// How to start Python.
///
/// A fresh record says: isolated (no `PYTHON*` variables, no user site, no current directory on
/// `sys.path`), UTF-8 mode, the standard library of the Python that is loaded, no signal handlers
/// of Python's.
///
/// ```
/// let options = raddle::Options::new().argv(["host", "--fast"]).plugin_folder("plugins");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "options do nothing until a runtime is started with them"]
pub struct Options {
    /// The host's `argv[0]`; see [`Options::program_name`].
    pub program_name: Option<String>,
    /// Where Python's own files are; see [`Options::home`].
    pub home: Option<PathBuf>,
    /// A virtual environment's folder.
    pub venv: Option<PathBuf>,
    /// `sys.argv`.
    pub argv: Vec<String>,
    /// Folders on `sys.path` before the standard library.
    pub search_paths: Vec<PathBuf>,
    /// Folders at the end of `sys.path`.
    pub plugin_folders: Vec<PathBuf>,
    /// Whether Python installs its signal handlers.
    pub signal_handlers: bool,
    /// Whether each entry reads the clock twice.
    pub timing: bool,
    /// Whether a dying thread clears its thread state itself.
    pub reap_on_exit: bool,
    /// Whether `import ft_utils.weave` is answered.
    pub answer_ft_utils: bool,
    /// How long a thread may wait behind a busy one; Python's own 5 ms if absent.
    pub latency: Option<Duration>,
}

impl Options {
    /// A fresh record.
    pub fn new() -> Self {
        Self::default()
    }

    /// The host's `argv[0]`. If it names a folder, the standard library is looked for from there
    /// upwards, so that a host can bring its own Python along. `sys.executable` is a Python in any
    /// case, never the host.
    pub fn program_name(mut self, program_name: impl Into<String>) -> Self {
        self.program_name = Some(program_name.into());
        self
    }

    /// The prefix under which the standard library lies, as in `lib/python3.11/os.py`.
    pub fn home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// A virtual environment's folder: its packages are importable, its `.pth` files are read, and
    /// `sys.prefix` names it.
    pub fn venv(mut self, venv: impl Into<PathBuf>) -> Self {
        self.venv = Some(venv.into());
        self
    }

    /// `sys.argv`; without it, one empty word.
    pub fn argv<S: Into<String>>(mut self, argv: impl IntoIterator<Item = S>) -> Self {
        self.argv = argv.into_iter().map(Into::into).collect();
        self
    }

    /// One more folder on `sys.path` before the standard library, behind those given earlier.
    pub fn search_path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.search_paths.push(folder.into());
        self
    }

    /// One more folder of plugins, at the end of `sys.path`. It must exist.
    pub fn plugin_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.plugin_folders.push(folder.into());
        self
    }

    /// Whether Python installs its signal handlers, SIGINT's among them. Off in a fresh record.
    pub fn signal_handlers(mut self, install: bool) -> Self {
        self.signal_handlers = install;
        self
    }

    /// Whether each entry reads the clock twice, for [`Stats::wait_ns`](crate::gate::Stats) and
    /// for [`Since::For`](crate::gate::Since). Off in a fresh record.
    pub fn timing(mut self, timing: bool) -> Self {
        self.timing = timing;
        self
    }

    /// Whether a dying thread waits for Python and clears its thread state itself. Off in a fresh
    /// record: somebody may be joining the thread with Python held.
    pub fn reap_on_exit(mut self, here: bool) -> Self {
        self.reap_on_exit = here;
        self
    }

    /// Whether `import ft_utils.weave` finds raddle's weave when no `ft_utils` is installed. Off in
    /// a fresh record.
    pub fn answer_ft_utils(mut self, answer: bool) -> Self {
        self.answer_ft_utils = answer;
        self
    }

    /// How long a thread may wait behind a busy Python thread: see
    /// [`Runtime::set_latency`](super::Runtime::set_latency).
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = Some(latency);
        self
    }
}
