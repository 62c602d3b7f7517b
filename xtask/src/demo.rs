//! `cargo xtask demo` and `cargo xtask window`: builds the indexer, with a window or without, and becomes it.
#![forbid(unsafe_code)]

use std::{os::unix::process::CommandExt as _, path::Path};

use crate::{Result, run::Report, site::Site};

/// Builds the indexer and gives this process over to it, with what the command line says: so that
/// Ctrl-C, the terminal and the exit status are the indexer's own. Returns only if that fails.
pub(crate) fn run(site: &Site, words: &[String]) -> Result<Report> {
    let mut report = Report::aside();
    if !site.build_indexer(&mut report) {
        return Ok(report);
    }
    become_program(site, &site.indexer_dir().join("indexer"), &["--compare"], words)
}

/// The same with a window.
pub(crate) fn run_window(site: &Site, words: &[String]) -> Result<Report> {
    let mut report = Report::aside();
    if !site.build_window(&mut report) {
        return Ok(report);
    }
    become_program(site, &site.window_dir().join("indexer-window"), &[], words)
}

fn become_program(
    site: &Site,
    program: &Path,
    options: &[&str],
    words: &[String],
) -> Result<Report> {
    let mut command = site.command(&program.to_string_lossy());
    if let Ok(here) = std::env::current_dir() {
        command.current_dir(here);
    }
    let error = command.args(options).args(words).exec();
    Err(format!("{} cannot be run: {error}", program.display()))
}
