//! A bounded ring of records of bytes: any thread writes without waiting, one at a time reads.
//!
//! After Vyukov's bounded queue (1024cores.net, "Bounded MPMC queue"), with one reader and a slot
//! that the writer copies into, so that a long record is the only one that allocates. Each slot has
//! a `turn`; in lap `n` (position divided by the number of slots)
//!
//! | `turn`     | the slot is                   | next, by whom                                   |
//! |------------|-------------------------------|-------------------------------------------------|
//! | 2n         | free, or being written        | 2n + 1, by the writer that moved `tail` past it |
//! | 2n + 1     | written, or being read        | 2n + 2, by the reader                           |
//!
//! All zeros is an empty ring: in a static it costs no memory until it is used. A writer that finds
//! the slot of its lap unread gives up at once: the ring is full, and the newest record is dropped.
//! A writer that is slow between claiming and publishing holds back the reader, never a writer.

use core::fmt;
use core::mem::MaybeUninit;

use crate::primitive::{AtomicU64, Mutex, MutexGuard, Ordering, UnsafeCell, lock};

/// What a slot has in it while its turn is odd.
struct Content<H, const BYTES: usize> {
    head: MaybeUninit<H>,
    length: usize,
    /// The bytes of a record that is too long for `bytes`.
    long: Option<Box<[u8]>>,
    bytes: [MaybeUninit<u8>; BYTES],
}

struct Slot<H, const BYTES: usize> {
    turn: AtomicU64,
    content: UnsafeCell<Content<H, BYTES>>,
}

/// A word on a cache line of its own: the writers' is not the reader's.
#[repr(align(128))]
struct Apart<T>(T);

/// A ring of `SLOTS` records, each a head and bytes, of which `BYTES` fit without allocating.
pub struct Ring<H, const SLOTS: usize, const BYTES: usize> {
    /// The position that the next writer claims.
    tail: Apart<AtomicU64>,
    /// The position that is read next, also told to those who only look.
    next: Apart<AtomicU64>,
    reader: Mutex<u64>,
    slots: [Slot<H, BYTES>; SLOTS],
}

// SAFETY: a head moves from the writer to the reader; nobody has a reference to one in the ring.
unsafe impl<H: Send, const SLOTS: usize, const BYTES: usize> Sync for Ring<H, SLOTS, BYTES> {}

