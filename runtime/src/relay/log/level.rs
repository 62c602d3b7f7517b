//! Levels: Python's integers, and the six bands that losses are counted by.
#![forbid(unsafe_code)]

use core::fmt;

/// A level, as `logging` numbers them: any integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub i32);

impl Level {
    /// 5, below what `logging` names.
    pub const TRACE: Self = Self(5);
    /// 10.
    pub const DEBUG: Self = Self(10);
    /// 20.
    pub const INFO: Self = Self(20);
    /// 30.
    pub const WARNING: Self = Self(30);
    /// 40.
    pub const ERROR: Self = Self(40);
    /// 50.
    pub const CRITICAL: Self = Self(50);

    /// Which of the [`BANDS`] it counts to: that of the next named level below it.
    #[must_use]
    pub const fn band(self) -> usize {
        match self.0 {
            ..10 => 0,
            10..20 => 1,
            20..30 => 2,
            30..40 => 3,
            40..50 => 4,
            50.. => 5,
        }
    }

    /// The name of its band.
    #[must_use]
    pub const fn name(self) -> &'static str {
        BANDS[self.band()]
    }
}

/// The names of the bands, lowest first.
pub const BANDS: [&str; 6] = ["trace", "debug", "info", "warning", "error", "critical"];

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integer_counts_to_a_band() {
        let named = [
            Level::TRACE,
            Level::DEBUG,
            Level::INFO,
            Level::WARNING,
            Level::ERROR,
            Level::CRITICAL,
        ];
        assert_eq!(named.map(Level::name), BANDS);
        let edges = [i32::MIN, 9, 19, 20, 29, 49, 50, i32::MAX];
        assert_eq!(edges.map(|level| Level(level).band()), [0, 0, 1, 2, 2, 4, 5, 5]);
    }
}
