//! Exit stoppers: named functions that run before Python ends, in stages, each with a deadline.
//!
//! | stage         | stops                    | raddle stops Python        | somebody else ends it     |
//! |---------------|--------------------------|----------------------------|---------------------------|
//! | `Refuse`      | taking new work; waiters | first                      | before `threading` joins  |
//! |               | are woken                |                            | its threads               |
//! |               |                          | *Python's threads may end* | *they are joined*         |
//! | `Pools`       | native threads that work |                            |                           |
//! | `Completions` | what is still owed fails | after that, gate open      | at exit, gate open        |
//! | `Log`         | the last records are out |                            |                           |
//! |               |                          | *the gate closes*          | *the gate closes*         |
//!
//! Within a stage the newest runs first, and raddle's own last. Each runs once, alone, on a native
//! thread of its own that does not hold Python: so one that hangs is named and left behind when its
//! time has passed, and the next one runs.
//!
//! ```text
//!   at_exit --> waiting --taken by its stage--> runs --> ended
//!                  |                             +-----> left behind
//!                  +--removed, forgotten--> dropped without running
//! ```

mod python;

use core::fmt;
use core::mem::ManuallyDrop;
use core::panic::AssertUnwindSafe;
use std::cell::RefCell;
use std::io::Write as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Closed, Error, Status};
use crate::gate::{Raised, control};
use crate::primitive::{Condvar, Mutex, MutexGuard, lock};
use crate::relay::{completion, live, log};

pub(crate) use python::METHODS;

/// How long a stopper may take if nobody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How often a wait looks whether the runtime was abandoned.
const LOOK: Duration = Duration::from_millis(20);

/// When a stopper runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
#[doc(alias = "RaddleStage")]
pub enum Stage {
    /// First, before Python's own threads are waited for: refuse new work, wake who waits.
    Refuse = 0,
    /// Then native threads and pools of them.
    Pools = 1,
    /// Then what others wait for: fail what nobody will finish any more.
    Completions = 2,
    /// The log, after everything that may still write to it.
    Log = 3,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Self; 4] = [Self::Refuse, Self::Pools, Self::Completions, Self::Log];

    /// Its name in Python.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Pools => "pools",
            Self::Completions => "completions",
            Self::Log => "log",
        }
    }
}

/// What a stopper may return: nothing, or why it failed.
pub trait Outcome {
    /// Why it failed, if it did.
    fn failure(self) -> Option<Failure>;
}

impl Outcome for () {
    fn failure(self) -> Option<Failure> {
        None
    }
}

impl<E: Into<Failure>> Outcome for Result<(), E> {
    fn failure(self) -> Option<Failure> {
        self.err().map(Into::into)
    }
}

/// Why a stopper failed: one line, or an exception of Python's.
#[derive(Debug)]
pub struct Failure(Why);

#[derive(Debug)]
enum Why {
    Line(String),
    Raised(Raised),
}

impl From<String> for Failure {
    fn from(line: String) -> Self {
        Self(Why::Line(line))
    }
}

impl From<&str> for Failure {
    fn from(line: &str) -> Self {
        line.to_owned().into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        error.to_string().into()
    }
}

impl From<Closed> for Failure {
    fn from(closed: Closed) -> Self {
        closed.to_string().into()
    }
}

impl From<Raised> for Failure {
    fn from(raised: Raised) -> Self {
        Self(Why::Raised(raised))
    }
}

type Body = Box<dyn FnOnce() -> Option<Failure> + Send>;

/// A stopper that waits for its stage.
struct Entry {
    id: u64,
    stage: Stage,
    name: String,
    patience: Duration,
    body: Body,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("stage", &self.stage).finish()
    }
}

/// A stopper of raddle's own, which every generation has.
struct BuiltIn {
    stage: Stage,
    name: &'static str,
    /// Whether there is anything to stop; if not, no thread is started for it. Called without
    /// the list's lock.
    is_needed: fn() -> bool,
    stop: fn(),
}