impl<H: Copy, const SLOTS: usize, const BYTES: usize> Ring<H, SLOTS, BYTES> {
    /// An empty ring.
    #[cfg(not(raddle_loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tail: Apart(AtomicU64::new(0)),
            next: Apart(AtomicU64::new(0)),
            reader: Mutex::new(0),
            slots: [const {
                Slot { turn: AtomicU64::new(0), content: UnsafeCell::new(Content::empty()) }
            }; SLOTS],
        }
    }

    /// An empty ring.
    #[cfg(raddle_loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            tail: Apart(AtomicU64::new(0)),
            next: Apart(AtomicU64::new(0)),
            reader: Mutex::new(0),
            slots: core::array::from_fn(|_| Slot {
                turn: AtomicU64::new(0),
                content: UnsafeCell::new(Content::empty()),
            }),
        }
    }

    const fn split(position: u64) -> (usize, u64) {
        let slots = SLOTS as u64;
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below SLOTS")]
        let index = (position % slots) as usize;
        (index, position / slots * 2)
    }

    /// Adds a record, whose bytes are those of the parts in their order. Says whether there was room.
    ///
    /// Never waits; a record that is too long for a slot is allocated for.
    #[inline]
    pub fn push<const PARTS: usize>(&self, head: H, parts: [&[u8]; PARTS]) -> bool {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        // Before the claim: nobody waits for this thread's allocation.
        let long = (length > BYTES).then(|| parts.concat().into_boxed_slice());
        let Some((slot, turn, next)) = self.claim() else { return false };
        slot.content.with_mut(|content| {
            // SAFETY: the claim makes the slot this thread's until its turn is odd.
            let content = unsafe { &mut *content };
            content.head.write(head);
            content.length = length;
            match long {
                Some(long) => content.long = Some(long),
                None => content.fill(parts),
            }
        });
        // Release: whoever sees the turn sees the content.
        slot.turn.store(turn + 1, Ordering::Release);
        // The reader's processor has the next slot: asked for now, it is here by the next push.
        prefetch(&self.slots[next]);
        true
    }

    /// Moves the tail past a free slot.
    #[inline]
    fn claim(&self) -> Option<(&Slot<H, BYTES>, u64, usize)> {
        let mut at = self.tail.0.load(Ordering::Relaxed);
        loop {
            let (index, turn) = Self::split(at);
            let slot = &self.slots[index];
            // Acquire: the reader was done with the content before it freed the slot.
            let now = slot.turn.load(Ordering::Acquire);
            if now < turn {
                // Nobody is past this position while its slot is unread: the ring is full.
                return None;
            }
            if now > turn {
                // Another writer has been here since `at` was read.
                at = self.tail.0.load(Ordering::Relaxed);
                continue;
            }
            // Relaxed: the turn carries the content from thread to thread, the tail only counts.
            let (claimed, relaxed) = (at + 1, Ordering::Relaxed);
            match self.tail.0.compare_exchange_weak(at, claimed, relaxed, relaxed) {
                Ok(_) => return Some((slot, turn, Self::split(claimed).0)),
                Err(moved) => at = moved,
            }
        }
    }

    /// Takes the oldest record: its head, and its bytes in place of what `bytes` had. `None` if
    /// there is none, or its writer is not done with it.
    pub fn pop(&self, bytes: &mut Vec<u8>) -> Option<H> {
        let mut at = lock(&self.reader);
        let (index, turn) = Self::split(*at);
        let slot = &self.slots[index];
        // Acquire: pairs with the Release in `push`.
        if slot.turn.load(Ordering::Acquire) != turn + 1 {
            return None;
        }
        bytes.clear();
        let head = slot.content.with_mut(|content| {
            // SAFETY: its turn is odd, and whoever has the lock is the only reader.
            let content = unsafe { &mut *content };
            match content.long.take() {
                Some(long) => bytes.extend_from_slice(&long),
                None => bytes.extend_from_slice(content.filled()),
            }
            // SAFETY: written before the turn was odd.
            unsafe { content.head.assume_init() }
        });
        // Release: a writer that sees the slot free finds nobody in it.
        slot.turn.store(turn + 2, Ordering::Release);
        *at += 1;
        self.next.0.store(*at, Ordering::Relaxed);
        Some(head)
    }

    /// Whether [`pop`](Self::pop) would find a record now.
    pub fn has_next(&self) -> bool {
        let (index, turn) = Self::split(self.next.0.load(Ordering::Relaxed));
        // Relaxed: a question; `pop` synchronizes.
        self.slots[index].turn.load(Ordering::Relaxed) > turn
    }

    /// How many records have been begun since the beginning.
    pub fn begun(&self) -> u64 {
        self.tail.0.load(Ordering::Relaxed)
    }

    /// How many records have been taken since the beginning.
    pub fn taken(&self) -> u64 {
        self.next.0.load(Ordering::Relaxed)
    }

    /// Has the system put memory behind every slot, so that no writer waits for it.
    pub fn touch(&self) {
        for slot in &self.slots {
            // Relaxed: changes nothing. But it writes, which a `fetch_add` of 0 would be spared, and only
            // a write has the page made.
            let relaxed = Ordering::Relaxed;
            let _unused_yet = slot.turn.compare_exchange(0, 0, relaxed, relaxed);
        }
    }

    /// Keeps readers out, from before a fork to after it.
    pub fn hold(&self) -> MutexGuard<'_, u64> {
        lock(&self.reader)
    }

    /// Empties the ring in the child of a fork, where a writer may have vanished in the middle of a
    /// slot. What was in it is forgotten; a long record's memory is leaked.
    pub fn forget(&self) {
        let mut reader = lock(&self.reader);
        // The next lap, so that no turn goes backwards.
        let lap = self.tail.0.load(Ordering::Relaxed) / SLOTS as u64 + 1;
        for slot in &self.slots {
            slot.content.with_mut(|content| {
                // SAFETY: a forked child has one thread, which is here.
                let long = unsafe { &raw mut (*content).long };
                // SAFETY: as above. The old value is not dropped: its writer may have been half done.
                unsafe { long.write(None) };
            });
            slot.turn.store(lap * 2, Ordering::Release);
        }
        *reader = lap * SLOTS as u64;
        self.tail.0.store(*reader, Ordering::Relaxed);
        self.next.0.store(*reader, Ordering::Relaxed);
    }
}

