//! Where the worker meets Python: records become arguments of `raddle._log`'s functions.
//!
//! What it keeps of Python it keeps by [`Ref`], so that it may be dropped whether or not Python is
//! still there.

use std::time::Instant;

use pyo3::{Bound, Python};
use pyo3_ffi as ffi;

use super::clock::time_of_day;
use super::drops::Report;
use super::fields::{Reader, Value};
use super::record::Head;
use super::stderr;
use super::target::{self, Target};
use super::worker::Log;
use crate::gate::Ref;
use crate::object::{self, Object, Raised};
use crate::primitive::{AtomicU64, Ordering};

/// The worker's desk.
#[derive(Debug)]
pub(super) struct Desk {
    /// `hand`, `report` and `threshold` of `raddle._log`; `None` until the first record.
    functions: Option<[Ref; 3]>,
    /// The bytes of the record that is being handed over.
    pub(super) bytes: Vec<u8>,
    /// When the levels were looked at.
    pub(super) swept: Instant,
    /// When drops were reported.
    pub(super) reported: Instant,
    /// Python does not tell of changes: levels are looked at even while no records come.
    pub(super) sweeps_idle: bool,
    /// A target was seen whose logger nobody has asked.
    news: bool,
    /// `raddle._log` could not be had, and that was told.
    cut_off: bool,
}

impl Desk {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            functions: None,
            bytes: Vec::new(),
            swept: now,
            // The first drops are reported at once.
            reported: now.checked_sub(super::worker::SWEEP).unwrap_or(now),
            sweeps_idle: false,
            news: true,
            cut_off: false,
        }
    }

    /// Whether there is a reason to look at the levels now.
    pub(super) fn has_news(&self) -> bool {
        self.news
    }

    /// Hands the record over whose bytes are on the desk.
    pub(super) fn hand(&mut self, py: Python<'_>, log: &Log, head: &Head) {
        self.news |= head.ask;
        let hand = match self.function(py, 0) {
            Ok(hand) => hand,
            Err(Raised(why)) => {
                if !core::mem::replace(&mut self.cut_off, true) {
                    stderr::write_line(format!("raddle: records go to stderr: {why}"));
                }
                return log.write_taken(head, &self.bytes);
            }
        };
        self.cut_off = false;
        // Relaxed: figures.
        log.figures.handed.fetch_add(1, Ordering::Relaxed);
        let result = {
            let parts = head.parts(&self.bytes);
            let text = |bytes| Object::text(py, &String::from_utf8_lossy(bytes));
            let answer = hand.call([
                Object::text(py, head.target.name()),
                Object::signed(py, head.level.into()),
                Object::truth(py, head.ask),
                text(parts.message),
                Object::integer(py, head.time),
                Object::integer(py, head.who.ident),
                Object::integer(py, head.who.native.into()),
                text(head.who.name()),
                text(parts.file),
                Object::integer(py, head.line.into()),
                text(parts.function),
                fields(py, parts.fields),
            ]);
            answer.map(|answer| is_true(&answer))
        };
        self.count(log, result);
    }

    /// Logs that records were dropped.
    pub(super) fn report(&mut self, py: Python<'_>, log: &Log, report: &Report) {
        self.reported = Instant::now();
        let line = report.line(time_of_day);
        let Ok(function) = self.function(py, 1) else {
            stderr::write_line(format!("raddle: {line}"));
            return;
        };
        let result = {
            let counts = report.counts.map(|count| Object::integer(py, count));
            let answer = function.call([
                Object::text(py, &line),
                Object::integer(py, report.sum()),
                Object::tuple(py, counts),
            ]);
            answer.map(|answer| is_true(&answer))
        };
        self.count(log, result);
    }

    fn count(&self, log: &Log, result: object::Result<bool>) {
        if !result.unwrap_or(false) {
            log.figures.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks every target's logger for its level.
    pub(super) fn refresh(&mut self, py: Python<'_>) {
        self.swept = Instant::now();
        self.news = false;
        if let Ok(threshold) = self.function(py, 2) {
            // A logger that raises keeps its level until the next time.
            let _raised = refresh(py, &threshold);
        }
    }

    /// One of the functions, which are imported when the first is asked for.
    fn function<'py>(&mut self, py: Python<'py>, index: usize) -> object::Result<Object<'py>> {
        if self.functions.is_none() {
            let module = Object::import(py, c"raddle._log")?;
            self.sweeps_idle = !is_true(&module.attribute(c"begin")?.call([])?);
            let keep = |name| {
                let function = module.attribute(name)?.into_ptr();
                // SAFETY: an owned reference, which is not null.
                Ok(Ref::new(unsafe { Bound::from_owned_ptr(py, function) }))
            };
            self.functions = Some([keep(c"hand")?, keep(c"report")?, keep(c"threshold")?]);
        }
        let functions = self.functions.as_ref();
        let function = functions.and_then(|functions| functions[index].try_bind(py));
        let function = function.ok_or_else(|| Raised("Python was restarted".to_owned()))?;
        // SAFETY: alive.
        let function = unsafe { Object::borrowed(py, function.as_ptr()) };
        function.ok_or_else(|| object::raised(py))
    }
}

