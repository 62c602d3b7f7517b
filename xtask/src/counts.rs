//! Reads how many tests passed out of what cargo, meson and pytest print.
#![forbid(unsafe_code)]

use std::ops::AddAssign;

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Counts {
    /// From a line of `cargo test`: "test result: ok. 5 passed; 0 failed; 1 ignored; …".
    pub(crate) fn of_cargo(line: &str) -> Option<Self> {
        let line = line.strip_prefix("test result: ")?;
        Some(Self::of_pairs(line.split(['.', ';']).flat_map(words)))
    }

    /// From a line of `meson test` about one program: "3/4 gate  OK  0.15s  17 subtests passed".
    pub(crate) fn of_meson(line: &str) -> Option<Self> {
        let mut words = words(line);
        let (number, total) = words.next()?.split_once('/')?;
        number.parse::<u32>().ok().and(total.parse::<u32>().ok())?;
        let status = words.find(|word| {
            ["OK", "EXPECTEDFAIL", "SKIP", "FAIL", "ERROR", "TIMEOUT", "UNEXPECTEDPASS"]
                .contains(word)
        })?;
        let (took, subtests) = (words.next(), words.next().unwrap_or("1"));
        took?;
        let (passed, ran) = subtests.split_once('/').unwrap_or((subtests, subtests));
        let (passed, ran): (u32, u32) = (passed.parse().unwrap_or(1), ran.parse().unwrap_or(1));
        Some(match status {
            "OK" | "EXPECTEDFAIL" => Self { passed, ..Self::default() },
            "SKIP" => Self { skipped: 1, ..Self::default() },
            // A program that died after its last subtest has failed all the same.
            _ if ran > passed => Self { passed, failed: ran - passed, skipped: 0 },
            _ => Self { passed: passed.saturating_sub(1), failed: 1, skipped: 0 },
        })
    }

    /// From the last line of `pytest`: "==== 5 passed, 1 skipped in 0.10s ====".
    pub(crate) fn of_pytest(line: &str) -> Option<Self> {
        let line = line.trim_matches(['=', ' ']);
        let (totals, _) = line.rsplit_once(" in ")?;
        if !totals.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        Some(Self::of_pairs(totals.split(',').flat_map(words)))
    }

    /// From words that alternate numbers and labels.
    fn of_pairs<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = Self::default();
        let mut number = 0;
        for word in words {
            if let Ok(read) = word.parse() {
                number = read;
                continue;
            }
            match word {
                "passed" | "xfailed" => counts.passed += number,
                "failed" | "error" | "errors" | "xpassed" => counts.failed += number,
                "skipped" | "ignored" => counts.skipped += number,
                _ => {}
            }
            number = 0;
        }
        counts
    }
}

fn words(text: &str) -> std::str::SplitAsciiWhitespace<'_> {
    text.split_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_counts_ignored_tests_as_skipped() {
        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.01s";
        assert_eq!(Counts::of_cargo(line), Some(Counts { passed: 5, failed: 2, skipped: 1 }));
        assert_eq!(Counts::of_cargo("test a ... ok"), None);
    }

    #[test]
    fn meson_counts_the_subtests_of_each_program() {
        let counts = |passed, failed, skipped| Some(Counts { passed, failed, skipped });
        let read = Counts::of_meson;
        assert_eq!(
            read("1/4 gate          OK               0.15s   17 subtests passed"),
            counts(17, 0, 0)
        );
        assert_eq!(
            read("2/4 gate          FAIL             0.15s   3/17 subtests passed"),
            counts(3, 14, 0)
        );
        assert_eq!(
            read("10/12 a           TIMEOUT        120.00s   killed by signal 15"),
            counts(0, 1, 0)
        );
        assert_eq!(read("3/4 x             SKIP             0.01s"), counts(0, 0, 1));
        assert_eq!(read("4/4 y             OK               0.01s"), counts(1, 0, 0));
        assert_eq!(read("Ok:                 4   "), None);
    }

    #[test]
    fn pytest_counts_errors_as_failed() {
        let line = "=== 1 failed, 12 passed, 3 skipped, 2 errors in 1.02s ===";
        assert_eq!(Counts::of_pytest(line), Some(Counts { passed: 12, failed: 3, skipped: 3 }));
        assert_eq!(
            Counts::of_pytest("5 passed in 0.1s"),
            Some(Counts { passed: 5, failed: 0, skipped: 0 })
        );
        assert_eq!(Counts::of_pytest("wait in line"), None);
    }
}
