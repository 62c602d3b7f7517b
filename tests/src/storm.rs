//! A storm: threads enter Python at random moments while it starts and stops.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use raddle::{Closed, Options, enter};

use crate::python::{run, start};
use crate::spawn;

/// A small generator of random numbers: the test says its seed, and the same seed gives the same
/// numbers (Marsaglia's xorshift).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Spins for a random time below a bound: a moment to be hit, not something to wait for.
    fn dawdle(&mut self, microseconds: u64) {
        let until = Instant::now() + Duration::from_micros(self.below(microseconds));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    }
}

/// One process's life: threads enter from before the start until after the stop, and end at
/// random moments; Python threads come and go too.
///
/// # Panics
///
/// If an entry is neither let in nor refused with a reason that fits, or the stop fails.
pub fn storm(seed: u64) {
    let mut dice = Dice::new(seed);
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let mut dice = Dice::new(seed * 100 + number);
            spawn("storm", move || {
                let mut started = false;
                for _ in 0..2_000 {
                    dice.dawdle(200);
                    let quiet = dice.below(4) == 0;
                    match enter(|py| {
                        if quiet {
                            py.detach(|| ());
                        }
                    }) {
                        Ok(()) => started = true,
                        Err(Closed::NotStarted) => assert!(!started, "seed {seed}"),
                        Err(Closed::Stopping | Closed::Stopped) if dice.below(3) == 0 => break,
                        Err(Closed::Stopping | Closed::Stopped) => started = true,
                        Err(other) => panic!("seed {seed}: {other}"),
                    }
                }
            })
        })
        .collect();
    dice.dawdle(3_000);
    let runtime = start(&Options::new());
    if dice.below(2) == 0 {
        run("
import threading
for _ in range(3):
    threading.Thread(target=sum, args=(range(1000),)).start()");
    }
    dice.dawdle(20_000);
    runtime
        .stop(Some(Duration::from_secs(30)))
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    if dice.below(2) == 0 {
        // Else the process ends while they are under way.
        threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
    }
}
