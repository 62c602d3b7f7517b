//! A model of the reaper: a dead thread's state is cleared by the stop, or left to Python whole.
#![forbid(unsafe_code)]
#![cfg(raddle_loom)]

use std::sync::Arc;

use loom::thread;
use raddle::gate::{admission::Admission, pile::Pile};
use raddle_tests::explored;

#[test]
fn no_state_is_handed_over_after_the_last_drain() {
    explored::model(|| {
        let world = Arc::new((Admission::new(), Pile::new()));
        let generation = world.0.open(true).generation();
        let dying = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let (gate, orphans) = &*world;
                gate.visit(generation, || orphans.push("state")).is_some()
            })
        };
        let (gate, orphans) = &*world;
        gate.close();
        gate.wait(None, || true);
        gate.begin_finalizing();
        gate.wait(None, || true);
        let drained = orphans.take().count();
        let handed_over = dying.join().unwrap();
        assert_eq!(drained, usize::from(handed_over));
        assert!(orphans.is_empty(), "a state lies on the pile, and Python has freed it");
    });
}