/// Has the processor fetch the beginning of a slot, where it can be asked to.
#[inline(always)]
fn prefetch<T>(slot: &T) {
    #[cfg(all(target_arch = "x86_64", not(raddle_loom)))]
    for line in 0..3 {
        let place = core::ptr::from_ref(slot).cast::<i8>().wrapping_add(line * 64);
        // SAFETY: a hint, which touches nothing, at whatever address.
        unsafe { core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_ET0 }>(place) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(raddle_loom))))]
    let _ = slot;
}

impl<H, const BYTES: usize> Content<H, BYTES> {
    const fn empty() -> Self {
        Self {
            head: MaybeUninit::uninit(),
            length: 0,
            long: None,
            bytes: [MaybeUninit::uninit(); BYTES],
        }
    }

    /// Copies the parts, which fit.
    #[inline]
    fn fill<const PARTS: usize>(&mut self, parts: [&[u8]; PARTS]) {
        let mut room = &mut self.bytes[..];
        for part in parts {
            let (here, rest) = room.split_at_mut(part.len());
            let here = here.as_mut_ptr().cast::<u8>();
            // SAFETY: a byte may be written over one that has no value yet, and the two slices are as
            // long as each other and apart.
            unsafe { here.copy_from_nonoverlapping(part.as_ptr(), part.len()) };
            room = rest;
        }
    }

    fn filled(&self) -> &[u8] {
        let filled = &self.bytes[..self.length];
        // SAFETY: `fill` has written as many bytes as `length` says.
        unsafe { core::slice::from_raw_parts(filled.as_ptr().cast(), filled.len()) }
    }
}

impl<H: Copy, const SLOTS: usize, const BYTES: usize> Default for Ring<H, SLOTS, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H, const SLOTS: usize, const BYTES: usize> fmt::Debug for Ring<H, SLOTS, BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [begun, taken] = [&self.tail, &self.next].map(|word| word.0.load(Ordering::Relaxed));
        f.debug_struct("Ring").field("begun", &begun).field("taken", &taken).finish()
    }
}

#[cfg(all(test, not(raddle_loom)))] // Single-threaded facts; tests/loom/log.rs has the interleavings.
mod tests {
    use super::*;

    #[test]
    fn the_oldest_comes_out_first_and_the_newest_is_refused_when_full() {
        let ring: Ring<u32, 4, 8> = Ring::new();
        let mut bytes = Vec::new();
        for lap in 0..3 {
            for number in 0..4 {
                assert!(ring.push(lap * 4 + number, [b"ab", b"", b"cd"]));
            }
            assert!(!ring.push(99, [b"x"]));
            for number in 0..4 {
                assert!(ring.has_next());
                assert_eq!(ring.pop(&mut bytes), Some(lap * 4 + number));
                assert_eq!(bytes, b"abcd");
            }
            assert!(!ring.has_next());
            assert_eq!(ring.pop(&mut bytes), None);
        }
        assert_eq!((ring.begun(), ring.taken()), (12, 12));
    }

    #[test]
    fn a_record_of_any_length_comes_out_whole() {
        let ring: Ring<(), 2, 8> = Ring::new();
        let mut bytes = Vec::new();
        for length in [0, 7, 8, 9, 70_000] {
            let text = vec![b'x'; length];
            assert!(ring.push((), [&text, b""]));
            assert!(ring.pop(&mut bytes).is_some());
            assert_eq!(bytes, text);
        }
    }

    #[test]
    fn a_forked_child_begins_with_an_empty_ring() {
        let ring: Ring<u32, 4, 8> = Ring::new();
        let mut bytes = Vec::new();
        for number in 0..3 {
            ring.push(number, [b"parent"]);
        }
        assert_eq!(ring.pop(&mut bytes), Some(0));
        // A writer that has claimed a slot, and is not there any more.
        assert!(ring.claim().is_some());
        ring.forget();
        assert_eq!(ring.pop(&mut bytes), None);
        for number in 10..14 {
            assert!(ring.push(number, [b"child"]));
        }
        assert!(!ring.push(14, [b"child"]));
        assert_eq!(ring.pop(&mut bytes), Some(10));
    }
}
