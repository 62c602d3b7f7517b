//! Which threads still have duties, so that somebody can wait until a thread's have been done.
//!
//! `pthread_join` does that for a host, but `threading.Thread.join` reaches it from Python 3.13 only.
//! Thread identities are used again, pthread's at once and the kernel's after a while; the pair of
//! them names a thread. Entries are made once and used again, and there is no lock, so a child of
//! `fork` finds the roll usable whatever the other threads were doing.

use core::{cell::Cell, ptr};

use crate::primitive::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// One thread with duties, or a vacancy.
///
/// | `native` | the entry is | next, and by whom |
/// |---|---|---|
/// | `VACANT` | nobody's | `TAKEN`, by a thread that needs one |
/// | `TAKEN` | being filled in | the kernel's name, by the same thread |
/// | a name | that thread's | `VACANT`, by the thread, or by a waiter once it is gone |
struct Entry {
    native: AtomicU32,
    /// pthread's name of the thread; belongs to whoever put `TAKEN` into `native`.
    ident: AtomicU64,
    next: *const Entry,
}

const VACANT: u32 = 0;
const TAKEN: u32 = u32::MAX;

/// Lists by kernel name, so that ten thousand threads do not walk one list.
const LISTS: usize = 64;
static ROLL: [AtomicPtr<Entry>; LISTS] = [const { AtomicPtr::new(ptr::null_mut()) }; LISTS];

thread_local! {
    static OWN: Cell<Option<&'static Entry>> = const { Cell::new(None) };
}

// SAFETY: `next` is written before an entry is published and never again.
unsafe impl Sync for Entry {}

/// Puts this thread on the roll, once. Returns `false` if there is no memory for it.
pub(super) fn enlist() -> bool {
    if OWN.get().is_some() {
        return true;
    }
    let native = native_id();
    let Some(entry) = entries(native).find(|entry| entry.take()).or_else(|| new_entry(native))
    else {
        return false;
    };
    entry.ident.store(ident(), Ordering::Relaxed);
    entry.native.store(native, Ordering::Release);
    OWN.set(Some(entry));
    true
}

/// Strikes this thread off: its duties are done.
pub(super) fn strike_off() {
    if let Some(entry) = OWN.take() {
        entry.native.store(VACANT, Ordering::Release);
    }
}

/// Whether the thread of these two names has duties that are still to be done.
///
/// A thread that registered in its last round never does them; it is struck off here when it is
/// gone.
pub(crate) fn has_duties(ident: u64, native: u32) -> bool {
    let mut found = entries(native).filter(|entry| {
        entry.native.load(Ordering::Acquire) == native
            && entry.ident.load(Ordering::Relaxed) == ident
    });
    let Some(entry) = found.next() else {
        return false;
    };
    if is_alive(native) {
        return true;
    }
    let (vacant, relaxed) = (Ordering::Release, Ordering::Relaxed);
    // Another waiter may have done it first.
    let _ = entry.native.compare_exchange(native, VACANT, vacant, relaxed);
    false
}

impl Entry {
    fn take(&self) -> bool {
        self.native.compare_exchange(VACANT, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

fn list(native: u32) -> &'static AtomicPtr<Entry> {
    &ROLL[native as usize % LISTS]
}

fn entries(native: u32) -> impl Iterator<Item = &'static Entry> {
    // Acquire: pairs with the Release that publishes an entry in `new_entry`.
    let mut next: *const Entry = list(native).load(Ordering::Acquire);
    core::iter::from_fn(move || {
        // SAFETY: entries are published whole and never freed.
        let entry = unsafe { next.as_ref() }?;
        next = entry.next;
        Some(entry)
    })
}

/// A new entry, taken, in the list it belongs to.
fn new_entry(native: u32) -> Option<&'static Entry> {
    let mut place = Vec::new();
    place.try_reserve_exact(1).ok()?;
    place.push(Entry {
        native: AtomicU32::new(TAKEN),
        ident: AtomicU64::new(0),
        next: ptr::null(),
    });
    let entry = &raw mut place.leak()[0];
    let head = list(native);
    let mut first = head.load(Ordering::Relaxed);
    loop {
        // SAFETY: nobody else sees the entry before the exchange below succeeds.
        unsafe { (*entry).next = first };
        match head.compare_exchange(first, entry, Ordering::Release, Ordering::Relaxed) {
            // SAFETY: it was leaked just now, and from here on only shared.
            Ok(_) => return unsafe { entry.as_ref() },
            Err(now) => first = now,
        }
    }
}

/// What Python calls `Thread.ident`.
fn ident() -> u64 {
    // SAFETY: pthread_self has no conditions.
    let own = unsafe { libc::pthread_self() };
    own as u64
}

/// What Python calls `Thread.native_id`.
#[cfg(target_os = "linux")]
fn native_id() -> u32 {
    // SAFETY: gettid has no conditions.
    let own = unsafe { libc::gettid() };
    own.unsigned_abs()
}

/// A stand-in where the kernel's name is not at hand: pthread's has to do.
#[cfg(not(target_os = "linux"))]
fn native_id() -> u32 {
    1
}

#[cfg(target_os = "linux")]
fn is_alive(native: u32) -> bool {
    let process = std::process::id();
    // SAFETY: signal 0 is sent to nobody; the call only looks the thread up.
    unsafe { libc::syscall(libc::SYS_tgkill, process, native, 0) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_alive(_native: u32) -> bool {
    true
}