/// The number of the latest refresh.
static LATEST: AtomicU64 = AtomicU64::new(0);

/// Asks `threshold(name)` for each target. A logger that raises keeps its level until the next time,
/// and the last to do so is told of.
///
/// While Python runs another thread may change a level, and refresh in the middle of this: what this one
/// has found is out of date then, and left to the later one. Without a GIL it may be written over what
/// the later one wrote, and then all is asked again.
pub(super) fn refresh(py: Python<'_>, threshold: &Object<'_>) -> object::Result<()> {
    'again: loop {
        // SeqCst, and below: of two refreshes at least one sees the other.
        let mine = LATEST.fetch_add(1, Ordering::SeqCst) + 1;
        let is_latest = || LATEST.load(Ordering::SeqCst) == mine;
        let mut raised = Ok(());
        for target in target::all() {
            match ask(py, threshold, target) {
                Ok(_) if !is_latest() => break,
                Ok(level) => {
                    target.set_threshold(level);
                    if !is_latest() {
                        continue 'again;
                    }
                }
                Err(why) => raised = Err(why),
            }
        }
        return raised;
    }
}

fn ask(py: Python<'_>, threshold: &Object<'_>, target: &Target) -> object::Result<i32> {
    let number = threshold.call([Object::text(py, target.name())])?;
    let mut overflow = 0;
    // SAFETY: alive.
    let level = unsafe { ffi::PyLong_AsLongLongAndOverflow(number.as_ptr(), &raw mut overflow) };
    // SAFETY: Python is held.
    if level == -1 && overflow == 0 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(object::raised(py));
    }
    let level = match overflow {
        0 => level.clamp(target::ASK.into(), i32::MAX.into()),
        1.. => i32::MAX.into(),
        _ => target::ASK.into(),
    };
    Ok(i32::try_from(level).unwrap_or(i32::MAX))
}

fn is_true(answer: &Object<'_>) -> bool {
    // SAFETY: alive.
    unsafe { ffi::PyObject_IsTrue(answer.as_ptr()) == 1 }
}

/// A dict of the fields, or `None` if there are none.
fn fields<'py>(py: Python<'py>, bytes: &[u8]) -> object::Result<Object<'py>> {
    if bytes.is_empty() {
        return Ok(Object::none(py));
    }
    let text = |bytes: &[u8]| Object::text(py, &String::from_utf8_lossy(bytes));
    let pairs = Reader(bytes).map(|(name, value)| {
        let value = match value {
            Value::None => Ok(Object::none(py)),
            Value::Bool(value) => Object::truth(py, value),
            Value::Int(value) => Object::signed(py, value),
            Value::UInt(value) => Object::integer(py, value),
            Value::Float(value) => Object::float(py, value),
            Value::Text(value) => text(value),
            Value::Bytes(value) => Object::bytes(py, value),
        };
        (text(name), value)
    });
    Object::mapping(py, pairs)
}
