//! Typed channels: tasklets meet on them, threads without Python have ends of their own.
#![forbid(unsafe_code)]

use std::rc::Rc;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use pyo3::Python;
use raddle::primitive::{AtomicU64, Ordering};
use raddle::relay::{PushError, WaitError};
use raddle::tasklet::{self, BACKLOG, Channel, Fault, Preference, raw};
use raddle::{Options, enter};
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

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come to that in time");
        std::thread::yield_now();
    }
}

fn channel<T: Send + 'static>(py: Python<'_>) -> Channel<T> {
    Channel::new(py).expect("there are tasklets")
}

/// What two tasklets do at a channel, in the order in which they do it.
fn meeting(py: Python<'_>, preference: Preference, receiver_first: bool) -> String {
    let log = Rc::new(std::cell::RefCell::new(String::new()));
    let pipe = Channel::new_local(py).expect("there are tasklets");
    pipe.set_preference(py, preference);
    assert_eq!(pipe.preference(py), preference);
    let (theirs, note) = (pipe.clone(), Rc::clone(&log));
    let receive = move |py: Python<'_>| {
        note.borrow_mut().push_str("r ");
        let value: Rc<u32> = theirs.receive(py).expect("somebody sends");
        note.borrow_mut().push_str(&format!("{value} "));
    };
    let (theirs, note) = (pipe.clone(), Rc::clone(&log));
    let send = move |py: Python<'_>| {
        note.borrow_mut().push_str("s ");
        theirs.send(py, Rc::new(7)).expect("somebody receives");
        note.borrow_mut().push_str("sent ");
    };
    if receiver_first {
        drop(tasklet::spawn_local(py, receive).expect("there are tasklets"));
        drop(tasklet::spawn_local(py, send).expect("there are tasklets"));
    } else {
        drop(tasklet::spawn_local(py, send).expect("there are tasklets"));
        drop(tasklet::spawn_local(py, receive).expect("there are tasklets"));
    }
    tasklet::run(py).expect("nothing is raised");
    log.take()
}

#[test]
fn tasklets_meet_as_on_stackless_s_channels() {
    with_python("tasklets_meet_as_on_stackless_s_channels", |py| {
        assert_eq!(meeting(py, Preference::Receiver, true), "r s 7 sent ");
        assert_eq!(meeting(py, Preference::Neither, true), "r s sent 7 ");
        assert_eq!(meeting(py, Preference::Sender, true), "r s sent 7 ");
        assert_eq!(meeting(py, Preference::Receiver, false), "s r 7 sent ");
        assert_eq!(meeting(py, Preference::Neither, false), "s r 7 sent ");
        assert_eq!(meeting(py, Preference::Sender, false), "s r sent 7 ");
    });
}

