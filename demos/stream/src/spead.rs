//! SPEAD-64-48, the wire format: what is in a packet, and what the items of a heap are.
//!
//! ```text
//!   byte  0     1     2     3     4 5       6 7
//!       +-----+-----+-----+-----+-------+----------+---------------------+---------+
//!       | 'S' |  4  |  2  |  6  |   0   | n, items | n item pointers     | payload |
//!       +-----+-----+-----+-----+-------+----------+---------------------+---------+
//!   item pointer, 64 bits:  1 immediate | 15 identifier | 48 value, or address in the heap
//! ```
//!
//! All numbers are big-endian. Four pointers of each packet say which piece of which heap it carries.
#![forbid(unsafe_code)]

/// Identifiers that the protocol itself uses.
pub mod id {
    pub const NULL: u16 = 0;
    pub const HEAP: u16 = 1;
    pub const HEAP_LENGTH: u16 = 2;
    pub const OFFSET: u16 = 3;
    pub const LENGTH: u16 = 4;
    pub const DESCRIPTOR: u16 = 5;
    pub const CONTROL: u16 = 6;
    // In a descriptor, which is a heap of its own inside an item.
    pub const NAME: u16 = 0x10;
    pub const DESCRIBED: u16 = 0x14;
    pub const DTYPE: u16 = 0x15;
}

/// The value of `id::CONTROL` that ends a stream.
pub const STREAM_STOP: u64 = 2;

/// The first four bytes of each packet.
pub const FLAVOUR: [u8; 4] = [b'S', 4, 2, 6];

const VALUE_MASK: u64 = (1 << 48) - 1;

/// An item pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer(pub u64);

impl Pointer {
    pub fn immediate(id: u16, value: u64) -> Self {
        Self(1 << 63 | u64::from(id) << 48 | value & VALUE_MASK)
    }

    pub fn address(id: u16, address: u64) -> Self {
        Self(u64::from(id) << 48 | address & VALUE_MASK)
    }

    pub fn is_immediate(self) -> bool {
        self.0 >> 63 == 1
    }

    pub fn id(self) -> u16 {
        (self.0 >> 48 & 0x7fff) as u16
    }

    /// The value of an immediate item, the address of another.
    pub fn value(self) -> u64 {
        self.0 & VALUE_MASK
    }
}

/// A packet, as it lies in the buffer.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub heap: u64,
    pub heap_length: u64,
    pub offset: u64,
    pub payload: &'a [u8],
    pointers: &'a [u8],
}

fn pointers(bytes: &[u8]) -> impl Iterator<Item = Pointer> + '_ {
    bytes
        .chunks_exact(8)
        .map(|word| Pointer(word.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
}

impl<'a> Packet<'a> {
    /// Reads a packet; what is wrong with it, if something is.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let (header, rest) = bytes.split_at_checked(8).ok_or("shorter than a header")?;
        if header[..4] != FLAVOUR {
            return Err("not SPEAD-64-48");
        }
        let count = usize::from(u16::from_be_bytes([header[6], header[7]]));
        let (listed, payload) = rest.split_at_checked(count * 8).ok_or("shorter than its items")?;
        let value = |wanted| {
            let mut all = pointers(listed);
            all.find(|item| item.is_immediate() && item.id() == wanted).map(Pointer::value)
        };
        let heap = value(id::HEAP).ok_or("of no heap")?;
        let heap_length = value(id::HEAP_LENGTH).ok_or("of a heap without a length")?;
        let offset = value(id::OFFSET).ok_or("without an offset")?;
        let length = value(id::LENGTH).ok_or("without a length")?;
        let end = offset.checked_add(length).filter(|end| *end <= heap_length);
        end.ok_or("beyond the end of its heap")?;
        let length = usize::try_from(length).map_err(|_| "longer than memory")?;
        let payload = payload.get(..length).ok_or("shorter than its payload")?;
        Ok(Self { heap, heap_length, offset, payload, pointers: listed })
    }

    /// What it says of the heap's items, without what it says of itself.
    pub fn items(&self) -> impl Iterator<Item = Pointer> + 'a {
        pointers(self.pointers).filter(|item| !(id::NULL..=id::LENGTH).contains(&item.id()))
    }

    /// Whether it ends the stream.
    pub fn ends_stream(&self) -> bool {
        self.items().any(|item| item.id() == id::CONTROL && item.value() == STREAM_STOP)
    }
}

