//! GLib's log and Python's: a writer that pushes what g_log and g_log_structured are given, and a sink
//! that writes Python's records the other way.
//!
//! What goes one way does not come back: the sink marks its records with a field, by which the writer
//! knows them, and the handler in `raddle.log` leaves records alone that came from native code.

use core::cell::Cell;
use core::ffi::{CStr, c_void};
use core::ptr;
use std::borrow::Cow;
use std::ffi::CString;

use glib::ffi;
use raddle::primitive::{AtomicBool, Ordering};
use raddle::relay::log::{self, Fields, Level, Outward, Record, Target, Value};
use raddle::{Error, Status};

/// A log writer, as GLib calls it.
pub type LogWriter = ffi::GLogWriterFunc;

/// The field of a record that came from Python.
const FROM_PYTHON: &CStr = c"RADDLE_FROM_PYTHON";

/// The writer that was there before, or GLib's own.
#[derive(Debug)]
struct Former {
    writer: LogWriter,
    data: *mut c_void,
    notify: ffi::GDestroyNotify,
}

thread_local! {
    /// This thread is in the former writer, which may log.
    static IN_FORMER: Cell<bool> = const { Cell::new(false) };
}

/// The log writer, for `g_log_set_writer_func`: pushes a record to Python's logging and never waits.
/// What no Python takes, what came from Python, and what is fatal goes to GLib's default writer.
///
/// # Safety
///
/// As GLib calls a writer: `fields` has `count` fields.
pub unsafe extern "C" fn log_writer(
    level: ffi::GLogLevelFlags,
    fields: *const ffi::GLogField,
    count: usize,
    _data: *mut c_void,
) -> ffi::GLogWriterOutput {
    let default = Former { writer: None, data: ptr::null_mut(), notify: None };
    // SAFETY: by the caller's promise.
    unsafe { write(level, fields, count, &default) }
}

unsafe extern "C" fn chained_writer(
    level: ffi::GLogLevelFlags,
    fields: *const ffi::GLogField,
    count: usize,
    data: *mut c_void,
) -> ffi::GLogWriterOutput {
    // SAFETY: the box of `install_log_writer`, which GLib keeps for as long as it calls.
    let former = unsafe { &*data.cast::<Former>() };
    // SAFETY: as GLib calls a writer.
    unsafe { write(level, fields, count, former) }
}

unsafe extern "C" fn drop_former(data: *mut c_void) {
    // SAFETY: the box of `install_log_writer`, which GLib gives back once.
    let former = unsafe { Box::from_raw(data.cast::<Former>()) };
    if let Some(notify) = former.notify {
        // SAFETY: by the promise of whoever passed it.
        unsafe { notify(former.data) };
    }
}

/// Makes [`log_writer`] GLib's writer, in front of `former` (GLib's default writer if there is none),
/// which gets what is not for Python. A process has one writer, set once: GLib ends a process that
/// sets another.
///
/// # Errors
///
/// [`Status::WrongOrder`] if it was installed already; `notify` is called then.
///
/// # Safety
///
/// `former` may be called with `data` on any thread, for good; `notify` with `data` once.
pub unsafe fn install_log_writer(
    former: LogWriter,
    data: *mut c_void,
    notify: ffi::GDestroyNotify,
) -> Result<(), Error> {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    let former = Box::into_raw(Box::new(Former { writer: former, data, notify }));
    // AcqRel: whoever is second knows that GLib was told.
    if INSTALLED.swap(true, Ordering::AcqRel) {
        // SAFETY: made above, and nobody else has it.
        unsafe { drop_former(former.cast()) };
        let line = "raddle's log writer is installed already, and GLib takes one only";
        return Err(Error::new(Status::WrongOrder, line));
    }
    // SAFETY: a writer with its data, which GLib owns from here on.
    unsafe { ffi::g_log_set_writer_func(Some(chained_writer), former.cast(), Some(drop_former)) };
    Ok(())
}

/// Python's number for a level of GLib's.
const fn from_glib_level(level: ffi::GLogLevelFlags) -> Level {
    if level & ffi::G_LOG_LEVEL_ERROR != 0 {
        Level::CRITICAL
    } else if level & ffi::G_LOG_LEVEL_CRITICAL != 0 {
        Level::ERROR
    } else if level & ffi::G_LOG_LEVEL_WARNING != 0 {
        Level::WARNING
    } else if level & ffi::G_LOG_LEVEL_DEBUG != 0 {
        Level::DEBUG
    } else {
        Level::INFO
    }
}

/// The bytes of a field's value; a missing one has none.
///
/// # Safety
///
/// The field is as GLib describes it, and lives during `'a`.
unsafe fn value_of<'a>(field: &ffi::GLogField) -> &'a [u8] {
    if field.value.is_null() {
        return &[];
    }
    match usize::try_from(field.length) {
        // SAFETY: by the caller's promise.
        Ok(length) => unsafe { core::slice::from_raw_parts(field.value.cast(), length) },
        // SAFETY: by the caller's promise, it ends with a NUL then.
        Err(_) => unsafe { CStr::from_ptr(field.value.cast()) }.to_bytes(),
    }
}