#[test]
fn a_thread_sends_without_waiting_for_python() {
    with_python("a_thread_sends_without_waiting_for_python", |py| {
        let pipe = channel::<u64>(py);
        let sender = pipe.sender();
        let thread = spawn("sends", move || (0..1000).try_for_each(|value| sender.try_send(value)));
        // This thread holds Python all the time: whoever waited for it would wait for ever.
        thread.join().expect("it ends well").expect("there is room");
        assert_eq!(pipe.balance(py), 1000);
        let seen: Vec<_> = (0..1000).map(|_| pipe.receive(py).expect("it was sent")).collect();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn a_thread_wakes_the_main_tasklet_that_waits() {
    with_python("a_thread_wakes_the_main_tasklet_that_waits", |py| {
        let pipe = channel::<u64>(py);
        let (sender, go) = (pipe.sender(), Arc::new(Barrier::new(2)));
        let ready = Arc::clone(&go);
        let thread = spawn("sends", move || {
            ready.wait();
            (0..100).for_each(|value| sender.send(value).expect("somebody is there"));
        });
        go.wait();
        let seen: Vec<_> = (0..100).map(|_| pipe.receive(py).expect("it is sent")).collect();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        thread.join().expect("it ends well");
    });
}

#[test]
fn tasklets_that_take_turns_get_what_threads_send() {
    with_python("tasklets_that_take_turns_get_what_threads_send", |py| {
        let pipe = channel::<u64>(py);
        let sender = pipe.sender();
        let waiting = pipe.clone();
        let waits = tasklet::spawn(py, move |py| waiting.receive(py)).expect("there are tasklets");
        tasklet::schedule(py).expect("nobody disturbs it");
        assert!(waits.is_blocked(py));
        let thread = spawn("sends", move || sender.try_send(3));
        thread.join().expect("it ends well").expect("there is room");
        // Nobody ever has nothing to do here.
        drop(tasklet::spawn(py, tasklet::schedule).expect("there are tasklets"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !waits.is_done() {
            assert!(Instant::now() < deadline, "nobody looked for mail");
            tasklet::schedule(py).expect("nobody disturbs it");
        }
        assert!(matches!(waits.join(py), Ok(Ok(3))));
    });
}

#[test]
fn values_go_both_ways_between_tasklets_and_threads() {
    with_python("values_go_both_ways_between_tasklets_and_threads", |py| {
        let (there, back) = (channel::<u64>(py), channel::<u64>(py));
        let (questions, answers) = (there.receiver(), back.sender());
        let thread = spawn("answers", move || {
            let mut count = 0;
            while let Ok(question) = questions.receive() {
                answers.send(question * 2).expect("somebody is there");
                count += 1;
            }
            count
        });
        for question in 0..500 {
            there.send(py, question).expect("the thread receives");
            assert_eq!(back.receive(py).expect("the thread answers"), question * 2);
        }
        there.close(py);
        assert_eq!(raddle::release(|| thread.join().expect("it ends well")), 500);
    });
}

#[test]
fn many_threads_send_to_many_tasklets() {
    const EACH: u64 = 5_000;
    with_python("many_threads_send_to_many_tasklets", |py| {
        let pipe = channel::<u64>(py);
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let sender = pipe.sender();
                spawn("sends", move || {
                    (0..EACH).for_each(|value| sender.send(number * EACH + value).expect("open"));
                })
            })
            .collect();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let pipe = pipe.clone();
                let body = move |py: Python<'_>| {
                    let (mut count, mut sum) = (0, 0);
                    while let Ok(value) = pipe.receive(py) {
                        (count, sum) = (count + 1, sum + value);
                    }
                    (count, sum)
                };
                tasklet::spawn(py, body).expect("there are tasklets")
            })
            .collect();
        raw::run_watchdog(0, raw::THREADBLOCK).expect("nothing is raised");
        threads.into_iter().for_each(|thread| thread.join().expect("it ends well"));
        pipe.clear(py); // Who waits still is told that nothing comes.
        let totals: Vec<_> =
            tasks.into_iter().map(|task| task.join(py).expect("ends well")).collect();
        let (count, sum) = totals.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        assert_eq!((count, sum), (4 * EACH, 2 * EACH * (4 * EACH - 1)));
        assert!(totals.iter().all(|(count, _)| *count > 0), "{totals:?}");
    });
}

#[test]
fn a_thread_that_is_too_fast_is_told_or_waits_for_room() {
    with_python("a_thread_that_is_too_fast_is_told_or_waits_for_room", |py| {
        let pipe = channel::<usize>(py);
        let sender = pipe.sender();
        (0..BACKLOG).for_each(|value| sender.try_send(value).expect("there is room"));
        match sender.try_send(BACKLOG) {
            Err(PushError { why: WaitError::TimedOut, value: BACKLOG }) => {}
            other => panic!("{other:?}"),
        }
        let late = sender.send_within(0, Duration::from_millis(5));
        assert!(matches!(late, Err(PushError { why: WaitError::TimedOut, value: 0 })));
        let thread = spawn("waits for room", move || sender.send(BACKLOG));
        for value in 0..=BACKLOG {
            assert_eq!(pipe.receive(py).expect("it was sent, or is"), value);
        }
        thread.join().expect("it ends well").expect("there was room at last");
    });
}

