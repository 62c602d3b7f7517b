//! The worker: one native thread that takes records out of the ring and hands them to Python.
//!
//! It holds Python for at most [`BUDGET`] or [`BATCH`] records at a time. While records come it
//! looks for more every millisecond by itself, so that a busy producer never pays for waking it;
//! when none has come for a while it sleeps until the bell rings.
#![forbid(unsafe_code)]

use core::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::desk::Desk;
use super::drops::Drops;
use super::post::{Mode, Post};
use super::record::Parts;
use super::record::{Head, Record};
use super::ring::Ring;
use super::{Counts, fork, stderr};
use crate::error::{Closed, Error, Status};
use crate::gate::{self, Entry, control};
use crate::primitive::{AtomicU64, Condvar, Mutex, MutexGuard, Ordering, lock};
use crate::relay::bell::Bell;
use crate::relay::stopper::PATIENCE;
use crate::tasklet::thread::Serving;

/// How many records wait at most, and how many bytes of each need no memory of their own.
const SLOTS: usize = 4096;
const BYTES: usize = 376;

/// What one hold of Python hands over at most.
const BATCH: u32 = 1024;
const BUDGET: Duration = Duration::from_millis(2);

/// How long the worker naps while records come, and how often it finds none before it sleeps.
const NAP: Duration = Duration::from_millis(1);
const NAPS: u32 = 16;

/// How long a full ring may take to be written to stderr, which nobody waits for.
const TELLING: Duration = Duration::from_secs(1);

/// Between two looks at the levels, and between two reports of drops.
pub(super) const SWEEP: Duration = Duration::from_millis(100);

/// Everything that producers and the worker share. One per process.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) ring: &'static Ring<Head, SLOTS, BYTES>,
    pub(super) post: Post,
    pub(super) drops: Drops,
    pub(super) figures: Figures,
    office: Mutex<Office>,
    changed: Condvar,
    /// What wakes the worker; made by the first start.
    bell: OnceLock<Bell>,
}

/// What became of records.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) handed: AtomicU64,
    pub(super) errors: AtomicU64,
    looped: AtomicU64,
    elsewhere: AtomicU64,
    lost: AtomicU64,
}

/// What starts, stops and flushes agree upon. No producer ever looks at it while a worker is there.
#[derive(Debug)]
pub(super) struct Office {
    /// A worker is there, or about to be.
    alive: bool,
    /// It is to end.
    stop: bool,
    /// How many flushes wait.
    flushes: u32,
    /// How often the worker has held Python, or found no reason to.
    holds: u64,
    /// Every record before this position was handed over.
    done: u64,
}

// Apart, and nothing but zeros: so it takes up no room in the file.
static RING: Ring<Head, SLOTS, BYTES> = Ring::new();

pub(super) static LOG: Log = Log {
    ring: &RING,
    post: Post::new(),
    drops: Drops::new(),
    figures: Figures {
        handed: AtomicU64::new(0),
        errors: AtomicU64::new(0),
        looped: AtomicU64::new(0),
        elsewhere: AtomicU64::new(0),
        lost: AtomicU64::new(0),
    },
    office: Mutex::new(Office { alive: false, stop: false, flushes: 0, holds: 0, done: 0 }),
    changed: Condvar::new(),
    bell: OnceLock::new(),
};

/// What a hold of Python found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// More than it had time for.
    More,
    /// Records, and handed them all over.
    All,
    /// None.
    Nothing,
}

/// What became of the records so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Handed to a logger, or found unwanted by one that had to be asked.
    pub handed: u64,
    /// Of these, those with which a handler, a filter or a factory raised.
    pub errors: u64,
    /// Waiting in the ring.
    pub waiting: u64,
    /// Refused, since a handler of the worker's made them.
    pub looped: u64,
    /// Written to stderr, since there was no worker any more.
    pub elsewhere: u64,
    /// Not even that, since stderr would have had to be waited for.
    pub lost: u64,
    /// Dropped because the ring was full, by [band](crate::relay::log::BANDS).
    pub dropped: Counts,
}

