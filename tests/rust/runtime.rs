//! Starting Python, and what the options do. Each test is a process of its own.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use raddle::{Closed, Options, Runtime, Status, enter};
use raddle_tests::python::{run, start};
use raddle_tests::{Child, in_child, spawn};

/// An empty folder of this test's own.
fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("raddle-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours is UTF-8")
}

#[test]
fn python_starts_and_stops() {
    in_child("python_starts_and_stops", || {
        assert_eq!(enter(|_| ()), Err(Closed::NotStarted));
        let runtime = start(&Options::new());
        assert!(runtime.is_open());
        assert_eq!(run("r = 2 * 3"), "6");
        assert_eq!(spawn("native", || run("r = 2 * 4")).join().unwrap(), "8");
        runtime.stop(None).unwrap();
        assert!(!runtime.is_open());
        assert_eq!(enter(|_| ()), Err(Closed::Stopped));
        runtime.stop(None).unwrap();
    });
}

#[test]
fn a_second_start_is_refused() {
    in_child("a_second_start_is_refused", || {
        let runtime = start(&Options::new());
        let error = Runtime::start(&Options::new()).unwrap_err();
        assert_eq!(error.status(), Status::AlreadyStarted);
        runtime.stop(None).unwrap();
    });
}

#[test]
fn python_is_isolated_and_speaks_utf_8() {
    let child = Child::new("python_is_isolated_and_speaks_utf_8")
        .env("PYTHONPATH", "/nowhere")
        .env("PYTHONHOME", "/nowhere")
        .env("PYTHONUTF8", "0")
        .env("PYTHONOPTIMIZE", "2")
        .env("LC_ALL", "C");
    let seen = child.run(|| {
        let runtime = start(&Options::new());
        assert_eq!(run("import sys; r = sys.flags.isolated, sys.flags.utf8_mode"), "(1, 1)");
        assert_eq!(run("import sys; r = sys.flags.optimize, sys.flags.no_user_site"), "(0, 1)");
        assert_eq!(run("import sys; r = sys.getfilesystemencoding()"), "utf-8");
        assert_eq!(run("import sys; r = '/nowhere' in sys.path or '' in sys.path"), "False");
        assert_eq!(run("import os, sys; r = os.getcwd() in sys.path"), "False");
        assert_eq!(run("import site; r = site.ENABLE_USER_SITE"), "False");
        // Importing signal takes SIGINT over, in a plain Python.
        let taken = "import subprocess, signal; \
                     r = signal.getsignal(2) is signal.default_int_handler, \
                     signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN";
        assert_eq!(run(taken), "(False, False)");
        runtime.stop(None).unwrap();
    });
    seen.inspect(raddle_tests::child::Seen::assert_success);
}

