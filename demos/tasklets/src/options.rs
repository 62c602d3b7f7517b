//! The command line.
#![forbid(unsafe_code)]

/// What `--help` prints.
pub const HELP: &str = "\
tasklets: tasklets pass messages inside a GLib main loop, until all are passed or Ctrl-C

  --tasklets N    how many (10000): half in a ring, half that send to one
  --tokens N      how many messages go round the ring at a time (50)
  --rounds N      how often each goes round; 0: until Ctrl-C (0)
  --messages N    how many each of the others sends; 0: until Ctrl-C (0)
  --threads N     native threads that send, too (2)
  --budget MS     for how long tasklets run in a turn of the loop (2)
  --quiet         no live figures
  --json          the figures as one object, last
  --help          this
";

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    pub tasklets: usize,
    pub tokens: usize,
    pub rounds: u64,
    pub messages: u64,
    pub threads: usize,
    pub budget: u64,
    pub quiet: bool,
    pub json: bool,
}

impl Options {
    /// Reads the words of a command line.
    ///
    /// # Errors
    ///
    /// A line that says what is wrong with it.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            tasklets: 10_000,
            tokens: 50,
            rounds: 0,
            messages: 0,
            threads: 2,
            budget: 2,
            quiet: false,
            json: false,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--tasklets" => options.tasklets = number(&word, words.next(), 4)?,
                "--tokens" => options.tokens = number(&word, words.next(), 1)?,
                "--rounds" => options.rounds = number(&word, words.next(), 0)?,
                "--messages" => options.messages = number(&word, words.next(), 0)?,
                "--threads" => options.threads = number(&word, words.next(), 0)?,
                "--budget" => options.budget = number(&word, words.next(), 0)?,
                "--quiet" => options.quiet = true,
                "--json" => options.json = true,
                _ => return Err(format!("{word} is not an option")),
            }
        }
        if options.tokens >= options.tasklets / 2 {
            return Err("--tokens must be fewer than half of the tasklets".to_owned());
        }
        Ok(options)
    }
}

fn number<T>(option: &str, word: Option<String>, least: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let number = word.and_then(|word| word.parse().ok());
    number
        .filter(|number| *number >= least)
        .ok_or_else(|| format!("{option} takes a number from {least} on"))
}
