//! Two hundred processes for each situation and each way to end, that end while the relay is at work.
#![forbid(unsafe_code)]

use raddle_tests::shutdown::{End, live};
use raddle_tests::situations::ALL;

/// How often each situation ends each way; `SHUTDOWN_TIMES` says otherwise.
const TIMES: usize = 200;

#[test]
#[ignore = "takes minutes"]
fn every_situation_ends_two_hundred_times_each_way() {
    let name = "every_situation_ends_two_hundred_times_each_way";
    let is_child = std::env::var_os("RADDLE_TEST_SITUATION").is_some();
    let wanted = std::env::var("SHUTDOWN_TIMES").ok().and_then(|times| times.parse().ok());
    let times = if is_child { 1 } else { wanted.unwrap_or(TIMES) };
    for situation in &ALL {
        for end in [End::Host, End::Python] {
            (0..times).for_each(|_| live(name, end, situation));
            if !is_child {
                println!("{}, ended by {end:?}: {times} times", situation.0);
            }
        }
    }
}