thread_local! {
    /// This thread is the worker, and in Python.
    static HANDING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is the worker and runs handlers.
#[inline]
pub(super) fn is_handing() -> bool {
    HANDING.get()
}

/// Whether there are records that handlers have not got yet, or the worker runs some.
fn is_busy() -> bool {
    LOG.office().done < LOG.ring.begun()
}

/// Starts the worker, unless one is there. The first record of a thread does so by itself.
///
/// # Errors
///
/// What an entry says if the gate is closed; [`Status::NoMemory`] if no thread can be started.
pub fn start() -> Result<(), Error> {
    LOG.start()
}

/// Waits until all records that were pushed before are handed over, at most `timeout` long. Says
/// whether they are. Gives Python up meanwhile, if this thread holds it.
///
/// In a handler that the worker runs it waits for nothing.
#[must_use]
pub fn flush(timeout: Option<Duration>) -> bool {
    let deadline = control::deadline(timeout);
    let goal = goal();
    released(|| LOG.flush(goal, deadline))
}

/// Where the newest record is now: a place for [`flush_to`].
pub(super) fn goal() -> u64 {
    LOG.ring.begun()
}

/// [`flush`] up to a place.
pub(super) fn flush_to(goal: u64, timeout: Duration) -> bool {
    let deadline = control::deadline(Some(timeout));
    released(|| LOG.flush(goal, deadline))
}

/// Ends the worker when it has handed over what is in the ring, and waits for that, at most
/// `timeout` long. Says whether all was handed over; what was not goes to stderr, and so do later
/// records, until the next start. Gives Python up meanwhile, if this thread holds it.
pub fn stop(timeout: Option<Duration>) -> bool {
    let deadline = control::deadline(timeout);
    let Some(goal) = ask_to_stop() else { return false };
    released(|| {
        let _in_time = LOG.wait_for_end(deadline);
        LOG.let_go(goal)
    })
}

/// Tells the worker to end; gives the place of the newest record. `None` in a handler that it runs: it
/// cannot be waited for there.
pub(super) fn ask_to_stop() -> Option<u64> {
    let mut office = LOG.office();
    office.stop = true;
    LOG.ring_bell();
    (!is_handing()).then(|| LOG.ring.begun())
}

/// Waits for the end that was asked for; says whether that is it.
pub(super) fn wait_for_end(timeout: Duration) -> bool {
    let deadline = control::deadline(Some(timeout));
    released(|| LOG.wait_for_end(deadline))
}

/// Waits no longer; says whether all was handed over, up to a place.
pub(super) fn let_go(goal: u64) -> bool {
    released(|| LOG.let_go(goal))
}

/// Whether a Python runs that takes records: not before its start, and not after a stop.
#[must_use]
pub fn is_served() -> bool {
    match LOG.post.mode() {
        Mode::Awake | Mode::Asleep => true,
        Mode::Closed => false,
        Mode::Idle => gate::refusal().is_none(),
    }
}

/// What became of the records so far.
#[must_use]
pub fn stats() -> Stats {
    let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    let figures = &LOG.figures;
    let taken = LOG.ring.taken();
    Stats {
        handed: read(&figures.handed),
        errors: read(&figures.errors),
        waiting: LOG.ring.begun().saturating_sub(taken),
        looped: read(&figures.looped),
        elsewhere: read(&figures.elsewhere),
        lost: read(&figures.lost),
        dropped: LOG.drops.total(),
    }
}

/// Whether an end of Python has anything to wait for.
pub(crate) fn is_needed() -> bool {
    LOG.office().alive || LOG.ring.has_next()
}

/// The last of the exit stoppers. A little faster than it may be, so that what is left is told.
pub(crate) fn stop_at_exit() {
    let _told = stop(Some(PATIENCE - Duration::from_millis(500)));
}

/// The gate has closed, so no record reaches Python any more. Waits for a worker that was started too
/// late to be stopped, until it has told what it cannot hand over. If it may be `inside` Python it is not
/// waited for, and what it has not begun is told here.
pub(crate) fn gate_closed(inside: bool) {
    let patience = if inside { Duration::ZERO } else { TELLING };
    let _told = stop(Some(patience));
}

/// A Python runs that did not before: what waits for it is handed over, by a new worker.
pub(crate) fn python_started() {
    let gone = !LOG.office().alive;
    if gone && LOG.post.mode() == Mode::Closed {
        LOG.post.reopen();
    }
    // A record that is not seen here was pushed by a thread that sees Python run.
    LOG.post.fence();
    if gone && LOG.ring.has_next() {
        // If no thread can be had now, the next record tries again.
        let _later = LOG.start();
    }
}

/// Runs `body` without Python.
fn released<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    if gate::is_held() { gate::release(body) } else { body() }
}

fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}

