//! A moment as a clock on the wall shows it: "12:00:01.123", as `logging` would.

use core::mem::MaybeUninit;

/// The local time of day of a moment, in nanoseconds since 1970.
pub(super) fn time_of_day(moment: u64) -> String {
    let (seconds, milliseconds) = (moment / 1_000_000_000, moment / 1_000_000 % 1000);
    let seconds = libc::time_t::try_from(seconds).unwrap_or(libc::time_t::MAX);
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: a number, and room for the result.
    unsafe { libc::localtime_r(&raw const seconds, parts.as_mut_ptr()) };
    // SAFETY: numbers and a pointer, for which zeros are values too.
    let parts = unsafe { parts.assume_init() };
    format!("{:02}:{:02}:{:02}.{milliseconds:03}", parts.tm_hour, parts.tm_min, parts.tm_sec)
}

#[cfg(test)]
mod tests {
    #[test]
    fn milliseconds_are_those_of_the_moment() {
        let text = super::time_of_day(1_700_000_000_123_456_789);
        assert_eq!(text.len(), "12:00:01.123".len());
        assert!(text.ends_with(":20.123"), "{text}");
    }
}
