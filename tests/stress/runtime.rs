//! Two hundred processes, each with threads that enter while Python starts and stops.
#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use raddle_tests::Child;
use raddle_tests::storm::storm;

#[test]
#[ignore = "takes minutes"]
fn two_hundred_processes_start_and_stop_in_a_storm() {
    let name = "two_hundred_processes_start_and_stop_in_a_storm";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    println!("seeds {now}000 to {now}199; one again: STORM_SEED=SEED");
    let only = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds: Vec<u64> =
        only.map_or_else(|| (0..200).map(|n| now * 1000 + n).collect(), |s| vec![s]);
    for seed in seeds {
        let child = Child::new(name).timeout(Duration::from_secs(60));
        let seen = child.env("STORM_SEED", seed.to_string()).run(|| storm(seed));
        let Some(seen) = seen else { return };
        println!("seed {seed}: {:?}", seen.status);
        seen.assert_success();
    }
}
