//! What a log record costs the native thread that makes it while a Python thread is busy, beside pyo3-log.
//!
//! Each push is timed by itself, and the median cost of reading the clock twice in a row is taken off
//! the medians; the tails are left as they are. Pushes come at a pace, in bursts that the ring has room
//! for, with a flush after each: the worker shares Python with the busy thread, and what is timed is a
//! record that arrives, not one that is dropped. The floor, timed by turns with the pushes, formats the
//! same text into a buffer and copies it to where no thread looks: its tail is the machine's.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::{black_box, spin_loop};
use std::io::Write as _;
use std::time::{Duration, Instant};

use pyo3::types::{PyAnyMethods as _, PyModule};
use pyo3_log::{Caching, Logger};
use raddle::relay::log::{self as relay, Level, Target};
use raddle::{Options, Runtime};

const BURSTS: usize = 20;
/// What the ring has room for: a few of its slots stay free.
const BURST: usize = 3_000;
const PACE: Duration = Duration::from_micros(10);
/// Each of the peer's waits for the thread that is busy, some 5 ms.
const PEERS: usize = 300;

/// A busy Python thread, and a logger whose records go nowhere.
const SETTING: &core::ffi::CStr = c"
import logging, threading
logger = logging.getLogger('bench')
logger.addHandler(logging.NullHandler())
logger.propagate = False
logger.setLevel(logging.INFO)
going = True
def spin():
    while going: pass
thread = threading.Thread(target=spin)
def begin(): thread.start()
def end():
    global going
    going = False
    thread.join()
";

/// How long a call takes, in nanoseconds.
fn time(call: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    call();
    begun.elapsed().as_secs_f64() * 1e9
}

/// How long each of `count` calls takes, one every [`PACE`].
fn timed(count: usize, mut call: impl FnMut(usize)) -> Vec<f64> {
    let mut times = Vec::with_capacity(count);
    let mut next = Instant::now();
    for number in 0..count {
        while Instant::now() < next {
            spin_loop();
        }
        // A thread that was held up does not hurry afterwards.
        next = Instant::now() + PACE;
        times.push(time(|| call(black_box(number))));
    }
    times
}

/// The floor: as many slots as a burst has records, each as large as the ring's.
struct Floor {
    slots: Vec<[u8; 512]>,
}

impl Floor {
    fn new() -> Self {
        Self { slots: vec![[1; 512]; BURST] }
    }

    /// Formats the text, and copies it to the slot of that number.
    fn push(&mut self, number: usize) {
        let mut text = [0_u8; 64];
        write!(&mut text[..], "heap {number} is late").expect("there is room");
        let length = self.slots.len();
        self.slots[number % length][..64].copy_from_slice(black_box(&text));
    }
}

fn at(times: &[f64], share: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (share * times.len() as f64) as usize;
    times[index.min(times.len() - 1)]
}

fn call(module: &raddle::Ref<PyModule>, name: &str) {
    raddle::enter(|py| module.bind(py).call_method0(name).map(drop))
        .expect("the gate is open")
        .expect("Python does as it is told");
}

fn benches(wanted: impl Fn(&str) -> bool) {
    let names = ["relay.log_push", "relay.log_push_p999"];
    if !names.iter().any(|name| wanted(name)) {
        return;
    }
    let (module, peer, python) = raddle::enter(|py| {
        let module = PyModule::from_code(py, SETTING, c"bench.py", c"bench").expect("it compiles");
        let peer = Logger::new(py, Caching::LoggersAndLevels).expect("pyo3-log finds logging");
        let version = py.version_info();
        let python = format!("{}.{}.{}", version.major, version.minor, version.patch);
        (raddle::Ref::new(module), peer, python)
    })
    .expect("the gate is open");
    peer.filter(log::LevelFilter::Info).install().expect("nobody else logs here");
    let target = Target::named("bench");
    // The worker is there, and knows the level; the peer knows it too.
    raddle::log!(target, Level::INFO, "first");
    log::info!(target: "bench", "first");
    assert!(relay::flush(Some(Duration::from_secs(10))), "the first record arrives");
    call(&module, "begin");
    let before = relay::stats();
    let clock = at(&timed(1_000, |_| ()), 0.5);
    let push = |number| raddle::log!(target, Level::INFO, "heap {number} is late");
    let mut nowhere = Floor::new();
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..BURSTS {
        let both =
            timed(
                2 * BURST,
                |number| if number % 2 == 0 { push(number) } else { nowhere.push(number / 2) },
            );
        for pair in both.chunks_exact(2) {
            ours.push(pair[0]);
            floor.push(pair[1]);
        }
        assert!(relay::flush(Some(Duration::from_secs(20))), "what was pushed arrives");
    }
    let theirs = timed(PEERS, |number| log::info!(target: "bench", "heap {number} is late"));
    call(&module, "end");
    assert!(relay::flush(Some(Duration::from_secs(20))), "what was pushed arrives");
    let dropped: u64 =
        relay::stats().dropped.iter().zip(before.dropped).map(|(now, then)| now - then).sum();
    assert_eq!(dropped, 0, "a dropped record costs less than one that arrives");
    for (name, (share, off)) in
        names.into_iter().zip([(0.5, clock), (0.999, 0.0)]).filter(|(name, _)| wanted(name))
    {
        println!(
            "{{\"bench\":\"{name}\",\"python\":\"{python}\",\"ours_ns\":{:.1},\"peer\":\"pyo3-log\",\"peer_ns\":{:.0},\"floor\":\"the text formatted and copied\",\"floor_ns\":{:.1}}}",
            at(&ours, share) - off,
            at(&theirs, share) - off,
            at(&floor, share) - off,
        );
    }
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
