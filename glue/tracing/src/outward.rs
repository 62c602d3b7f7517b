//! The other way: records of Python's logging become events.
#![forbid(unsafe_code)]

use std::cell::Cell;

use raddle::relay::log::{Outward, set_sink};

thread_local! {
    /// This thread writes an event for Python, which the layer leaves alone.
    static SENDING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread's events come from Python now.
pub(crate) fn is_sending() -> bool {
    SENDING.get()
}

/// Lets Python's `raddle.log.TracingHandler` write events, with the target "python" and the fields
/// `logger`, `file`, `line`, `function`, `thread` and `extra`.
pub fn offer_to_python() {
    set_sink("tracing", send);
}

macro_rules! write_event {
    ($level:ident, $record:ident, $extra:ident) => {
        tracing::event!(
            target: "python",
            tracing::Level::$level,
            logger = $record.logger,
            file = $record.file,
            line = $record.line,
            function = $record.function,
            thread = $record.thread,
            extra = $extra,
            "{}",
            $record.message
        )
    };
}

fn send(record: &Outward<'_>) {
    let pairs = record.fields.iter().map(|(name, value)| format!("{name}={value}"));
    let extra = pairs.collect::<Vec<_>>().join(" ");
    SENDING.set(true);
    match record.level.0 {
        ..10 => write_event!(TRACE, record, extra),
        10..20 => write_event!(DEBUG, record, extra),
        20..30 => write_event!(INFO, record, extra),
        30..40 => write_event!(WARN, record, extra),
        40.. => write_event!(ERROR, record, extra),
    }
    SENDING.set(false);
}
