//! Starting Python, or adopting one, up to the open gate.

use core::mem::MaybeUninit;
use core::ptr;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use pyo3::Python;

use super::boot::Importer;
use super::life::{Life, Running, life, watch_forks};
use super::options::Options;
use super::place::{self, Place};
use super::{boot, library, module, version};
use crate::cpython::{self, Start};
use crate::error::{Closed, Error, Status};
use crate::gate::Entry;
use crate::gate::control::{self, Manner};
use crate::object::{self, Object, Raised};
use crate::relay::log;

/// Starts Python. Returns the generation.
pub(super) fn start(options: &Options) -> Result<u64, Error> {
    life().begin()?;
    let started = start_idle(options);
    *life() = match &started {
        Ok(running) => Life::Running(*running),
        Err(Failure::Before(_)) => Life::Idle,
        Err(Failure::Inside(line)) => Life::Broken(line.clone()),
    };
    match started {
        Ok(running) => {
            log::python_started();
            Ok(running.generation)
        }
        Err(Failure::Before(error)) => Err(error),
        Err(Failure::Inside(line)) => Err(Error::new(Status::Start, line)),
    }
}

/// What a failed start leaves behind.
#[derive(Debug)]
enum Failure {
    /// Nothing: it may be tried again.
    Before(Error),
    /// A half-made Python.
    Inside(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Before(error)
    }
}

fn start_idle(options: &Options) -> Result<Running, Failure> {
    version::check_loaded()?;
    // SAFETY: reads a flag, before start and after the end too.
    if unsafe { pyo3_ffi::Py_IsInitialized() } != 0 {
        let line = "Python is started already, by somebody else: adopt it instead";
        return Err(Error::new(Status::AlreadyStarted, line).into());
    }
    if let Some(latency) = options.latency {
        check_latency(latency)?;
    }
    let libpython = library::file_of(version::address_in_python());
    let place = place::find(options, libpython.as_deref())?;
    let how = in_c(options, &place)?;
    promote(libpython);
    module::offer();
    let undisturbed = options.signal_handlers.then(Undisturbed::begin);
    // SAFETY: not initialized, as was just asked, and `Life::Starting` keeps other starts away.
    unsafe { how.run() }.map_err(Failure::Inside)?;
    // SAFETY: attached by the start.
    let py = unsafe { Python::assume_attached() };
    if let Err(error) = set_up(py, options, &place) {
        // SAFETY: attached, on Python's main thread. What its streams held is of no use any more.
        unsafe { pyo3_ffi::Py_FinalizeEx() };
        return Err(error.into());
    }
    drop(undisturbed);
    let manner = Manner { timing: options.timing, reap_here: options.reap_on_exit };
    let mut running = open(manner);
    // SAFETY: attached.
    running.main = unsafe { pyo3_ffi::PyEval_SaveThread() };
    Ok(running)
}

/// Keeps SIGINT from this thread while Python starts: with its handler installed, a Ctrl-C would raise
/// KeyboardInterrupt in the middle of `site`, and the start would fail for good. It is delivered when
/// this is dropped, and raises at Python's next look.
struct Undisturbed(libc::sigset_t);

