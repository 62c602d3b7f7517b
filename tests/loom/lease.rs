//! Models of a lease: users come and go while the owner takes the value back.
#![forbid(unsafe_code)]
#![cfg(raddle_loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;
use raddle::lease::Lease;
use raddle_tests::explored;

/// Counts its drops, and is wrong to use after one.
struct Value(Arc<AtomicU32>);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn user(lease: &Arc<Lease<Value>>) -> thread::JoinHandle<bool> {
    let lease = Arc::clone(lease);
    thread::spawn(move || {
        let inside = lease.use_it();
        if let Some(value) = &inside {
            assert_eq!(value.0.load(Ordering::Relaxed), 0, "dropped while it is used");
        }
        inside.is_some()
    })
}

#[test]
fn a_revoked_value_is_dropped_once_and_never_under_a_user() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    explored::check(builder, || {
        let drops = Arc::new(AtomicU32::new(0));
        let lease = Arc::new(Lease::new(Value(Arc::clone(&drops))));
        let users = [user(&lease), user(&lease)];
        assert!(lease.revoke());
        for handle in users {
            handle.join().unwrap();
        }
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        assert!(lease.use_it().is_none());
    });
}

#[test]
fn of_two_who_revoke_one_is_the_first_and_one_drops() {
    explored::model(|| {
        let drops = Arc::new(AtomicU32::new(0));
        let lease = Arc::new(Lease::new(Value(Arc::clone(&drops))));
        let inside = user(&lease);
        let other = {
            let lease = Arc::clone(&lease);
            thread::spawn(move || lease.revoke())
        };
        let mine = lease.revoke();
        assert!(mine ^ other.join().unwrap());
        inside.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

/// Tells at its drop whether somebody had noted something in it.
struct Noted {
    noted: AtomicBool,
    at_drop: Arc<AtomicBool>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.at_drop.store(self.noted.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[test]
fn who_drops_it_sees_what_the_last_user_did() {
    explored::model(|| {
        let at_drop = Arc::new(AtomicBool::new(false));
        let noted = AtomicBool::new(false);
        let lease = Arc::new(Lease::new(Noted { noted, at_drop: Arc::clone(&at_drop) }));
        let user = {
            let lease = Arc::clone(&lease);
            thread::spawn(move || {
                let inside = lease.use_it();
                inside.map(|value| value.noted.store(true, Ordering::Relaxed)).is_some()
            })
        };
        assert!(lease.revoke());
        let used = user.join().unwrap();
        assert_eq!(at_drop.load(Ordering::Relaxed), used);
    });
}
