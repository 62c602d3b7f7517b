//! What Python code may be waiting for, so that the end of Python can wake it.
//!
//! An exit stopper of the first stage stops all of it, before Python's threads are joined. What is
//! made after that is born stopped: nobody would wake who waits for it.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};

use crate::gate::control;
use crate::primitive::{Mutex, lock};

/// Something that wakes its waiters when it is told to stop. Never waits.
pub(crate) trait Stop: Send + Sync {
    /// Wakes everybody who waits, for good.
    fn stop(&self);
}

struct Live {
    all: Vec<Weak<dyn Stop>>,
    /// The generation of Python whose waiters have been woken.
    stopped: u64,
}

static LIVE: Mutex<Live> = Mutex::new(Live { all: Vec::new(), stopped: 0 });

/// Has it stopped by [`stop_all`].
pub(crate) fn add(what: &Arc<impl Stop + 'static>) {
    let weak: Weak<dyn Stop> = Arc::downgrade(what) as Weak<dyn Stop>;
    let mut live = lock(&LIVE);
    if live.stopped == control::generation() {
        drop(live);
        what.stop();
        return;
    }
    if live.all.len() == live.all.capacity() {
        live.all.retain(|other| other.strong_count() > 0);
    }
    live.all.push(weak);
}

/// Whether there is anything to stop. If not, what is made from now on is born stopped all the same.
pub(super) fn is_any() -> bool {
    let mut live = lock(&LIVE);
    let any = live.all.iter().any(|what| what.strong_count() > 0);
    if !any {
        live.stopped = control::generation();
    }
    any
}

/// Wakes all who wait for any of them: Python is about to wait for its threads.
pub(super) fn stop_all() {
    let mut live = lock(&LIVE);
    live.stopped = control::generation();
    let all = core::mem::take(&mut live.all);
    // Not under the lock: the last reference may be dropped here.
    drop(live);
    all.iter().filter_map(Weak::upgrade).for_each(|what| what.stop());
}
