//! Tasklets and threads: waiting without Python, being woken, the end of a thread and of Python.
//!
//! A tasklet belongs to the thread that made it, and once it has begun it stays there. Other threads
//! may only change queues, which they do with Python held, and ring.

use core::cell::Cell;
use core::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3_ffi as ffi;

use super::bell::Bell;
use super::ops::{self, Raw};
use super::scheduler::Scheduler;
use super::state::{Body, Task};
use super::{kinds, throw, wait};
use crate::cpython;
use crate::error::{Error, Status};
use crate::gate::{Entry, fork, monotonic_ns};
use crate::object::Pending;
use crate::primitive::{AtomicBool, AtomicU32, AtomicU64, Mutex, Ordering, lock};

/// How long Python's main thread waits before it looks whether a signal came.
const SIGNALS: Duration = Duration::from_millis(50);
/// How long a thread waits before it looks whether those that could wake it have ended: each time twice as
/// long, since the look goes through all thread states.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(1600));
/// How often a tasklet that outlives its kill is killed.
const KILLS: usize = 10;

/// How a thread waits that has no tasklet to run.
#[derive(Debug)]
pub(super) struct Waiting {
    blocked: Cell<bool>,
    /// Waits, or was woken and has not got Python yet.
    idle: Cell<bool>,
    pub(super) bell: Arc<Bell>,
}

/// The schedulers that are there, by address. Only changed and read with Python held.
static ALL: Mutex<Vec<Known>> = Mutex::new(Vec::new());
/// Those who may make a tasklet runnable without being a thread of Python's.
static AWAITED: AtomicU32 = AtomicU32::new(0);
static SERVICES: Mutex<Vec<Service>> = Mutex::new(Vec::new());
static ENDING: AtomicBool = AtomicBool::new(false);
static LEAKED: AtomicU64 = AtomicU64::new(0);
static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[derive(Clone, Copy, PartialEq, Eq)]
struct Known(Scheduler);

// SAFETY: followed with Python held only.
unsafe impl Send for Known {}