/// Raddle's own, in the order in which they run: sorted by stage.
static BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        stage: Stage::Refuse,
        name: "raddle's semaphores and rings",
        is_needed: live::is_any,
        stop: live::stop_all,
    },
    BuiltIn {
        stage: Stage::Refuse,
        name: "waits for a place in a queue of completions",
        is_needed: completion::has_waits,
        stop: completion::end_waits,
    },
    BuiltIn {
        stage: Stage::Completions,
        name: "queues of completions",
        is_needed: completion::is_any,
        stop: completion::close_all,
    },
    BuiltIn {
        stage: Stage::Log,
        name: "raddle's log",
        is_needed: log::is_needed,
        stop: log::stop_at_exit,
    },
];

/// The stoppers of one generation.
#[derive(Debug)]
struct List {
    generation: u64,
    /// How many stages have begun.
    begun: usize,
    /// How many of raddle's own were taken.
    built_in: usize,
    /// In the order of registration.
    entries: Vec<Entry>,
    running: Option<Arc<Run>>,
    last_id: u64,
}

static LIST: Mutex<List> = Mutex::new(List {
    generation: 0,
    begun: 0,
    built_in: 0,
    entries: Vec::new(),
    running: None,
    last_id: 0,
});

impl List {
    /// Makes the list that of `generation`. What an older one left is handed out, to be dropped
    /// without the lock.
    #[must_use]
    fn renew(&mut self, generation: u64) -> Vec<Entry> {
        if self.generation == generation {
            return Vec::new();
        }
        self.generation = generation;
        (self.begun, self.built_in, self.running) = (0, 0, None);
        core::mem::take(&mut self.entries)
    }

    /// Takes the next one that is due, up to and including a stage.
    fn next(&mut self, through: Stage) -> Option<Due> {
        loop {
            if let Some(&stage) = self.begun.checked_sub(1).and_then(|now| Stage::ALL.get(now)) {
                if let Some(at) = self.entries.iter().rposition(|entry| entry.stage == stage) {
                    return Some(Due::Entry(self.entries.remove(at)));
                }
                if let Some(own) = BUILT_IN.get(self.built_in).filter(|own| own.stage == stage) {
                    self.built_in += 1;
                    return Some(Due::Own(own));
                }
            }
            if self.begun > through as usize {
                return None;
            }
            self.begun += 1;
        }
    }
}

/// What is to run next.
enum Due {
    Entry(Entry),
    /// If it is needed.
    Own(&'static BuiltIn),
}

impl BuiltIn {
    /// What runs, if it is needed.
    fn entry(&self) -> Option<Entry> {
        if !(self.is_needed)() {
            return None;
        }
        let stop = self.stop;
        let body = Box::new(move || {
            stop();
            None
        });
        let (stage, name) = (self.stage, self.name.to_owned());
        Some(Entry { id: 0, stage, name, patience: PATIENCE, body })
    }
}

/// A registered stopper: dropping it takes it back.
#[derive(Debug)]
#[must_use = "dropping it takes the stopper back: `keep` it, or hold on to it"]
#[doc(alias = "RaddleStopper")]
pub struct Stopper {
    generation: u64,
    id: u64,
}

/// Has `stop` called once before Python ends: in its stage, on a thread of its own, without Python.
/// It may enter. What it returns as an error, or raises, is reported under `name`.
///
/// A stopper that has not ended after `patience` is named on stderr and left behind. If it is inside
/// Python, the end of Python waits for it as for anybody inside.
///
/// # Errors
///
/// [`Closed`](Status::Closed) if the stage has begun already, or Python has ended;
/// [`NotStarted`](Status::NotStarted) if there is none yet; [`Invalid`](Status::Invalid) for an
/// empty name or no patience at all. `stop` is dropped then.
///
/// # Examples
///
/// ```no_run
/// use raddle::relay::stopper::{Stage, at_exit, PATIENCE};
///
/// let (stop, stopped) = std::sync::mpsc::channel::<()>();
/// let worker = std::thread::Builder::new().spawn(move || stopped.recv())?;
/// at_exit(Stage::Pools, "worker", PATIENCE, move || {
///     drop(stop);
///     worker.join().map(drop).map_err(|_| "the worker has panicked")
/// })?
/// .keep();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn at_exit<O: Outcome>(
    stage: Stage,
    name: &str,
    patience: Duration,
    stop: impl FnOnce() -> O + Send + 'static,
) -> Result<Stopper, Error> {
    add(stage, name, patience, Box::new(move || stop().failure()))
}

