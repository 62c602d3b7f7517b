//! Threads post, finish and drain while queues are closed, forked away and dropped at random moments.
#![forbid(unsafe_code)]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use raddle::relay::completion::{Budget, Completions};
use raddle::{Options, Runtime, Status, enter};
use raddle_tests::storm::Dice;
use raddle_tests::{Child, spawn};

/// What becomes of what was posted: each is counted once, when it is dropped.
struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// One queue's life: three threads post, two drain by turns, one closes; and perhaps Python ends first.
fn life(seed: u64) {
    let mut dice = Dice::new(seed);
    let runtime = Runtime::start(&Options::new()).expect("Python starts");
    for round in 0..20 {
        let places = NonZeroU32::new(u32::try_from(dice.below(4) * 8).expect("small"));
        let queue = places.map_or_else(Completions::new, Completions::bounded);
        let queue = queue.expect("a descriptor is free");
        let (made, dropped, ran) =
            (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut threads: Vec<_> = (0..3)
            .map(|_| {
                let (queue, made) = (queue.clone(), made.clone());
                let (dropped, ran) = (dropped.clone(), ran.clone());
                spawn("posts", move || {
                    for _ in 0..2_000 {
                        made.fetch_add(1, SeqCst);
                        let (counted, ran) = (Counted(dropped.clone()), ran.clone());
                        let posted = queue.post_within(Duration::from_millis(50), move |_| {
                            let _counted = counted;
                            ran.fetch_add(1, SeqCst);
                        });
                        match posted.map_err(|refused| refused.error.status()) {
                            Ok(()) | Err(Status::TimedOut) => {}
                            Err(Status::Stopped) => return,
                            Err(other) => panic!("seed {seed}, round {round}: {other:?}"),
                        }
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            let queue = queue.clone();
            threads.push(spawn("drains", move || {
                while !queue.is_closed() {
                    let budget = Budget { count: 100, time: Duration::MAX };
                    // The other one may be at it, and Python may end.
                    drop(enter(|py| queue.drain(py, budget)));
                }
            }));
        }
        let until = Instant::now() + Duration::from_micros(dice.below(20_000));
        while Instant::now() < until {
            std::thread::yield_now();
        }
        let python_ends = round == 19;
        if python_ends {
            let stopped = runtime.stop(Some(Duration::from_secs(30)));
            assert_eq!(stopped, Ok(()), "seed {seed}");
            assert!(queue.is_closed(), "seed {seed}");
        } else {
            queue.close();
        }
        threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
        let stats = queue.stats();
        drop(queue);
        assert_eq!(made.load(SeqCst), dropped.load(SeqCst), "seed {seed}, round {round}");
        assert_eq!(stats.ran, ran.load(SeqCst), "seed {seed}, round {round}");
        let accounted = stats.ran + stats.discarded + stats.refused;
        assert_eq!(made.load(SeqCst), accounted, "seed {seed}, round {round}: {stats:?}");
    }
}

#[test]
#[ignore = "takes minutes"]
fn each_that_was_posted_is_run_dropped_or_refused_whenever_the_queue_is_closed() {
    let name = "each_that_was_posted_is_run_dropped_or_refused_whenever_the_queue_is_closed";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    println!("seeds {now}000 to {now}099; one again: STORM_SEED=SEED");
    let only = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds: Vec<u64> =
        only.map_or_else(|| (0..100).map(|n| now * 1000 + n).collect(), |seed| vec![seed]);
    for seed in seeds {
        let child = Child::new(name).timeout(Duration::from_secs(120));
        let seen = child.env("STORM_SEED", seed.to_string()).run(|| life(seed));
        let Some(seen) = seen else { return };
        println!("seed {seed}: {:?}", seen.status);
        seen.assert_success();
    }
}
