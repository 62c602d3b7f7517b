//! Models of the pile on which dead threads' states and dropped references lie.
//!
//! Mutants seen to fail: a push that does not release, a take that does not acquire.
#![forbid(unsafe_code)]
#![cfg(raddle_loom)]

use std::sync::Arc;

use loom::thread;
use raddle::gate::pile::Pile;
use raddle_tests::explored;

fn pusher(pile: &Arc<Pile<u32>>, values: &'static [u32]) -> thread::JoinHandle<u32> {
    let pile = Arc::clone(pile);
    thread::spawn(move || values.iter().map(|value| u32::from(pile.push(*value))).sum())
}

#[test]
fn nothing_is_lost_or_taken_twice() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    explored::check(builder, || {
        let pile = Arc::new(Pile::new());
        let pushers = [pusher(&pile, &[1, 2]), pusher(&pile, &[3])];
        let mut seen: Vec<u32> = pile.take().collect();
        for handle in pushers {
            handle.join().unwrap();
        }
        seen.extend(pile.take());
        let place = |value| seen.iter().position(|other| *other == value);
        assert!(place(1) < place(2), "one thread's values come out in its order: {seen:?}");
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3]);
    });
}

#[test]
fn somebody_is_told_whenever_the_pile_stops_being_empty() {
    explored::model(|| {
        let pile = Arc::new(Pile::new());
        let pushers = [pusher(&pile, &[1]), pusher(&pile, &[2])];
        let told: u32 = pushers.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!(told, 1, "two pushes onto an empty pile fill it once");
        assert_eq!(pile.take().count(), 2);
    });
}

#[test]
fn two_takers_share_what_is_there() {
    explored::model(|| {
        let pile = Arc::new(Pile::new());
        pile.push(1);
        pile.push(2);
        let other = {
            let pile = Arc::clone(&pile);
            thread::spawn(move || pile.take().count())
        };
        let mine = pile.take().count();
        assert_eq!(mine + other.join().unwrap(), 2);
    });
}
