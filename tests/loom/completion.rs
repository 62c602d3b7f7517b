//! Models of the list under a queue of completions: no wake-up is lost, each value comes out once, and
//! in order, whoever closes it meanwhile. Run by `cargo xtask test`.
//!
//! Mutants seen to fail: a list that never rings, always rings, or sleeps on what came; a push that does
//! not release, a take or a close that does not acquire, a claim or its end that is relaxed. Not seen: a
//! relaxed way from AWAKE to IDLE, since the models' bell is a lock, which orders as much by itself.
#![forbid(unsafe_code)]
#![cfg(raddle_loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use raddle::relay::bell::Bell;
use raddle::relay::completion::list::List;
use raddle_tests::explored;

const TAKER: u64 = 2;
const CLOSER: u64 = 4;

/// A list, its bell, and how often it was rung by those who added.
struct Queue {
    list: List<u32>,
    bell: Bell,
    rings: AtomicUsize,
}

fn queue() -> Arc<Queue> {
    let bell = Bell::new().expect("a model of a bell is always there");
    Arc::new(Queue { list: List::new(), bell, rings: AtomicUsize::new(0) })
}

impl Queue {
    fn post(&self, value: u32) -> bool {
        match self.list.push(value) {
            Ok(true) => {
                self.rings.fetch_add(1, Ordering::Relaxed);
                self.bell.ring();
                true
            }
            Ok(false) => true,
            Err(_) => false,
        }
    }

    /// What `Completions::drain` does.
    fn drain(&self, seen: &mut Vec<u32>) {
        let Some(claim) = self.list.claim(TAKER) else {
            assert!(self.list.is_closed(), "nobody else takes");
            return;
        };
        loop {
            while let Some(value) = claim.pop() {
                seen.push(value);
            }
            self.bell.hush();
            if claim.try_idle() {
                break;
            }
            self.bell.ring();
        }
        seen.extend(claim.release());
    }
}

#[test]
fn whoever_sleeps_until_the_bell_rings_sees_everything_in_order() {
    explored::model(|| {
        let queue = queue();
        let others: Vec<_> = [[1, 2], [11, 12]]
            .into_iter()
            .map(|values| {
                let queue = queue.clone();
                thread::spawn(move || {
                    values.into_iter().for_each(|value| assert!(queue.post(value)));
                })
            })
            .collect();
        let mut seen = Vec::new();
        let mut turns = 0;
        while seen.len() < 4 {
            // A wake-up that is lost is a deadlock here.
            queue.bell.wait();
            queue.drain(&mut seen);
            turns += 1;
            assert!(turns <= 5, "woken for nothing");
        }
        others.into_iter().for_each(|thread| thread.join().unwrap());
        let of = |first: u32| seen.iter().copied().filter(|n| n / 10 == first).collect::<Vec<_>>();
        assert_eq!((of(0), of(1)), (vec![1, 2], vec![11, 12]));
    });
}

#[test]
fn a_burst_before_the_other_side_looks_rings_once() {
    explored::model(|| {
        let queue = queue();
        let other = {
            let queue = queue.clone();
            thread::spawn(move || assert!(queue.post(11)))
        };
        assert!(queue.post(1) && queue.post(2));
        other.join().unwrap();
        assert_eq!(queue.rings.load(Ordering::Relaxed), 1);
        let mut seen = Vec::new();
        queue.drain(&mut seen);
        assert_eq!(seen.len(), 3);
    });
}

#[test]
fn what_is_added_while_the_rest_is_left_is_found_with_it() {
    explored::model(|| {
        let queue = queue();
        assert!(queue.post(1) && queue.post(2));
        let other = {
            let queue = queue.clone();
            thread::spawn(move || assert!(queue.post(3)))
        };
        // A budget of one, twice, and then all: the bell stays readable in between.
        for expected in [1, 2] {
            queue.bell.wait();
            let claim = queue.list.claim(TAKER).expect("nobody takes");
            assert_eq!(claim.pop(), Some(expected));
            assert_eq!(claim.release().count(), 0);
        }
        let mut seen = Vec::new();
        while seen.is_empty() {
            queue.bell.wait();
            queue.drain(&mut seen);
        }
        other.join().unwrap();
        assert_eq!(seen, [3]);
    });
}

#[test]
fn each_value_comes_out_once_though_the_list_is_closed_meanwhile() {
    explored::model(|| {
        let queue = queue();
        let posting = {
            let queue = queue.clone();
            thread::spawn(move || [1, 2].into_iter().filter(|value| !queue.post(*value)).count())
        };
        let closing = {
            let queue = queue.clone();
            thread::spawn(move || {
                let left: Vec<_> = queue.list.close(CLOSER).collect();
                queue.bell.ring();
                left.len()
            })
        };
        let mut seen = Vec::new();
        queue.drain(&mut seen);
        let refused = posting.join().unwrap();
        let discarded = closing.join().unwrap();
        // Who took when it was closed was given the rest; if nobody did, the closer was.
        queue.drain(&mut seen);
        assert_eq!(seen.len() + discarded + refused, 2);
        assert!(queue.list.is_closed() && !queue.post(3));
    });
}

#[test]
fn takers_take_turns_and_the_next_goes_on_with_the_rest() {
    explored::model(|| {
        let list = Arc::new(List::new());
        (0..3).for_each(|value| assert!(list.push(value).is_ok()));
        let take = |list: &List<u32>, token| {
            let claim = list.claim(token)?;
            let value = claim.pop();
            assert_eq!(claim.release().count(), 0);
            value
        };
        let other = {
            let list = list.clone();
            thread::spawn(move || take(&list, CLOSER))
        };
        let here = take(&list, TAKER);
        let there = other.join().unwrap();
        let claim = list.claim(TAKER).expect("nobody takes");
        let mut all: Vec<_> = here.into_iter().chain(there).collect();
        all.extend(std::iter::from_fn(|| claim.pop()));
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}
