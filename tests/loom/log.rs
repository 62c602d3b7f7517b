//! Models of the log's ring, and of its worker's sleep and end: no record is torn, twice or forgotten.
//!
//! Mutants seen to fail: each of the ring's four orderings relaxed (a writer's look at a turn and its
//! publishing, the reader's look and its freeing), the fence of either side left out, a drop that is
//! counted or taken relaxed, and a report that takes its first time as it finds it.
#![forbid(unsafe_code)]
#![cfg(raddle_loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use raddle::relay::log::Level;
use raddle::relay::log::drops::Drops;
use raddle::relay::log::post::{Mode, Post};
use raddle::relay::log::ring::Ring;
use raddle_tests::explored;

type Small = Ring<u32, 2, 8>;

fn bounded() -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder
}

/// Pushes numbers, each with bytes that say the same; gives those that found room.
fn pusher(ring: &Arc<Small>, numbers: &'static [u32]) -> thread::JoinHandle<Vec<u32>> {
    let ring = Arc::clone(ring);
    let push = move |number: &&u32| ring.push(**number, [&number.to_ne_bytes(), b"ab"]);
    thread::spawn(move || numbers.iter().filter(push).copied().collect())
}

/// Takes what is there, and looks that it is whole.
fn take(ring: &Small, seen: &mut Vec<u32>) {
    let mut bytes = Vec::new();
    while let Some(number) = ring.pop(&mut bytes) {
        assert_eq!(bytes, [&number.to_ne_bytes()[..], b"ab"].concat());
        seen.push(number);
    }
}

#[test]
fn records_come_out_whole_once_and_in_their_threads_order() {
    explored::check(bounded(), || {
        let ring = Arc::new(Small::new());
        let pushers = [pusher(&ring, &[1, 2]), pusher(&ring, &[11])];
        let mut seen = Vec::new();
        take(&ring, &mut seen);
        let mut pushed: Vec<u32> = pushers.into_iter().flat_map(|p| p.join().unwrap()).collect();
        take(&ring, &mut seen);
        let of_first: Vec<u32> = seen.iter().copied().filter(|number| *number < 10).collect();
        assert!(of_first.is_sorted(), "{seen:?}");
        seen.sort_unstable();
        pushed.sort_unstable();
        assert_eq!(seen, pushed);
    });
}

#[test]
fn a_slot_is_not_written_while_it_is_read() {
    // One lap behind the other: the third push needs the slot of the first.
    explored::check(bounded(), || {
        let ring = Arc::new(Small::new());
        assert!(ring.push(1, [&1_u32.to_ne_bytes(), b"ab"]));
        assert!(ring.push(2, [&2_u32.to_ne_bytes(), b"ab"]));
        let pusher = pusher(&ring, &[3, 4]);
        let mut seen = Vec::new();
        take(&ring, &mut seen);
        let pushed = pusher.join().unwrap();
        take(&ring, &mut seen);
        assert_eq!(seen, [&[1, 2][..], &pushed].concat());
    });
}

#[test]
fn a_worker_that_sleeps_is_woken_by_the_record_that_it_did_not_see() {
    explored::check(bounded(), || {
        let world = Arc::new((Small::new(), Post::new(), AtomicBool::new(false)));
        assert!(world.1.begin());
        let theirs = Arc::clone(&world);
        let producer = thread::spawn(move || {
            let (ring, post, bell) = &*theirs;
            assert!(ring.push(1, [&1_u32.to_ne_bytes(), b"ab"]));
            if post.published() == Mode::Asleep {
                bell.store(true, Ordering::SeqCst);
            }
        });
        let (ring, post, bell) = &*world;
        let sleeps = post.sleep(|| ring.has_next());
        producer.join().unwrap();
        // Asleep, with a record in the ring, and nobody has rung: that would be for ever.
        assert!(!sleeps || bell.load(Ordering::SeqCst), "asleep with a record in the ring");
    });
}

#[test]
fn a_record_that_meets_the_worker_s_end_is_seen_by_one_of_the_two() {
    explored::check(bounded(), || {
        let world = Arc::new((Small::new(), Post::new(), loom::sync::Mutex::new(true)));
        assert!(world.1.begin());
        let theirs = Arc::clone(&world);
        let producer = thread::spawn(move || {
            let (ring, post, alive) = &*theirs;
            let mut written = Vec::new();
            assert!(ring.push(1, [&1_u32.to_ne_bytes(), b"ab"]));
            if post.published() == Mode::Closed {
                let gone = !*alive.lock().unwrap();
                if gone {
                    take(ring, &mut written);
                }
            }
            written
        });
        let (ring, post, alive) = &*world;
        let mut handed = Vec::new();
        post.close();
        loop {
            take(ring, &mut handed);
            let mut alive = alive.lock().unwrap();
            if !ring.has_next() {
                *alive = false;
                break;
            }
        }
        handed.extend(producer.join().unwrap());
        assert_eq!(handed, [1]);
    });
}

#[test]
fn every_drop_is_reported_once_with_a_time_that_is_one() {
    explored::check(bounded(), || {
        let drops = Arc::new(Drops::new());
        let theirs = Arc::clone(&drops);
        let dropper = thread::spawn(move || {
            theirs.count(Level::DEBUG, 100);
            theirs.count(Level::DEBUG, 101);
        });
        let first = drops.take();
        dropper.join().unwrap();
        let second = drops.take();
        let reports = [first, second].into_iter().flatten();
        let sum: u64 = reports
            .inspect(|report| {
                assert!(100 <= report.first && report.first <= report.last && report.last <= 101);
            })
            .map(|report| report.sum())
            .sum();
        assert_eq!(sum, 2);
    });
}
