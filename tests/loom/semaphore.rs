//! Models of the semaphore: no wake-up is lost, whoever waits, polls, stops or goes away.
//!
//! Mutants seen to fail: a put that rings for no waiter, one that rings for nobody who polls, a wait
//! that registers after its look, a bell that nobody quietens, a relaxed put, a relaxed stop, a stop that
//! does not ring, and a `settle` without its second look, be it after hushing or after ringing.
#![forbid(unsafe_code)]
#![cfg(raddle_loom)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::{self, JoinHandle};
use raddle::relay::{Plain, Semaphore, WaitError};
use raddle_tests::explored;

fn with(semaphore: &Arc<Semaphore>, body: impl FnOnce(&Semaphore) + 'static) -> JoinHandle<()> {
    let semaphore = Arc::clone(semaphore);
    thread::spawn(move || body(&semaphore))
}

fn check(body: impl Fn(Arc<Semaphore>) + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(builder.preemption_bound.unwrap_or(3));
    explored::check(builder, move || body(Arc::new(Semaphore::new(0).unwrap())));
}

#[test]
fn a_put_wakes_the_one_who_waits() {
    check(|semaphore| {
        let waiting = with(&semaphore, |semaphore| semaphore.get(Plain).unwrap());
        semaphore.put(1).unwrap();
        waiting.join().unwrap();
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn two_puts_wake_two_who_wait() {
    check(|semaphore| {
        let waiting = [(); 2].map(|()| with(&semaphore, |semaphore| semaphore.get(Plain).unwrap()));
        semaphore.put(1).unwrap();
        semaphore.put(1).unwrap();
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn a_waiter_that_was_served_wakes_again_for_the_next_token() {
    check(|semaphore| {
        let waiting = with(&semaphore, |semaphore| {
            semaphore.get(Plain).unwrap();
            semaphore.get(Plain).unwrap();
        });
        let putting = with(&semaphore, |semaphore| semaphore.put(1).unwrap());
        semaphore.put(1).unwrap();
        putting.join().unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn a_stop_wakes_all_who_wait() {
    check(|semaphore| {
        let waiting = [(); 2].map(|()| {
            with(&semaphore, |semaphore| {
                assert_eq!(semaphore.get(Plain), Err(WaitError::Stopped));
            })
        });
        semaphore.stop();
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_token_is_taken_before_the_stop_is_told() {
    check(|semaphore| {
        let waiting = with(&semaphore, |semaphore| {
            semaphore.get(Plain).unwrap();
            assert_eq!(semaphore.get(Plain), Err(WaitError::Stopped));
        });
        semaphore.put(1).unwrap();
        semaphore.stop();
        waiting.join().unwrap();
    });
}

#[test]
fn whoever_gives_up_takes_no_wake_up_along() {
    check(|semaphore| {
        let waiting = with(&semaphore, |semaphore| semaphore.get(Plain).unwrap());
        let hasty = with(&semaphore, |semaphore| {
            if semaphore.get_within(Plain, Duration::from_secs(1)).is_ok() {
                semaphore.put(1).unwrap();
            }
        });
        semaphore.put(1).unwrap();
        waiting.join().unwrap();
        hasty.join().unwrap();
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn who_polls_the_descriptor_hears_of_every_token() {
    check(|semaphore| {
        let polling = with(&semaphore, |semaphore| {
            let mut got = 0;
            while got < 2 {
                semaphore.poll();
                while semaphore.try_get().is_ok() {
                    got += 1;
                }
                // A ring may be on its way to be settled.
                thread::yield_now();
            }
        });
        let putting = with(&semaphore, |semaphore| semaphore.put(1).unwrap());
        semaphore.put(1).unwrap();
        putting.join().unwrap();
        polling.join().unwrap();
    });
}

#[test]
fn nobody_polls_a_bell_that_rings_for_nothing() {
    check(|semaphore| {
        // Somebody polls, and knows of all that there was.
        semaphore.put(1).unwrap();
        semaphore.poll();
        assert_eq!((semaphore.try_get(), semaphore.try_get()), (Ok(()), Err(WaitError::TimedOut)));
        assert!(!semaphore.is_readable());
        let putting = with(&semaphore, |semaphore| semaphore.put(1).unwrap());
        // The put begins: see `explored`.
        thread::yield_now();
        // May take the token before the bell has rung for it.
        let _taken = (semaphore.try_get(), semaphore.try_get());
        putting.join().unwrap();
        while semaphore.try_get().is_ok() {}
        assert!(!semaphore.is_readable(), "its bell was left ringing");
    });
}

#[test]
fn whoever_quietens_the_bell_leaves_it_ringing_for_another() {
    check(|semaphore| {
        let twice = with(&semaphore, |semaphore| {
            semaphore.get(Plain).unwrap();
            // No token, but a bell that has rung: it is quietened, while the next tokens come.
            semaphore.get(Plain).unwrap();
        });
        let once = with(&semaphore, |semaphore| semaphore.get(Plain).unwrap());
        semaphore.put(1).unwrap();
        semaphore.put(2).unwrap();
        twice.join().unwrap();
        once.join().unwrap();
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn who_polls_leaves_a_waiter_its_wake_up() {
    check(|semaphore| {
        let waiting = with(&semaphore, |semaphore| semaphore.get(Plain).unwrap());
        let polling = with(&semaphore, |semaphore| {
            semaphore.poll();
            if semaphore.try_get().is_ok() {
                semaphore.put(1).unwrap();
            }
        });
        semaphore.put(1).unwrap();
        // The waiter may take the token before anybody polls: then the stop is what is heard.
        waiting.join().unwrap();
        semaphore.stop();
        polling.join().unwrap();
    });
}

#[test]
fn what_was_done_before_a_put_is_seen_by_who_got_the_token() {
    check(|semaphore| {
        let done = Arc::new(AtomicBool::new(false));
        let putting = {
            let (semaphore, done) = (Arc::clone(&semaphore), Arc::clone(&done));
            thread::spawn(move || {
                done.store(true, Ordering::Relaxed);
                semaphore.put(1).unwrap();
            })
        };
        semaphore.get(Plain).unwrap();
        assert!(done.load(Ordering::Relaxed));
        putting.join().unwrap();
    });
}

#[test]
fn what_was_done_before_a_stop_is_seen_by_who_is_told_of_it() {
    check(|semaphore| {
        let done = Arc::new(AtomicBool::new(false));
        let stopping = {
            let (semaphore, done) = (Arc::clone(&semaphore), Arc::clone(&done));
            thread::spawn(move || {
                done.store(true, Ordering::Relaxed);
                semaphore.stop();
            })
        };
        while semaphore.try_get() != Err(WaitError::Stopped) {
            thread::yield_now();
        }
        assert!(done.load(Ordering::Relaxed));
        stopping.join().unwrap();
    });
}
