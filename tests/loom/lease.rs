//! Models of a lease: users come and go while the owner takes the value back.
#![forbid(unsafe_code)]
#![cfg(raddle_loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use raddle::lease::Lease;

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
    builder.check(|| {
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
    loom::model(|| {
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

#[test]
fn a_user_sees_what_the_owner_did_before_leasing() {
    loom::model(|| {
        let drops = Arc::new(AtomicU32::new(0));
        let lease = Arc::new(Lease::new(Value(Arc::clone(&drops))));
        assert!(user(&lease).join().unwrap());
        drop(lease);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}
