//! `raddle::relay::Ring` with real threads, and with Python beside it.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use raddle::relay::{Interrupted, Plain, PushError, ReleasePython, Ring, WaitError};
use raddle::{enter, gate};
use raddle_tests::python::{run, start_for_ctrl_c};
use raddle_tests::{in_child, spawn};

const DEADLINE: Duration = Duration::from_secs(20);

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come to that in time");
        thread::yield_now();
    }
}

#[test]
fn every_value_comes_out_once_and_each_producer_s_in_order() {
    const EACH: u64 = 30_000;
    let ring = Arc::new(Ring::new(16).unwrap());
    (0..3).for_each(|_| ring.add_producer());
    let producers: Vec<_> = (0..3)
        .map(|number| {
            let ring = Arc::clone(&ring);
            spawn("producer", move || {
                (0..EACH).for_each(|value| ring.push((number, value), Plain).unwrap());
                ring.remove_producer().unwrap()
            })
        })
        .collect();
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let ring = Arc::clone(&ring);
            spawn("consumer", move || {
                let mut last = [None; 3];
                let (mut count, mut sum) = (0, 0);
                for (number, value) in &*ring {
                    assert!(last[number] < Some(value), "one producer's values keep their order");
                    last[number] = Some(value);
                    count += 1;
                    sum += value;
                }
                (count, sum)
            })
        })
        .collect();
    let ended = producers.into_iter().map(|thread| thread.join().unwrap());
    assert_eq!(ended.filter(|last| *last).count(), 1);
    let totals = consumers.into_iter().map(|thread| thread.join().unwrap());
    let (count, sum) = totals.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    assert_eq!((count, sum), (3 * EACH, 3 * EACH * (EACH - 1) / 2));
    let stats = ring.stats();
    assert_eq!((stats.pushes, stats.pops, stats.length), (3 * EACH, 3 * EACH, 0));
    assert!(stats.max_length <= 16 && stats.max_length > 0);
}

#[test]
fn a_stop_wakes_those_who_push_and_gives_their_values_back() {
    let ring = Arc::new(Ring::new(1).unwrap());
    ring.try_push("first".to_owned()).unwrap();
    let threads: Vec<_> = (0..3)
        .map(|number| {
            let ring = Arc::clone(&ring);
            spawn("producer", move || ring.push(format!("late {number}"), Plain))
        })
        .collect();
    until(|| ring.stats().push_waits == 3);
    ring.stop();
    for (number, thread) in threads.into_iter().enumerate() {
        let back = PushError { value: format!("late {number}"), why: WaitError::Stopped };
        assert_eq!(thread.join().unwrap(), Err(back));
    }
    assert_eq!(ring.into_iter().collect::<Vec<_>>(), ["first"]);
}

#[test]
fn a_stop_wakes_those_who_pop() {
    let ring = Arc::new(Ring::<u32>::new(1).unwrap());
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let ring = Arc::clone(&ring);
            spawn("consumer", move || ring.pop(Plain))
        })
        .collect();
    until(|| ring.stats().pop_waits == 3);
    ring.stop();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Err(WaitError::Stopped));
    }
}

#[test]
fn a_full_ring_lets_a_push_in_as_soon_as_there_is_room() {
    let ring = Arc::new(Ring::new(1).unwrap());
    ring.try_push(1).unwrap();
    let pushing = {
        let ring = Arc::clone(&ring);
        spawn("producer", move || ring.push_within(2, Plain, DEADLINE))
    };
    until(|| ring.stats().push_waits == 1);
    assert_eq!(ring.pop(Plain), Ok(1));
    pushing.join().unwrap().unwrap();
    assert_eq!(ring.pop_within(Plain, Duration::ZERO), Ok(2));
    assert_eq!(ring.pop_within(Plain, Duration::from_millis(5)), Err(WaitError::TimedOut));
}

#[test]
fn the_tag_is_passed_through_both_ways() {
    in_child("the_tag_is_passed_through_both_ways", || {
        let runtime = start_for_ctrl_c();
        let ring = Arc::new(Ring::new(1).unwrap());
        let native = {
            let ring = Arc::clone(&ring);
            spawn("native", move || {
                until(|| ring.stats().pop_waits == 1);
                // Needs Python, which the other side gives up while it waits.
                assert_eq!(run("r = 1"), "1");
                ring.push(1, Plain).unwrap();
                until(|| ring.stats().push_waits == 1);
                assert_eq!(run("r = 2"), "2");
                assert_eq!(ring.pop(Plain), Ok(2));
                until(|| ring.stats().push_waits == 2);
                run("import os, signal; os.kill(os.getpid(), signal.SIGINT)");
            })
        };
        enter(|_| {
            assert_eq!(ring.pop(ReleasePython).unwrap(), 1);
            ring.push(2, ReleasePython).unwrap();
            ring.push(3, ReleasePython).unwrap();
            let back = ring.push(4, ReleasePython).unwrap_err();
            assert_eq!(back.value, 4);
            let WaitError::Interrupted(Interrupted::Raised(raised)) = back.why else {
                panic!("{back:?}");
            };
            assert!(raised.asks_for_end() && gate::is_held());
            assert_eq!((ring.try_pop(), ring.len()), (Ok(3), 0));
        })
        .unwrap();
        native.join().unwrap();
        runtime.stop(Some(DEADLINE)).unwrap();
    });
}
