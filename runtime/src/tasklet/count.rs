//! Has the VM instructions of this thread's tasklets counted, while a watchdog has a limit on them.
//!
//! From 3.12 on by `sys.monitoring`: instruction events are put on the code that the tasklets run and
//! on no other, since a global event slows every thread 9 to 17 times. Code is noticed when it is
//! entered: that event is global while a limit is on, and switched off for each piece of code that it
//! has been seen on. On 3.11 by a trace function, where the tasklet has none of its own.

use super::ops::{self, Raw};
use super::scheduler::Scheduler;
use super::watchdog;
use crate::object::Pending;

#[cfg(Py_3_12)]
pub(super) use monitoring::{begin, end};
#[cfg(not(Py_3_12))]
pub(super) use tracing::{begin, end, follow};

/// 3.12 and newer have nothing to follow: events go with the code.
#[cfg(Py_3_12)]
#[inline(always)]
pub(super) fn follow(_s: Scheduler) {}

/// One instruction of this thread, if its tasklets are watched. What a callback answers CPython.
fn counted() -> Result<(), Pending> {
    match Scheduler::try_here() {
        Some(s) if s.watch.is_counting() => watchdog::tick(s),
        _ => Ok(()),
    }
}

#[cfg(Py_3_12)]
mod monitoring {
    use core::ffi::{CStr, c_int};
    use core::ptr;

    use pyo3_ffi::{self as ffi, PyMethodDef};

    use super::{Pending, Raw, Scheduler, counted, ops};
    use crate::class::method_fast;
    use crate::object::Object;
    use crate::shelf::{self, Key};
    use crate::table::Table;

    static INSTRUCTION: Table<[PyMethodDef; 1]> =
        Table::new([method_fast(c"instruction", instruction, c"")]);
    static ENTERED: Table<[PyMethodDef; 1]> = Table::new([method_fast(c"entered", entered, c"")]);
    static THROWN: Table<[PyMethodDef; 1]> = Table::new([method_fast(c"thrown", thrown, c"")]);

    /// `sys.monitoring`, and the numbers of what is used of it.
    struct Monitoring {
        module: Raw,
        events: Raw,
    }

    impl Drop for Monitoring {
        fn drop(&mut self) {
            ops::decref(self.events);
            ops::decref(self.module);
        }
    }

    impl Monitoring {
        fn find() -> Result<Self, Pending> {
            let Some(module) = Object::of_sys(ops::held(), c"monitoring") else {
                return ops::refuse("sys.monitoring is gone: instructions cannot be counted");
            };
            let module = module.into_ptr();
            match ops::attribute(module, c"events") {
                Ok(events) => Ok(Self { module, events }),
                Err(pending) => {
                    ops::decref(module);
                    Err(pending)
                }
            }
        }

        fn event(&self, name: &CStr) -> Result<i64, Pending> {
            let number = ops::attribute(self.events, name)?;
            // SAFETY: an object.
            let value = unsafe { ffi::PyLong_AsLongLong(number) };
            ops::decref(number);
            if value == -1 && ops::is_raised() { Err(Pending::is_set()) } else { Ok(value) }
        }

        fn entries(&self) -> Result<[i64; 3], Pending> {
            Ok([self.event(c"PY_START")?, self.event(c"PY_RESUME")?, self.event(c"PY_THROW")?])
        }

        fn call<const N: usize>(&self, name: &CStr, arguments: [Raw; N]) -> Result<Raw, Pending> {
            let function = ops::attribute(self.module, name)?;
            let result = ops::call_with(function, arguments);
            ops::decref(function);
            result
        }

        /// A call with whole numbers and at most one object at the end.
        fn tell(&self, name: &CStr, numbers: &[i64], object: Option<Raw>) -> Result<(), Pending> {
            let number = |index: usize| numbers.get(index).map(|number| ops::integer(*number));
            let result = match (number(0), number(1), object) {
                (Some(one), None, None) => self.call(name, [one]).map(|r| (r, vec![one])),
                (Some(one), None, Some(object)) => {
                    self.call(name, [one, object]).map(|r| (r, vec![one]))
                }
                (Some(one), Some(two), None) => {
                    self.call(name, [one, two]).map(|r| (r, vec![one, two]))
                }
                (Some(one), Some(two), Some(object)) => {
                    self.call(name, [one, two, object]).map(|r| (r, vec![one, two]))
                }
                (None, ..) => self.call(name, []).map(|r| (r, Vec::new())),
            };
            result.map(|(result, numbers)| {
                ops::decref(result);
                numbers.into_iter().for_each(ops::decref);
            })
        }
    }

