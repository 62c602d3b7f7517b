//! `cargo xtask demo`: builds the indexer and becomes it.
#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt as _;

use crate::{Result, run::Report, site::Site};

/// Builds the indexer and gives this process over to it, with what the command line says: so that
/// Ctrl-C, the terminal and the exit status are the indexer's own. Returns only if that fails.
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
    let error = indexer.arg("--compare").args(words).exec();
    Err(format!("{} cannot be run: {error}", program.display()))
}