#[test]
fn options_reach_python() {
    in_child("options_reach_python", || {
        let folder = scratch("options");
        let (first, last) = (folder.join("first"), folder.join("last"));
        for folder in [&first, &last] {
            fs::create_dir(folder).unwrap();
            let name = folder.file_name().unwrap().to_str().unwrap();
            fs::write(folder.join("json.py"), format!("here = '{name}'")).unwrap();
            fs::write(folder.join(format!("only_{name}.py")), "here = True").unwrap();
        }
        let options = Options::new()
            .argv(["host", "--größe", "3"])
            .search_path(&first)
            .plugin_folder(&last)
            .signal_handlers(true)
            .latency(Duration::from_micros(500));
        let runtime = start(&options);
        assert_eq!(run("import sys; r = sys.argv"), "['host', '--größe', '3']");
        assert_eq!(run("import json; r = json.here"), "first");
        assert_eq!(run("import only_last; r = only_last.here"), "True");
        assert_eq!(run("import sys; r = sys.path[-1]"), text(&last));
        assert_eq!(run("import sys; r = sys.getswitchinterval()"), "0.0005");
        // Where SIGINT was ignored before, as in a shell's background job, Python leaves it so.
        let taken = "import signal; r = signal.getsignal(2) is not signal.SIG_DFL, \
                     signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN";
        assert_eq!(run(taken), "(True, True)");
        runtime.set_latency(Duration::from_millis(2)).unwrap();
        assert_eq!(run("import sys; r = sys.getswitchinterval()"), "0.002");
        let error = runtime.set_latency(Duration::from_secs(2)).unwrap_err();
        assert_eq!(error.status(), Status::Invalid);
        runtime.stop(None).unwrap();
        let error = runtime.set_latency(Duration::from_millis(2)).unwrap_err();
        assert_eq!(error.status(), Status::Closed);
        fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_bad_place_is_one_line_and_the_next_start_works() {
    let child = Child::new("a_bad_place_is_one_line_and_the_next_start_works");
    let seen = child.run(|| {
        let other = scratch("other-home");
        fs::create_dir_all(other.join("lib/python3.4")).unwrap();
        let bad = [
            (Options::new().home("/nowhere"), Status::Start, "no such folder"),
            (Options::new().home(&other), Status::Start, "found python3.4"),
            (Options::new().venv("/nowhere"), Status::Start, "no pyvenv.cfg"),
            (Options::new().plugin_folder("/nowhere"), Status::Start, "does not exist"),
            (Options::new().argv(["a\0b"]), Status::Invalid, "NUL"),
            (Options::new().latency(Duration::ZERO), Status::Invalid, "microsecond"),
        ];
        for (options, status, words) in bad {
            let error = Runtime::start(&options).unwrap_err();
            assert_eq!(error.status(), status, "{error}");
            assert!(error.message().contains(words), "{error}");
            assert!(!error.message().contains('\n'), "{error}");
        }
        start(&Options::new()).stop(None).unwrap();
        fs::remove_dir_all(other).unwrap();
    });
    if let Some(seen) = seen {
        seen.assert_success();
        assert_eq!(seen.stderr, "", "CPython complained too");
    }
}

#[test]
fn a_virtual_environment_is_taken_over() {
    in_child("a_virtual_environment_is_taken_over", || {
        let folder = scratch("venv");
        let runtime = start(&Options::new());
        let make = format!("import venv; venv.create({:?}, symlinks=True)", text(&folder));
        run(&make);
        runtime.stop(None).unwrap();
        let site = folder.join("lib").join(format!("python{}", library())).join("site-packages");
        fs::write(site.join("only_here.py"), "here = True").unwrap();
        fs::write(site.join("more.pth"), "/tmp\n").unwrap();
        let runtime = start(&Options::new().venv(&folder));
        assert_eq!(run("import only_here; r = only_here.here"), "True");
        assert_eq!(run("import sys; r = sys.prefix"), text(&folder));
        assert_eq!(run("import sys; r = sys.prefix != sys.base_prefix"), "True");
        assert_eq!(run("import sys; r = '/tmp' in sys.path"), "True");
        let child = "import subprocess, sys; r = subprocess.run([sys.executable, '-c', \
                     'import only_here'], check=True).returncode";
        assert_eq!(run(child), "0");
        runtime.stop(None).unwrap();
        fs::write(folder.join("pyvenv.cfg"), "home = /usr/bin\nversion = 3.4.1\n").unwrap();
        let error = Runtime::start(&Options::new().venv(&folder)).unwrap_err();
        assert_eq!(error.status(), Status::Version);
        assert!(error.message().contains("3.4.1"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_ctrl_c_during_the_start_is_told_after_it() {
    in_child("a_ctrl_c_during_the_start_is_told_after_it", || {
        let folder = scratch("ctrl_c");
        let runtime = start(&Options::new());
        run(&format!("import venv; venv.create({:?}, symlinks=True)", text(&folder)));
        runtime.stop(None).unwrap();
        let site = folder.join("lib").join(format!("python{}", library())).join("site-packages");
        // A background job of a shell ignores SIGINT, and Python leaves that so: not here.
        let strike = "import _signal as s; s.signal(2, s.default_int_handler); s.raise_signal(2)\n";
        fs::write(site.join("now.pth"), strike).unwrap();
        let runtime = start(&Options::new().venv(&folder).signal_handlers(true));
        let raised = enter(|py| py.check_signals().unwrap_err().to_string()).unwrap();
        assert_eq!(raised, "KeyboardInterrupt: ");
        runtime.stop(None).unwrap();
        fs::remove_dir_all(folder).unwrap();
    });
}

/// "3.11" or "3.13t".
fn library() -> &'static str {
    raddle::python_abi().trim_end_matches('d')
}

#[test]
fn the_executable_is_a_python_and_never_the_host() {
    in_child("the_executable_is_a_python_and_never_the_host", || {
        let host = std::env::current_exe().unwrap();
        let runtime = start(&Options::new().program_name(text(&host)));
        let ask = "import subprocess, sys; r = subprocess.run([sys.executable, '-c', \
                   'import sys; print(\"%d.%d\" % sys.version_info[:2] + sys.abiflags)'], \
                   check=True, stdout=subprocess.PIPE, text=True).stdout.strip()";
        assert_eq!(run(ask), raddle::python_abi());
        runtime.stop(None).unwrap();
    });
}

#[test]
fn multiprocessing_spawns_a_python() {
    in_child("multiprocessing_spawns_a_python", || {
        let folder = scratch("spawn");
        let task = "import os, sys\ndef task(n):\n    return n * n, os.getppid(), sys.executable\n";
        fs::write(folder.join("spawned_task.py"), task).unwrap();
        let runtime = start(&Options::new().plugin_folder(&folder));
        let pool = "
import multiprocessing, os, sys, spawned_task
context = multiprocessing.get_context('spawn')
with context.Pool(2) as pool:
    r = pool.map(spawned_task.task, range(5))
assert all(item[2] == sys.executable for item in r), r
r = [item[0] for item in r]";
        assert_eq!(run(pool), "[0, 1, 4, 9, 16]");
        runtime.stop(Some(Duration::from_secs(20))).unwrap();
        fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn the_package_is_carried_and_wins() {
    in_child("the_package_is_carried_and_wins", || {
        let folder = scratch("carried");
        fs::write(folder.join("raddle.py"), "raise ImportError('the wrong one')").unwrap();
        fs::write(folder.join("_raddle.py"), "raise ImportError('the wrong one')").unwrap();
        let runtime = start(&Options::new().search_path(&folder));
        assert_eq!(run("import raddle; r = raddle.__version__"), env!("CARGO_PKG_VERSION"));
        assert_eq!(run("import raddle; r = raddle.python_abi"), raddle::python_abi());
        assert_eq!(run("import raddle; r = raddle.ENABLE_EXPERIMENTAL"), "False");
        assert_eq!(run("import raddle; r = raddle.gate_stats()['entries'] > 0"), "True");
        assert_eq!(run("import raddle.weave; r = raddle.weave.__name__"), "raddle.weave");
        let traceback = "
import traceback, raddle.weave
try:
    raddle.weave.register_native_destructor(1, 2)
except RuntimeError:
    r = traceback.format_exc()";
        assert!(run(traceback).contains("return _admit(\"register_native_destructor\")"));
        assert_eq!(
            run("import raddle\ntry:\n    import raddle.nothing\nexcept ImportError: r = 1"),
            "1"
        );
        runtime.stop(None).unwrap();
        fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn ft_utils_is_answered_for_on_request() {
    in_child("ft_utils_is_answered_for_on_request", || {
        let runtime = start(&Options::new());
        let ask =
            "try:\n    import ft_utils.weave\n    r = 'there'\nexcept ImportError: r = 'absent'";
        assert_eq!(run(ask), "absent");
        runtime.stop(None).unwrap();
        let runtime = start(&Options::new().answer_ft_utils(true));
        assert_eq!(run(ask), "there");
        runtime.stop(None).unwrap();
    });
}

#[test]
fn another_python_than_was_built_for_is_refused_by_name() {
    // A library that comes before libpython and says that it is another one.
    let name = "another_python_than_was_built_for_is_refused_by_name";
    let folder = scratch("version");
    let (source, library) = (folder.join("other.c"), folder.join("libother.so"));
    fs::write(&source, "const char *Py_GetVersion(void) { return \"3.4.1 (another)\"; }").unwrap();
    let build = ["-shared", "-fPIC", "-o", text(&library), text(&source)];
    if std::env::var_os("LD_PRELOAD").is_none() {
        assert!(std::process::Command::new("cc").args(build).status().unwrap().success());
    }
    let seen = Child::new(name).env("LD_PRELOAD", &library).run(|| {
        let error = Runtime::start(&Options::new()).unwrap_err();
        assert_eq!(error.status(), Status::Version);
        assert!(error.message().contains("3.4"), "{error}");
        assert!(error.message().contains(raddle::python_abi()), "{error}");
    });
    if let Some(seen) = seen {
        seen.assert_success();
        assert_eq!(seen.stderr, "", "CPython complained too");
    }
    fs::remove_dir_all(folder).unwrap();
}
