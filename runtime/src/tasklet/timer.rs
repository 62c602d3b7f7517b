//! Flags that are set when a time has passed: one thread for all, started when first wanted.
//!
//! A run with a time limit looks at its flag at each switch, where a clock reading would be half of
//! what the switch costs.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::primitive::{AtomicBool, Condvar, Mutex, Ordering, lock};

struct Timer {
    /// Unordered: there are as many as threads that run tasklets with a time limit now.
    flags: Vec<(Instant, Arc<AtomicBool>)>,
    runs: bool,
}

static TIMER: Mutex<Timer> = Mutex::new(Timer { flags: Vec::new(), runs: false });
static CHANGED: Condvar = Condvar::new();

/// How long the thread stays when nobody wants it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A flag that is set `time` from now.
pub(super) fn after(time: Duration) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(time.is_zero()));
    let Some(due) = Instant::now().checked_add(time) else { return flag };
    let mut timer = lock(&TIMER);
    timer.flags.push((due, Arc::clone(&flag)));
    if timer.runs {
        CHANGED.notify_one();
    } else {
        timer.runs =
            std::thread::Builder::new().name("raddle timer".to_owned()).spawn(keep).is_ok();
    }
    flag
}

/// Nobody looks at the flag any more.
pub(super) fn cancel(flag: &Arc<AtomicBool>) {
    lock(&TIMER).flags.retain(|(_, other)| !Arc::ptr_eq(other, flag));
}

/// Whoever forks loses the thread: the next flag starts another one.
pub(super) fn after_fork_in_child() {
    lock(&TIMER).runs = false;
}

fn keep() {
    let mut timer = lock(&TIMER);
    loop {
        let now = Instant::now();
        for (due, flag) in &timer.flags {
            if *due <= now {
                // Relaxed: a flag alone.
                flag.store(true, Ordering::Relaxed);
            }
        }
        timer.flags.retain(|(due, _)| *due > now);
        let idle = timer.flags.is_empty();
        let next = timer.flags.iter().map(|(due, _)| due.saturating_duration_since(now)).min();
        let waited = CHANGED.wait_timeout(timer, next.unwrap_or(PATIENCE));
        let (guard, timeout) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        timer = guard;
        if idle && timeout.timed_out() && timer.flags.is_empty() {
            timer.runs = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_until_set(flag: &AtomicBool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !flag.load(Ordering::Relaxed) {
            assert!(Instant::now() < deadline, "the flag is never set");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_flag_is_set_when_its_time_has_passed_and_not_before() {
        let begun = Instant::now();
        let (late, early) = (after(Duration::from_secs(3600)), after(Duration::from_millis(20)));
        wait_until_set(&early);
        assert!(begun.elapsed() >= Duration::from_millis(20));
        assert!(!late.load(Ordering::Relaxed));
        cancel(&late);
    }

    #[test]
    fn no_time_at_all_has_passed_already() {
        assert!(after(Duration::ZERO).load(Ordering::Relaxed));
    }
}