/// An item of a heap: its identifier, and a number or where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Number(u16, u64),
    Bytes(u16, core::ops::Range<usize>),
}

/// The items that pointers stand for in a heap of this length: each reaches to where the next begins.
pub fn items(pointers: &[Pointer], length: usize) -> Vec<Item> {
    let place = |pointer: &Pointer| usize::try_from(pointer.value()).unwrap_or(length).min(length);
    let addressed = || pointers.iter().filter(|pointer| !pointer.is_immediate());
    let end = |start| addressed().map(place).filter(|other| *other > start).min().unwrap_or(length);
    let item = |pointer: &Pointer| {
        if pointer.is_immediate() {
            return Item::Number(pointer.id(), pointer.value());
        }
        let start = place(pointer);
        Item::Bytes(pointer.id(), start..end(start))
    };
    pointers.iter().map(item).collect()
}

/// What a descriptor says: which item it describes, its name, and its type as NumPy writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub id: u64,
    pub name: String,
    pub dtype: String,
}

impl Descriptor {
    /// Reads the item that a descriptor is.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let packet = Packet::parse(bytes)?;
        let pointers: Vec<Pointer> = packet.items().collect();
        let (mut id, mut name, mut dtype) = (None, String::new(), String::new());
        for item in items(&pointers, packet.payload.len()) {
            match item {
                Item::Number(id::DESCRIBED, number) => id = Some(number),
                Item::Bytes(which @ (id::NAME | id::DTYPE), range) => {
                    let text = String::from_utf8_lossy(&packet.payload[range]).into_owned();
                    if which == id::NAME { name = text } else { dtype = text }
                }
                _ => {}
            }
        }
        Ok(Self { id: id.ok_or("a descriptor of nothing")?, name, dtype })
    }
}

/// Writes a packet of a heap.
pub fn write(
    out: &mut Vec<u8>,
    heap: u64,
    heap_length: u64,
    offset: u64,
    payload: &[u8],
    items: &[Pointer],
) {
    let length = payload.len() as u64;
    let own = [(id::HEAP, heap), (id::HEAP_LENGTH, heap_length), (id::OFFSET, offset)];
    let own = own.into_iter().chain([(id::LENGTH, length)]);
    let own: Vec<Pointer> = own.map(|(id, value)| Pointer::immediate(id, value)).collect();
    let count = u16::try_from(own.len() + items.len()).unwrap_or(u16::MAX);
    out.clear();
    out.extend(FLAVOUR);
    out.extend([0, 0]);
    out.extend(count.to_be_bytes());
    for pointer in own.iter().chain(items) {
        out.extend(pointer.0.to_be_bytes());
    }
    out.extend(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        let items = [Pointer::immediate(0x1001, 7), Pointer::address(0x1000, 2)];
        write(&mut bytes, 5, 10, 4, b"abcdef", &items);
        let packet = Packet::parse(&bytes).expect("a packet");
        assert_eq!((packet.heap, packet.heap_length, packet.offset), (5, 10, 4));
        assert_eq!(packet.payload, b"abcdef");
        assert_eq!(packet.items().collect::<Vec<_>>(), items);
    }

    #[test]
    fn every_shorter_piece_of_a_packet_is_refused() {
        let mut bytes = Vec::new();
        write(&mut bytes, 5, 10, 4, b"abcdef", &[]);
        for end in 0..bytes.len() {
            assert!(Packet::parse(&bytes[..end]).is_err(), "{end}");
        }
        write(&mut bytes, 5, 10, 5, b"abcdef", &[]);
        assert!(Packet::parse(&bytes).is_err(), "beyond the end of the heap");
        bytes[1] = 3;
        assert!(Packet::parse(&bytes).is_err(), "another version");
    }

    #[test]
    fn an_item_reaches_to_where_the_next_begins() {
        let pointers = [
            Pointer::address(1, 6),
            Pointer::immediate(2, 3),
            Pointer::address(3, 0),
            Pointer::address(4, 99),
        ];
        let expected =
            [Item::Bytes(1, 6..9), Item::Number(2, 3), Item::Bytes(3, 0..6), Item::Bytes(4, 9..9)];
        assert_eq!(items(&pointers, 9), expected);
    }
}