#[test]
fn a_closed_channel_ends_loops_and_refuses() {
    with_python("a_closed_channel_ends_loops_and_refuses", |py| {
        let pipe = channel::<u32>(py);
        let theirs = pipe.clone();
        let body = move |py: Python<'_>| theirs.iter(py).collect::<Result<Vec<_>, _>>();
        let loops = tasklet::spawn(py, body).expect("there are tasklets");
        tasklet::schedule(py).expect("nobody disturbs it");
        let (sender, receiver) = (pipe.sender(), pipe.receiver());
        pipe.send(py, 1).expect("somebody waits");
        pipe.close(py);
        assert!(pipe.is_closing() && sender.is_closed() && receiver.is_closed());
        // Who waits already is served still.
        pipe.send(py, 2).expect("somebody waits");
        assert_eq!(loops.join(py).expect("it ended well").expect("no fault"), [1, 2]);
        let refused = pipe.send(py, 3).expect_err("nobody waits");
        assert!(matches!(refused.why, Fault::Closed) && refused.value == Some(3), "{refused:?}");
        assert!(matches!(pipe.receive(py), Err(Fault::Closed)));
        assert!(matches!(sender.try_send(4), Err(PushError { why: WaitError::Stopped, value: 4 })));
        assert_eq!(receiver.receive(), Err(WaitError::Stopped));
        pipe.open(py);
        sender.try_send(5).expect("it is open again");
        assert_eq!(receiver.try_receive(), Ok(5));
        assert_eq!(receiver.try_receive(), Err(WaitError::TimedOut));
        assert_eq!(receiver.receive_within(Duration::from_millis(5)), Err(WaitError::TimedOut));
    });
}

#[test]
fn a_deadlock_is_told_unless_a_native_end_is_there() {
    with_python("a_deadlock_is_told_unless_a_native_end_is_there", |py| {
        let pipe = channel::<u32>(py);
        assert!(matches!(pipe.receive(py), Err(Fault::WouldDeadlock)));
        let refused = pipe.send(py, 1).expect_err("nobody receives");
        assert!(matches!(refused.why, Fault::WouldDeadlock) && refused.value == Some(1));
        // The last end that could send goes while the main tasklet waits for it.
        let (sender, waits) = (pipe.sender(), pipe.clone());
        let thread = spawn("goes", move || {
            until(|| sender.is_awaited());
            drop(sender);
        });
        assert!(matches!(waits.receive(py), Err(Fault::WouldDeadlock)));
        thread.join().expect("it ends well");
        assert_eq!(pipe.balance(py), 0);
    });
}

#[test]
fn a_killed_tasklet_has_its_value_back_or_none() {
    with_python("a_killed_tasklet_has_its_value_back_or_none", |py| {
        let pipe = channel::<String>(py);
        let theirs = pipe.clone();
        let body = move |py: Python<'_>| theirs.send(py, "mine".to_owned());
        let sends = tasklet::spawn(py, body).expect("there are tasklets");
        tasklet::schedule(py).expect("nobody disturbs it");
        assert_eq!(pipe.balance(py), 1);
        sends.kill(py).expect("nothing is raised here");
        let error = sends.join(py).expect("it ended well").expect_err("it was killed");
        assert!(matches!(error.why, Fault::Killed));
        assert_eq!(error.value.as_deref(), Some("mine"));
        let theirs = pipe.clone();
        let receives =
            tasklet::spawn(py, move |py| theirs.receive(py)).expect("there are tasklets");
        tasklet::schedule(py).expect("nobody disturbs it");
        receives.kill(py).expect("nothing is raised here");
        assert!(matches!(receives.join(py), Ok(Err(Fault::Killed))));
        assert_eq!(pipe.balance(py), 0);
        let theirs = pipe.clone();
        let cleared = tasklet::spawn(py, move |py| theirs.receive(py)).expect("there are tasklets");
        tasklet::schedule(py).expect("nobody disturbs it");
        pipe.clear(py);
        assert!(matches!(cleared.join(py), Ok(Err(Fault::LetGo))));
    });
}

#[test]
fn a_buffered_channel_holds_values_back() {
    with_python("a_buffered_channel_holds_values_back", |py| {
        let pipe = Channel::<u32>::buffered(py, 2).expect("there are tasklets");
        pipe.send(py, 1).expect("there is room");
        pipe.send(py, 2).expect("there is room");
        assert_eq!(pipe.balance(py), 2);
        let theirs = pipe.clone();
        let third = tasklet::spawn(py, move |py| theirs.send(py, 3)).expect("there are tasklets");
        tasklet::schedule(py).expect("nobody disturbs it");
        assert!(third.is_blocked(py));
        assert_eq!(pipe.receive(py).ok(), Some(1));
        // There is room for the one who waited; it goes on when its turn comes.
        assert!(!third.is_blocked(py));
        third.join(py).expect("it ended well").expect("there was room");
        pipe.close(py);
        assert_eq!(pipe.try_receive(py).ok(), Some(Some(2)));
        assert_eq!(pipe.receive(py).ok(), Some(3));
        assert!(matches!(pipe.receive(py), Err(Fault::Closed)));
        assert_eq!(pipe.try_receive(py).ok(), Some(None));
        let local = Channel::<Rc<u32>>::buffered_local(py, 1).expect("there are tasklets");
        local.send(py, Rc::new(4)).expect("there is room");
        assert_eq!(local.receive(py).ok().as_deref(), Some(&4));
    });
}