fn add(stage: Stage, name: &str, patience: Duration, body: Body) -> Result<Stopper, Error> {
    if name.is_empty() || patience.is_zero() {
        let line = "an exit stopper has a name and a time that it may take";
        return Err(Error::new(Status::Invalid, line));
    }
    let mut list = lock(&LIST);
    // Asked with the lock held: a run that has closed this generation has left its mark in the list.
    let generation = control::open_generation()?;
    let old = list.renew(generation);
    if list.begun > stage as usize {
        // The lock goes before the closure: what it drops may look at the list.
        drop(list);
        drop(body);
        let line = format!("too late for an exit stopper: the stage '{}' has begun", stage.name());
        return Err(Error::new(Status::Closed, line));
    }
    list.last_id += 1;
    let id = list.last_id;
    list.entries.push(Entry { id, stage, name: name.replace('\0', " "), patience, body });
    drop(list);
    drop(old);
    Ok(Stopper { generation, id })
}

impl Stopper {
    /// Leaves it registered for good.
    pub fn keep(self) {
        let _kept = ManuallyDrop::new(self);
    }

    /// Takes it back; says whether it was there. If not, it runs, has run, or went with its Python.
    pub fn remove(self) -> bool {
        let (generation, id) = (self.generation, self.id);
        self.keep();
        remove(generation, id)
    }

    /// [`remove`](Self::remove), without giving the name of the stopper up.
    #[must_use = "it says whether it was there"]
    pub fn take_back(&self) -> bool {
        remove(self.generation, self.id)
    }

    /// Leaves it registered, and says by what it is found again.
    pub(crate) fn into_id(self) -> (u64, u64) {
        let found = (self.generation, self.id);
        self.keep();
        found
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        remove(self.generation, self.id);
    }
}

fn remove(generation: u64, id: u64) -> bool {
    let mut list = lock(&LIST);
    let mine = |entry: &Entry| entry.id == id;
    let at = list.entries.iter().position(mine).filter(|_| list.generation == generation);
    let taken = at.map(|at| list.entries.remove(at));
    drop(list);
    taken.is_some()
}

/// A stopper that runs.
#[derive(Debug)]
struct Run {
    name: String,
    begun: Instant,
    patience: Duration,
    ended: Mutex<bool>,
    changed: Condvar,
}

enum End {
    Ended,
    LeftBehind,
    /// The one who waits may wait no longer.
    Unfinished,
}

/// A stopper that still ran when whoever waited for it had no more time.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) name: String,
    pub(crate) since: Duration,
}

/// Whether a run up to a stage would find anything.
pub(crate) fn is_any(generation: u64, stages: core::ops::RangeInclusive<Stage>) -> bool {
    let mut own = BUILT_IN.iter();
    {
        let list = lock(&LIST);
        if list.generation == generation {
            let due = list.entries.iter().any(|entry| stages.contains(&entry.stage));
            if due || list.running.is_some() {
                return true;
            }
            own = BUILT_IN[list.built_in..].iter();
        }
    }
    own.any(|own| stages.contains(&own.stage) && (own.is_needed)())
}

/// Runs what is due, up to and including a stage, and waits for each, at most until `deadline`. The
/// gate is open, and this thread does not hold Python. A later call goes on where this one ended.
pub(crate) fn run(
    generation: u64,
    through: Stage,
    deadline: Option<Instant>,
) -> Result<(), Unfinished> {
    loop {
        let mut list = lock(&LIST);
        let old = list.renew(generation);
        let mut body = None;
        let run = match &list.running {
            Some(run) => Arc::clone(run),
            None => {
                let entry = match list.next(through) {
                    None => return Ok(()),
                    Some(Due::Entry(entry)) => entry,
                    Some(Due::Own(own)) => {
                        // Whether it is needed is asked without the lock: to ask may drop things.
                        drop(list);
                        let Some(entry) = own.entry() else { continue };
                        list = lock(&LIST);
                        entry
                    }
                };
                let run = Arc::new(Run::new(entry.name, entry.patience));
                list.running = Some(Arc::clone(&run));
                body = Some(entry.body);
                run
            }
        };
        drop(list);
        drop(old);
        if let Some(body) = body {
            run.start(body);
        }
        match run.wait(deadline) {
            End::Ended => {}
            End::LeftBehind => {
                let time = run.patience;
                tell(&run.name, &format!("has not ended after {time:?} and is left behind"));
            }
            End::Unfinished => {
                return Err(Unfinished { name: run.name.clone(), since: run.begun.elapsed() });
            }
        }
        lock(&LIST).running = None;
    }
}

