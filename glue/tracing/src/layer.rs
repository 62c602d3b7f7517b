//! The layer: events become records, with the fields of the spans that they are in.
#![forbid(unsafe_code)]

use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use raddle::relay::log::{self, Buffer, Fields, Level, Record, Target, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::outward;

/// Pushes events to Python's logging.
#[derive(Clone, Copy, Debug, Default)]
pub struct PythonLayer(());

/// Lets the events through that Python's loggers want, by one load for each call site.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels(());

/// The layer with its filter, for a subscriber that has a registry.
///
/// The target "a::b" is Python's logger "a.b". The fields of an event and of the spans around it
/// become attributes of the record, the innermost first; `span` has the spans' names, as
/// "outer:inner".
#[must_use]
pub fn layer<S>() -> Filtered<PythonLayer, Levels, S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    PythonLayer(()).with_filter(Levels(()))
}

/// How many call sites have a place of their own; others look their target up by its name.
const PLACES: usize = 1024;

/// The target of a call site, by the address of its metadata.
static SITES: [OnceLock<(usize, &'static Target)>; PLACES] = [const { OnceLock::new() }; PLACES];

fn place(metadata: &Metadata<'_>) -> (usize, &'static OnceLock<(usize, &'static Target)>) {
    let address = std::ptr::from_ref(metadata).addr();
    // Metadata lies in statics, which are aligned.
    (address, &SITES[(address >> 4) % PLACES])
}

/// The target of an event's metadata that was registered, else by its name.
fn target(metadata: &Metadata<'_>) -> &'static Target {
    let (address, place) = place(metadata);
    match place.get() {
        Some((known, target)) if *known == address => target,
        _ => Target::of_module(metadata.target()),
    }
}

const fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::TRACE,
        tracing::Level::DEBUG => Level::DEBUG,
        tracing::Level::INFO => Level::INFO,
        tracing::Level::WARN => Level::WARNING,
        tracing::Level::ERROR => Level::ERROR,
    }
}

impl<S> Filter<S> for Levels {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.is_span()
            || !outward::is_sending() && target(metadata).is_enabled(level(*metadata.level()))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_span() {
            return Interest::always();
        }
        let (address, place) = place(metadata);
        place.get_or_init(|| (address, Target::of_module(metadata.target())));
        // Python may change its mind at any time.
        Interest::sometimes()
    }
}

/// The fields of a span, as the ring carries them.
#[derive(Debug, Default)]
struct SpanFields(Vec<u8>);

impl<S> Layer<S> for PythonLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut visitor = Visitor::new();
        attributes.record(&mut visitor);
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(SpanFields(visitor.fields.as_bytes().to_vec()));
        }
    }

    fn on_record(&self, id: &Id, values: &SpanRecord<'_>, context: Context<'_, S>) {
        let mut visitor = Visitor::new();
        values.record(&mut visitor);
        if let Some(span) = context.span(id)
            && let Some(SpanFields(bytes)) = span.extensions_mut().get_mut()
        {
            bytes.extend_from_slice(visitor.fields.as_bytes());
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // What `log` wrote has its own target and place in fields of the event.
        let normal = event.normalized_metadata();
        let metadata = normal.as_ref().unwrap_or_else(|| event.metadata());
        let mut visitor = Visitor::new();
        let mut names = String::new();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(SpanFields(bytes)) = span.extensions().get() {
                visitor.fields.extend(bytes);
            }
            names.push_str(if names.is_empty() { "" } else { ":" });
            names.push_str(span.name());
        }
        if !names.is_empty() {
            visitor.fields.add("span", names.as_str());
        }
        visitor.hides_log = normal.is_some();
        event.record(&mut visitor);
        let target = match normal {
            Some(_) => Target::of_module(metadata.target()),
            None => target(metadata),
        };
        log::push(&Record {
            target,
            level: level(*metadata.level()),
            message: visitor.message.as_bytes(),
            file: metadata.file().unwrap_or_default().as_bytes(),
            line: metadata.line().unwrap_or(0),
            function: b"",
            fields: visitor.fields.as_bytes(),
        });
    }
}

/// Takes an event's or a span's values.
struct Visitor {
    message: Buffer,
    fields: Fields,
    /// The fields by which `log` says its target and place are no fields of the event.
    hides_log: bool,
}

impl Visitor {
    const fn new() -> Self {
        Self { message: Buffer::new(), fields: Fields::new(), hides_log: false }
    }

    fn add<'a>(&mut self, field: &Field, value: impl Into<Value<'a>>) {
        if !(self.hides_log && field.name().starts_with("log.")) {
            self.fields.add(field.name(), value);
        }
    }
}

impl Visit for Visitor {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // What a value wrote until it failed is the message.
            let _written = write!(self.message, "{value:?}");
        } else if !(self.hides_log && field.name().starts_with("log.")) {
            self.fields.add_formatted(field.name(), format_args!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.extend(value.as_bytes());
        } else {
            self.add(field, value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.fields.add_formatted(field.name(), format_args!("{value}"));
    }
}
