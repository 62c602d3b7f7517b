//! Runs one command after another, shows each, and keeps what came of it.
#![forbid(unsafe_code)]

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{Result, counts::Counts};

/// On a machine that nobody watches, a step that hangs is ended after this many seconds.
const PATIENCE: &str = "3600";

/// What to read out of a command's output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reads {
    /// Nothing: it prepares, and only its failure counts.
    Nothing,
    /// The step as a whole is one check.
    OneCheck,
    /// The results of the tests that it runs, by what each line tells.
    Tests(fn(&str) -> Option<Counts>),
}

#[derive(Debug)]
struct Row {
    name: String,
    counts: Counts,
    note: String,
    took: Duration,
}

/// What was run so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    prefix: String,
    rows: Vec<Row>,
    aside: bool,
}

impl Report {
    /// A report of what is only the way to a result: it goes to standard error, and leaves
    /// standard output to the result.
    pub(crate) fn aside() -> Self {
        Self { aside: true, ..Self::default() }
    }

    /// Puts `prefix` before the names of the rows to come.
    pub(crate) fn set_prefix(&mut self, prefix: &str) {
        prefix.clone_into(&mut self.prefix);
    }

    /// Runs a command, prints it and what it prints, and says whether it succeeded.
    pub(crate) fn run(&mut self, name: &str, command: Command, reads: Reads) -> bool {
        self.run_for(name, command, reads, &mut Vec::new())
    }

    /// As `run`, and keeps the lines that look like a JSON object instead of printing them.
    pub(crate) fn run_for(
        &mut self,
        name: &str,
        command: Command,
        reads: Reads,
        objects: &mut Vec<String>,
    ) -> bool {
        let started = Instant::now();
        self.say(&format!("\n$ {}", shown(&command)));
        let mut counts = Counts::default();
        let outcome = follow(command, |line| {
            if let Reads::Tests(read) = reads {
                counts += read(line).unwrap_or_default();
            }
            if self.aside && line.starts_with('{') {
                objects.push(line.to_owned());
            } else {
                self.say(line);
            }
        });
        let note = match &outcome {
            Ok(()) => String::new(),
            Err(message) => message.clone(),
        };
        if outcome.is_err() && counts.failed == 0 {
            counts.failed = 1;
        }
        if outcome.is_ok() && matches!(reads, Reads::OneCheck) {
            counts.passed = 1;
        }
        self.push(name, counts, note, started.elapsed());
        outcome.is_ok()
    }

    /// Adds the outcome of a check that is done in this program.
    pub(crate) fn check(&mut self, name: &str, outcome: Result<()>) {
        self.say(&format!("\n# {name}"));
        let mut counts = Counts::default();
        let note = match outcome {
            Ok(()) => {
                counts.passed = 1;
                String::new()
            }
            Err(message) => {
                self.say(&message);
                counts.failed = 1;
                "see above".to_owned()
            }
        };
        self.push(name, counts, note, Duration::ZERO);
    }

    /// Adds something that was not run, and why.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        self.say(&format!("\n# {name}: skipped, {why}"));
        let counts = Counts { skipped: 1, ..Counts::default() };
        self.push(name, counts, format!("skipped: {why}"), Duration::ZERO);
    }

    fn say(&self, line: &str) {
        if self.aside {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    }

    fn push(&mut self, name: &str, counts: Counts, note: String, took: Duration) {
        let name = format!("{}{name}", self.prefix);
        self.rows.push(Row { name, counts, note, took });
    }

    /// Whether nothing failed.
    pub(crate) fn is_clean(&self) -> bool {
        self.rows.iter().all(|row| row.counts.failed == 0)
    }

    /// Prints the rows, and the sums as the last line. What went aside is only told of if it failed.
    pub(crate) fn print(&self) {
        if self.aside && self.is_clean() {
            return;
        }
        let mut sums = Counts::default();
        self.say(&format!("\n{:>7} {:>7} {:>7} {:>8}", "passed", "failed", "skipped", "seconds"));
        for Row { name, counts, note, took } in &self.rows {
            sums += *counts;
            let Counts { passed, failed, skipped } = counts;
            let mark = if *failed > 0 { "FAILED " } else { "" };
            let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
            let seconds = took.as_secs_f64();
            let numbers = format!("{passed:>7} {failed:>7} {skipped:>7} {seconds:>8.1}");
            self.say(&format!("{numbers}  {mark}{name}{note}"));
        }
        let Counts { passed, failed, skipped } = sums;
        self.say(&format!("{passed} passed, {failed} failed, {skipped} skipped"));
    }
}

/// The command as one would type it, with the environment that it changes.
fn shown(command: &Command) -> String {
    let mut text = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            text += &format!("{}={} ", name.display(), quoted(&value.to_string_lossy()));
        }
    }
    text += &command.get_program().to_string_lossy();
    for argument in command.get_args() {
        text.push(' ');
        text += &quoted(&argument.to_string_lossy());
    }
    text
}

fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./:,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

/// Runs the command, and hands over its standard output line by line.
fn follow(command: Command, mut line: impl FnMut(&str)) -> Result<()> {
    let mut command = if env::var_os("CI").is_some() { with_patience(&command) } else { command };
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = spawned
        .map_err(|error| format!("{} cannot be run: {error}", command.get_program().display()))?;
    let output = child.stdout.take().map(BufReader::new);
    for read in output.into_iter().flat_map(|output| output.split(b'\n')) {
        line(&String::from_utf8_lossy(&read.map_err(|error| error.to_string())?));
    }
    match child.wait().map_err(|error| error.to_string())? {
        status if status.success() => Ok(()),
        status if status.code() == Some(124) => Err(format!("no end after {PATIENCE} seconds")),
        status => Err(status.to_string()),
    }
}

/// The same command under `timeout`, which ends its whole process group.
fn with_patience(command: &Command) -> Command {
    let mut patient = Command::new("timeout");
    patient.args(["--kill-after=20", PATIENCE]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => patient.env(name, value),
            None => patient.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        patient.current_dir(folder);
    }
    patient
}
