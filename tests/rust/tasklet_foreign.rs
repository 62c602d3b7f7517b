//! Tasklets under the frames of somebody else's PyO3, which raddle cannot see: what docs/caveats.md says of them.
#![forbid(unsafe_code)]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use raddle::{Options, enter};
use raddle_tests::python::start;
use raddle_tests::{Child, in_child};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// What an extension offers that knows nothing of tasklets: a function that calls back, through the
/// frames that PyO3 puts round every `#[pyfunction]` too.
fn calls(py: Python<'_>) -> Bound<'_, PyCFunction> {
    let call = |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        arguments.get_item(0)?.call0().map(drop)
    };
    PyCFunction::new_closure(py, None, None, call).expect("a function")
}

/// Statements with that function in reach.
fn run_beside(code: &str) -> String {
    let code = std::ffi::CString::new(code).expect("no NUL in the code");
    enter(|py| {
        let names = PyDict::new(py);
        names.set_item("calls", calls(py)).expect("a dict takes it");
        if let Err(error) = py.run(&code, Some(&names), None) {
            error.display(py);
            panic!("{error}");
        }
        names.get_item("r").ok().flatten().map_or_else(String::new, |value| value.to_string())
    })
    .expect("the gate is open")
}

fn three() -> i32 {
    Python::attach(|py| py.eval(c"1 + 2", None, None).and_then(|sum| sum.extract()).expect("a sum"))
}

/// Tells the parent, at once.
fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent listens");
}

const SLEEPS: &str = "if True:
    import sys
    from raddle import stackless
    sys.task = stackless.tasklet(calls)(stackless.schedule_remove)
    stackless.run()
    r = sys.task.paused";

#[test]
fn a_tasklet_that_sleeps_in_a_pyfunction_leaves_pyo3s_count_wrong() {
    let child = Child::new("a_tasklet_that_sleeps_in_a_pyfunction_leaves_pyo3s_count_wrong");
    let body = || {
        let _runtime = start(&Options::new());
        assert_eq!(run_beside(SLEEPS), "True");
        assert!(!raddle::gate::is_held());
        say("asleep");
        // PyO3 takes this thread for attached, as it still counts the sleeping call, and does not attach.
        say(&format!("computed {}", three()));
    };
    if let Some(seen) = child.run(body) {
        assert!(seen.stdout.contains("asleep"), "{}", seen.story());
        assert!(!seen.stdout.contains("computed"), "the caveat is gone: {}", seen.story());
        let crashed = seen.status.is_some_and(|status| status.signal().is_some());
        assert!(crashed, "{}", seen.story());
    }
}

#[test]
fn once_it_has_returned_the_count_is_right() {
    in_child("once_it_has_returned_the_count_is_right", || {
        let runtime = start(&Options::new());
        assert_eq!(run_beside(SLEEPS), "True");
        run_beside("import sys; sys.task.run()");
        assert_eq!(three(), 3);
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn a_switch_trap_makes_the_sleep_an_error() {
    in_child("a_switch_trap_makes_the_sleep_an_error", || {
        let runtime = start(&Options::new());
        let code = "if True:
            from raddle import stackless
            r = []
            def body():
                stackless.switch_trap(1)
                try:
                    calls(stackless.schedule_remove)
                except RuntimeError as error:
                    r.append(str(error))
                finally:
                    stackless.switch_trap(-1)
            stackless.tasklet(body)()
            stackless.run()";
        assert_eq!(run_beside(code), "['switch_trap']");
        assert_eq!(three(), 3);
        runtime.stop(PATIENCE).expect("Python stops");
    });
}