impl Undisturbed {
    fn begin() -> Self {
        let mut sigint = MaybeUninit::uninit();
        // SAFETY: fills the set in.
        unsafe { libc::sigemptyset(sigint.as_mut_ptr()) };
        // SAFETY: a set that was filled in, and a signal that there is.
        unsafe { libc::sigaddset(sigint.as_mut_ptr(), libc::SIGINT) };
        let mut former = MaybeUninit::uninit();
        // SAFETY: both sets are valid; `former` is filled in.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, sigint.as_ptr(), former.as_mut_ptr()) };
        // SAFETY: filled in by the call, which fails only for a bad first argument.
        Self(unsafe { former.assume_init() })
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        // SAFETY: the mask that this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

/// Checks what only a running Python tells, and makes it ours.
fn set_up(py: Python<'_>, options: &Options, place: &Place) -> Result<(), Error> {
    let flags = Object::of_sys(py, c"abiflags").map(|flags| flags.to_text());
    version::check_flags(&flags.unwrap_or_default())?;
    boot::begin(py, options, place)
}

/// Opens the gate to the interpreter that this thread holds, its main one.
fn open(manner: Manner) -> Running {
    // SAFETY: attached, says the caller.
    let interpreter = unsafe { pyo3_ffi::PyInterpreterState_Get() };
    // SAFETY: a stop closes the gate and waits before it finalizes, and so does the exit hook when
    // somebody else does.
    let generation = unsafe { control::open(interpreter, manner) };
    watch_forks();
    let thread = thread::current().id();
    Running { generation, interpreter, thread, main: core::ptr::null_mut() }
}

fn promote(libpython: Option<PathBuf>) {
    if let Some(file) = libpython {
        library::promote(&file);
    }
}

fn in_c(options: &Options, place: &Place) -> Result<Start, Error> {
    let path = |path: &Option<PathBuf>| path.as_deref().map(c_path).transpose();
    let argv: Result<Vec<CString>, Error> =
        options.argv.iter().map(|word| c_text("an argument", word.as_bytes())).collect();
    let program_name = options.program_name.as_deref();
    Ok(Start {
        program_name: program_name
            .map(|name| c_text("the program name", name.as_bytes()))
            .transpose()?,
        home: path(&place.home)?,
        executable: path(&place.executable)?,
        argv: argv?,
        signal_handlers: options.signal_handlers,
    })
}

fn c_path(path: &Path) -> Result<CString, Error> {
    c_text("a path", path.as_os_str().as_bytes())
}

fn c_text(what: &str, text: &[u8]) -> Result<CString, Error> {
    CString::new(text)
        .map_err(|_| Error::new(Status::Invalid, format!("{what} contains a NUL character")))
}

/// Opens the gate to a running Python. Returns the generation.
pub(super) fn adopt(importer: Importer) -> Result<u64, Error> {
    version::check_loaded()?;
    // SAFETY: reads a flag, before start and after the end too.
    if unsafe { pyo3_ffi::Py_IsInitialized() } == 0 {
        return Err(Closed::NotStarted.into());
    }
    if !cpython::is_held_by(cpython::current(), core::ptr::null_mut()) {
        let line = "only a thread that holds Python may adopt it";
        return Err(Error::new(Status::WrongThread, line));
    }
    {
        let mut life = life();
        if let Life::Running(running) = &*life {
            return Ok(running.generation);
        }
        life.begin()?;
    }
    let adopted = adopt_idle(importer);
    *life() = adopted.as_ref().map_or(Life::Idle, |running| Life::Running(*running));
    if adopted.is_ok() {
        log::python_started();
    }
    adopted.map(|running| running.generation)
}

fn adopt_idle(importer: Importer) -> Result<Running, Error> {
    // SAFETY: `adopt` saw that this thread holds Python.
    let py = unsafe { Python::assume_attached() };
    if !cpython::is_main_interpreter(py) {
        let line = "this thread holds a subinterpreter: adopt Python from its main one";
        return Err(Error::new(Status::WrongThread, line));
    }
    let flags = Object::of_sys(py, c"abiflags").map(|flags| flags.to_text());
    version::check_flags(&flags.unwrap_or_default())?;
    promote(library::file_of(version::address_in_python()));
    boot::watch(py, importer)?;
    Ok(open(Manner::default()))
}

/// Sets the switch interval of `generation`.
pub(super) fn set_latency(generation: u64, latency: Duration) -> Result<(), Error> {
    check_latency(latency)?;
    let entry = Entry::new()?;
    if control::generation() != generation {
        return Err(Closed::Stopped.into());
    }
    let py = entry.py();
    let set = || -> object::Result<()> {
        let function =
            Object::of_sys(py, c"setswitchinterval").ok_or_else(|| object::raised(py))?;
        function.call([Object::float(py, latency.as_secs_f64())])?;
        Ok(())
    };
    set().map_err(|Raised(line)| Error::new(Status::Python, line))
}

fn check_latency(latency: Duration) -> Result<(), Error> {
    if (Duration::from_micros(1)..=Duration::from_secs(1)).contains(&latency) {
        return Ok(());
    }
    Err(Error::new(Status::Invalid, "a latency is from one microsecond to one second"))
}
