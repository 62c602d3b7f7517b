//! Stopping Python: who is waited for, who is named, and what is refused. Each test is a process of
//! its own.

use std::io::Write as _;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pyo3::Python;
use pyo3::types::PyAnyMethods;
use raddle::{Closed, Options, Runtime, Status, StopError, enter};
use raddle_tests::python::{run, start};
use raddle_tests::{Child, in_child, spawn};

fn busy(result: Result<(), StopError>) -> Vec<String> {
    match result {
        Err(StopError::Busy(remaining)) => remaining.into_iter().map(|who| who.name).collect(),
        other => panic!("not busy: {other:?}"),
    }
}

#[test]
fn a_stop_waits_for_those_inside_and_names_them() {
    in_child("a_stop_waits_for_those_inside_and_names_them", || {
        let runtime = start(&Options::new().timing(true));
        let (inside, is_inside) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let worker = spawn("worker-7", move || {
            enter(|_| {
                inside.send(()).unwrap();
                raddle::release(move || may_leave.recv().unwrap());
            })
        });
        is_inside.recv().unwrap();
        let begun = Instant::now();
        let names = busy(runtime.stop(Some(Duration::from_millis(100))));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(names.len() == 1 && names[0].contains("worker-7"), "{names:?}");
        assert_eq!(enter(|_| ()), Err(Closed::Stopping));
        assert!(!runtime.is_open());
        leave.send(()).unwrap();
        runtime.stop(None).unwrap();
        worker.join().unwrap().unwrap();
    });
}

#[test]
fn a_thread_that_is_refused_is_not_taken_for_one_inside() {
    in_child("a_thread_that_is_refused_is_not_taken_for_one_inside", || {
        for _ in 0..20 {
            let runtime = start(&Options::new());
            let (refused, is_refused) = mpsc::channel();
            let threads = [(); 2].map(|()| {
                let refused = refused.clone();
                spawn("refused", move || {
                    while enter(|_| ()).is_ok() {}
                    refused.send(()).unwrap();
                    // Shows its flag for a moment each time, until the stop is over.
                    while enter(|_| ()) == Err(Closed::Stopping) {}
                })
            });
            runtime.stop(Some(Duration::from_secs(30))).unwrap();
            for thread in threads {
                is_refused.recv().unwrap();
                thread.join().unwrap();
            }
        }
    });
}

