//! Where records go when no worker takes them any more: to stderr, a line each, never waiting.
#![forbid(unsafe_code)]

use core::fmt::Write as _;

use super::clock::time_of_day;
use super::fields::{Reader, Value};
use super::level::Level;
use super::record::{Head, Parts};
use crate::relay::outlet::write_at_once;

/// POSIX: a pipe that is ready takes as much at once.
const AT_ONCE: usize = 512;

/// Writes a record as one line. Says whether it could be written without waiting.
pub(super) fn write(head: &Head, parts: &Parts<'_>) -> bool {
    write_line(line(head, parts))
}

/// Writes text as one line, cut to what goes out in one piece.
pub(super) fn write_line(mut line: String) -> bool {
    line = line.replace(['\n', '\r'], " ");
    let most = libc::PIPE_BUF.max(AT_ONCE) - 1;
    if line.len() > most {
        line.truncate(line.floor_char_boundary(most));
    }
    line.push('\n');
    write_at_once(libc::STDERR_FILENO, line.as_bytes())
}

/// "12:00:01.123 WARNING net.receiver [rx-0] receiver.rs:120: message (key=value)".
fn line(head: &Head, parts: &Parts<'_>) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes);
    let time = time_of_day(head.time);
    let level = Level(head.level).name().to_uppercase();
    let target = if head.target.name().is_empty() { "root" } else { head.target.name() };
    let mut line = format!("{time} {level} {target} [{}] ", text(head.who.name()));
    if !parts.file.is_empty() {
        let file = text(parts.file);
        let name = file.rsplit('/').next().unwrap_or_default();
        // Writing to a String does not fail; so below.
        let _written = write!(line, "{name}:{}: ", head.line);
    }
    line.push_str(&text(parts.message));
    for (number, (name, value)) in Reader(parts.fields).enumerate() {
        line.push_str(if number == 0 { " (" } else { ", " });
        let name = text(name);
        let _written = match value {
            Value::None => write!(line, "{name}=None"),
            Value::Bool(value) => write!(line, "{name}={value}"),
            Value::Int(value) => write!(line, "{name}={value}"),
            Value::UInt(value) => write!(line, "{name}={value}"),
            Value::Float(value) => write!(line, "{name}={value}"),
            Value::Text(value) => write!(line, "{name}={}", text(value)),
            Value::Bytes(value) => write!(line, "{name}={value:02x?}"),
        };
    }
    if !parts.fields.is_empty() {
        line.push(')');
    }
    line
}
