//! Tasklets and the gate: entries that travel, threads that end, Python that stops and starts again.
#![forbid(unsafe_code)]

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use raddle::gate::{Dispatch, enter_raw, leave_raw};
use raddle::{Options, Status, enter};
use raddle_tests::in_child;
use raddle_tests::python::{run, start};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// Statements with two functions of ours in reach, each called with nothing.
fn run_with(
    code: &str,
    one: impl Fn() -> bool + Send + Sync + 'static,
    other: impl Fn() -> bool + Send + Sync + 'static,
) -> String {
    let code = std::ffi::CString::new(code).expect("no NUL in the code");
    let run = |py: Python<'_>| {
        let names = PyDict::new(py);
        let one = PyCFunction::new_closure(
            py,
            None,
            None,
            move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| one(),
        );
        let other = PyCFunction::new_closure(
            py,
            None,
            None,
            move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| other(),
        );
        names.set_item("one", one.expect("a function")).expect("a dict takes it");
        names.set_item("other", other.expect("a function")).expect("a dict takes it");
        if let Err(error) = py.run(&code, Some(&names), None) {
            error.display(py);
            panic!("{error}");
        }
        names.get_item("r").ok().flatten().map_or_else(String::new, |value| value.to_string())
    };
    enter(run).expect("the gate is open")
}

#[test]
fn an_entry_belongs_to_the_tasklet_that_made_it() {
    in_child("an_entry_belongs_to_the_tasklet_that_made_it", || {
        let runtime = start(&Options::new());
        let code = "if True:
            from raddle import stackless
            log = []
            def body():
                log.append(other())        # nothing to leave here: the entry is main's
                log.append(one())
                stackless.schedule_remove()
                log.append(other())
                log.append(other())
            task = stackless.tasklet(body)()
            stackless.run()
            task.run()
            r = log
        ";
        let seen = run_with(code, || enter_raw().is_ok(), || leave_raw().is_ok());
        assert_eq!(seen, "[False, True, True, False]");
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn the_outermost_entry_waits_for_entries_of_suspended_tasklets() {
    in_child("the_outermost_entry_waits_for_entries_of_suspended_tasklets", || {
        let runtime = start(&Options::new());
        enter_raw().expect("the gate is open");
        let code = "if True:
            import sys
            from raddle import stackless
            def body():
                one()
                stackless.schedule_remove()
                other()
            sys.task = stackless.tasklet(body)()
            stackless.run()
        ";
        run_with(code, || enter_raw().is_ok(), || leave_raw().is_ok());
        let refused = leave_raw().expect_err("a tasklet sleeps inside an entry");
        assert_eq!(refused.status(), Status::WrongOrder);
        assert!(refused.message().contains("suspended tasklet"), "{refused}");
        run("import sys; sys.task.run()");
        leave_raw().expect("the tasklet has left");
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn a_switch_into_an_older_dispatch_is_refused() {
    in_child("a_switch_into_an_older_dispatch_is_refused", || {
        let runtime = start(&Options::new());
        let outer = Dispatch::open();
        let code = "if True:
            from raddle import stackless
            log = []
            def body():
                one()                      # a newer dispatch, on this stack
                try:
                    stackless.main.switch()
                except RuntimeError as error:
                    log.append('dispatch' in str(error))
                other()
            task = stackless.tasklet(body)()
            task.run()
            r = log, task.alive
        ";
        std::thread_local! {
            static INNER: std::cell::RefCell<Option<Dispatch>> = const { std::cell::RefCell::new(None) };
        }
        let open = || INNER.with_borrow_mut(|inner| inner.replace(Dispatch::open())).is_none();
        let close = || INNER.with_borrow_mut(Option::take).is_some();
        assert_eq!(run_with(code, open, close), "([True], False)");
        drop(outer);
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn tasklets_outlive_the_entry_in_which_they_began() {
    in_child("tasklets_outlive_the_entry_in_which_they_began", || {
        let runtime = start(&Options::new());
        run("if True:
            import sys
            from raddle import stackless
            sys.log = []
            def body():
                for step in range(3):
                    sys.log.append(step)
                    stackless.schedule_remove()
            sys.task = stackless.tasklet(body)()");
        for _ in 0..3 {
            run("import sys; sys.task.run()");
        }
        assert_eq!(run("import sys; r = sys.log"), "[0, 1, 2]");
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn tasklets_of_a_native_thread_that_ends_are_leaked_and_named() {
    in_child("tasklets_of_a_native_thread_that_ends_are_leaked_and_named", || {
        let runtime = start(&Options::new());
        let begin = "if True:
            import sys
            from raddle import stackless
            def sleeper():
                stackless.schedule_remove()
            sys.kept = stackless.tasklet(sleeper)()
            stackless.run()";
        let worker = std::thread::Builder::new().spawn(|| drop(run(begin)));
        worker.expect("a thread").join().expect("it ends well");
        run("import gc; gc.collect()"); // The entry clears the dead thread's state.
        let seen = run("if True:
            import sys
            from raddle import stackless
            r = stackless.leaked_tasklets(), sys.kept.thread_id, sys.kept.alive");
        assert_eq!(seen, "(['sleeper'], -1, False)");
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn tasklets_of_a_native_thread_can_be_ended_before_it_ends() {
    in_child("tasklets_of_a_native_thread_can_be_ended_before_it_ends", || {
        let runtime = start(&Options::new());
        let begin = "if True:
            import sys
            from raddle import stackless
            sys.log = []
            def sleeper(name):
                try:
                    stackless.schedule_remove()
                finally:
                    sys.log.append(name)
            sys.kept = [stackless.tasklet(sleeper)(name) for name in 'ab']
            stackless.run()";
        let worker = std::thread::Builder::new().spawn(|| {
            run(begin);
            let left = enter(|_| raddle::tasklet::raw::kill_all()).expect("the gate is open");
            assert_eq!(left.ok(), Some(0));
        });
        worker.expect("a thread").join().expect("it ends well");
        assert_eq!(run("import sys; r = sys.log"), "['a', 'b']");
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn python_may_be_stopped_with_tasklets_and_started_again() {
    in_child("python_may_be_stopped_with_tasklets_and_started_again", || {
        for _ in 0..3 {
            let runtime = start(&Options::new());
            let seen = run("if True:
                from raddle import stackless
                pipe = stackless.channel()
                def body():
                    pipe.receive()
                for _ in range(10):
                    stackless.tasklet(body)()
                stackless.run()
                keep = stackless.tasklet(stackless.schedule_remove)()
                stackless.run()
                r = pipe.balance");
            assert_eq!(seen, "-10");
            runtime.stop(PATIENCE).expect("Python stops");
        }
    });
}
