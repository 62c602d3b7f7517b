//! Models of the ring: nothing is lost, doubled or left behind, and a stop wakes everybody.
//!
//! Its slots are a plain queue here: crossbeam's own atomics are not ours to model.
#![forbid(unsafe_code)]
#![cfg(raddle_loom)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::sync::Arc;

use loom::thread::{self, JoinHandle};
use raddle::relay::{Plain, Ring, WaitError};
use raddle_tests::explored;

fn with<R: 'static>(
    ring: &Arc<Ring<u32>>,
    body: impl FnOnce(&Ring<u32>) -> R + 'static,
) -> JoinHandle<R> {
    let ring = Arc::clone(ring);
    thread::spawn(move || body(&ring))
}

fn check(capacity: u32, body: impl Fn(Arc<Ring<u32>>) + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    explored::check(builder, move || body(Arc::new(Ring::new(capacity).unwrap())));
}

#[test]
fn a_full_ring_hands_its_values_over_one_by_one() {
    check(1, |ring| {
        let popping = with(&ring, |ring| [ring.pop(Plain).unwrap(), ring.pop(Plain).unwrap()]);
        ring.push(1, Plain).unwrap();
        ring.push(2, Plain).unwrap();
        assert_eq!(popping.join().unwrap(), [1, 2]);
        assert_eq!(ring.len(), 0);
    });
}

#[test]
fn two_producers_and_a_consumer_lose_nothing() {
    check(1, |ring| {
        let pushing = [1, 2].map(|value| with(&ring, move |ring| ring.push(value, Plain).unwrap()));
        let sum = ring.pop(Plain).unwrap() + ring.pop(Plain).unwrap();
        pushing.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(sum, 3);
    });
}

#[test]
fn a_push_that_beats_the_stop_is_popped_and_one_that_does_not_is_given_back() {
    check(2, |ring| {
        let pushing = with(&ring, |ring| ring.try_push(1).is_ok());
        let stopping = with(&ring, Ring::stop);
        let mut popped = 0;
        while ring.pop(Plain).is_ok() {
            popped += 1;
        }
        let pushed = pushing.join().unwrap();
        stopping.join().unwrap();
        assert_eq!(popped, u32::from(pushed), "told of the end before the value came");
    });
}

#[test]
fn a_stop_wakes_those_who_push_and_those_who_pop() {
    check(1, |ring| {
        ring.try_push(1).unwrap();
        let pushing = with(&ring, |ring| ring.push(2, Plain).is_ok());
        let stopping = with(&ring, Ring::stop);
        let mut popped = vec![];
        while let Ok(value) = ring.pop(Plain) {
            popped.push(value);
        }
        stopping.join().unwrap();
        let expected: &[u32] = if pushing.join().unwrap() { &[1, 2] } else { &[1] };
        assert_eq!(popped, expected);
        assert_eq!(ring.try_pop(), Err(WaitError::Stopped));
    });
}

#[test]
fn two_consumers_share_what_is_left_and_both_hear_the_end() {
    check(2, |ring| {
        ring.try_push(1).unwrap();
        let drain = |ring: &Ring<u32>| {
            let mut popped = 0;
            while ring.pop(Plain).is_ok() {
                popped += 1;
            }
            popped
        };
        let popping = with(&ring, drain);
        ring.stop();
        assert_eq!(drain(&ring) + popping.join().unwrap(), 1);
    });
}

#[test]
fn the_last_producer_ends_it_once() {
    check(2, |ring| {
        ring.add_producer();
        ring.add_producer();
        let producing = [1, 2].map(|value| {
            with(&ring, move |ring| {
                ring.push(value, Plain).unwrap();
                ring.remove_producer().unwrap()
            })
        });
        let mut sum = 0;
        while let Ok(value) = ring.pop(Plain) {
            sum += value;
        }
        let last = producing.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!((sum, last.filter(|last| *last).count()), (3, 1));
    });
}
