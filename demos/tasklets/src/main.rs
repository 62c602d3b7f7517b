//! tasklets: ten thousand tasklets pass messages inside a GLib main loop, which shows how fast.
#![forbid(unsafe_code)]

mod latency;
mod options;
mod program;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glib::{ControlFlow, MainContext, MainLoop, Priority};
use pyo3::{PyResult, Python};
use raddle_glib::{Hold, RunError, Turns};

use latency::{EVERY, Late, Latency};
use options::{HELP, Options};
use program::{Figures, Program};

type Failure = Box<dyn std::error::Error>;

/// What came of it.
struct Outcome {
    figures: Figures,
    late: Late,
    seconds: f64,
    interrupted: bool,
    right: bool,
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

/// Runs the main loop with the tasklets until all messages were passed, or Ctrl-C.
fn run(options: &Options) -> Result<Outcome, Failure> {
    raddle_glib::install()?;
    let runtime = raddle::Runtime::start(&raddle::Options::new().signal_handlers(true))?;
    let context = MainContext::default();
    raddle_glib::attach(&context, Hold::Callback, None)?;
    let turns = Turns { budget: Duration::from_millis(options.budget), ..Turns::default() };
    raddle_glib::attach_scheduler(&context, turns)?;

    let main_loop = MainLoop::new(Some(&context), false);
    let quitter = main_loop.clone();
    let quit = move || quitter.quit();
    let program = Arc::new(entered(|py| Program::begin(py, options, quit))?);
    let latency = Latency::default();
    let ticking = latency.clone();
    let tick = move || {
        ticking.tick();
        ControlFlow::Continue
    };
    glib::timeout_add_local_full(EVERY, Priority::DEFAULT, tick);
    if !options.quiet {
        show(Arc::clone(&program), latency.clone());
    }
    let threads: Vec<_> = (0..options.threads).map(|index| send(&program, index)).collect();

    let begun = Instant::now();
    let ended = raddle_glib::run(&main_loop);
    let seconds = begun.elapsed().as_secs_f64();
    let (figures, right) = entered(|py| Ok((program.figures(py)?, program.end(py)?)))?;
    for thread in threads {
        thread?.join().map_err(|_| "a thread that sends has panicked")??;
    }
    raddle_glib::detach_scheduler(&context)?;
    runtime.stop(Some(Duration::from_secs(10)))?;
    let interrupted = match ended {
        Ok(()) => false,
        Err(RunError::Raised(raised)) if raised.line().starts_with("KeyboardInterrupt") => true,
        Err(error) => return Err(error.into()),
    };
    let (late, _) = latency.since(0);
    Ok(Outcome { figures, late, seconds, interrupted, right })
}

type Sender = std::thread::JoinHandle<Result<(), String>>;

/// A native thread that sends on the channel that everybody sends on.
fn send(program: &Arc<Program>, index: usize) -> io::Result<Sender> {
    let program = Arc::clone(program);
    let body = move || {
        let sent = entered(|py| program.produce(py, index));
        sent.map_err(|error| error.to_string())
    };
    std::thread::Builder::new().name(format!("sender {index}")).spawn(body)
}

/// Shows the figures of each second.
fn show(program: Arc<Program>, latency: Latency) {
    let (mut before, mut seen, mut last) = (Figures::default(), 0, Instant::now());
    let line = move || {
        let Ok(now) = entered(|py| program.figures(py)) else { return ControlFlow::Break };
        let seconds = last.elapsed().as_secs_f64();
        let (late, count) = latency.since(seen);
        let rate = |now: u64, before: u64| per_second(now - before, seconds);
        eprintln!(
            "{:>6} tasklets  ring {:>9}/s  fan-in {:>8}/s  switches {:>9}/s  loop late by {:>5.2} ms, 99 % {:>6.2}, at most {:>6.2}",
            now.alive,
            rate(now.ring, before.ring),
            rate(now.fan_in, before.fan_in),
            rate(now.switches, before.switches),
            late.half.as_secs_f64() * 1e3,
            late.most.as_secs_f64() * 1e3,
            late.worst.as_secs_f64() * 1e3,
        );
        (before, seen, last) = (now, count, Instant::now());
        ControlFlow::Continue
    };
    glib::timeout_add_local_full(Duration::from_secs(1), Priority::DEFAULT, line);
}

fn per_second(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds.max(1e-9)) as u64
}

/// The figures as one JSON object.
fn json(options: &Options, outcome: &Outcome) -> String {
    let Outcome { figures, late, seconds, interrupted, right } = outcome;
    let messages = figures.ring + figures.fan_in;
    format!(
        "{{\"tasklets\":{},\"ring\":{},\"fan_in\":{},\"sum\":{},\"switches\":{},\"seconds\":{seconds:.3},\
         \"messages_per_second\":{},\"switches_per_second\":{},\"late_p50_us\":{},\"late_p99_us\":{},\
         \"late_max_us\":{},\"right\":{right},\"interrupted\":{interrupted}}}",
        options.tasklets,
        figures.ring,
        figures.fan_in,
        figures.sum,
        figures.switches,
        per_second(messages, *seconds),
        per_second(figures.switches, *seconds),
        late.half.as_micros(),
        late.most.as_micros(),
        late.worst.as_micros(),
    )
}

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(line) => {
            eprintln!("tasklets: {line}; --help says more");
            return ExitCode::from(2);
        }
    };
    let outcome = match run(&options) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("tasklets: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Outcome { figures, seconds, right, interrupted, .. } = &outcome;
    eprintln!(
        "{} messages in the ring and {} to one, in {seconds:.1} s: the sums are {}",
        figures.ring,
        figures.fan_in,
        if *right { "right" } else { "WRONG" }
    );
    if options.json {
        // Nobody reads on if stdout is gone.
        drop(writeln!(io::stdout(), "{}", json(&options, &outcome)));
    }
    match (right, interrupted) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(130),
        (true, false) => ExitCode::SUCCESS,
    }
}
