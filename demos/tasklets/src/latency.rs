//! How late a timer of the main loop comes: what tasklets cost everybody else there.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often the timer is due.
pub const EVERY: Duration = Duration::from_millis(5);

/// How late it came, each time.
#[derive(Clone, Debug, Default)]
pub struct Latency(Rc<RefCell<Times>>);

#[derive(Debug, Default)]
struct Times {
    last: Option<Instant>,
    late: Vec<Duration>,
}

/// Half of all were no later than the first, 99 of 100 no later than the second, none later than the third.
#[derive(Clone, Copy, Debug, Default)]
pub struct Late {
    pub half: Duration,
    pub most: Duration,
    pub worst: Duration,
}

impl Latency {
    /// The timer has come.
    pub fn tick(&self) {
        let mut times = self.0.borrow_mut();
        let now = Instant::now();
        if let Some(last) = times.last.replace(now) {
            times.late.push((now - last).saturating_sub(EVERY));
        }
    }

    /// Those since the one numbered `first`, and how many there are by now.
    pub fn since(&self, first: usize) -> (Late, usize) {
        let times = self.0.borrow();
        let mut late = times.late.get(first..).unwrap_or_default().to_vec();
        late.sort_unstable();
        let at =
            |part: usize| late.get((late.len() * part / 100).min(late.len().saturating_sub(1)));
        let at = |part| at(part).copied().unwrap_or_default();
        (Late { half: at(50), most: at(99), worst: at(100) }, times.late.len())
    }
}
