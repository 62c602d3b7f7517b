//! Closures and Python callables as tasklets: values, panics, kills, joins, and misuse.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use raddle::tasklet::{self, Channel, Fault, JoinError, Tasklet, raw};
use raddle::{Closed, Options, enter};
use raddle_tests::python::{run, start};
use raddle_tests::{in_child, spawn};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// Runs `body` in a child with a Python that is stopped afterwards.
fn with_python(name: &str, body: impl FnOnce(Python<'_>)) {
    in_child(name, || {
        let runtime = start(&Options::new());
        enter(body).expect("the gate is open");
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

/// Says when it is dropped.
struct Dropped(mpsc::Sender<&'static str>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.send("dropped").expect("the test is there");
    }
}

#[test]
fn closures_take_turns_and_give_their_values() {
    with_python("closures_take_turns_and_give_their_values", |py| {
        let log = Rc::new(std::cell::RefCell::new(Vec::new()));
        let tasks: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| {
                let log = Rc::clone(&log);
                let body = move |py: Python<'_>| {
                    for turn in 0..2 {
                        log.borrow_mut().push(format!("{name}{turn}"));
                        tasklet::schedule(py).expect("nobody disturbs it");
                    }
                    name.len()
                };
                tasklet::spawn_local(py, body).expect("there are tasklets")
            })
            .collect();
        assert_eq!(tasklet::run_count(py).ok(), Some(4));
        assert!(tasks.iter().all(|task| task.is_scheduled(py) && !task.is_done()));
        tasklet::run(py).expect("nothing is raised");
        assert_eq!(*log.borrow(), ["a0", "b0", "c0", "a1", "b1", "c1"]);
        for task in tasks {
            assert!(task.is_done());
            assert_eq!(task.join(py).expect("it ended well"), 1);
        }
    });
}

#[test]
fn a_join_waits_and_runs_the_others() {
    with_python("a_join_waits_and_runs_the_others", |py| {
        let first = tasklet::spawn(py, |py| {
            (0..3).for_each(|_| tasklet::schedule(py).expect("nobody disturbs it"));
            "value".to_owned()
        });
        let first = first.expect("there are tasklets");
        let second = tasklet::spawn(py, move |py| first.join(py)).expect("there are tasklets");
        let third = second.try_join().expect_err("nobody has run yet");
        assert_eq!(third.join(py).expect("it ended well").expect("and the first"), "value");
    });
}

#[test]
fn a_panic_ends_its_tasklet_and_is_what_a_join_gives() {
    with_python("a_panic_ends_its_tasklet_and_is_what_a_join_gives", |py| {
        let (told, seen) = mpsc::channel();
        let kept = Dropped(told);
        let body = move |_: Python<'_>| -> u32 {
            let _kept = kept;
            panic!("number {}", 7)
        };
        let bad = tasklet::spawn(py, body).expect("there are tasklets");
        let good = tasklet::spawn(py, |_| 3).expect("there are tasklets");
        tasklet::run(py).expect("a panic is no exception");
        assert_eq!(seen.recv().ok(), Some("dropped"));
        assert_eq!(good.join(py).expect("it ended well"), 3);
        match bad.join(py) {
            Err(error @ JoinError::Panicked(_)) => {
                assert_eq!(error.to_string(), "the tasklet panicked: number 7");
            }
            other => panic!("{other:?}"),
        }
        // The payload can be thrown on.
        let again = tasklet::spawn(py, |_| panic!("again")).expect("there are tasklets");
        let again: Tasklet<()> = again;
        let thrown = std::panic::catch_unwind(|| match again.join(py) {
            Err(JoinError::Panicked(payload)) => std::panic::resume_unwind(payload),
            other => panic!("{other:?}"),
        });
        assert_eq!(thrown.expect_err("it panics").downcast_ref::<&str>(), Some(&"again"));
    });
}

#[test]
fn a_killed_closure_lets_go_of_what_it_has() {
    with_python("a_killed_closure_lets_go_of_what_it_has", |py| {
        let (told, seen) = mpsc::channel();
        let kept = Dropped(told);
        let body = move |py: Python<'_>| -> Result<(), Fault> {
            let _kept = kept;
            tasklet::schedule_remove(py)?;
            unreachable!("it is killed there")
        };
        let task = tasklet::spawn(py, body).expect("there are tasklets");
        tasklet::run(py).expect("nothing is raised");
        assert!(seen.try_recv().is_err() && !task.is_scheduled(py));
        task.kill(py).expect("nothing is raised here");
        assert_eq!(seen.try_recv(), Ok("dropped"));
        assert!(matches!(task.join(py), Ok(Err(Fault::Killed))));
    });
}

