//! Random programs of tasklets and channels against the reference model, a million steps of them.
#![forbid(unsafe_code)]

use std::time::Duration;

use raddle::{Options, enter};
use raddle_tests::Child;
use raddle_tests::python::start;
use raddle_tests::tasklets::compare;

#[test]
#[ignore = "takes minutes"]
fn tasklet_programs_are_those_of_the_model_a_million_steps_long() {
    let child = Child::new("tasklet_programs_are_those_of_the_model_a_million_steps_long");
    let seen = child.timeout(Duration::from_secs(1800)).run(|| {
        let runtime = start(&Options::new());
        let steps = enter(|_| compare(1_000_000)).expect("the gate is open");
        println!("{steps} steps");
        runtime.stop(Some(Duration::from_secs(20))).expect("Python stops");
    });
    if let Some(seen) = seen {
        print!("{}", seen.stdout);
        seen.assert_success();
    }
}