impl Log {
    pub(super) fn office(&self) -> MutexGuard<'_, Office> {
        lock(&self.office)
    }

    /// Whether the ring takes a record although no worker is known to be there.
    #[cold]
    pub(super) fn is_taken(&'static self) -> bool {
        fork::watch();
        if self.post.mode() != Mode::Idle {
            return self.post.mode() != Mode::Closed;
        }
        match gate::refusal() {
            // If no thread can be had now, the next record tries again.
            None => {
                let _later = self.start();
                true
            }
            Some(Closed::NotStarted) => true,
            Some(_) => false,
        }
    }

    pub(super) fn start(&'static self) -> Result<(), Error> {
        fork::watch();
        let mut office = self.office();
        // Asked here, so that whoever has closed the gate and then locks the office sees each worker.
        if let Some(closed) = gate::refusal() {
            return Err(closed.into());
        }
        if office.alive {
            if office.stop {
                // It was told to end and has not: now it goes on.
                office.stop = false;
                self.post.begin();
                self.changed.notify_all();
            }
            return Ok(());
        }
        let no_thread = |error| {
            Error::new(Status::NoMemory, format!("the log's worker cannot be started: {error}"))
        };
        if self.bell.get().is_none() {
            // Nobody else makes one while the office is locked.
            let _made = self.bell.set(Bell::new().map_err(no_thread)?);
        }
        // Makes it a child's own after a fork, so that no producer has to.
        let _number = self.bell.get().map(Bell::fd);
        let worker = std::thread::Builder::new().name("raddle log".to_owned());
        let serving = Serving::new(is_busy);
        office.alive = true;
        office.stop = false;
        self.post.begin();
        if let Err(error) = worker.spawn(|| self.work(serving)) {
            office.alive = false;
            self.post.reopen();
            return Err(no_thread(error));
        }
        Ok(())
    }

    #[cold]
    pub(super) fn ring_bell(&self) {
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }

    #[cold]
    pub(super) fn note_loop(&self) {
        count(&self.figures.looped);
    }

    /// Writes one record to stderr.
    #[cold]
    pub(super) fn write(&self, head: &Head, record: &Record<'_>) {
        let Record { file, function, message, fields, .. } = *record;
        self.count_written(stderr::write(head, &Parts { file, function, message, fields }));
    }

    /// The same for one that was taken out of the ring.
    #[cold]
    pub(super) fn write_taken(&self, head: &Head, bytes: &[u8]) {
        self.count_written(stderr::write(head, &head.parts(bytes)));
    }

    fn count_written(&self, written: bool) {
        count(if written { &self.figures.elsewhere } else { &self.figures.lost });
    }

    /// A record was pushed while the worker was sent away: if it is gone, nobody else sees it.
    #[cold]
    pub(super) fn sweep_if_gone(&self) {
        let gone = !self.office().alive;
        if gone {
            self.sweep();
        }
    }

    /// Writes what is in the ring to stderr.
    fn sweep(&self) {
        let mut bytes = Vec::new();
        while let Some(head) = self.ring.pop(&mut bytes) {
            self.write_taken(&head, &bytes);
        }
        if let Some(report) = self.drops.take() {
            stderr::write_line(format!("raddle: {}", report.line(super::clock::time_of_day)));
        }
    }

    /// Waits until `done`, or until the deadline passes, or no worker is there.
    fn wait<'a>(
        &'a self,
        mut office: MutexGuard<'a, Office>,
        deadline: Option<Instant>,
        done: impl Fn(&Office) -> bool,
    ) -> MutexGuard<'a, Office> {
        while office.alive && !done(&office) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            let left = left.unwrap_or(Duration::from_secs(3600));
            office = match self.changed.wait_timeout(office, left) {
                Ok((office, _)) => office,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        office
    }

    fn flush(&'static self, goal: u64, deadline: Option<Instant>) -> bool {
        if is_handing() {
            return self.office().done >= goal;
        }
        if self.post.mode() == Mode::Idle && self.ring.taken() < goal && gate::refusal().is_none() {
            // If no thread can be had, the answer below says that nothing was handed over.
            let _no_thread = self.start();
        }
        let mut office = self.office();
        office.flushes += 1;
        self.ring_bell();
        // Drops are reported in the hold after the next at the latest.
        let reported = office.holds + 2;
        let clean = |office: &Office| {
            office.done >= goal && (office.holds >= reported || !self.drops.is_pending())
        };
        office = self.wait(office, deadline, clean);
        office.flushes -= 1;
        office.done >= goal
    }

    /// Waits until the worker has ended, or was started again.
    fn wait_for_end(&self, deadline: Option<Instant>) -> bool {
        let office = self.wait(self.office(), deadline, |office| !office.stop);
        !office.alive || !office.stop
    }

    /// Whether all was handed over, up to a place. What was not goes to stderr.
    fn let_go(&self, goal: u64) -> bool {
        let office = self.office();
        let all = office.done >= goal;
        if office.alive && !office.stop {
            return all; // Started again meanwhile.
        }
        // Too late, or never started: what is in the ring must not wait for ever.
        self.post.close();
        drop(office);
        self.sweep();
        // What was told now is not asked for again.
        self.office().done = self.ring.taken();
        all
    }

    /// What the worker does.
    fn work(&'static self, serving: Serving) {
        serving.begin();
        self.ring.touch();
        let mut desk = Desk::new();
        let mut quiet = 0;
        loop {
            let office = self.office();
            let stopping = office.stop;
            if stopping {
                self.post.close();
            }
            drop(office);
            match self.hold(&mut desk, stopping) {
                Ok(Held::More) => quiet = 0,
                Ok(_) if stopping => {
                    if self.end(false) {
                        return;
                    }
                }
                Ok(Held::All) => {
                    quiet = 0;
                    self.nap(&mut quiet, &desk);
                }
                Ok(Held::Nothing) => self.nap(&mut quiet, &desk),
                Err(_closed) => {
                    // The gate closed without a stop of ours: nobody takes records any more.
                    self.post.close();
                    self.sweep();
                    if self.end(true) {
                        return;
                    }
                }
            }
        }
    }

    /// The end of the worker, unless a record has come after all, or a start when not `for_good`.
    fn end(&self, for_good: bool) -> bool {
        let mut office = self.office();
        if self.ring.has_next() || !(for_good || office.stop) {
            return false;
        }
        // Whoever pushes from here on finds nobody alive.
        office.alive = false;
        office.done = self.ring.taken();
        self.changed.notify_all();
        true
    }

    /// Holds Python once, if there is a reason to.
    fn hold(&'static self, desk: &mut Desk, stopping: bool) -> Result<Held, Closed> {
        let flushing = self.office().flushes > 0;
        let report =
            self.drops.is_pending() && (stopping || flushing || desk.reported.elapsed() >= SWEEP);
        let sweep = desk.sweeps_idle && desk.swept.elapsed() >= SWEEP;
        if !self.ring.has_next() && !report && !sweep {
            self.done();
            return Ok(Held::Nothing);
        }
        let entry = Entry::new()?;
        let begun = Instant::now();
        HANDING.set(true);
        let mut handed = 0;
        let more = loop {
            if handed == BATCH || (handed > 0 && begun.elapsed() >= BUDGET) {
                break true;
            }
            let Some(head) = self.ring.pop(&mut desk.bytes) else { break false };
            desk.hand(entry.py(), self, &head);
            handed += 1;
        };
        if report && let Some(report) = self.drops.take() {
            desk.report(entry.py(), self, &report);
        }
        if (handed > 0 || sweep) && (desk.has_news() || desk.swept.elapsed() >= SWEEP) {
            desk.refresh(entry.py());
        }
        HANDING.set(false);
        drop(entry);
        self.done();
        Ok(match handed {
            _ if more => Held::More,
            0 => Held::Nothing,
            _ => Held::All,
        })
    }

    /// Tells those who flush how far it is.
    fn done(&self) {
        let mut office = self.office();
        office.done = self.ring.taken();
        office.holds += 1;
        if office.flushes > 0 {
            self.changed.notify_all();
        }
    }

    /// Waits for records: for a millisecond while some have come lately, else for the bell.
    fn nap(&self, quiet: &mut u32, desk: &Desk) {
        let Some(bell) = self.bell.get() else { return };
        *quiet += 1;
        if *quiet <= NAPS || self.drops.is_pending() {
            if bell.wait(Some(NAP)) {
                bell.hush();
            }
            return;
        }
        if self.post.sleep(|| self.ring.has_next()) {
            bell.wait(desk.sweeps_idle.then_some(SWEEP));
            self.post.wake();
            bell.hush();
            *quiet = 0;
        }
    }

    /// In a forked child: there is no worker, and the records are the parent's.
    pub(super) fn forget(&self, office: &mut Office) {
        let done = self.ring.taken();
        *office = Office { alive: false, stop: false, flushes: 0, holds: 0, done };
        self.drops.forget();
        let Figures { handed, errors, looped, elsewhere, lost } = &self.figures;
        for figure in [handed, errors, looped, elsewhere, lost] {
            figure.store(0, Ordering::Relaxed);
        }
        self.post.reopen();
        HANDING.set(false);
    }
}