/// # Safety
///
/// `fields` has `count` fields, as GLib describes them.
unsafe fn write(
    level: ffi::GLogLevelFlags,
    fields: *const ffi::GLogField,
    count: usize,
    former: &Former,
) -> ffi::GLogWriterOutput {
    if fields.is_null() {
        return ffi::G_LOG_WRITER_UNHANDLED;
    }
    // SAFETY: by the caller's promise.
    let given = unsafe { core::slice::from_raw_parts(fields, count) };
    let is_fatal = level & (ffi::G_LOG_LEVEL_ERROR | ffi::G_LOG_FLAG_FATAL) != 0;
    let [mut message, mut domain, mut file, mut line, mut function] = [&[][..]; 5];
    let mut from_python = false;
    let mut extra = None;
    for field in given.iter().filter(|field| !field.key.is_null()) {
        // SAFETY: a text that ends with a NUL.
        let name = unsafe { CStr::from_ptr(field.key) };
        // SAFETY: by the caller's promise.
        let value = unsafe { value_of(field) };
        match name.to_bytes() {
            b"MESSAGE" => message = value,
            b"GLIB_DOMAIN" => domain = value,
            b"CODE_FILE" => file = value,
            b"CODE_LINE" => line = value,
            b"CODE_FUNC" => function = value,
            _ if name == FROM_PYTHON => from_python = true,
            name => {
                let text = str::from_utf8(value).is_ok();
                let value = if text { Value::Text(value) } else { Value::Bytes(value) };
                extra.get_or_insert_with(Fields::new).add(name, value);
            }
        }
    }
    if from_python || is_fatal || !log::is_served() {
        // SAFETY: by the caller's promise.
        return unsafe { former.write(level, fields, count) };
    }
    let target = Target::named(&String::from_utf8_lossy(domain));
    let level = from_glib_level(level);
    if target.is_enabled(level) {
        let line = str::from_utf8(line).ok().and_then(|line| line.parse().ok());
        log::push(&Record {
            target,
            level,
            message,
            file,
            line: line.unwrap_or(0),
            function,
            fields: extra.as_ref().map_or(&[], Fields::as_bytes),
        });
    }
    ffi::G_LOG_WRITER_HANDLED
}

impl Former {
    /// # Safety
    ///
    /// As GLib calls a writer.
    unsafe fn write(
        &self,
        level: ffi::GLogLevelFlags,
        fields: *const ffi::GLogField,
        count: usize,
    ) -> ffi::GLogWriterOutput {
        match self.writer {
            // One that logs itself would come back here for ever.
            Some(writer) if !IN_FORMER.replace(true) => {
                // SAFETY: by the caller's promise, and that of whoever passed the writer.
                let output = unsafe { writer(level, fields, count, self.data) };
                IN_FORMER.set(false);
                output
            }
            // SAFETY: by the caller's promise.
            _ => unsafe { ffi::g_log_writer_default(level, fields, count, ptr::null_mut()) },
        }
    }
}

/// GLib's level for a number of Python's, and syslog's.
const fn to_glib_level(level: Level) -> (ffi::GLogLevelFlags, &'static CStr) {
    match level.0 {
        // Not GLib's "error", which ends the process.
        50.. => (ffi::G_LOG_LEVEL_CRITICAL, c"2"),
        40.. => (ffi::G_LOG_LEVEL_CRITICAL, c"3"),
        30.. => (ffi::G_LOG_LEVEL_WARNING, c"4"),
        20.. => (ffi::G_LOG_LEVEL_INFO, c"6"),
        _ => (ffi::G_LOG_LEVEL_DEBUG, c"7"),
    }
}

/// The sink of `raddle.log.GLibHandler`.
pub(crate) fn send(record: &Outward<'_>) {
    let text = |text: &str| CString::new(text.replace('\0', " ")).unwrap_or_default();
    let (level, priority) = to_glib_level(record.level);
    let domain = if record.logger == "root" { "" } else { record.logger };
    let mut fields: Vec<(Cow<'_, CStr>, Cow<'_, CStr>)> = vec![
        (c"MESSAGE".into(), text(record.message).into()),
        (c"PRIORITY".into(), priority.into()),
        (c"CODE_FILE".into(), text(record.file).into()),
        (c"CODE_LINE".into(), text(&record.line.to_string()).into()),
        (c"CODE_FUNC".into(), text(record.function).into()),
        (c"THREAD_NAME".into(), text(record.thread).into()),
        (FROM_PYTHON.into(), c"1".into()),
    ];
    if !domain.is_empty() {
        fields.push((c"GLIB_DOMAIN".into(), text(domain).into()));
    }
    fields.extend(record.fields.iter().map(|(name, value)| {
        // The journal's rule for names.
        let known = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let name: String =
            name.chars().map(|letter| if known(letter) { letter } else { '_' }).collect();
        (text(name.to_ascii_uppercase().trim_start_matches('_')).into(), text(value).into())
    }));
    let fields: Vec<ffi::GLogField> = fields
        .iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| ffi::GLogField {
            key: name.as_ptr(),
            value: value.as_ptr().cast(),
            length: -1,
        })
        .collect();
    // SAFETY: as many fields as are said, of texts that end with a NUL and outlive the call.
    unsafe { ffi::g_log_structured_array(level, fields.as_ptr(), fields.len()) };
}