#[test]
fn a_closure_killed_before_it_began_is_dropped() {
    with_python("a_closure_killed_before_it_began_is_dropped", |py| {
        for later in [false, true] {
            let (told, seen) = mpsc::channel();
            let kept = Dropped(told);
            let task = tasklet::spawn(py, move |_| drop(kept)).expect("there are tasklets");
            if later {
                task.kill_later(py).expect("it is made runnable");
                assert!(!task.is_done());
                tasklet::run(py).expect("nothing is raised");
            } else {
                task.kill(py).expect("nothing is raised here");
            }
            assert_eq!(seen.try_recv(), Ok("dropped"));
            assert!(matches!(task.join(py), Err(JoinError::Killed)));
        }
    });
}

#[test]
fn a_kill_passes_through_python_frames() {
    with_python("a_kill_passes_through_python_frames", |py| {
        let pipe = py.import("raddle.stackless").and_then(|module| module.call_method0("channel"));
        let receive = pipe.and_then(|pipe| pipe.getattr("receive")).expect("a channel").unbind();
        let (told, seen) = mpsc::channel();
        let kept = Dropped(told);
        let body = move |py: Python<'_>| {
            let _kept = kept;
            let result = receive.bind(py).call0();
            result.expect_err("it is killed").get_type(py).to_string()
        };
        let task = tasklet::spawn(py, body).expect("there are tasklets");
        tasklet::run(py).expect("nothing is raised");
        assert!(task.is_blocked(py));
        task.kill(py).expect("nothing is raised here");
        assert_eq!(seen.try_recv(), Ok("dropped"));
        assert!(task.join(py).expect("it ended well").contains("TaskletExit"));
    });
}

#[test]
fn a_callable_gives_what_it_returns_or_raises() {
    with_python("a_callable_gives_what_it_returns_or_raises", |py| {
        let eval = |code: &std::ffi::CStr| py.eval(code, None, None).expect("an expression");
        let none = PyTuple::empty(py);
        let call = |code| tasklet::spawn_callable(&eval(code), &none, None).expect("a tasklet");
        let text = call(c"lambda: 'text'").join(py).expect("it returns");
        assert_eq!(text.bind(py).to_string(), "text");
        match call(c"lambda: [].pop()").join(py) {
            Err(JoinError::Raised(raised)) => {
                assert_eq!(raised.line(), "IndexError: pop from empty list");
            }
            other => panic!("{other:?}"),
        }
        let exits = call(c"lambda: (_ for _ in ()).throw(TaskletExit)");
        assert!(matches!(exits.join(py), Err(JoinError::Killed)));
        let keywords = pyo3::types::PyDict::new(py);
        keywords.set_item("sep", "-").expect("a dict takes it");
        let wrong = tasklet::spawn_callable(&eval(c"len"), &none, Some(&keywords));
        assert!(matches!(wrong.expect("a tasklet").join(py), Err(JoinError::Raised(_))));
    });
}

#[test]
fn what_nobody_asks_for_is_told_to_the_unraisable_hook() {
    with_python("what_nobody_asks_for_is_told_to_the_unraisable_hook", |py| {
        run("import sys
sys.told = []
sys.unraisablehook = lambda info: sys.told.append(type(info.exc_value).__name__)");
        let raise = py.eval(c"lambda: 1 / 0", None, None).expect("an expression");
        let none = PyTuple::empty(py);
        let call = || tasklet::spawn_callable(&raise, &none, None).expect("a tasklet");
        drop(call());
        tasklet::run(py).expect("it is nobody's exception");
        assert_eq!(run("import sys; r = sys.told"), "['ZeroDivisionError']");
        let late = call();
        tasklet::run(py).expect("as before");
        drop(late);
        assert_eq!(run("import sys; r = len(sys.told)"), "2");
        assert!(matches!(call().join(py), Err(JoinError::Raised(_))));
        assert_eq!(run("import sys; r = len(sys.told)"), "2");
    });
}

#[test]
fn a_join_that_nobody_could_end_is_a_deadlock() {
    with_python("a_join_that_nobody_could_end_is_a_deadlock", |py| {
        let pipe = Channel::<u32>::new(py).expect("a channel");
        let waiting = pipe.clone();
        let task = tasklet::spawn(py, move |py| waiting.receive(py)).expect("there are tasklets");
        tasklet::run(py).expect("nothing is raised");
        assert!(matches!(task.wait(py), Err(Fault::WouldDeadlock)));
        pipe.send(py, 5).expect("it waits still");
        assert!(matches!(task.join(py), Ok(Ok(5))));
    });
}

#[test]
fn handles_move_their_tasklets_in_the_queues() {
    with_python("handles_move_their_tasklets_in_the_queues", |py| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let make = |name: &'static str| {
            let log = Arc::clone(&log);
            let body = move |py: Python<'_>| {
                log.lock().unwrap().push(name);
                tasklet::schedule_remove(py)
            };
            tasklet::spawn(py, body).expect("there are tasklets")
        };
        let (first, second) = (make("first"), make("second"));
        first.remove(py).expect("it is queued");
        assert!(!first.is_scheduled(py));
        tasklet::run(py).expect("nothing is raised");
        first.insert(py).expect("it can run");
        first.run(py).expect("nothing is raised");
        assert_eq!(*log.lock().unwrap(), ["second", "first"]);
        second.run(py).expect("nothing is raised");
        assert!(second.is_done());
        assert!(
            matches!(second.insert(py), Err(Fault::Raised(raised)) if raised.line().contains("dead"))
        );
        assert_eq!(tasklet::kill_all(py).ok(), Some(0));
        assert!(matches!(first.join(py), Ok(Err(Fault::Killed))));
        let name = first_name(py, &make("third"));
        assert_eq!(name, "tasklet");
        assert_eq!(tasklet::run_times(py, 0).ok(), Some(()));
        tasklet::run_within(py, Duration::from_secs(20)).expect("nobody takes so long");
    });
}