#[test]
fn a_stop_waits_for_python_threads_and_names_them() {
    in_child("a_stop_waits_for_python_threads_and_names_them", || {
        let runtime = start(&Options::new());
        run("
import threading, builtins
builtins.go = threading.Event()
threading.Thread(target=builtins.go.wait, name='ticker').start()
threading.Thread(target=threading.Event().wait, name='daemon', daemon=True).start()");
        let names = busy(runtime.stop(Some(Duration::from_millis(100))));
        assert_eq!(names, ["ticker"]);
        let go = spawn("go", || {
            // The gate is closed: by means of Python's own, as a library of the host might.
            // SAFETY: Python runs, since the stop waits for the thread that this wakes.
            let state = unsafe { pyo3::ffi::PyGILState_Ensure() };
            // SAFETY: attached a line ago.
            let py = unsafe { Python::assume_attached() };
            py.run(c"import builtins; builtins.go.set()", None, None).unwrap();
            // SAFETY: what was ensured above.
            unsafe { pyo3::ffi::PyGILState_Release(state) };
        });
        runtime.stop(None).unwrap();
        go.join().unwrap();
    });
}

#[test]
fn idle_executors_are_told_to_end() {
    in_child("idle_executors_are_told_to_end", || {
        let runtime = start(&Options::new());
        run("
import concurrent.futures, builtins
builtins.pool = concurrent.futures.ThreadPoolExecutor(3)
r = list(builtins.pool.map(abs, range(3)))");
        runtime.stop(Some(Duration::from_secs(20))).unwrap();
    });
}

#[test]
fn a_stop_keeps_its_deadline_while_somebody_hogs_python() {
    in_child("a_stop_keeps_its_deadline_while_somebody_hogs_python", || {
        let runtime = start(&Options::new());
        // PyDLL calls with Python held.
        run("
import ctypes, threading
began = threading.Event()
def hog():
    began.set()
    ctypes.PyDLL(None).usleep(2_000_000)
threading.Thread(target=hog, name='hog', daemon=True).start()
began.wait()");
        let begun = Instant::now();
        let first = runtime.stop(Some(Duration::from_millis(100)));
        let took = begun.elapsed();
        if cfg!(Py_GIL_DISABLED) || first.is_ok() {
            return; // Nobody waits for a hog there; or it had not begun.
        }
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(busy(first).len(), 1);
        runtime.stop(None).unwrap();
    });
}

#[test]
fn a_stop_on_the_wrong_thread_or_inside_is_refused() {
    in_child("a_stop_on_the_wrong_thread_or_inside_is_refused", || {
        let runtime = start(&Options::new());
        let theirs = runtime.clone();
        let elsewhere = spawn("elsewhere", move || theirs.stop(None).unwrap_err().status());
        assert_eq!(elsewhere.join().unwrap(), Status::WrongThread);
        let inside = enter(|_| runtime.stop(None).unwrap_err().status());
        assert_eq!(inside.unwrap(), Status::WrongOrder);
        let given_up = enter(|_| raddle::release(|| runtime.stop(None).unwrap_err().status()));
        assert_eq!(given_up.unwrap(), Status::WrongOrder);
        assert!(runtime.is_open());
        runtime.stop(None).unwrap();
    });
}

#[test]
fn an_abandoned_python_lets_nobody_in_and_never_starts_again() {
    in_child("an_abandoned_python_lets_nobody_in_and_never_starts_again", || {
        let runtime = start(&Options::new());
        run("import atexit; atexit.register(lambda: __import__('os')._exit(7))");
        runtime.abandon();
        assert_eq!(enter(|_| ()), Err(Closed::Abandoned));
        assert_eq!(runtime.stop(None).unwrap_err().status(), Status::Closed);
        assert_eq!(Runtime::start(&Options::new()).unwrap_err().status(), Status::Busy);
    });
}

#[test]
fn exit_handlers_may_enter() {
    let seen = Child::new("exit_handlers_may_enter").run(|| {
        let runtime = start(&Options::new());
        enter(|py| {
            let nested = pyo3::types::PyCFunction::new_closure(py, None, None, |_, _| {
                // On a line of its own, for the parent to read.
                writeln!(std::io::stdout(), "nested: {:?}", enter(|_| 7)).unwrap();
            });
            let atexit = py.import("atexit").unwrap();
            atexit.call_method1("register", (nested.unwrap(),)).unwrap();
        })
        .unwrap();
        runtime.stop(None).unwrap();
    });
    if let Some(seen) = seen {
        seen.assert_success();
        assert!(seen.stdout.contains("nested: Ok(7)"), "{}", seen.story());
    }
}

#[test]
fn a_stream_that_cannot_be_flushed_is_told_and_python_has_ended() {
    in_child("a_stream_that_cannot_be_flushed_is_told_and_python_has_ended", || {
        let runtime = start(&Options::new());
        run("
import io, sys
class Full(io.StringIO):
    def flush(self):
        raise OSError('no space')
sys.stdout = Full()");
        let error = runtime.stop(None).unwrap_err();
        assert_eq!(error.status(), Status::Python, "{error}");
        assert_eq!(enter(|_| ()), Err(Closed::Stopped));
        start(&Options::new()).stop(None).unwrap();
    });
}

#[test]
fn a_host_may_end_without_a_stop() {
    in_child("a_host_may_end_without_a_stop", || {
        start(&Options::new());
        let (inside, is_inside) = mpsc::channel();
        spawn("insider", move || {
            enter(|_| {
                inside.send(()).unwrap();
                raddle::release(std::thread::park);
            })
        });
        is_inside.recv().unwrap();
    });
}

#[test]
fn an_entry_that_begins_during_a_stop_is_in_or_out_at_once() {
    in_child("an_entry_that_begins_during_a_stop_is_in_or_out_at_once", || {
        for _ in 0..20 {
            let runtime = start(&Options::new());
            let (ready, is_ready) = mpsc::channel();
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    let ready = ready.clone();
                    spawn("worker", move || {
                        let mut entered = 0;
                        loop {
                            match enter(|py| py.eval(c"1 + 1", None, None).unwrap().to_string()) {
                                Ok(two) => assert_eq!(two, "2"),
                                Err(closed) => break closed,
                            }
                            entered += 1;
                            if entered == 10 {
                                ready.send(()).unwrap();
                            }
                        }
                    })
                })
                .collect();
            workers.iter().for_each(|_| is_ready.recv().unwrap());
            runtime.stop(Some(Duration::from_secs(20))).unwrap();
            for worker in workers {
                let closed = worker.join().unwrap();
                assert!(matches!(closed, Closed::Stopping | Closed::Stopped), "{closed:?}");
            }
        }
    });
}
