//! Python on a main loop, from Rust with gtk-rs types. Each test is a process of its own.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use glib::{IOCondition, MainContext, MainLoop, Priority};
use raddle::{Closed, Options, Runtime, Status, enter};
use raddle_glib::{Hold, RunError, attach, detach, fd_add, idle_add, invoke, run, timeout_add};
use raddle_tests::in_child;
use raddle_tests::python::{look, made, make, names};

const CODE: &core::ffi::CStr = c"
import sys
calls, ends, reports = [], [], []
class Call:
    def __init__(self, answers=(), raises=None):
        self.answers, self.raises = list(answers), raises
    def __call__(self, *given):
        calls.append(given)
        if self.raises:
            raise self.raises
        return self.answers.pop(0) if self.answers else None
    def __del__(self):
        ends.append(self)
sys.unraisablehook = lambda about: reports.append(about.exc_type.__name__)
";

fn start() -> Runtime {
    let runtime = Runtime::start(&Options::new()).unwrap();
    enter(|py| py.run(CODE, Some(&names(py)), None).unwrap()).unwrap();
    runtime
}

fn turn_until(context: &MainContext, expression: &str) {
    while look(expression) == 0 {
        context.iteration(true);
    }
}

#[test]
fn a_callable_may_come_bound_or_as_a_reference_that_any_thread_owns() {
    in_child("a_callable_may_come_bound_or_as_a_reference_that_any_thread_owns", || {
        let runtime = start();
        let context = MainContext::new();
        enter(|py| {
            idle_add(&context, Priority::LOW, make(py, "Call([True, True])")).unwrap();
            timeout_add(&context, Priority::LOW, Duration::from_millis(1), make(py, "Call()"))
                .unwrap();
        })
        .unwrap();
        let elsewhere = context.clone();
        thread::Builder::new()
            .spawn(move || idle_add(&elsewhere, Priority::LOW, made("Call()")).map(drop).unwrap())
            .unwrap()
            .join()
            .unwrap();
        turn_until(&context, "len(ends) == 3");
        assert_eq!(look("len(calls)"), 5);
        assert_eq!(runtime.stop(None), Ok(()));
    });
}

#[test]
fn a_socket_calls_with_what_it_is_ready_for() {
    in_child("a_socket_calls_with_what_it_is_ready_for", || {
        let runtime = start();
        let context = MainContext::new();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        fd_add(&context, Priority::DEFAULT, fd, IOCondition::IN, made("Call()")).unwrap();
        assert!(!context.iteration(false));
        theirs.write_all(b"x").unwrap();
        turn_until(&context, "len(ends) == 1");
        assert_eq!(look("calls[0][0]"), i64::from(fd));
        assert_eq!(look("calls[0][1]"), i64::from(IOCondition::IN.bits()));
        assert_eq!(runtime.stop(None), Ok(()));
    });
}

#[test]
fn invoking_runs_on_the_context_s_own_thread() {
    in_child("invoking_runs_on_the_context_s_own_thread", || {
        let runtime = start();
        let (send, receive) = mpsc::channel();
        let server = thread::Builder::new().spawn(move || {
            let context = MainContext::new();
            let main_loop = MainLoop::new(Some(&context), false);
            attach(&context, Hold::Callback, None).unwrap();
            send.send(main_loop.clone()).unwrap();
            main_loop.run();
            detach(&context).unwrap();
        });
        let main_loop = receive.recv().unwrap();
        let context = main_loop.context();
        for _ in 0..100 {
            invoke(&context, Priority::DEFAULT, made("Call()")).unwrap();
        }
        let all = "len(calls) == len(ends) == 100";
        while look(all) == 0 {
            thread::yield_now();
        }
        main_loop.quit();
        server.unwrap().join().unwrap();
        assert_eq!(runtime.stop(None), Ok(()));
    });
}

#[test]
fn what_asks_for_an_end_comes_back_from_run() {
    in_child("what_asks_for_an_end_comes_back_from_run", || {
        let runtime = start();
        let context = MainContext::new();
        let main_loop = MainLoop::new(Some(&context), false);
        for hold in [Hold::Callback, Hold::Turn] {
            attach(&context, hold, None).unwrap();
            idle_add(&context, Priority::HIGH, made("Call(raises=ValueError('no'))")).unwrap();
            idle_add(&context, Priority::LOW, made("Call(raises=SystemExit(3))")).unwrap();
            match run(&main_loop) {
                Err(RunError::Raised(raised)) => {
                    assert!(raised.asks_for_end());
                    assert_eq!(raised.line(), "SystemExit: 3");
                }
                other => panic!("not raised: {other:?}"),
            }
            assert!(!raddle::gate::is_held());
        }
        assert_eq!(look("reports == ['ValueError'] * 2"), 1);
        assert_eq!(runtime.stop(None), Ok(()));
        assert!(matches!(run(&main_loop), Err(RunError::Closed(Closed::Stopped))));
    });
}

#[test]
fn what_cannot_be_called_is_refused() {
    in_child("what_cannot_be_called_is_refused", || {
        let context = MainContext::new();
        let refused = attach(&context, Hold::Turn, None);
        assert_eq!(refused.map_err(|error| error.status()), Err(Status::NotStarted));
        let runtime = start();
        let refused = idle_add(&context, Priority::LOW, made("7")).map(drop);
        assert_eq!(refused.map_err(|error| error.status()), Err(Status::Invalid));
        // A callable of the last Python is none in the next one.
        let old = made("Call()");
        assert_eq!(runtime.stop(None), Ok(()));
        let runtime = start();
        let refused = invoke(&context, Priority::LOW, old);
        assert_eq!(refused.map_err(|error| error.status()), Err(Status::Invalid));
        assert_eq!(look("len(calls)"), 0);
        assert_eq!(runtime.stop(None), Ok(()));
    });
}

#[test]
fn a_raised_exception_is_raised_again_where_it_is_put_back() {
    in_child("a_raised_exception_is_raised_again_where_it_is_put_back", || {
        let runtime = start();
        let entry = raddle::Entry::new().unwrap();
        let py = entry.py();
        assert!(raddle::Raised::take(py).is_none());
        pyo3::exceptions::PyKeyError::new_err("x").restore(py);
        let raised = raddle::Raised::take(py).unwrap();
        assert_eq!(raised.line(), "KeyError: 'x'");
        assert!(!raised.asks_for_end() && !pyo3::PyErr::occurred(py));
        raised.put_back(py);
        assert!(pyo3::PyErr::fetch(py).is_instance_of::<pyo3::exceptions::PyKeyError>(py));
        drop(entry);
        assert_eq!(runtime.stop(None), Ok(()));
    });
}
