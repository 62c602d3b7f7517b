//! Where each packet went: every one that was received is in exactly one of the other places.
#![forbid(unsafe_code)]

use raddle::primitive::{AtomicU64, Ordering};

/// What may become of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Fate {
    /// Read from the socket: the sum of all that follow.
    Received,
    /// In a heap that Python was given.
    Delivered,
    /// Found no room in the ring between the receiver and an assembler.
    DroppedInRing,
    /// Of a heap of which other packets are missing.
    Incomplete,
    /// Came before, with the same place in the same heap.
    Duplicate,
    /// Not to be understood.
    Malformed,
    /// Said that the stream ends.
    Control,
    /// In a heap that was complete when nobody asked for heaps any more.
    Undelivered,
}

impl Fate {
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Received, "received"),
        (Self::Delivered, "delivered"),
        (Self::DroppedInRing, "dropped_in_ring"),
        (Self::Incomplete, "incomplete"),
        (Self::Duplicate, "duplicate"),
        (Self::Malformed, "malformed"),
        (Self::Control, "control"),
        (Self::Undelivered, "undelivered"),
    ];
}

/// Counts of packets, and two more figures.
#[derive(Debug, Default)]
pub struct Counts {
    fates: [AtomicU64; Fate::ALL.len()],
    /// Packets that the socket had no room for, as the kernel says.
    pub dropped_at_socket: AtomicU64,
    /// Heaps that Python was given.
    pub heaps: AtomicU64,
}

impl Counts {
    // Relaxed, here and below: figures only; the last ones are read after the threads were joined.
    pub fn add(&self, fate: Fate, packets: u64) {
        self.fates[fate as usize].fetch_add(packets, Ordering::Relaxed);
    }

    pub fn of(&self, fate: Fate) -> u64 {
        self.fates[fate as usize].load(Ordering::Relaxed)
    }

    /// All, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let more = [("dropped_at_socket", &self.dropped_at_socket), ("heaps", &self.heaps)];
        let fates = Fate::ALL.into_iter().map(|(fate, name)| (name, self.of(fate)));
        fates.chain(more.map(|(name, figure)| (name, figure.load(Ordering::Relaxed))))
    }

    /// How many received packets are in none of the other places. While threads run, those between.
    pub fn unaccounted(&self) -> i64 {
        let others: u64 = Fate::ALL[1..].iter().map(|(fate, _)| self.of(*fate)).sum();
        self.of(Fate::Received).wrapping_sub(others).cast_signed()
    }
}
