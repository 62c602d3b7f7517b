//! Starting, adopting and stopping Python. Each test is a process of its own.

use pyo3::types::PyAnyMethods;
use raddle::{Options, Runtime};
use raddle_tests::in_child;

#[test]
fn python_starts_and_stops() {
    in_child("python_starts_and_stops", || {
        let runtime = Runtime::start(&Options::new()).unwrap();
        assert!(runtime.is_open());
        let six = raddle::enter(|py| py.eval(c"2 * 3", None, None)?.extract::<u32>());
        assert_eq!(six.unwrap().unwrap(), 6);
        runtime.stop(None).unwrap();
        assert!(!runtime.is_open());
        assert_eq!(raddle::enter(|_| ()), Err(raddle::Closed::Stopped));
    });
}