impl Run {
    fn new(name: String, patience: Duration) -> Self {
        let (ended, changed) = (Mutex::new(false), Condvar::new());
        Self { name, begun: Instant::now(), patience, ended, changed }
    }

    /// Runs the body on a thread of its own; on this one if the machine has none left.
    fn start(self: &Arc<Self>, body: Body) {
        let slot = Arc::new(Mutex::new(Some(body)));
        let (run, theirs) = (Arc::clone(self), Arc::clone(&slot));
        let work = move || {
            let body = lock(&theirs).take();
            run.perform(body);
        };
        let thread = thread::Builder::new().name(format!("stop {}", self.name));
        if thread.spawn(work).is_err() {
            let body = lock(&slot).take();
            self.perform(body);
        }
    }

    fn perform(&self, body: Option<Body>) {
        let stop = AssertUnwindSafe(|| body.and_then(|body| body()));
        let failure = std::panic::catch_unwind(stop).unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
            Some(format!("panicked: {}", said.unwrap_or_default()).into())
        });
        if let Some(failure) = failure {
            report(&self.name, failure);
        }
        *lock(&self.ended) = true;
        self.changed.notify_all();
    }

    fn wait(&self, deadline: Option<Instant>) -> End {
        let own = self.begun.checked_add(self.patience);
        let mut ended = lock(&self.ended);
        loop {
            if *ended {
                return End::Ended;
            }
            if control::is_past(own) {
                return End::LeftBehind;
            }
            if control::is_past(deadline) || control::is_abandoned() {
                return End::Unfinished;
            }
            let until = [own, deadline].into_iter().flatten().min();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let nap = left.map_or(LOOK, |left| left.min(LOOK));
            ended = match self.changed.wait_timeout(ended, nap) {
                Ok((ended, _)) => ended,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

/// Hands a failure to `sys.unraisablehook`; to stderr if Python cannot be entered.
fn report(name: &str, failure: Failure) {
    match failure.0 {
        Why::Line(line) if python::report(name, &line) => {}
        Why::Line(line) => tell(name, &format!("failed: {line}")),
        Why::Raised(raised) => {
            let line = raised.line().to_owned();
            if !python::report_raised(name, raised) {
                tell(name, &format!("failed: {line}"));
            }
        }
    }
}

/// Writes a line to stderr: for what may not wait for Python.
fn tell(name: &str, what: &str) {
    // Nobody is left to tell if stderr is gone.
    let _written = writeln!(std::io::stderr(), "raddle: the exit stopper '{name}' {what}");
}

/// The runtime was abandoned: nothing will run any more.
pub(crate) fn forget() {
    let old = core::mem::take(&mut lock(&LIST).entries);
    drop(old);
}

thread_local! {
    /// The list's lock, from before a fork to after it, on the thread that forks.
    static HELD: RefCell<Option<MutexGuard<'static, List>>> = const { RefCell::new(None) };
}

/// Keeps a fork from copying a list that another thread is changing.
pub(crate) fn before_fork() {
    let guard = lock(&LIST);
    // A thread whose thread-locals are gone forks without the lock: nothing better is left.
    let _kept = HELD.try_with(|held| held.borrow_mut().replace(guard));
}

/// After a fork, on both sides.
pub(crate) fn after_fork() {
    let _released = HELD.try_with(|held| held.borrow_mut().take());
}

/// In a child of `os.fork` the threads that the stoppers would stop are not there: nothing runs, and
/// what they own is left as it is, like all that belongs to those threads.
pub(crate) fn after_fork_in_child() {
    let mut list = lock(&LIST);
    list.running = None;
    (list.begun, list.built_in) = (0, 0);
    let _left = ManuallyDrop::new(core::mem::take(&mut list.entries));
}