    /// What is shared by the threads that count now: `[tool, {code, ...}, how many}`.
    struct Shared {
        tool: i64,
        codes: Raw,
        users: i64,
    }

    fn shared() -> Option<Shared> {
        let list = shelf::peek(Key::Watch);
        if list.is_null() {
            return None;
        }
        // SAFETY: a list of three, made below.
        let item = |index| unsafe { ffi::PyList_GetItem(list, index) };
        // SAFETY: ints, put there below.
        let number = |index| unsafe { ffi::PyLong_AsLongLong(item(index)) };
        Some(Shared { tool: number(0), codes: item(1), users: number(2) })
    }

    fn set_users(users: i64) {
        let list = shelf::peek(Key::Watch);
        // SAFETY: a list of three; takes the reference.
        unsafe { ffi::PyList_SetItem(list, 2, ops::integer(users)) };
    }

    /// Counts from now on.
    pub(in crate::tasklet) fn begin(s: Scheduler) -> Result<(), Pending> {
        let monitoring = Monitoring::find()?;
        match shared() {
            Some(shared) => set_users(shared.users + 1),
            None => switch_on(&monitoring)?,
        }
        let result = notice_suspended(&monitoring, s);
        if result.is_err() {
            end_with(&monitoring);
        }
        result
    }

    fn switch_on(monitoring: &Monitoring) -> Result<(), Pending> {
        let tool = free_tool(monitoring)?;
        // SAFETY: Python is held.
        let codes = ops::check(unsafe { ffi::PySet_New(ptr::null_mut()) })?;
        // SAFETY: Python is held.
        let list = ops::check(unsafe { ffi::PyList_New(3) })?;
        for (index, item) in [ops::integer(tool), codes, ops::integer(1)].into_iter().enumerate() {
            // SAFETY: a new list of three; takes the reference.
            unsafe { ffi::PyList_SetItem(list, index.cast_signed(), item) };
        }
        ops::xdecref(shelf::swap(ops::held(), Key::Watch, list));
        let on = || {
            let callback = |table: *mut PyMethodDef| {
                // SAFETY: a row that lives for ever, and no object that it belongs to.
                ops::check(unsafe { ffi::PyCFunction_New(table, ptr::null_mut()) })
            };
            let entries = monitoring.entries()?;
            let instruction = monitoring.event(c"INSTRUCTION")?;
            for (table, events) in [
                (ENTERED.start(), &entries[..2]),
                (THROWN.start(), &entries[2..]),
                (INSTRUCTION.start(), &[instruction][..]),
            ] {
                let function = callback(table)?;
                for event in events {
                    monitoring.tell(c"register_callback", &[tool, *event], Some(function))?;
                }
                ops::decref(function);
            }
            monitoring.tell(c"set_events", &[tool, entries[0] | entries[1] | entries[2]], None)?;
            monitoring.tell(c"restart_events", &[], None)
        };
        let result = on();
        if result.is_err() {
            end_with(monitoring);
        }
        result
    }

    fn free_tool(monitoring: &Monitoring) -> Result<i64, Pending> {
        for tool in [4, 3, 5, 2, 1, 0] {
            let number = ops::integer(tool);
            let name = monitoring.call(c"get_tool", [number])?;
            ops::decref(name);
            if name != ops::none() {
                ops::decref(number);
                continue;
            }
            let text = Object::text(ops::held(), "raddle.stackless");
            let Ok(text) = text else { return ops::refuse("no memory for a name") };
            let result = monitoring.call(c"use_tool_id", [number, text.as_ptr()]);
            ops::decref(number);
            ops::decref(result?);
            return Ok(tool);
        }
        ops::refuse("all tools of sys.monitoring are taken: instructions cannot be counted")
    }

