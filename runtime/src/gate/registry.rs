//! Which threads have entered, and what they did there.
//!
//! A thread registers at its first entry and is taken off when it ends, so a stop can look at
//! every flag, a forked child can keep its own, and the figures outlive the threads.

use std::sync::OnceLock;
use std::time::Duration;

use super::slot::Slot;
use super::{GATE, reaper};
use crate::exit;
use crate::primitive::{Ordering, lock};

/// What went through the gate since this process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Entries that took Python.
    pub entries: u64,
    /// Entries that found it held.
    pub nested: u64,
    /// Threads that have entered, those that ended included.
    pub threads: u64,
    /// Of these, how many are alive.
    pub live_threads: u64,
    /// Entries whose wait was timed.
    pub waits: u64,
    /// What these waited in all, in nanoseconds.
    pub wait_ns: u64,
    /// Thread states of dead threads that were cleared.
    pub reaped: u64,
    /// References dropped by threads that did not hold Python.
    pub decrefs: u64,
    /// References dropped after the end, and so on purpose never released.
    pub leaked: u64,
}

/// Somebody whom a stop waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remaining {
    /// The thread's name, or its number where it has none.
    pub name: String,
    /// How long it has been inside.
    pub since: Since,
}

/// How long a thread has been inside, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Since {
    /// This long.
    For(Duration),
    /// This long at most: its entry was not timed, an earlier one was.
    AtMost(Duration),
    /// It is a Python thread that runs; when it was started is not known.
    PythonThread,
}

#[derive(Debug)]
pub(super) struct Registry {
    slots: Vec<Entry>,
    /// The figures of threads that ended.
    past: Stats,
}

#[derive(Clone, Copy, Debug)]
struct Entry(&'static Slot);

// SAFETY: other threads use the atomics of a slot and its index only, and only under the registry's
// lock, which its thread takes to be removed before its memory goes.
unsafe impl Send for Entry {}

impl Registry {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            past: Stats {
                entries: 0,
                nested: 0,
                threads: 0,
                live_threads: 0,
                waits: 0,
                wait_ns: 0,
                reaped: 0,
                decrefs: 0,
                leaked: 0,
            },
        }
    }
}

/// Puts this thread on the list. It is taken off when it ends, or, if its destructors are running
/// already, by whoever finds it outside again.
pub(super) fn register(slot: &'static Slot) {
    // Refused in that second case alone.
    let _lasting = exit::at_early_exit(reaper::thread_ends);
    let mut registry = lock(&GATE.registry);
    slot.index.set(registry.slots.len());
    slot.thread.store(thread_number(), Ordering::Relaxed);
    registry.slots.push(Entry(slot));
    registry.past.threads += 1;
}

/// Takes this thread off the list and keeps its figures.
pub(super) fn unregister(slot: &Slot) {
    if slot.thread.swap(0, Ordering::Relaxed) == 0 {
        return;
    }
    let mut registry = lock(&GATE.registry);
    let index = slot.index.get();
    registry.slots.swap_remove(index);
    if let Some(moved) = registry.slots.get(index) {
        // Under the lock: the moved slot's thread reads its index under it too.
        moved.0.index.set(index);
    }
    add(&mut registry.past, slot);
    for figure in [&slot.entries, &slot.nested, &slot.waits, &slot.wait_ns] {
        figure.store(0, Ordering::Relaxed);
    }
}

fn add(stats: &mut Stats, slot: &Slot) {
    stats.entries += slot.entries.load(Ordering::Relaxed);
    stats.nested += slot.nested.load(Ordering::Relaxed);
    stats.waits += slot.waits.load(Ordering::Relaxed);
    stats.wait_ns += slot.wait_ns.load(Ordering::Relaxed);
}

/// The figures of the living and the dead.
pub fn stats() -> Stats {
    let registry = lock(&GATE.registry);
    let mut stats = registry.past;
    for entry in &registry.slots {
        add(&mut stats, entry.0);
    }
    stats.live_threads = registry.slots.len() as u64;
    stats.reaped = GATE.reaped.load(Ordering::Relaxed);
    stats.decrefs = GATE.decrefs.load(Ordering::Relaxed);
    stats.leaked = GATE.leaked.load(Ordering::Relaxed);
    stats
}

/// Whether no thread but this one is inside.
pub(crate) fn nobody_is_inside() -> bool {
    let here = Slot::here();
    let registry = lock(&GATE.registry);
    registry.slots.iter().all(|entry| core::ptr::eq(entry.0, here) || !entry.0.inside.is_set())
}

/// Who is inside, but for this thread.
pub(crate) fn inside() -> Vec<Remaining> {
    let now = monotonic_ns();
    let registry = lock(&GATE.registry);
    let here = Slot::here();
    let slots = registry.slots.iter().map(|entry| entry.0);
    slots
        .filter(|slot| slot.inside.is_set() && !core::ptr::eq(*slot, here))
        .map(|slot| {
            let ago = Duration::from_nanos(now.saturating_sub(slot.stamp.load(Ordering::Relaxed)));
            let exact =
                slot.stamped.load(Ordering::Relaxed) == slot.entries.load(Ordering::Relaxed);
            Remaining {
                name: thread_name(slot.thread.load(Ordering::Relaxed)),
                since: if exact { Since::For(ago) } else { Since::AtMost(ago) },
            }
        })
        .collect()
}

/// In a forked child, with only this thread left: forgets all others.
pub(super) fn forget_others() {
    let mut registry = lock(&GATE.registry);
    let here = Slot::here();
    registry.slots.retain(|entry| core::ptr::eq(entry.0, here));
    here.index.set(0);
    if here.thread.load(Ordering::Relaxed) != 0 {
        here.thread.store(thread_number(), Ordering::Relaxed);
    }
}

/// Nanoseconds of the monotonic clock, from this process's first question on.
pub(crate) fn monotonic_ns() -> u64 {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The kernel's number of this thread, never 0.
#[cfg(target_os = "linux")]
fn thread_number() -> u32 {
    // SAFETY: returns a number and does nothing else.
    let number = unsafe { libc::gettid() };
    u32::try_from(number).unwrap_or(1)
}

/// A number for this thread, never 0.
#[cfg(not(target_os = "linux"))]
fn thread_number() -> u32 {
    use crate::primitive::AtomicU32;
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn thread_name(number: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/self/task/{number}/comm"));
    match name.as_deref().map(str::trim_end) {
        Ok(name) if !name.is_empty() => format!("{name} (thread {number})"),
        _ => format!("thread {number}"),
    }
}
