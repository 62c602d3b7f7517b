//! stream: receives SPEAD heaps on native threads, and has Python look at them as they come.

mod counts;
mod heap;
mod options;
mod python;
mod receiver;
mod socket;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use pyo3::{PyResult, Python};
use raddle::relay::stopper::{Stage, at_exit};

use counts::Counts;
use options::{HELP, Options};
use receiver::Receiver;
use socket::Socket;

type Failure = Box<dyn std::error::Error>;

/// Runs the stream to its end; says whether that was Ctrl-C, and where each packet went.
fn run(options: &Options) -> Result<(bool, Arc<Counts>), Failure> {
    let mut python = raddle::Options::new().signal_handlers(true);
    if let Some(venv) = &options.venv {
        python = python.venv(venv);
    }
    let runtime = raddle::Runtime::start(&python)?;
    let table = entered(|py| python::load(py, options))?;
    let socket = Socket::bind(options.bind, options.buffer)?;
    eprintln!("listening on {}", socket.address()?);
    let receiver = Receiver::start(socket, options.assemblers, options.ring)?;
    // Whatever happens to Python, the threads are stopped before it ends.
    let theirs = Arc::clone(&receiver);
    at_exit(Stage::Pools, "the receiver", Duration::from_secs(5), move || theirs.end())?.keep();
    let ended = entered(|py| python::run(py, &table, &receiver, options));
    runtime.stop(Some(Duration::from_secs(10)))?;
    Ok((ended?, Arc::clone(receiver.counts())))
}

/// Enters Python; what is raised there is printed as Python prints it.
fn entered<T>(body: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, Failure> {
    raddle::enter(|py| {
        body(py).map_err(|error| {
            error.display(py);
            "Python failed".into()
        })
    })?
}

/// The figures as one JSON object.
fn json(counts: &Counts) -> String {
    let fields: Vec<String> = counts.all().map(|(name, n)| format!("\"{name}\":{n}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(line) => {
            eprintln!("stream: {line}; --help says more");
            return ExitCode::from(2);
        }
    };
    let (interrupted, counts) = match run(&options) {
        Ok(ended) => ended,
        Err(error) => {
            eprintln!("stream: {error}");
            return ExitCode::FAILURE;
        }
    };
    if options.json {
        // Nobody reads on if stdout is gone.
        drop(writeln!(io::stdout(), "{}", json(&counts)));
    }
    match counts.unaccounted() {
        0 if interrupted => ExitCode::from(130),
        0 => ExitCode::SUCCESS,
        lost => {
            eprintln!("stream: {lost} packets are unaccounted for");
            ExitCode::FAILURE
        }
    }
}
