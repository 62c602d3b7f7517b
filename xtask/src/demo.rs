//! `cargo xtask demo`: builds the indexer and runs it.
#![forbid(unsafe_code)]

use crate::{Result, run::Report, site::Site};

/// Runs the indexer with what the command line says; without a path, it takes the standard library.
pub(crate) fn run(site: &Site, words: &[String]) -> Result<Report> {
    let mut report = Report::aside();
    if !site.build_indexer(&mut report) {
        return Ok(report);
    }
    let program = site.indexer_dir().join("indexer");
    let mut indexer = site.command(&program.to_string_lossy());
    if let Ok(here) = std::env::current_dir() {
        indexer.current_dir(here);
    }
    let status = indexer.args(words).status();
    let status = status.map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
    if status.success() { Ok(report) } else { Err(format!("the indexer ended with {status}")) }
}