    /// Puts instruction events on a piece of code.
    fn watch(monitoring: &Monitoring, shared: &Shared, code: Raw) -> Result<(), Pending> {
        // SAFETY: a set and an object.
        match unsafe { ffi::PySet_Contains(shared.codes, code) } {
            0 => {}
            1 => return Ok(()),
            _ => return Err(Pending::is_set()),
        }
        // SAFETY: as above.
        ops::check_status(unsafe { ffi::PySet_Add(shared.codes, code) })?;
        let event = monitoring.event(c"INSTRUCTION")?;
        local(monitoring, shared.tool, code, event)
    }

    fn local(monitoring: &Monitoring, tool: i64, code: Raw, events: i64) -> Result<(), Pending> {
        let (tool, events) = (ops::integer(tool), ops::integer(events));
        let result = monitoring.call(c"set_local_events", [tool, code, events]);
        ops::decref(tool);
        ops::decref(events);
        result.map(ops::decref)
    }

    /// The code that suspended tasklets are in.
    fn notice_suspended(monitoring: &Monitoring, s: Scheduler) -> Result<(), Pending> {
        let tasks: Vec<Raw> = s.peers.borrow().values().map(|task| task.new_ref()).collect();
        let mut result = Ok(());
        for task in tasks {
            // SAFETY: counted above.
            let parked = unsafe { super::super::state::Task::from_raw(task) }
                .body()
                .map_or(ptr::null_mut(), |body| body.running.parked());
            if result.is_ok() && !parked.is_null() {
                result = notice_frames(monitoring, parked);
            }
            ops::decref(task);
        }
        result
    }

    fn notice_frames(
        monitoring: &Monitoring,
        parked: *mut ffi::PyThreadState,
    ) -> Result<(), Pending> {
        // SAFETY: a live state; a new reference or null.
        let mut frame = unsafe { ffi::PyThreadState_GetFrame(parked) };
        while !frame.is_null() {
            // SAFETY: a frame; a new reference.
            let code: Raw = unsafe { ffi::PyFrame_GetCode(frame) }.cast();
            let result = match shared() {
                Some(shared) => watch(monitoring, &shared, code),
                None => Ok(()),
            };
            ops::decref(code);
            // SAFETY: a frame; a new reference or null.
            let back = unsafe { ffi::PyFrame_GetBack(frame) };
            ops::decref(frame.cast());
            if result.is_err() {
                ops::xdecref(back.cast());
                return result;
            }
            frame = back;
        }
        Ok(())
    }

    /// Counts no longer for this thread.
    pub(in crate::tasklet) fn end(_s: Scheduler) {
        let pending = ops::take_raised();
        if let Ok(monitoring) = Monitoring::find() {
            end_with(&monitoring);
        }
        if ops::is_raised() {
            ops::report_raised(ptr::null_mut());
        }
        ops::put_raised(pending);
    }

    fn end_with(monitoring: &Monitoring) {
        let Some(shared) = shared() else { return };
        if shared.users > 1 {
            set_users(shared.users - 1);
            return;
        }
        let list = shelf::swap(ops::held(), Key::Watch, ptr::null_mut());
        let off = || {
            monitoring.tell(c"set_events", &[shared.tool, 0], None)?;
            // SAFETY: a set.
            let iterator = ops::check(unsafe { ffi::PyObject_GetIter(shared.codes) })?;
            loop {
                // SAFETY: an iterator.
                let code = unsafe { ffi::PyIter_Next(iterator) };
                if code.is_null() {
                    break;
                }
                let result = local(monitoring, shared.tool, code, 0);
                ops::decref(code);
                result?;
            }
            ops::decref(iterator);
            for event in
                monitoring.entries()?.into_iter().chain([monitoring.event(c"INSTRUCTION")?])
            {
                monitoring.tell(c"register_callback", &[shared.tool, event], Some(ops::none()))?;
            }
            monitoring.tell(c"free_tool_id", &[shared.tool], None)
        };
        if off().is_err() {
            ops::report_raised(ptr::null_mut());
        }
        ops::decref(list);
    }

    fn disable() -> Raw {
        match Monitoring::find().and_then(|found| ops::attribute(found.module, c"DISABLE")) {
            Ok(disable) => disable,
            Err(_) => ptr::null_mut(),
        }
    }