#[test]
fn everything_may_be_dropped_anywhere() {
    static DROPPED: AtomicU64 = AtomicU64::new(0);
    #[derive(Debug)]
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    with_python("everything_may_be_dropped_anywhere", |py| {
        let pipe = channel::<Counted>(py);
        let (sender, receiver) = (pipe.sender(), pipe.receiver());
        (0..3).for_each(|_| sender.try_send(Counted).expect("there is room"));
        let theirs = pipe.clone();
        let sends = tasklet::spawn(py, move |py| theirs.send(py, Counted).map_err(Fault::from));
        tasklet::schedule(py).expect("nobody disturbs it");
        let sends = sends.expect("there are tasklets");
        assert!(sends.is_blocked(py));
        sends.kill(py).expect("nothing is raised here");
        assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
        let thread = spawn("drops", move || drop((pipe, sender, receiver, sends)));
        thread.join().expect("it ends well");
        assert_eq!(DROPPED.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn the_end_of_python_wakes_threads_and_refuses_them() {
    in_child("the_end_of_python_wakes_threads_and_refuses_them", || {
        let runtime = start(&Options::new());
        let pipe = enter(channel::<u32>).expect("the gate is open");
        let (sender, receiver) = (pipe.sender(), pipe.receiver());
        let (told, waits) = mpsc::channel();
        let thread = spawn("waits", move || {
            told.send(()).expect("the test is there");
            receiver.receive()
        });
        waits.recv().expect("it begins");
        runtime.stop(PATIENCE).expect("nobody is in the way");
        assert_eq!(thread.join().expect("it ends well"), Err(WaitError::Stopped));
        assert!(matches!(sender.try_send(1), Err(PushError { why: WaitError::Stopped, value: 1 })));
        assert_eq!(pipe.receiver().try_receive(), Err(WaitError::Stopped));
        let runtime = start(&Options::new());
        enter(|py| {
            assert!(matches!(pipe.receive(py), Err(Fault::Closed)));
            let refused = pipe.send(py, 2).expect_err("its Python has ended");
            assert!(matches!(refused.why, Fault::Closed) && refused.value == Some(2));
            assert_eq!(pipe.balance(py), 0);
        })
        .expect("the gate is open");
        assert!(sender.is_closed());
        runtime.stop(PATIENCE).expect("Python stops");
    });
}

#[test]
fn a_loop_that_runs_the_tasklets_is_woken_by_what_threads_send() {
    with_python("a_loop_that_runs_the_tasklets_is_woken_by_what_threads_send", |py| {
        run("import _raddle, sys
sys.descriptor = _raddle.begin_turns()");
        let pipe = channel::<u32>(py);
        let (sender, theirs) = (pipe.sender(), pipe.clone());
        let body = move |py: Python<'_>| (theirs.receive(py).ok(), theirs.receive(py).ok());
        let waits = tasklet::spawn(py, body).expect("there are tasklets");
        assert_eq!(run("import _raddle; r = _raddle.make_turn(1)"), "None");
        assert!(waits.is_blocked(py));
        let turn = "import _raddle, select, sys
ready = select.select([sys.descriptor], [], [], 20)[0]
r = len(ready), _raddle.make_turn(1)";
        for value in 1..=2 {
            let sender = sender.clone();
            let thread = spawn("sends", move || sender.try_send(value));
            thread.join().expect("it ends well").expect("there is room");
            assert_eq!(run(turn), "(1, None)");
        }
        assert!(matches!(waits.join(py), Ok((Some(1), Some(2)))));
        run("import _raddle; _raddle.end_turns()");
    });
}
