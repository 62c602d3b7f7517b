//! Runs a test in a process of its own: for what starts and stops Python, may crash, or may hang.
//!
//! The child is this test binary once more, asked for the same test alone, with a variable set that
//! says so. In it the body runs; in the parent the child is waited for, with a deadline, and killed
//! when that passes.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Names the test that a child is to run the body of.
const MARK: &str = "RADDLE_TEST_CHILD";

/// Runs `body` in a child process, and panics in the parent unless the child ends well within a
/// minute. `name` is the test's own name as the harness prints it, modules included.
///
/// ```no_run
/// #[test]
/// fn python_starts_and_stops() {
///     raddle_tests::in_child("python_starts_and_stops", || {
///         let runtime = raddle::Runtime::start(&raddle::Options::new()).unwrap();
///         runtime.stop(None).unwrap();
///     });
/// }
/// ```
///
/// # Panics
///
/// In the child if `body` does; in the parent if the child failed, with all that it printed.
pub fn in_child(name: &str, body: impl FnOnce()) {
    if let Some(seen) = Child::new(name).run(body) {
        seen.assert_success();
    }
}

/// A child process to be: what differs from the plain [`in_child`].
#[derive(Debug)]
pub struct Child {
    name: String,
    timeout: Duration,
    variables: Vec<(OsString, OsString)>,
}

/// What the parent saw of a child.
#[derive(Debug)]
pub struct Seen {
    /// How it ended; absent if it had to be killed.
    pub status: Option<ExitStatus>,
    /// What it printed on stdout, the harness's own lines included.
    pub stdout: String,
    /// What it printed on stderr.
    pub stderr: String,
}

impl Child {
    /// A child for the test of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), timeout: Duration::from_secs(60), variables: Vec::new() }
    }

    /// How long the child may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets a variable in the child's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// In the child, runs `body` and returns `None`. In the parent, waits and says what was seen.
    ///
    /// # Panics
    ///
    /// If the child cannot be started; in the child if `body` does.
    pub fn run(self, body: impl FnOnce()) -> Option<Seen> {
        if env::var_os(MARK).is_some_and(|mark| mark == *self.name) {
            body();
            return None;
        }
        let mut command = Command::new(env::current_exe().expect("a test binary has a path"));
        command.args(["--exact", &self.name, "--nocapture", "--test-threads=1"]);
        command.args(["--include-ignored"]).env(MARK, &self.name);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Some(watch(command, self.timeout))
    }
}

impl Seen {
    /// # Panics
    ///
    /// Unless the child ended well and ran the test.
    pub fn assert_success(&self) {
        let ran = self.stdout.contains("1 passed");
        assert!(self.status.is_some_and(|status| status.success()) && ran, "{}", self.story());
    }

    /// What happened, for a panic's message.
    #[must_use]
    pub fn story(&self) -> String {
        let end = match self.status {
            None => "had to be killed: it did not end in time".to_owned(),
            Some(status) => match (status.code(), status.signal()) {
                (Some(0), _) => "ended with status 0".to_owned(),
                (Some(code), _) => format!("ended with status {code}"),
                (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
            },
        };
        format!("the child {end}\n--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// Runs a command with a deadline and keeps what it prints.
///
/// # Panics
///
/// If it cannot be started.
#[must_use]
pub fn watch(mut command: Command, timeout: Duration) -> Seen {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the child can be started");
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let deadline = Instant::now() + timeout;
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child is ours to wait for") {
            break Some(status);
        }
        if Instant::now() >= deadline {
            child.kill().expect("the child is ours to kill");
            child.wait().expect("the child is ours to wait for");
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let text = |reader: JoinHandle<String>| reader.join().unwrap_or_default();
    Seen { status, stdout: text(stdout), stderr: text(stderr) }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    let read = move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before an error is kept, and is all there is.
            drop(stream.read_to_end(&mut bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    thread::Builder::new().spawn(read).expect("a thread for a pipe can be started")
}