fn first_name<T>(py: Python<'_>, task: &Tasklet<T>) -> String {
    let object = task.as_object(py).expect("its Python runs");
    object.get_type().name().expect("a type has a name").to_string()
}

#[test]
fn a_trap_and_a_callback_refuse_to_wait() {
    with_python("a_trap_and_a_callback_refuse_to_wait", |py| {
        let pipe = Channel::<u32>::new(py).expect("a channel");
        let trapped = pipe.clone();
        let task = tasklet::spawn(py, move |py| trapped.receive(py)).expect("there are tasklets");
        assert_eq!(task.set_block_trap(py, true).ok(), Some(false));
        assert!(matches!(task.join(py), Ok(Err(Fault::Trapped))));
        run("from raddle import stackless; stackless.switch_trap(1)");
        let other = tasklet::spawn(py, |_| ()).expect("there are tasklets");
        assert!(matches!(tasklet::schedule(py), Err(Fault::Trapped)));
        run("from raddle import stackless; stackless.switch_trap(-1)");
        other.join(py).expect("it ended well");
        assert_eq!(pipe.balance(py), 0);
    });
}

#[test]
fn a_time_limit_ends_a_run_between_two_tasklets() {
    with_python("a_time_limit_ends_a_run_between_two_tasklets", |py| {
        let stop = Rc::new(Cell::new(false));
        let turns = Rc::new(Cell::new(0_u64));
        for _ in 0..2 {
            let (stop, turns) = (Rc::clone(&stop), Rc::clone(&turns));
            let body = move |py: Python<'_>| {
                while !stop.get() {
                    turns.set(turns.get() + 1);
                    tasklet::schedule(py).expect("nobody disturbs it");
                }
            };
            drop(tasklet::spawn_local(py, body).expect("there are tasklets"));
        }
        let begun = Instant::now();
        tasklet::run_within(py, Duration::from_millis(50)).expect("nothing is raised");
        assert!(begun.elapsed() >= Duration::from_millis(50) && turns.get() > 2);
        let before = turns.get();
        tasklet::run_times(py, 10).expect("nothing is raised");
        assert!((9..=11).contains(&(turns.get() - before)), "{}", turns.get() - before);
        stop.set(true);
        tasklet::run(py).expect("nothing is raised");
    });
}

