//! Rings and semaphores under random loads that are stopped at random moments, for a minute each.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use raddle::primitive::{AtomicU64, Ordering};
use raddle::relay::{Plain, PushError, Ring, Semaphore, WaitError};
use raddle_tests::spawn;
use raddle_tests::storm::Dice;

const RUN: Duration = Duration::from_secs(60);

/// Calls with a new seed each time until a minute has passed; `RELAY_SEED` is one alone.
fn for_a_minute(round: impl Fn(u64)) {
    if let Some(seed) = std::env::var("RELAY_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return round(seed);
    }
    let first = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() * 100_000;
    let begun = Instant::now();
    let mut seed = first;
    while begun.elapsed() < RUN {
        round(seed);
        seed += 1;
    }
    println!("seeds {first} to {}; one again: RELAY_SEED=SEED", seed - 1);
}

/// Spins for a random time: a moment to be hit, not something to wait for.
fn dawdle(dice: &mut Dice, microseconds: u64) {
    let until = Instant::now() + Duration::from_micros(dice.below(microseconds));
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Pushes in one way or another; says whether the value went in, or that the ring is stopped.
fn push(ring: &Ring<u64>, dice: &mut Dice, value: u64) -> Option<bool> {
    let pushed = match dice.below(3) {
        0 => ring.try_push(value),
        1 => ring.push_within(value, Plain, Duration::from_millis(dice.below(3))),
        _ => ring.push(value, Plain),
    };
    match pushed {
        Ok(()) => Some(true),
        Err(PushError { why: WaitError::TimedOut, value: back }) => {
            assert_eq!(back, value);
            Some(false)
        }
        Err(PushError { why: WaitError::Stopped, .. }) => None,
    }
}

fn pop(ring: &Ring<u64>, dice: &mut Dice) -> Result<u64, WaitError> {
    match dice.below(3) {
        0 => ring.try_pop(),
        1 => ring.pop_within(Plain, Duration::from_millis(dice.below(3))),
        _ => ring.pop(Plain),
    }
}

/// One ring's life: what was pushed is popped once, in spite of a stop at any moment.
fn ring_round(seed: u64) {
    let mut dice = Dice::new(seed);
    let capacity = u32::try_from(1 + dice.below(8)).unwrap();
    let ring = Arc::new(Ring::new(capacity).unwrap());
    let producers = 1 + dice.below(3);
    (0..producers).for_each(|_| ring.add_producer());
    let producers: Vec<_> = (0..producers)
        .map(|number| {
            let (ring, mut dice) = (Arc::clone(&ring), Dice::new(seed * 10 + number));
            spawn("producer", move || {
                let (mut count, mut sum) = (0, 0);
                for value in 1..=1 + dice.below(400) {
                    match push(&ring, &mut dice, value) {
                        Some(true) => (count, sum) = (count + 1, sum + value),
                        Some(false) => {}
                        None => break,
                    }
                }
                ring.remove_producer().unwrap();
                (count, sum)
            })
        })
        .collect();
    let consumers: Vec<_> = (0..=dice.below(3))
        .map(|number| {
            let (ring, mut dice) = (Arc::clone(&ring), Dice::new(seed * 10 + 5 + number));
            spawn("consumer", move || {
                let (mut count, mut sum) = (0_u64, 0);
                loop {
                    match pop(&ring, &mut dice) {
                        Ok(value) => (count, sum) = (count + 1, sum + value),
                        Err(WaitError::Stopped) => return (count, sum),
                        Err(WaitError::TimedOut) => {}
                    }
                }
            })
        })
        .collect();
    if dice.below(2) == 0 {
        dawdle(&mut dice, 500);
        ring.stop();
    }
    let total = |threads: Vec<std::thread::JoinHandle<(u64, u64)>>| {
        let each = threads.into_iter().map(|thread| thread.join().expect("no thread panics"));
        each.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    };
    assert_eq!(total(producers), total(consumers), "seed {seed}: pushed and popped");
    let stats = ring.stats();
    assert!(ring.is_stopped() && stats.length == 0, "seed {seed}: {stats:?}");
    assert!(stats.pushes == stats.pops && stats.max_length <= capacity.into(), "seed {seed}");
}

/// One semaphore's life: as many tokens are taken as were put, whoever waits, polls or gives up.
fn semaphore_round(seed: u64) {
    let mut dice = Dice::new(seed);
    let semaphore = Arc::new(Semaphore::new(0).unwrap());
    let taken = Arc::new(AtomicU64::new(0));
    let takers: Vec<_> = (0..=dice.below(3))
        .map(|number| {
            let (semaphore, taken) = (Arc::clone(&semaphore), Arc::clone(&taken));
            let mut dice = Dice::new(seed * 10 + number);
            spawn("taker", move || {
                loop {
                    let got = match dice.below(4) {
                        0 => semaphore.try_get(),
                        1 => semaphore.get_within(Plain, Duration::from_millis(dice.below(2))),
                        2 => {
                            assert!(semaphore.fd() >= 0);
                            semaphore.get(Plain)
                        }
                        _ => semaphore.get(Plain),
                    };
                    match got {
                        Ok(()) => taken.fetch_add(1, Ordering::Relaxed),
                        Err(WaitError::Stopped) => return,
                        Err(WaitError::TimedOut) => 0,
                    };
                }
            })
        })
        .collect();
    let mut put = 0;
    for _ in 0..dice.below(300) {
        let tokens = dice.below(4);
        semaphore.put(u32::try_from(tokens).unwrap()).unwrap();
        put += tokens;
        dawdle(&mut dice, 20);
    }
    // All of them find a taker before anybody is told of the stop.
    semaphore.stop();
    takers.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
    assert_eq!(taken.load(Ordering::Relaxed), put, "seed {seed}");
    assert_eq!(semaphore.value(), 0, "seed {seed}");
}

#[test]
#[ignore = "takes a minute"]
fn what_is_pushed_is_popped_once_whenever_the_ring_is_stopped() {
    for_a_minute(ring_round);
}

#[test]
#[ignore = "takes a minute"]
fn as_many_tokens_are_taken_as_were_put() {
    for_a_minute(semaphore_round);
}
