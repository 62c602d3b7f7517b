//! The structured fields of a record, typed: written into one run of bytes and read from it again.
//!
//! ```text
//!   kind (1) | name length (2) | value length (4) | name | value
//! ```
#![forbid(unsafe_code)]

use core::fmt::{self, Write as _};

/// A value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Python's `None`.
    None,
    /// A `bool`.
    Bool(bool),
    /// An `int`.
    Int(i64),
    /// An `int` that may be large.
    UInt(u64),
    /// A `float`.
    Float(f64),
    /// A `str`; what is not UTF-8 in it is replaced.
    Text(&'a [u8]),
    /// `bytes`.
    Bytes(&'a [u8]),
}

macro_rules! value_from {
    ($($from:ty => $kind:ident as $as:ty),* $(,)?) => {
        $(impl From<$from> for Value<'_> {
            fn from(value: $from) -> Self {
                Self::$kind(<$as>::from(value))
            }
        })*
    };
}

value_from! {
    bool => Bool as bool, i64 => Int as i64, i32 => Int as i64, i16 => Int as i64,
    u64 => UInt as u64, u32 => UInt as u64, u16 => UInt as u64, u8 => UInt as u64,
    f64 => Float as f64, f32 => Float as f64,
}

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::UInt(value as u64)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value.as_bytes())
    }
}

const INLINE: usize = 256;

/// Text that is being formatted: on the stack, unless it is long.
#[derive(Debug)]
pub struct Buffer {
    length: usize,
    inline: [u8; INLINE],
    /// All of it, once it is longer.
    long: Vec<u8>,
}

impl Buffer {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { length: 0, inline: [0; INLINE], long: Vec::new() }
    }

    /// Adds bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if self.long.is_empty() {
            if let Some(place) = self.inline.get_mut(self.length..end) {
                place.copy_from_slice(bytes);
                self.length = end;
                return;
            }
            self.long.extend_from_slice(&self.inline[..self.length]);
        }
        self.long.extend_from_slice(bytes);
    }

    /// What is in it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        if self.long.is_empty() { &self.inline[..self.length] } else { &self.long }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}

/// The fields of a record that is being made.
#[derive(Debug, Default)]
pub struct Fields(Buffer);

impl Fields {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Buffer::new())
    }

    /// Adds a field. A name that there is already gets the newer value; one that a `LogRecord` has
    /// itself gets a `_` behind it when the record is handed over.
    pub fn add<'a>(&mut self, name: impl AsRef<[u8]>, value: impl Into<Value<'a>>) {
        let name = name.as_ref();
        match value.into() {
            Value::None => self.put(0, name, &[]),
            Value::Bool(value) => self.put(1, name, &[value.into()]),
            Value::Int(value) => self.put(2, name, &value.to_ne_bytes()),
            Value::UInt(value) => self.put(3, name, &value.to_ne_bytes()),
            Value::Float(value) => self.put(4, name, &value.to_ne_bytes()),
            Value::Text(value) => self.put(5, name, value),
            Value::Bytes(value) => self.put(6, name, value),
        }
    }

    /// Adds a field with what is formatted, as text.
    pub fn add_formatted(&mut self, name: impl AsRef<[u8]>, value: fmt::Arguments<'_>) {
        let mut text = Buffer::new();
        // It is the value's own fault if this fails: what it wrote until then is kept.
        let _written = text.write_fmt(value);
        self.add(name, Value::Text(text.as_bytes()));
    }

    /// Adds fields that were written elsewhere.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    fn put(&mut self, kind: u8, name: &[u8], value: &[u8]) {
        let name = &name[..name.len().min(usize::from(u16::MAX))];
        let value = &value[..value.len().min(u32::MAX as usize)];
        let name_length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        let value_length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.0.extend(&[kind]);
        self.0.extend(&name_length.to_ne_bytes());
        self.0.extend(&value_length.to_ne_bytes());
        self.0.extend(name);
        self.0.extend(value);
    }

    /// How they are carried.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Reads what [`Fields`] wrote.
#[derive(Clone, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let [kind] = self.take()?;
        let name = u16::from_ne_bytes(self.take()?);
        let value = u32::from_ne_bytes(self.take()?);
        let name = self.slice(name.into())?;
        let value = self.slice(value as usize)?;
        let number = |value: &[u8]| <[u8; 8]>::try_from(value).ok();
        let value = match kind {
            0 => Value::None,
            1 => Value::Bool(value.first() == Some(&1)),
            2 => Value::Int(i64::from_ne_bytes(number(value)?)),
            3 => Value::UInt(u64::from_ne_bytes(number(value)?)),
            4 => Value::Float(f64::from_ne_bytes(number(value)?)),
            5 => Value::Text(value),
            _ => Value::Bytes(value),
        };
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written() {
        let long = "y".repeat(1000);
        let mut fields = Fields::new();
        fields.add("none", Value::None);
        fields.add("yes", true);
        fields.add("int", -7_i32);
        fields.add("uint", u64::MAX);
        fields.add("float", 0.5);
        fields.add("text", "é");
        fields.add_formatted("formatted", format_args!("{:>5}", 7));
        fields.add("bytes", Value::Bytes(b"\xff\0"));
        fields.add("long", long.as_str());
        let read: Vec<_> = Reader(fields.as_bytes()).collect();
        assert_eq!(
            read,
            [
                (&b"none"[..], Value::None),
                (b"yes", Value::Bool(true)),
                (b"int", Value::Int(-7)),
                (b"uint", Value::UInt(u64::MAX)),
                (b"float", Value::Float(0.5)),
                (b"text", Value::Text("é".as_bytes())),
                (b"formatted", Value::Text(b"    7")),
                (b"bytes", Value::Bytes(b"\xff\0")),
                (b"long", Value::Text(long.as_bytes())),
            ]
        );
    }

    #[test]
    fn bytes_that_are_cut_off_end_the_reading() {
        let mut fields = Fields::new();
        fields.add("name", 1_u8);
        let bytes = fields.as_bytes();
        for end in 0..bytes.len() {
            assert_eq!(Reader(&bytes[..end]).count(), 0);
        }
    }
}