#[test]
fn each_native_thread_has_tasklets_of_its_own() {
    in_child("each_native_thread_has_tasklets_of_its_own", || {
        let runtime = start(&Options::new());
        let threads: Vec<_> = (0..4_u64)
            .map(|number| {
                spawn("own tasklets", move || {
                    let sum = enter(|py| {
                        let tasks: Vec<_> = (0..10)
                            .map(|index| {
                                let body = move |py: Python<'_>| {
                                    tasklet::schedule(py).expect("nobody disturbs it");
                                    number * 100 + index
                                };
                                tasklet::spawn(py, body).expect("there are tasklets")
                            })
                            .collect();
                        tasks.into_iter().map(|task| task.join(py).expect("ends well")).sum::<u64>()
                    });
                    sum.expect("the gate is open")
                })
            })
            .collect();
        let sums: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(sums, [45, 1045, 2045, 3045]);
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn a_tasklet_of_another_thread_can_be_joined_and_killed() {
    in_child("a_tasklet_of_another_thread_can_be_joined_and_killed", || {
        let runtime = start(&Options::new());
        let (give, take) = mpsc::channel();
        let owner = spawn("owner", move || {
            let made = enter(|py| {
                let pipe = Channel::<u32>::new(py).expect("a channel");
                let sender = pipe.sender();
                let waits = tasklet::spawn(py, move |py| pipe.receive(py)).expect("a tasklet");
                give.send((waits, sender)).expect("the test is there");
                // Until the tasklet has ended: another thread makes it runnable.
                raw::run_watchdog(0, raw::THREADBLOCK).map(|_none| ())
            });
            made.expect("the gate is open").expect("nothing is raised");
        });
        let (waits, sender): (Tasklet<Result<u32, Fault>>, _) = take.recv().expect("a tasklet");
        let seen = enter(|py| {
            waits.kill_later(py).expect("it goes on on its own thread");
            waits.join(py)
        });
        assert!(matches!(seen, Ok(Ok(Err(Fault::Killed)))), "{seen:?}");
        drop(sender);
        owner.join().expect("it ends well");
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn a_local_closure_is_dropped_on_its_own_thread() {
    in_child("a_local_closure_is_dropped_on_its_own_thread", || {
        /// Tells on which thread it is dropped; not `Send`.
        struct Local(mpsc::Sender<std::thread::ThreadId>, std::marker::PhantomData<Rc<()>>);
        impl Drop for Local {
            fn drop(&mut self) {
                self.0.send(std::thread::current().id()).expect("the test is there");
            }
        }
        let runtime = start(&Options::new());
        let (told, seen) = mpsc::channel();
        enter(|py| {
            let local = Local(told, std::marker::PhantomData);
            let task = tasklet::spawn_local(py, move |_| drop(local)).expect("a tasklet");
            task.remove(py).expect("it is queued");
            // The last reference to the tasklet goes on another thread.
            let object = raddle::Ref::new(task.as_object(py).expect("its Python runs"));
            drop(task);
            raddle::release(|| {
                let elsewhere = spawn("elsewhere", move || enter(|_| drop(object)));
                elsewhere.join().expect("it ends well").expect("the gate is open");
            });
            assert!(seen.try_recv().is_err(), "it was dropped elsewhere");
            tasklet::schedule(py).expect("nobody disturbs it");
        })
        .expect("the gate is open");
        assert_eq!(seen.try_recv().ok(), Some(std::thread::current().id()));
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn without_python_there_is_nothing_to_spawn_and_handles_say_so() {
    in_child("without_python_there_is_nothing_to_spawn_and_handles_say_so", || {
        assert!(matches!(enter(|py| drop(tasklet::spawn(py, |_| ()))), Err(Closed::NotStarted)));
        let runtime = start(&Options::new());
        let (task, done) = enter(|py| {
            let task = tasklet::spawn(py, tasklet::schedule_remove).expect("there are tasklets");
            let done = tasklet::spawn(py, |_| 3).expect("there are tasklets");
            tasklet::run(py).expect("nothing is raised");
            (task, done)
        })
        .expect("the gate is open");
        runtime.stop(PATIENCE).expect("Python stops");
        // Its tasklet was killed with Python, and what the other one gave is there still.
        assert!(task.is_done());
        assert!(matches!(done.try_join(), Ok(Ok(3))));
        assert!(matches!(enter(|py| drop(tasklet::spawn(py, |_| ()))), Err(Closed::Stopped)));
        let runtime = start(&Options::new());
        enter(|py| {
            assert!(task.as_object(py).is_none());
            assert!(matches!(task.run(py), Err(Fault::Closed)));
            assert!(matches!(task.kill(py), Err(Fault::Closed)));
            assert!(!task.is_scheduled(py));
            assert!(matches!(task.join(py), Ok(Err(Fault::Killed))));
        })
        .expect("the gate is open");
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn a_fault_becomes_the_exception_that_python_would_have_seen() {
    with_python("a_fault_becomes_the_exception_that_python_would_have_seen", |py| {
        let shown = |fault: Fault| {
            fault.put_back(py);
            PyErr::fetch(py).to_string()
        };
        assert!(shown(Fault::Killed).starts_with("TaskletExit"));
        assert!(shown(Fault::Closed).starts_with("ValueError: Send/receive operation"));
        assert!(shown(Fault::WouldDeadlock).starts_with("RuntimeError: Deadlock"));
        let error = raddle::Error::from(Fault::Closed);
        assert_eq!(error.status(), raddle::Status::Closed);
    });
}
