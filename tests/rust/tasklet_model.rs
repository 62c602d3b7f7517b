//! Random programs of tasklets and channels do what the reference model says.
#![forbid(unsafe_code)]

use std::time::Duration;

use raddle::{Options, enter};
use raddle_tests::Child;
use raddle_tests::python::start;
use raddle_tests::tasklets::compare;

#[test]
fn a_hundred_thousand_steps_are_those_of_the_model() {
    let child = Child::new("a_hundred_thousand_steps_are_those_of_the_model");
    let seen = child.timeout(Duration::from_secs(300)).run(|| {
        let runtime = start(&Options::new());
        let steps = enter(|_| compare(100_000)).expect("the gate is open");
        assert!(steps >= 100_000);
        runtime.stop(Some(Duration::from_secs(20))).expect("Python stops");
    });
    if let Some(seen) = seen {
        seen.assert_success();
    }
}
