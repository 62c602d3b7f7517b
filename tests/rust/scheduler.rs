//! A main context that runs tasklets, from Rust with gtk-rs types. Each test is a process of its own.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use glib::{ControlFlow, MainContext, MainLoop, Priority};
use raddle::tasklet::reply::Reply;
use raddle::tasklet::wait::{sleep, wait_fd};
use raddle::{Options, Status, enter};
use raddle_glib::{RunError, Turns, attach_scheduler, detach_scheduler, on_scheduler_error};
use raddle_tests::in_child;
use raddle_tests::python::{run, start};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

fn turn_until(context: &MainContext, expression: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while run(&format!("import sys; r = {expression}")) != "True" {
        assert!(Instant::now() < deadline, "it never came to {expression}");
        context.iteration(true);
    }
}

#[test]
fn tasklets_run_and_sleep_in_a_loop_of_glib_s() {
    in_child("tasklets_run_and_sleep_in_a_loop_of_glib_s", || {
        let runtime = start(&Options::new());
        let context = MainContext::new();
        attach_scheduler(&context, Turns::default()).unwrap();
        run("if True:
            import raddle, sys
            from raddle import stackless
            sys.log = []
            def work(name):
                for step in range(3):
                    sys.log.append((name, step))
                    raddle.sleep(0.001)
            for name in 'ab':
                stackless.tasklet(work)(name)");
        turn_until(&context, "len(sys.log) == 6");
        detach_scheduler(&context).unwrap();
        let twice = detach_scheduler(&context).unwrap_err();
        assert_eq!(twice.status(), Status::WrongOrder);
        runtime.stop(PATIENCE).unwrap();
        let late = attach_scheduler(&context, Turns::default()).unwrap_err();
        assert_eq!(late.status(), Status::Closed);
    });
}

#[test]
fn a_host_is_told_of_errors_and_the_others_go_on() {
    in_child("a_host_is_told_of_errors_and_the_others_go_on", || {
        let runtime = start(&Options::new());
        let context = MainContext::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        attach_scheduler(&context, Turns::default()).unwrap();
        let note = move |_: pyo3::Python<'_>, error: &pyo3::Bound<'_, pyo3::PyAny>| {
            told.lock().unwrap().push(error.to_string());
        };
        on_scheduler_error(&context, Some(note)).unwrap();
        run("if True:
            import sys
            from raddle import stackless
            sys.log = []
            def fails(line):
                raise ValueError(line)
            stackless.tasklet(fails)('one'), stackless.tasklet(sys.log.append)(1)
            stackless.tasklet(fails)('two'), stackless.tasklet(sys.log.append)(2)");
        turn_until(&context, "sys.log == [1, 2]");
        assert_eq!(*seen.lock().unwrap(), ["one", "two"]);
        runtime.stop(PATIENCE).unwrap();
    });
}

#[test]
fn a_system_exit_of_a_tasklet_ends_the_run() {
    in_child("a_system_exit_of_a_tasklet_ends_the_run", || {
        let runtime = start(&Options::new());
        let context = MainContext::default();
        let main_loop = MainLoop::new(Some(&context), false);
        attach_scheduler(&context, Turns::default()).unwrap();
        run("if True:
            from raddle import stackless
            stackless.tasklet(exit)('enough')");
        match raddle_glib::run(&main_loop) {
            Err(RunError::Raised(raised)) => assert!(raised.line().contains("enough"), "{raised}"),
            other => panic!("{other:?}"),
        }
        runtime.stop(PATIENCE).unwrap();
    });
}

#[test]
fn a_source_of_lower_priority_has_its_turn_beside_busy_tasklets() {
    in_child("a_source_of_lower_priority_has_its_turn_beside_busy_tasklets", || {
        let runtime = start(&Options::new());
        let context = MainContext::default();
        let main_loop = MainLoop::new(Some(&context), false);
        let budget = Duration::from_micros(500);
        attach_scheduler(&context, Turns { budget, ..Turns::default() }).unwrap();
        run("if True:
            from raddle import stackless
            def busy():
                while True:
                    stackless.schedule()
            for _ in range(3):
                stackless.tasklet(busy)()");
        let (quit, mut redraws) = (main_loop.clone(), 0);
        glib::timeout_add_full(Duration::from_millis(4), Priority::from(120), move || {
            redraws += 1;
            if redraws == 20 {
                quit.quit();
            }
            ControlFlow::Continue
        });
        let begun = Instant::now();
        main_loop.run();
        assert!(begun.elapsed() < Duration::from_secs(20), "they had hardly any");
        runtime.stop(PATIENCE).unwrap();
    });
}

#[test]
fn rust_code_in_a_tasklet_waits_as_python_code_does() {
    in_child("rust_code_in_a_tasklet_waits_as_python_code_does", || {
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;
        let runtime = start(&Options::new());
        // The main tasklet waits: the thread does, since nobody else can run.
        enter(|_| {
            let begun = Instant::now();
            sleep(Some(Duration::from_millis(5))).unwrap();
            assert!(begun.elapsed() >= Duration::from_millis(5));
            let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
            let fd = here.as_raw_fd();
            let soon = Some(Duration::from_millis(5));
            assert_eq!(wait_fd(fd, 1, soon).unwrap(), 0);
            there.write_all(b"x").unwrap();
            assert_eq!(wait_fd(fd, 1, None).unwrap(), 1);
        })
        .unwrap();
        runtime.stop(PATIENCE).unwrap();
    });
}

#[test]
fn a_native_thread_gives_a_reply() {
    in_child("a_native_thread_gives_a_reply", || {
        let runtime = start(&Options::new());
        let reply = Arc::new(Reply::new());
        let theirs = Arc::clone(&reply);
        let giver = std::thread::Builder::new().spawn(move || {
            enter(|py| theirs.give(py.None().into_ptr())).unwrap();
        });
        enter(|py| {
            // Python's own None: one reference more is no loss.
            let value = reply.wait(PATIENCE).unwrap();
            assert_eq!(value, py.None().as_ptr());
            assert!(!reply.is_there());
            assert!(reply.wait(Some(Duration::ZERO)).unwrap().is_null());
        })
        .unwrap();
        giver.unwrap().join().unwrap();
        runtime.stop(PATIENCE).unwrap();
    });
}
