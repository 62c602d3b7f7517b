//! The queues of completions that are there, for the end of Python: what is left in them then is
//! given up while those who wait for it can still be told.
//!
//! What is made after that, under the same Python, is born as the others are left.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};

use super::own::Own;
use super::queue::{Completions, Queue};
use crate::error::Closed;
use crate::gate::{self, control};
use crate::primitive::{Mutex, MutexGuard, lock};

#[derive(Default)]
struct Live {
    queues: Vec<Weak<Queue>>,
    /// The generation of Python under which nobody waits for a place any more.
    hasty: u64,
    /// The generation of Python under which all are closed.
    closed: u64,
}

static LIVE: Own<Mutex<Live>> = Own::new();

fn live() -> MutexGuard<'static, Live> {
    lock(LIVE.get(Mutex::default))
}

/// Remembers a queue of this process.
pub(super) fn add(queue: &Completions) {
    let generation = control::generation();
    // One that is made between two Pythons is the next one's.
    let is_there = !matches!(gate::refusal(), Some(Closed::NotStarted | Closed::Stopped));
    let mut live = live();
    let (hasty, closed) = (live.hasty == generation, live.closed == generation);
    if live.queues.len() == live.queues.capacity() {
        live.queues.retain(|other| other.strong_count() > 0);
    }
    live.queues.push(Arc::downgrade(&queue.0));
    drop(live);
    if is_there && closed {
        queue.close();
    } else if is_there && hasty {
        queue.end_waits();
    }
}

/// The queues that are there, for the caller to drop: not under the lock.
fn all() -> Vec<Completions> {
    live().queues.iter().filter_map(Weak::upgrade).map(Completions).collect()
}

/// Whether any of them is open.
fn any_open() -> bool {
    all().iter().any(|queue| !queue.is_closed())
}

/// Whether anybody may be waiting for a place. If not, nobody will.
pub(crate) fn has_waits() -> bool {
    let any = any_open();
    if !any {
        live().hasty = control::generation();
    }
    any
}

/// Has nobody wait for a place from now on.
pub(crate) fn end_waits() {
    live().hasty = control::generation();
    all().iter().for_each(Completions::end_waits);
}

/// Whether there is a queue to close. If not, there will be none.
pub(crate) fn is_any() -> bool {
    let any = any_open();
    if !any {
        live().closed = control::generation();
    }
    any
}

/// Closes all, so that those who wait are told.
pub(crate) fn close_all() {
    live().closed = control::generation();
    let queues = all();
    // A gate that is closed already leaves nobody who could be told.
    if gate::enter(|py| queues.iter().for_each(|queue| queue.close_held(py))).is_err() {
        queues.iter().for_each(Completions::close);
    }
}
