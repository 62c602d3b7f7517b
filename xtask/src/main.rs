//! The one door to every check of raddle: `cargo xtask demo`, `window`, `test`, `check`, `bench`, `matrix`, `stress`.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program, and printing is its work"
)]

mod bench;
mod check;
mod counts;
mod demo;
mod matrix;
mod packages;
mod python;
mod run;
mod site;
mod stress;
mod test;

use std::{path::PathBuf, process::ExitCode};

use lexopt::prelude::*;

use crate::{packages::Setup, python::Python, run::Report, site::Site};

/// What a door answers: a report, or the one line that says why there is none.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "\
usage: cargo xtask DOOR [OPTION…]

  demo [PATH] [--json] [--workers N]
                              build the indexer and run it on PATH (default: Python's standard library)
  window [PATH] [--json] [--workers N]
                              the same in a GTK window
  test                        run every test
  check                       formatting, lints, documentation, headers, symbols, house rules
  bench [NAME] [--json]       measure the figures whose names start with NAME
  matrix [PYTHON…]            build and test with each interpreter (default: all that are found)
  stress [NAME]               the long runs whose names contain NAME

  --python PATH               the Python to build for; else $RADDLE_PYTHON, else the one of
                              pkg-config's python3-embed
  --no-install                install nothing, only say what is missing ($RADDLE_INSTALL=no does the same)

What a door needs is installed first where that can be done (Debian, as root or with sudo that asks no
password); elsewhere the packages are named.";

/// One of the doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Demo,
    Window,
    Test,
    Check,
    Bench,
    Matrix,
    Stress,
}

impl Door {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "demo" => Self::Demo,
            "window" => Self::Window,
            "test" => Self::Test,
            "check" => Self::Check,
            "bench" => Self::Bench,
            "matrix" => Self::Matrix,
            "stress" => Self::Stress,
            _ => return None,
        })
    }

    /// How many words may follow the door's name.
    fn words(self) -> usize {
        match self {
            Self::Test | Self::Check => 0,
            Self::Bench | Self::Stress => 1,
            Self::Demo | Self::Window | Self::Matrix => usize::MAX,
        }
    }
}

/// The command line.
#[derive(Debug)]
struct Arguments {
    door: Door,
    words: Vec<String>,
    python: Option<PathBuf>,
    json: bool,
    install: bool,
}

impl Arguments {
    /// Whether another Python than the system's is to be used.
    fn names_a_python(&self) -> bool {
        self.python.is_some()
            || self.door == Door::Matrix && !self.words.is_empty()
            || self.door != Door::Matrix && python::is_named_by_environment()
    }
}

/// Reads the command line; `None` asks for the usage.
fn arguments() -> Result<Option<Arguments>> {
    let mut parser = lexopt::Parser::from_env();
    let mut door = None;
    let mut words = Vec::new();
    let mut python = None;
    let mut json = false;
    let mut install = std::env::var_os("RADDLE_INSTALL").is_none_or(|value| value != "no");
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Long("python") => {
                python = Some(parser.value().map_err(|error| error.to_string())?.into());
            }
            Long("json") if door == Some(Door::Bench) => json = true,
            Long("no-install") => install = false,
            Short('h') | Long("help") => return Ok(None),
            Value(word) => {
                let word = word.string().map_err(|error| error.to_string())?;
                match door {
                    Some(_) => words.push(word),
                    None => {
                        let known = Door::named(&word);
                        door = Some(known.ok_or(format!("there is no door '{word}'\n\n{USAGE}"))?);
                    }
                }
            }
            // The rest is the indexer's own business.
            Long(name) if matches!(door, Some(Door::Demo | Door::Window)) => {
                words.push(format!("--{name}"));
                if let Some(value) = parser.optional_value() {
                    words.push(value.string().map_err(|error| error.to_string())?);
                }
            }
            other => return Err(format!("{}\n\n{USAGE}", other.unexpected())),
        }
    }
    let Some(door) = door else { return Ok(None) };
    if words.len() > door.words() {
        return Err(format!("'{}' is one word too many\n\n{USAGE}", words[door.words()]));
    }
    Ok(Some(Arguments { door, words, python, json, install }))
}

fn walk_in(arguments: &Arguments) -> Result<Report> {
    let system_python = !arguments.names_a_python();
    Setup { install: arguments.install, system_python }.prepare(arguments.door)?;
    if arguments.door == Door::Matrix {
        return matrix::run(&arguments.words);
    }
    let python = Python::choose(arguments.python.as_deref())?;
    let site = Site::new(python, arguments.python.is_none())?;
    let word = arguments.words.first().map_or("", String::as_str);
    match arguments.door {
        Door::Demo => demo::run(&site, &arguments.words),
        Door::Window => demo::run_window(&site, &arguments.words),
        Door::Test => test::run(&site),
        Door::Check => check::run(&site),
        Door::Bench => bench::run(&site, word, arguments.json),
        Door::Stress => stress::run(&site, word),
        Door::Matrix => unreachable!("handled above"),
    }
}

fn main() -> ExitCode {
    let report = match arguments() {
        Ok(Some(arguments)) => walk_in(&arguments),
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => Err(message),
    };
    match report {
        Ok(report) => {
            report.print();
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(message) => {
            eprintln!("cargo xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
