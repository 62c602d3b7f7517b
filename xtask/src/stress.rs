//! `cargo xtask stress`: the long runs, which are marked `#[ignore]` in tests/stress.
#![forbid(unsafe_code)]

use crate::{
    Result,
    counts::Counts,
    run::{Reads, Report},
    site::Site,
};

/// Runs those whose names contain `name`, in a release build and with what they print shown.
pub(crate) fn run(site: &Site, name: &str) -> Result<Report> {
    let mut report = Report::default();
    let mut cargo = site.cargo(&["test", "--release", "-p", "raddle-tests", "--test", "stress_*"]);
    cargo.args(["--no-fail-fast", "--", "--ignored", "--nocapture", "--test-threads=1", name]);
    report.run("stress", cargo, Reads::Tests(Counts::of_cargo));
    Ok(report)
}