impl Waiting {
    pub(super) fn new() -> Self {
        Self { blocked: Cell::new(false), idle: Cell::new(false), bell: Arc::default() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle.get()
    }
}

pub(super) fn register(s: Scheduler) {
    lock(&ALL).push(Known(s));
}

pub(super) fn unregister(s: Scheduler) {
    lock(&ALL).retain(|known| *known != Known(s));
}

/// The schedulers of all threads, the newest first.
pub(super) fn all() -> Vec<Scheduler> {
    lock(&ALL).iter().rev().map(|known| known.0).collect()
}

/// One more native part of the program that may make tasklets runnable (or one less): while there is
/// one, a thread that has nobody to run waits for it instead of reporting a deadlock.
pub(super) fn expect_others(more: bool) {
    // Relaxed: read with Python held, and a reader that comes early only waits a little longer.
    if more {
        AWAITED.fetch_add(1, Ordering::Relaxed);
    } else {
        AWAITED.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn is_awaited() -> bool {
    AWAITED.load(Ordering::Relaxed) > 0
}

/// A thread of raddle's own, which only hands to Python what others have made.
#[derive(Clone, Copy, Debug)]
struct Service {
    number: u64,
    /// `None` until the thread begins.
    ident: Option<u64>,
    /// Forks of this process when it began.
    forks: u32,
    is_busy: fn() -> bool,
}

/// A thread serves: it keeps the others from being told of a deadlock only while it is busy, and once it
/// has used tasklets itself. Until this is dropped.
#[derive(Debug)]
#[must_use = "the thread serves until the guard is dropped"]
pub(crate) struct Serving(u64);

impl Serving {
    /// For a thread that is about to begin. `is_busy` says whether it runs code of others, or will; it is
    /// called with Python held.
    pub(crate) fn new(is_busy: fn() -> bool) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        // Relaxed: a number alone.
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        lock(&SERVICES).push(Service { number, ident: None, forks: forks(), is_busy });
        Self(number)
    }

    /// This is the thread.
    pub(crate) fn begin(&self) {
        // SAFETY: tells this thread's own identity.
        let ident = unsafe { libc::pthread_self() };
        let mut services = lock(&SERVICES);
        if let Some(service) = services.iter_mut().find(|service| service.number == self.0) {
            service.ident = Some(ident);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        lock(&SERVICES).retain(|service| service.number != self.0);
    }
}

/// The threads that serve in this process.
fn services() -> Vec<Service> {
    let all = lock(&SERVICES).clone();
    all.into_iter().filter(|service| service.forks == forks()).collect()
}

/// Whether this is Python's main thread.
pub(super) fn is_main_thread(s: Scheduler) -> bool {
    kinds::main_thread() == s.ident.get()
}

/// Whether nobody could wake this thread if it waited now.
pub(super) fn is_deadlock(s: Scheduler) -> bool {
    if is_awaited() || s.waits.may_end() {
        return false;
    }
    let all = all();
    let may_go_on = |other: &Scheduler| !other.waiting.blocked.get() || other.waits.may_end();
    if all.iter().any(|other| *other != s && may_go_on(other)) {
        return false;
    }
    // A thread without a scheduler may get one, unless it serves and has nothing to do.
    let services = services();
    if services.iter().any(|service| (service.is_busy)()) {
        return false;
    }
    let serves = |state| {
        let ident = Some(cpython::tasklet::ident(state));
        services.iter().any(|service| service.ident == ident)
    };
    let is_known = |state| all.iter().any(|known| known.state.get() == state);
    let mut state = first_state();
    while !state.is_null() {
        if !is_known(state) && !cpython::tasklet::is_parked(state) && !serves(state) {
            return false;
        }
        // SAFETY: as above.
        state = unsafe { ffi::PyThreadState_Next(state) };
    }
    true
}

/// Waits, without Python, until another thread makes a tasklet of this one runnable, or until none can
/// any more: the caller looks which.
///
/// # Errors
///
/// If a signal handler raises, on Python's main thread.
#[cold]
pub(super) fn wait(s: Scheduler) -> Result<(), Pending> {
    let on_main = is_main_thread(s);
    let (mut pause, longest) = LOOKS;
    let mut look = Instant::now() + pause;
    s.waiting.blocked.set(true);
    s.waiting.idle.set(true);
    let result = loop {
        wait::look(s);
        open_mail(s);
        if s.turn().is_some() {
            break Ok(());
        }
        let patience = patience(s, on_main, look);
        let descriptor = s.waits.descriptor();
        // SAFETY: Python is held, and its state comes back below.
        let state = unsafe { ffi::PyEval_SaveThread() };
        let rung = match descriptor {
            Some(descriptor) => s.waiting.bell.poll(|| wait::poll(descriptor, Some(patience))),
            None => s.waiting.bell.listen(patience),
        };
        // SAFETY: given up a few lines ago, on this thread.
        unsafe { ffi::PyEval_RestoreThread(state) };
        open_mail(s);
        if rung || s.current.get().is_some() {
            break Ok(());
        }
        // SAFETY: Python is held.
        if unsafe { ffi::PyErr_CheckSignals() } != 0 {
            break Err(Pending::is_set());
        }
        if Instant::now() >= look {
            if is_deadlock(s) {
                break Ok(());
            }
            pause = longest.min(pause * 2);
            look = Instant::now() + pause;
        }
    };
    s.waiting.blocked.set(false);
    s.waiting.idle.set(false);
    result
}

/// How long to wait at most: to the next time that a tasklet waits for, to a look for signals, or to a
/// look whether others have ended.
fn patience(s: Scheduler, on_main: bool, look: Instant) -> Duration {
    let until = s.waits.next_due();
    let left = until.map(|until| Duration::from_nanos(until.saturating_sub(monotonic_ns())));
    let patience = look.saturating_duration_since(Instant::now());
    let patience = if on_main { patience.min(SIGNALS) } else { patience };
    left.map_or(patience, |left| left.min(patience))
}

/// Does what other threads have asked for without Python.
#[inline]
pub(super) fn open_mail(s: Scheduler) {
    if s.waiting.bell.has_mail() {
        open_letters(s);
    }
}

#[cold]
fn open_letters(s: Scheduler) {
    let before = s.in_callback.replace(true);
    for letter in s.waiting.bell.take_mail() {
        letter.open();
    }
    s.in_callback.set(before);
}

/// Wakes a thread that waits.
pub(super) fn wake(s: Scheduler) {
    if s.waiting.blocked.replace(false) {
        s.waiting.bell.ring();
    }
}

/// Forks that this process is the child of.
#[inline(always)]
pub(super) fn forks() -> u32 {
    fork::count()
}

/// In a child of fork, Python has freed the states that show suspended tasklets.
#[inline(always)]
pub(super) fn look_after_forks(from: &Body, to: &Body) {
    let now = forks();
    if from.forks.get() != now || to.forks.get() != now {
        for body in [from, to] {
            if body.forks.replace(now) != now {
                body.running.forget_parked();
            }
        }
    }
}

/// Takes back the state that shows a tasklet.
pub(super) fn unpark(body: &Body) {
    if body.forks.replace(forks()) != forks() {
        body.running.forget_parked();
    }
    if body.running.is_parked() {
        // SAFETY: Python is held, and the state is of this process, as was just looked at.
        unsafe { body.running.unpark() };
    }
}

/// Kills every tasklet of this thread that has begun, oldest first. Returns how many live on.
pub(super) fn kill_all(s: Scheduler) -> usize {
    for _ in 0..KILLS {
        let begun = begun(s);
        if begun.is_empty() {
            return 0;
        }
        for task in begun {
            // SAFETY: in the list, and so alive, when it was made; counted since.
            let task = unsafe { Task::from_raw(task) };
            if task.has_begun() && !task.is_current() {
                match throw::kill(task, false) {
                    Ok(value) => ops::decref(value),
                    Err(_) => ops::report_raised(task.raw()),
                }
            }
            task.decref();
        }
    }
    s.peers.borrow().len()
}

/// The tasklets that have begun, the current one and the main one left out, each counted.
fn begun(s: Scheduler) -> Vec<Raw> {
    let peers = s.peers.borrow();
    let others = peers.values().filter(|task| !task.is_current() && !task.is_main());
    others.map(|task| task.new_ref()).collect()
}

/// Ends this thread's tasklets while they can still run: raises TaskletExit in each that has begun, oldest
/// first. For a native thread that is about to end, where nobody may wait for Python any more and what
/// still sleeps is leaked. May wait for Python; the thread may go on afterwards.
///
/// # Errors
///
/// [`Status::WrongOrder`] inside a tasklet or where a switch is trapped; [`Status::Busy`] with the names of
/// those that outlived ten kills; [`Status::Closed`] if Python is ending or has ended. A thread that never
/// had a tasklet has nothing to end, whatever Python does.
#[doc(alias = "raddle_thread_end")]
pub fn end_thread() -> Result<(), Error> {
    if !Scheduler::was_here() {
        return Ok(());
    }
    let _entry = Entry::new()?;
    let Some(s) = Scheduler::try_here() else { return Ok(()) };
    if s.current.get() != s.main.get() || s.in_callback.get() || s.switch_trap.get() != 0 {
        let line = "a thread's tasklets are ended from its own stack: not inside one of them, in a \
                    callback of the scheduler, or under a switch_trap";
        return Err(Error::new(Status::WrongOrder, line));
    }
    let pending = ops::take_raised();
    kill_all(s);
    let left: Vec<String> =
        s.peers.borrow().values().map(|task| kinds::name_of(task.function.get())).collect();
    ops::put_raised(pending);
    if left.is_empty() {
        return Ok(());
    }
    let line = format!(
        "tasklets outlived TaskletExit, and are leaked when this thread ends: {}",
        left.join(", ")
    );
    Err(Error::new(Status::Busy, line))
}

/// A thread state is cleared: its tasklets are killed where they can run, and leaked elsewhere.
pub(super) fn end(s: Scheduler) {
    let pending = ops::take_raised();
    s.drive.end();
    if cpython::current() == s.state.get() && !ENDING.load(Ordering::Relaxed) {
        kill_all(s);
    }
    let left: Vec<Raw> = s.peers.borrow().values().map(|task| task.new_ref()).collect();
    for task in left {
        // SAFETY: counted above.
        let task = unsafe { Task::from_raw(task) };
        if !task.is_main() {
            leak(task);
        }
        task.decref();
    }
    while let Some(task) = s.current.get() {
        s.remove_current();
        task.decref();
    }
    s.waits.end();
    let watchdogs = core::mem::take(&mut *s.watchdogs.borrow_mut());
    watchdogs.into_iter().for_each(Task::decref);
    if let Some(main) = s.main.take() {
        let body = main.body.replace(ptr::null());
        if !body.is_null() {
            // SAFETY: the main tasklet's record, which is no longer anybody's.
            let body = unsafe { Box::from_raw(body.cast_mut()) };
            if !ENDING.load(Ordering::Relaxed) {
                unpark(&body);
            }
        }
        main.decref();
    }
    ops::put_raised(pending);
}

/// A tasklet that cannot be ended keeps its stack for ever, and what is on it.
pub(super) fn leak(task: Task) {
    if let Some(body) = task.body()
        && !ENDING.load(Ordering::Relaxed)
    {
        unpark(body);
    }
    if let Some(s) = task.home.get() {
        s.forget_peer(task);
    }
    task.body.set(ptr::null());
    // Relaxed: a figure.
    LEAKED.fetch_add(1, Ordering::Relaxed);
    let name = kinds::name_of(task.function.get());
    lock(&NAMES).push(name);
    // What it was called with is still in use on its stack.
    for place in [&task.function, &task.arguments, &task.keywords] {
        place.set(ptr::null_mut());
    }
}

/// How many tasklets were leaked, since their thread or Python ended, and the names of their functions.
pub(super) fn leaked() -> (u64, Vec<String>) {
    (LEAKED.load(Ordering::Relaxed), lock(&NAMES).clone())
}

/// Whether suspended tasklets may be shown by states of their own.
pub(super) fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

/// Python begins to serve tasklets: a new generation.
pub(super) fn begin() {
    // Relaxed: written and read with Python held.
    ENDING.store(false, Ordering::Relaxed);
}

/// Python's exit handlers run: kills this thread's tasklets, and takes back all states that show one.
pub(super) fn python_exits() {
    if let Some(s) = Scheduler::try_here() {
        s.drive.end(); // Who is killed may wait once more, and nobody turns the loop.
        kill_all(s);
    }
    ENDING.store(true, Ordering::Relaxed);
    for s in all() {
        s.drive.end();
        for task in s.peers.borrow().values() {
            if let Some(body) = task.body() {
                unpark(body);
            }
        }
        if let Some(body) = s.main.get().as_ref().and_then(|main| main.body()) {
            unpark(body);
        }
    }
}

/// The identities of the interpreter's threads, the main one first.
pub(super) fn idents() -> Vec<u64> {
    let mut found = Vec::new();
    let mut state = first_state();
    while !state.is_null() {
        if !cpython::tasklet::is_parked(state) {
            found.push(cpython::tasklet::ident(state));
        }
        // SAFETY: as above.
        state = unsafe { ffi::PyThreadState_Next(state) };
    }
    found.reverse();
    found
}

/// Lets this thread's tasklets that wait at channels go on. Returns how many did.
pub(super) fn unblock_all(s: Scheduler) -> u64 {
    let waiting: Vec<Task> =
        s.peers.borrow().values().copied().filter(|t| t.is_blocked() && !s.waits.has(*t)).collect();
    let mut count = 0;
    for task in waiting {
        if super::channel::take_out(task).is_some() {
            task.give(ops::new_none());
            s.insert(task);
            count += 1;
        }
    }
    count
}

/// The first thread state of the interpreter's list.
fn first_state() -> *mut ffi::PyThreadState {
    // SAFETY: Python is held.
    let interpreter = unsafe { ffi::PyInterpreterState_Get() };
    // SAFETY: alive while Python is held.
    unsafe { ffi::PyInterpreterState_ThreadHead(interpreter) }
}
