//! Records that found the ring full: how many of each band, and when.
#![forbid(unsafe_code)]

use core::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::level::{BANDS, Level};
use crate::primitive::{AtomicU64, Ordering};

/// A count for each band.
pub type Counts = [u64; BANDS.len()];

/// What was dropped, in all and since the last report.
#[derive(Debug)]
pub struct Drops {
    total: [AtomicU64; BANDS.len()],
    unreported: [AtomicU64; BANDS.len()],
    /// Times in nanoseconds since 1970; 0 is none.
    first: AtomicU64,
    last: AtomicU64,
}

/// What was dropped between two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many of each band.
    pub counts: Counts,
    /// When the first was dropped, in nanoseconds since 1970.
    pub first: u64,
    /// When the last was.
    pub last: u64,
}

impl Drops {
    /// None.
    #[cfg(not(raddle_loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            total: [const { AtomicU64::new(0) }; BANDS.len()],
            unreported: [const { AtomicU64::new(0) }; BANDS.len()],
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// None.
    #[cfg(raddle_loom)]
    #[must_use]
    pub fn new() -> Self {
        let zeros = || core::array::from_fn(|_| AtomicU64::new(0));
        let [first, last] = core::array::from_fn(|_| AtomicU64::new(0));
        Self { total: zeros(), unreported: zeros(), first, last }
    }

    /// Counts one, dropped at `now`.
    pub fn count(&self, level: Level, now: u64) {
        let band = level.band();
        // Relaxed: the count below publishes the times.
        self.last.fetch_max(now, Ordering::Relaxed);
        let _known = self.first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        self.total[band].fetch_add(1, Ordering::Relaxed);
        // Release: pairs with the Acquire in `take`.
        self.unreported[band].fetch_add(1, Ordering::Release);
    }

    /// Whether there is something to report. May be out of date at once.
    pub fn is_pending(&self) -> bool {
        self.unreported.iter().any(|count| count.load(Ordering::Relaxed) != 0)
    }

    /// What was dropped since this was asked last.
    pub fn take(&self) -> Option<Report> {
        // Acquire: whoever was counted has told its time.
        let counts = self.unreported.each_ref().map(|count| count.swap(0, Ordering::Acquire));
        if counts.iter().all(|count| *count == 0) {
            return None;
        }
        let first = self.first.swap(0, Ordering::Relaxed);
        let last = self.last.load(Ordering::Relaxed);
        // One that comes in between is counted next time, when its own time may be taken already.
        let first = if first == 0 { last } else { first.min(last) };
        Some(Report { counts, first, last })
    }

    /// What was dropped in all.
    pub fn total(&self) -> Counts {
        self.total.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// In a forked child: what the parent lost is the parent's to report.
    pub fn forget(&self) {
        let _parents = self.take();
        self.total.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

impl Default for Drops {
    fn default() -> Self {
        Self::new()
    }
}

/// Nanoseconds since 1970.
#[must_use]
#[inline]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())
}

impl Report {
    /// How many in all.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// "12 records dropped (10 debug, 2 warning) between 12:00:01.123 and 12:00:01.456", with the
    /// times as `clock` writes them.
    pub fn line(&self, clock: impl Fn(u64) -> String) -> String {
        let each: Vec<String> = BANDS
            .iter()
            .zip(self.counts)
            .filter(|(_, count)| *count != 0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        let (sum, each) = (self.sum(), each.join(", "));
        let s = if sum == 1 { "" } else { "s" };
        let [first, last] = [self.first, self.last].map(clock);
        format!("{sum} record{s} dropped ({each}) between {first} and {last}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &self.line(|time| format!("{}.{:09}", time / 1_000_000_000, time % 1_000_000_000)),
        )
    }
}

#[cfg(all(test, not(raddle_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_how_many_of_each_band_and_when() {
        let drops = Drops::new();
        assert_eq!(drops.take(), None);
        (0..10).for_each(|time| drops.count(Level::DEBUG, 100 + time));
        drops.count(Level(35), 120);
        drops.count(Level::WARNING, 115);
        assert!(drops.is_pending());
        let report = drops.take().expect("something was dropped");
        assert_eq!((report.first, report.last), (100, 120));
        assert_eq!(
            report.line(|time| time.to_string()),
            "12 records dropped (10 debug, 2 warning) between 100 and 120"
        );
        assert!(!drops.is_pending());
        assert_eq!(drops.total(), [0, 10, 0, 2, 0, 0]);
    }
}
