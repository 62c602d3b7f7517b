//! Handlers in Python connected, called, disconnected and dropped by eight threads at random moments, with objects that
//! end meanwhile, and a Python that may.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use glib::prelude::*;
use pyo3::Python;
use pyo3::types::{PyAnyMethods as _, PyDictMethods as _, PyModuleMethods as _};
use raddle::{Options, Ref, Runtime, enter};
use raddle_glib::signal_connect;
use raddle_tests::storm::Dice;
use raddle_tests::{Child, spawn};

const THREADS: u64 = 8;
const OBJECTS: usize = 16;
const STEPS: u64 = 3_000;

const CODE: &core::ffi::CStr = c"
import threading
lock = threading.Lock()
made = gone = 0
def count(name):
    with lock:
        globals()[name] += 1
class Call:
    def __init__(self): count('made')
    def __call__(self, thing, *given): return given[0] if given else None
    def __del__(self): count('gone')
";

mod thing {
    use std::sync::OnceLock;

    use glib::subclass::{Signal, prelude::*};
    use glib::{prelude::*, types::Type};

    #[derive(Debug, Default)]
    pub struct Thing;

    #[glib::object_subclass]
    impl ObjectSubclass for Thing {
        const NAME: &'static str = "RaddleStressThing";
        type Type = super::Thing;
    }

    impl ObjectImpl for Thing {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                let asks = Signal::builder("asks").param_types([i32::static_type()]);
                let asks = asks.return_type_from(Type::I32).build();
                vec![Signal::builder("plain").build(), asks]
            })
        }
    }
}

glib::wrapper! {
    pub struct Thing(ObjectSubclass<thing::Thing>);
}

// SAFETY: it has no state of its own; counting references, connecting and emitting are safe on any thread.
unsafe impl Send for Thing {}

/// The objects of a storm, each of which goes when the last thread lets it go.
type Things = Arc<Mutex<Vec<Thing>>>;

fn callable() -> Option<Ref> {
    let made = enter(|py: Python<'_>| {
        let call = py.import("__main__")?.dict().get_item("Call")?.unwrap();
        call.call0().map(Ref::new)
    });
    made.ok().map(Result::unwrap)
}

fn number(name: &str) -> u64 {
    enter(|py| {
        let names = py.import("__main__").unwrap().dict();
        names.get_item(name).unwrap().unwrap().extract().unwrap()
    })
    .unwrap()
}

/// One thread's steps. Refusals are normal once Python has been told to end.
fn storm(things: &Things, dice: &mut Dice) {
    let mut connected = Vec::new();
    for _ in 0..STEPS {
        let at = usize::try_from(dice.below(OBJECTS as u64)).unwrap();
        let thing = things.lock().unwrap()[at].clone();
        match dice.below(9) {
            0..=2 => {
                let signal = if dice.below(2) == 0 { "plain" } else { "asks" };
                let Some(callable) = callable() else { continue };
                if let Ok(id) = signal_connect(&thing, signal, callable, dice.below(2) == 0) {
                    connected.push((thing.downgrade(), id));
                }
            }
            3 if !connected.is_empty() => {
                let which = usize::try_from(dice.below(connected.len() as u64)).unwrap();
                let (weak, id) = connected.swap_remove(which);
                if let Some(thing) = weak.upgrade() {
                    thing.disconnect(id);
                }
            }
            4 => {
                let fresh = glib::Object::new::<Thing>();
                // The former one ends here, if no other thread is at it.
                drop(std::mem::replace(&mut things.lock().unwrap()[at], fresh));
            }
            5 => {
                let Some(callable) = callable() else { continue };
                // SAFETY: nobody reads it; it is dropped with the object or by the next one.
                unsafe { thing.set_data("kept", callable) };
            }
            6 => thing.emit_by_name::<()>("plain", &[]),
            // Inside an entry, and where one has been given up.
            7 => drop(enter(|_| thing.emit_by_name::<i32>("asks", &[&7]))),
            _ => drop(enter(|_| raddle::release(|| thing.emit_by_name::<i32>("asks", &[&7])))),
        }
    }
}

/// A process's life: with an even seed Python ends afterwards, and all that was made is gone; with an odd one it
/// ends in the middle.
fn life(seed: u64) {
    raddle_glib::install().unwrap();
    let runtime = Runtime::start(&Options::new()).unwrap();
    enter(|py| py.run(CODE, Some(&py.import("__main__").unwrap().dict()), None).unwrap()).unwrap();
    let things: Things = Arc::default();
    things.lock().unwrap().extend((0..OBJECTS).map(|_| glib::Object::new::<Thing>()));
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (things, mut dice) = (Arc::clone(&things), Dice::new(seed * THREADS + number));
            spawn("storm", move || storm(&things, &mut dice))
        })
        .collect();
    if seed % 2 == 1 {
        let until = Instant::now() + Duration::from_micros(Dice::new(seed).below(50_000));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        assert_eq!(runtime.stop(Some(Duration::from_secs(30))), Ok(()));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    things.lock().unwrap().clear();
    if seed % 2 == 0 {
        assert_eq!(number("made"), number("gone"), "seed {seed}");
        assert!(number("made") > 0);
        assert_eq!(runtime.stop(Some(Duration::from_secs(30))), Ok(()));
    }
}

#[test]
#[ignore = "takes minutes"]
fn a_hundred_storms_of_glib_signals_end_with_nothing_left() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    println!("seeds {now}00 to {now}99; one again: GLIB_SEED=SEED");
    let only = std::env::var("GLIB_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds: Vec<u64> =
        only.map_or_else(|| (0..100).map(|n| now * 100 + n).collect(), |seed| vec![seed]);
    for seed in seeds {
        let child = Child::new("a_hundred_storms_of_glib_signals_end_with_nothing_left");
        let child = child.timeout(Duration::from_secs(120));
        let seen = child.env("GLIB_SEED", seed.to_string()).run(|| life(seed));
        let Some(seen) = seen else { return };
        println!("seed {seed}: {:?}", seen.status);
        seen.assert_success();
    }
}
