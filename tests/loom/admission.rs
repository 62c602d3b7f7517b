//! Models of the gate's admission: an entry and a stop never miss each other.
#![forbid(unsafe_code)]
#![cfg(raddle_loom)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::sync::Arc;

use loom::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use raddle::gate::admission::{Admission, Inside};
use raddle_tests::explored;

/// A gate, one thread's flag, and whether Python still is there.
struct World {
    gate: Admission,
    inside: Inside,
    python: AtomicBool,
}

fn open_world(asymmetric: bool) -> Arc<World> {
    let world =
        World { gate: Admission::new(), inside: Inside::new(), python: AtomicBool::new(true) };
    world.gate.open(asymmetric);
    Arc::new(world)
}

/// Enters if it is let in, and looks whether Python is there while it is inside.
fn enter(world: &World) {
    if world.gate.admit(&world.inside).is_ok() {
        assert!(world.python.load(Ordering::Relaxed), "inside, and Python is gone");
        world.gate.depart(&world.inside);
    }
}

fn stop(world: &World) {
    assert!(world.gate.close());
    assert!(world.gate.wait(None, || !world.inside.is_set()));
    assert!(world.gate.begin_finalizing());
    assert!(world.gate.wait(None, || true));
    world.python.store(false, Ordering::Relaxed);
    world.gate.end();
}

fn an_entry_meets_a_stop(asymmetric: bool) {
    explored::model(move || {
        let world = open_world(asymmetric);
        let entering = {
            let world = Arc::clone(&world);
            thread::spawn(move || enter(&world))
        };
        stop(&world);
        entering.join().unwrap();
        assert!(world.gate.admit(&world.inside).is_err());
    });
}

#[test]
fn a_stop_waits_for_an_entry_or_the_entry_is_refused() {
    an_entry_meets_a_stop(true);
}

#[test]
fn the_same_holds_without_membarrier() {
    an_entry_meets_a_stop(false);
}

#[test]
fn a_second_entry_of_the_same_thread_is_no_different() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    explored::check(builder, || {
        let world = open_world(true);
        let entering = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                enter(&world);
                enter(&world);
            })
        };
        stop(&world);
        entering.join().unwrap();
    });
}

#[test]
fn a_visit_is_over_before_python_goes_or_is_refused() {
    explored::model(|| {
        let world = open_world(true);
        let visiting = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.gate.visit(1, || {
                    assert!(world.python.load(Ordering::Relaxed), "on a visit, and Python is gone");
                });
            })
        };
        stop(&world);
        visiting.join().unwrap();
        assert!(world.gate.visit(1, || ()).is_none());
    });
}

#[test]
fn abandoning_ends_a_stop_that_waits() {
    explored::model(|| {
        let world = open_world(true);
        world.gate.admit(&world.inside).unwrap();
        let stopping = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.gate.close();
                world
                    .gate
                    .wait(None, || !world.inside.is_set() || world.gate.word().is_abandoned());
            })
        };
        world.gate.abandon();
        stopping.join().unwrap();
    });
}
