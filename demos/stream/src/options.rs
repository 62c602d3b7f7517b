//! The command line of the receiver.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::str::FromStr;

pub const HELP: &str = "\
usage: stream [OPTION]...
Receives SPEAD-64-48 heaps over UDP until the sender ends the stream or Ctrl-C is pressed.

  --bind ADDRESS     where to listen (127.0.0.1:7148; port 0 for any)
  --assemblers N     threads that assemble heaps (2)
  --ring N           packets that wait for each of them (4096)
  --buffer BYTES     the socket's own buffer (8388608)
  --ahead N          heaps that Python awaits at a time (32)
  --slow SECONDS     have Python sleep after each heap
  --seconds S        stop after so long
  --venv FOLDER      a virtual environment, with NumPy for example
  --plain            do without NumPy
  --verbose          log every heap
  --json             print the figures as one JSON object, last
";

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    pub bind: SocketAddr,
    pub assemblers: u32,
    pub ring: u32,
    pub buffer: i32,
    pub ahead: u32,
    pub slow: f64,
    pub seconds: f64,
    pub venv: Option<String>,
    pub plain: bool,
    pub verbose: bool,
    pub json: bool,
}

impl Options {
    /// Reads the command line; says what is wrong with it.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 7148)),
            assemblers: 2,
            ring: 4096,
            buffer: 8 << 20,
            ahead: 32,
            slow: 0.0,
            seconds: f64::INFINITY,
            venv: None,
            plain: false,
            verbose: false,
            json: false,
        };
        while let Some(word) = words.next() {
            let mut next = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--bind" => options.bind = value(&word, &next()?)?,
                "--assemblers" => options.assemblers = at_least_one(&word, &next()?)?,
                "--ring" => options.ring = at_least_one(&word, &next()?)?,
                "--buffer" => options.buffer = value(&word, &next()?)?,
                "--ahead" => options.ahead = at_least_one(&word, &next()?)?,
                "--slow" => options.slow = value(&word, &next()?)?,
                "--seconds" => options.seconds = value(&word, &next()?)?,
                "--venv" => options.venv = Some(next()?),
                "--plain" => options.plain = true,
                "--verbose" => options.verbose = true,
                "--json" => options.json = true,
                _ => return Err(format!("{word} is not known")),
            }
        }
        Ok(options)
    }
}

fn value<T: FromStr>(word: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{word} cannot be {text}"))
}

fn at_least_one(word: &str, text: &str) -> Result<u32, String> {
    let number = value(word, text)?;
    if (1..=1000_u32.pow(2)).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{word} cannot be {text}"))
    }
}
