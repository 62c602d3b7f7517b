//! `raddle::relay::Semaphore` and its waits, with real threads, Python and signals.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use raddle::relay::{Interrupted, Plain, ReleasePython, Semaphore, WaitError};
use raddle::{Options, Status, enter, gate};
use raddle_tests::python::{run, start, start_for_ctrl_c};
use raddle_tests::{in_child, spawn};

const DEADLINE: Duration = Duration::from_secs(20);

fn new() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0).unwrap())
}

/// Waits until so many waits were begun.
fn until_waits(semaphore: &Semaphore, waits: u64) {
    let deadline = Instant::now() + DEADLINE;
    while semaphore.waits() < waits {
        assert!(Instant::now() < deadline, "nobody waits");
        thread::yield_now();
    }
}

#[test]
fn no_token_is_lost_between_many_threads() {
    const ROUNDS: u32 = 20_000;
    let semaphore = new();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let semaphore = Arc::clone(&semaphore);
            spawn("tokens", move || {
                for _ in 0..ROUNDS {
                    if number % 2 == 0 {
                        semaphore.put(1).unwrap();
                    } else {
                        semaphore.get(Plain).unwrap();
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn a_stop_wakes_every_waiter() {
    let semaphore = new();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let semaphore = Arc::clone(&semaphore);
            spawn("waiter", move || semaphore.get_within(Plain, Duration::from_secs(3600)))
        })
        .collect();
    until_waits(&semaphore, 3);
    semaphore.stop();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Err(WaitError::Stopped));
    }
}

#[test]
fn without_python_every_tag_is_a_plain_wait() {
    let semaphore = new();
    let other = {
        let semaphore = Arc::clone(&semaphore);
        spawn("waiter", move || semaphore.get(ReleasePython).is_ok())
    };
    until_waits(&semaphore, 1);
    semaphore.put(1).unwrap();
    assert!(other.join().unwrap());
    let late = semaphore.get_within(ReleasePython, Duration::from_millis(5));
    assert!(matches!(late, Err(WaitError::TimedOut)));
}

#[test]
fn a_wait_gives_python_up_and_takes_it_back() {
    in_child("a_wait_gives_python_up_and_takes_it_back", || {
        let runtime = start(&Options::new());
        let semaphore = new();
        let waiting = {
            let semaphore = Arc::clone(&semaphore);
            spawn("waiter", move || {
                enter(|_| {
                    assert!(semaphore.get(ReleasePython).is_ok());
                    assert!(gate::is_held());
                })
                .unwrap();
            })
        };
        until_waits(&semaphore, 1);
        // Enters while the other one is inside, and so holds Python or waits with it.
        assert_eq!(run("r = 6 * 7"), "42");
        semaphore.put(1).unwrap();
        waiting.join().unwrap();
        runtime.stop(Some(DEADLINE)).unwrap();
        // After the stop it is a semaphore as before.
        semaphore.put(1).unwrap();
        assert!(semaphore.get(ReleasePython).is_ok());
    });
}

/// Sends SIGINT to this process once somebody waits.
fn interrupt(semaphore: &Arc<Semaphore>) -> thread::JoinHandle<Instant> {
    let semaphore = Arc::clone(semaphore);
    spawn("sender", move || {
        until_waits(&semaphore, 1);
        let sent = Instant::now();
        run("import os, signal; os.kill(os.getpid(), signal.SIGINT)");
        sent
    })
}

/// Waits until SIGINT ends the wait; says how long after it was sent that was.
fn interrupted_after() -> Duration {
    let semaphore = new();
    let sender = interrupt(&semaphore);
    let (ended, raised) = enter(|_| match semaphore.get(ReleasePython) {
        Err(WaitError::Interrupted(Interrupted::Raised(raised))) => {
            assert!(gate::is_held());
            (Instant::now(), raised)
        }
        other => panic!("{other:?}"),
    })
    .unwrap();
    assert_eq!(raised.line(), "KeyboardInterrupt");
    assert_eq!(raddle::Error::from(raised).status(), Status::Python);
    semaphore.put(1).unwrap();
    assert_eq!(semaphore.try_get(), Ok(()));
    ended.duration_since(sender.join().unwrap())
}

#[test]
fn a_signal_handler_that_raises_ends_the_wait_and_takes_no_token() {
    in_child("a_signal_handler_that_raises_ends_the_wait_and_takes_no_token", || {
        // This thread is Python's main one and not the process's: the kernel sends the signal there.
        let runtime = start_for_ctrl_c();
        // A machine with a load on it may be late once, and not five times.
        let soon = (0..5).any(|_| interrupted_after() < Duration::from_millis(100));
        assert!(soon, "five waits went on for 100 ms after the signal");
        runtime.stop(Some(DEADLINE)).unwrap();
    });
}

#[test]
fn a_plain_wait_is_not_ended_by_a_signal() {
    in_child("a_plain_wait_is_not_ended_by_a_signal", || {
        let runtime = start_for_ctrl_c();
        let semaphore = new();
        let sender = interrupt(&semaphore);
        let late = semaphore.get_within(Plain, Duration::from_millis(150));
        assert_eq!(late, Err(WaitError::TimedOut));
        sender.join().unwrap();
        // The handler runs when this thread holds Python next: nothing is lost.
        assert_eq!(enter(|py| py.check_signals().is_err()), Ok(true));
        runtime.stop(Some(DEADLINE)).unwrap();
    });
}

#[test]
fn a_stop_of_python_waits_for_who_waits_inside_and_names_it() {
    in_child("a_stop_of_python_waits_for_who_waits_inside_and_names_it", || {
        let runtime = start(&Options::new());
        let semaphore = new();
        let waiting = {
            let semaphore = Arc::clone(&semaphore);
            spawn("sleeper", move || enter(|_| semaphore.get(ReleasePython).is_ok()))
        };
        until_waits(&semaphore, 1);
        let busy = runtime.stop(Some(Duration::from_millis(100))).unwrap_err();
        assert_eq!(busy.status(), Status::Busy);
        assert!(busy.to_string().contains("sleeper"), "{busy}");
        semaphore.put(1).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(true));
        runtime.stop(Some(DEADLINE)).unwrap();
    });
}

#[test]
fn the_end_of_python_wakes_those_who_wait_in_python_code() {
    in_child("the_end_of_python_wakes_those_who_wait_in_python_code", || {
        let runtime = start(&Options::new());
        run("
import threading, time, raddle
semaphore, full, empty = raddle.Semaphore(), raddle.Semaphore(), raddle.Semaphore()
def wait(semaphore):
    try:
        semaphore.get()
    except raddle.Stopped:
        stopped.append(semaphore)
stopped = threading.stopped = []
for one in (semaphore, full, empty):
    threading.Thread(target=wait, args=[one]).start()
while not all(one.waits for one in (semaphore, full, empty)):
    time.sleep(0.001)
import atexit
def report():
    # What is made now is born stopped: nobody would wake who waits for it.
    assert raddle.Semaphore().stopped
    print('stopped', len(stopped), flush=True)
atexit.register(report)");
        runtime.stop(Some(DEADLINE)).unwrap();
        let runtime = start(&Options::new());
        assert_eq!(run("import raddle; r = raddle.Semaphore().stopped"), "False");
        runtime.stop(Some(DEADLINE)).unwrap();
    });
}
