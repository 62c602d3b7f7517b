//! Assembling heaps from packets that come in any order, twice, or not at all.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::counts::{Counts, Fate};
use spead::{Descriptor, Item, Packet, Pointer, id, items};

/// Larger heaps are taken for malformed packets.
const LONGEST_HEAP: u64 = 1 << 28;

/// How many heaps may be incomplete at a time: the oldest is given up for the next.
const OPEN_HEAPS: usize = 8;

/// How many heaps are remembered that are complete or were given up, for packets that come late.
const REMEMBERED: usize = 64;

/// A heap that is complete.
#[derive(Debug)]
pub struct Heap {
    pub id: u64,
    pub data: Vec<u8>,
    pointers: Vec<Pointer>,
    pub packets: u64,
}

impl Heap {
    /// Its items, but for descriptors.
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        let all = items(&self.pointers, self.data.len()).into_iter();
        all.filter(|item| !matches!(item, Item::Bytes(id::DESCRIPTOR, _)))
    }

    /// What it describes.
    pub fn descriptors(&self) -> impl Iterator<Item = Descriptor> + '_ {
        items(&self.pointers, self.data.len()).into_iter().filter_map(|item| match item {
            Item::Bytes(id::DESCRIPTOR, range) => Descriptor::parse(&self.data[range]).ok(),
            _ => None,
        })
    }
}

/// A heap of which packets are missing.
#[derive(Debug)]
struct Partial {
    heap: Heap,
    missing: u64,
    /// What came: lengths by offset.
    pieces: BTreeMap<u64, u64>,
}

/// Puts packets together.
#[derive(Debug)]
pub struct Assembler {
    open: VecDeque<Partial>,
    /// With what becomes of packets that come late.
    past: VecDeque<(u64, Fate)>,
    counts: Arc<Counts>,
}

impl Assembler {
    pub fn new(counts: Arc<Counts>) -> Self {
        Self { open: VecDeque::new(), past: VecDeque::new(), counts }
    }

    /// Takes a packet; gives the heap that it completes.
    pub fn add(&mut self, packet: &Packet<'_>) -> Option<Heap> {
        match self.place(packet) {
            Ok(at) => self.put(at, packet),
            Err(fate) => {
                self.counts.add(fate, 1);
                None
            }
        }
    }

    /// Where its heap is; or what becomes of it instead.
    fn place(&mut self, packet: &Packet<'_>) -> Result<usize, Fate> {
        if packet.heap_length > LONGEST_HEAP {
            return Err(Fate::Malformed);
        }
        if let Some((_, fate)) = self.past.iter().find(|(id, _)| *id == packet.heap) {
            return Err(*fate);
        }
        let at = match self.open.iter().position(|partial| partial.heap.id == packet.heap) {
            Some(at) => at,
            None => self.begin(packet),
        };
        self.open[at].check(packet).map(|()| at)
    }

    fn put(&mut self, at: usize, packet: &Packet<'_>) -> Option<Heap> {
        let partial = &mut self.open[at];
        partial.add(packet);
        if partial.missing > 0 {
            return None;
        }
        let heap = self.open.remove(at)?.heap;
        self.remember(heap.id, Fate::Duplicate);
        Some(heap)
    }

    fn begin(&mut self, packet: &Packet<'_>) -> usize {
        if self.open.len() == OPEN_HEAPS
            && let Some(oldest) = self.open.pop_front()
        {
            self.counts.add(Fate::Incomplete, oldest.heap.packets);
            self.remember(oldest.heap.id, Fate::Incomplete);
        }
        let length = usize::try_from(packet.heap_length).unwrap_or(0);
        let (data, pointers) = (vec![0; length], Vec::new());
        let heap = Heap { id: packet.heap, data, pointers, packets: 0 };
        let (missing, pieces) = (packet.heap_length, BTreeMap::new());
        self.open.push_back(Partial { heap, missing, pieces });
        self.open.len() - 1
    }

    fn remember(&mut self, id: u64, fate: Fate) {
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back((id, fate));
    }
}

impl Drop for Assembler {
    fn drop(&mut self) {
        let packets = self.open.iter().map(|partial| partial.heap.packets).sum();
        self.counts.add(Fate::Incomplete, packets);
    }
}

impl Partial {
    /// Whether the packet fits in; or what becomes of it instead.
    fn check(&self, packet: &Packet<'_>) -> Result<(), Fate> {
        let (start, length) = (packet.offset, packet.payload.len() as u64);
        if self.pieces.get(&start) == Some(&length) {
            return Err(Fate::Duplicate);
        }
        let overlaps =
            |(other, size): (&u64, &u64)| *other < start + length && other + size > start;
        let before = self.pieces.range(..=start).next_back().is_some_and(overlaps);
        let after = self.pieces.range(start..).next().is_some_and(overlaps);
        if before || after || self.heap.data.len() as u64 != packet.heap_length {
            return Err(Fate::Malformed);
        }
        Ok(())
    }

    fn add(&mut self, packet: &Packet<'_>) {
        let start = usize::try_from(packet.offset).unwrap_or(0);
        self.heap.data[start..start + packet.payload.len()].copy_from_slice(packet.payload);
        self.missing -= packet.payload.len() as u64;
        self.pieces.insert(packet.offset, packet.payload.len() as u64);
        for pointer in packet.items() {
            // Some senders repeat them in each packet.
            if !self.heap.pointers.contains(&pointer) {
                self.heap.pointers.push(pointer);
            }
        }
        self.heap.packets += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spead::write;

    /// The packets of a heap of 3 x 4 bytes.
    fn packets(heap: u64) -> Vec<Vec<u8>> {
        let pointer = [Pointer::address(0x1000, 0)];
        let packet = |part: u8| {
            let mut bytes = Vec::new();
            write(&mut bytes, heap, 12, u64::from(part) * 4, &[part; 4], &pointer);
            bytes
        };
        (0..3).map(packet).collect()
    }

    fn add(assembler: &mut Assembler, bytes: &[u8]) -> Option<Heap> {
        assembler.add(&Packet::parse(bytes).expect("a packet"))
    }

    #[test]
    fn any_order_makes_the_same_heap_and_copies_are_duplicates() {
        let counts = Arc::new(Counts::default());
        let mut assembler = Assembler::new(Arc::clone(&counts));
        let packets = packets(7);
        assert!(add(&mut assembler, &packets[2]).is_none());
        assert!(add(&mut assembler, &packets[0]).is_none());
        assert!(add(&mut assembler, &packets[0]).is_none());
        let heap = add(&mut assembler, &packets[1]).expect("complete");
        assert_eq!(heap.data, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(heap.items().collect::<Vec<_>>(), [Item::Bytes(0x1000, 0..12)]);
        assert_eq!(heap.packets, 3);
        assert!(add(&mut assembler, &packets[1]).is_none());
        assert_eq!(counts.of(Fate::Duplicate), 2);
    }

    #[test]
    fn what_is_never_complete_is_counted() {
        let counts = Arc::new(Counts::default());
        let mut assembler = Assembler::new(Arc::clone(&counts));
        for heap in 0..20 {
            assert!(add(&mut assembler, &packets(heap)[0]).is_none());
        }
        assert_eq!(counts.of(Fate::Incomplete), 20 - OPEN_HEAPS as u64);
        assert!(add(&mut assembler, &packets(0)[1]).is_none());
        drop(assembler);
        assert_eq!(counts.of(Fate::Incomplete), 21, "with the one that came late");
    }
}
