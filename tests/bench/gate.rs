//! What going through the gate costs a host in Rust, beside PyO3's own way.
//!
//! Prints one JSON line per figure, like the benches in C (tests/bench/bench.h): rounds of ours and
//! of the peer take turns, and the median is printed.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use pyo3::{Py, PyAny, Python};
use raddle::{Entry, Options, Runtime};

const ROUNDS: usize = 101;

/// What one turn of `body` costs, in nanoseconds.
fn cost(count: u32, mut body: impl FnMut()) -> f64 {
    let begun = Instant::now();
    for _ in 0..count {
        body();
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn ensure_and_release() {
    // SAFETY: Python is started.
    let token = unsafe { pyo3_ffi::PyGILState_Ensure() };
    // SAFETY: the token of the line above.
    unsafe { pyo3_ffi::PyGILState_Release(token) };
}

/// One contestant's round.
type Round<'a> = &'a mut dyn FnMut() -> f64;

fn measure(name: &str, ours: Round<'_>, peer: &str, theirs: Round<'_>) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push(ours());
        b.push(theirs());
    }
    let python = raddle::enter(|py| {
        let version = py.version_info();
        format!("{}.{}.{}", version.major, version.minor, version.patch)
    });
    println!(
        "{{\"bench\":\"{name}\",\"python\":\"{}\",\"ours_ns\":{:.2},\"peer\":\"{peer}\",\"peer_ns\":{:.2}}}",
        python.expect("the gate is open"),
        median(a),
        median(b),
    );
}

/// PyO3's way on a thread that has no state of its own yet.
fn attach_on_a_fresh_thread(function: &Py<PyAny>) -> f64 {
    std::thread::scope(|scope| {
        let run = || cost(500, || Python::attach(|py| drop(function.call0(py))));
        scope.spawn(run).join().expect("the thread ends well")
    })
}

fn benches(wanted: impl Fn(&str) -> bool) {
    let function = raddle::enter(|py| {
        let module = pyo3::types::PyModule::from_code(py, c"def f(): pass", c"f.py", c"f");
        module
            .and_then(|module| pyo3::types::PyAnyMethods::getattr(&*module, "f"))
            .expect("the function is defined")
            .unbind()
    })
    .expect("the gate is open");
    let nest = || cost(50_000, || drop(black_box(Entry::new())));
    if wanted("gate.nested_rust") {
        let _outer = Entry::new().expect("the gate is open");
        measure("gate.nested_rust", &mut || nest(), "nested PyGILState_Ensure", &mut || {
            cost(50_000, ensure_and_release)
        });
    }
    if wanted("gate.nested_pyo3") {
        let _outer = Entry::new().expect("the gate is open");
        measure(
            "gate.nested_pyo3",
            &mut || nest(),
            "nested PyO3 Python::attach, which only counts",
            &mut || Python::attach(|_| cost(50_000, || Python::attach(|py| _ = black_box(py)))),
        );
    }
    if wanted("gate.pyo3_attach") {
        measure(
            "gate.pyo3_attach",
            &mut || {
                cost(4_000, || {
                    raddle::enter(|py| drop(function.call0(py))).expect("the gate is open");
                })
            },
            "PyO3 Python::attach, no kept state",
            &mut || attach_on_a_fresh_thread(&function),
        );
    }
    raddle::enter(|py| function.drop_ref(py)).expect("the gate is open");
}

fn main() {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let runtime = Runtime::start(&Options::new()).expect("Python starts");
    // On a thread that Python did not make.
    std::thread::scope(|scope| {
        scope.spawn(|| benches(|name| name.starts_with(&filter)));
    });
    runtime.stop(Some(Duration::from_secs(10))).expect("Python stops");
}