    /// A function begins or goes on: `(code, offset, ...)`.
    unsafe extern "C" fn entered(_: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
        let Some(shared) = shared().filter(|_| count > 0) else { return ops::new_none() };
        // SAFETY: there is one at least.
        let code = unsafe { *args };
        // SAFETY: a set and an object.
        let known: c_int = unsafe { ffi::PySet_Contains(shared.codes, code) };
        if known == 1 {
            return disable();
        }
        if !Scheduler::try_here().is_some_and(|s| s.watch.is_counting()) {
            return ops::new_none();
        }
        match Monitoring::find().and_then(|monitoring| watch(&monitoring, &shared, code)) {
            Ok(()) => disable(),
            Err(_) => ptr::null_mut(),
        }
    }

    /// A generator is thrown into, or closed: `(code, offset, exception)`. Before 3.15 CPython answers
    /// an attempt to switch this event off with an exception of its own.
    unsafe extern "C" fn thrown(this: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
        // SAFETY: what CPython calls this with.
        let answer = unsafe { entered(this, args, count) };
        if answer.is_null() {
            return answer;
        }
        ops::decref(answer);
        ops::new_none()
    }

    /// An instruction is about to be executed: `(code, offset)`.
    unsafe extern "C" fn instruction(_: Raw, _: *const Raw, _: ffi::Py_ssize_t) -> Raw {
        if counted().is_ok() { ops::new_none() } else { ptr::null_mut() }
    }
}

#[cfg(not(Py_3_12))]
mod tracing {
    use core::ffi::c_int;

    use pyo3_ffi as ffi;

    use super::{Pending, Raw, Scheduler, counted, ops};
    use crate::cpython::tasklet as fields;

    /// Counts from now on.
    #[expect(clippy::unnecessary_wraps, reason = "as the newer Pythons' twin")]
    pub(in crate::tasklet) fn begin(_s: Scheduler) -> Result<(), Pending> {
        Ok(())
    }

    /// Counts no longer: who still has the function drops it when it is called.
    pub(in crate::tasklet) fn end(_s: Scheduler) {
        drop_here();
    }

    /// A tasklet goes on, or begins: has its instructions traced if it is watched.
    #[inline(always)]
    pub(in crate::tasklet) fn follow(s: Scheduler) {
        if s.watch.is_counting() {
            trace_here(s);
        }
    }

    #[cold]
    fn trace_here(s: Scheduler) {
        let state = s.state.get();
        if s.watch.is_owner(s.current.get()) || fields::is_traced(state) {
            return;
        }
        // SAFETY: this thread's state.
        let mut frame = unsafe { ffi::PyThreadState_GetFrame(state) };
        while !frame.is_null() {
            trace_instructions(frame.cast());
            // SAFETY: a frame; a new reference or null.
            let back = unsafe { ffi::PyFrame_GetBack(frame) };
            ops::decref(frame.cast());
            frame = back;
        }
        // SAFETY: Python is held.
        unsafe { ffi::PyEval_SetTrace(Some(trace), ops::none()) };
    }

    fn trace_instructions(frame: Raw) {
        let name = c"f_trace_opcodes";
        let on = ops::truth(true);
        // SAFETY: a frame, a name that ends with a NUL and an object.
        if unsafe { ffi::PyObject_SetAttrString(frame, name.as_ptr(), on) } != 0 {
            ops::forget_raised();
        }
        ops::decref(on);
    }

    fn drop_here() {
        if let Some(s) = Scheduler::try_here()
            && fields::is_traced_with(s.state.get(), trace)
        {
            // SAFETY: Python is held.
            unsafe { ffi::PyEval_SetTrace(None, core::ptr::null_mut()) };
        }
    }

    unsafe extern "C" fn trace(
        _: Raw,
        frame: *mut ffi::PyFrameObject,
        what: c_int,
        _: Raw,
    ) -> c_int {
        if !Scheduler::try_here().is_some_and(|s| s.watch.is_counting()) {
            drop_here();
            return 0;
        }
        match what {
            ffi::PyTrace_CALL => trace_instructions(frame.cast()),
            ffi::PyTrace_OPCODE if counted().is_err() => return -1,
            _ => {}
        }
        0
    }
}
