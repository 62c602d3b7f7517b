//! The functions of `raddle.stackless`, as the module `_raddle` has them.

use core::time::Duration;

use pyo3_ffi::{self as ffi, PyMethodDef};

use super::ops::{self, Raw, answer, answered, raise, refuse};
use super::schedule::{set_timing as set_timing_on, yield_now};
use super::scheduler::Scheduler;
use super::state::Task;
use super::tasklet_type::thread_ident;
use super::watchdog::{self, Limit};
use super::{hooks, kinds, raw, stack, thread};
use crate::arguments::{Argument, Call};
use crate::class::{method_alone, method_fast, method_of_one};
use crate::object::{Answer, Kind, Object, Pending};
use crate::row;
use crate::shelf::Key;

/// The rows for the method table of `_raddle`.
pub(crate) const METHODS: [PyMethodDef; 27] = [
    row::function(c"run", run, c"run(timeout=0, threadblock=False, soft=False, ignore_nesting=False, totaltimeout=False)\n--\n\nRun tasklets until all are done, or one is interrupted: that one is returned."),
    row::function(c"run_for", run_for, c"run_for(seconds, threadblock=False)\n--\n\nRun tasklets until all are done or the time is up, which is looked at between two tasklets."),
    row::function(c"run_n_tasklets", run_n_tasklets, c"run_n_tasklets(count, threadblock=False)\n--\n\nRun tasklets until all are done or so many were switched to."),
    row::function(c"schedule", schedule, c"schedule(retval=stackless.current)\n--\n\nLet the others have their turn."),
    row::function(c"schedule_remove", schedule_remove, c"schedule_remove(retval=stackless.current)\n--\n\nLeave the run queue, and let the others have their turn."),
    method_alone(c"getcurrent", getcurrent, c"getcurrent()\n--\n\nThe tasklet that runs."),
    method_alone(c"getmain", getmain, c"getmain()\n--\n\nThe main tasklet of this thread."),
    method_alone(c"getruncount", getruncount, c"getruncount()\n--\n\nHow many tasklets can run, with the current one."),
    method_alone(c"getcurrentid", getcurrentid, c"getcurrentid()\n--\n\nA number for the tasklet that runs."),
    method_fast(c"get_thread_info", get_thread_info, c"get_thread_info(thread_id=-1, /)\n--\n\nMain tasklet, current tasklet and run count of a thread."),
    method_alone(c"getthreads", getthreads, c"getthreads()\n--\n\nThe identities of the threads, the main one first."),
    method_fast(c"switch_trap", switch_trap, c"switch_trap(change=0, /)\n--\n\nWhile the sum of all changes is not 0, a switch raises; return the sum before."),
    method_of_one(c"set_channel_callback", set_channel_callback, c"set_channel_callback(callable, /)\n--\n\nHave callable(channel, tasklet, sending, willblock) called at channels; return the one before."),
    method_alone(c"get_channel_callback", get_channel_callback, c"get_channel_callback()\n--\n\nThe channel callback, or None."),
    method_of_one(c"set_schedule_callback", set_schedule_callback, c"set_schedule_callback(callable, /)\n--\n\nHave callable(prev, next) called at switches; return the one before."),
    method_alone(c"get_schedule_callback", get_schedule_callback, c"get_schedule_callback()\n--\n\nThe schedule callback, or None."),
    method_fast(c"set_error_handler", set_error_handler, c"set_error_handler(handler=None, /)\n--\n\nHave handler(type, value, traceback) called for what a tasklet does not catch; return the one before."),
    method_of_one(c"enable_softswitch", enable_softswitch, c"enable_softswitch(flag, /)\n--\n\nFalse: all switches are hard here. There for programs that ask."),
    method_of_one(c"set_stack_size", set_stack_size, c"set_stack_size(size, /)\n--\n\nReserve so many bytes for the C stacks of tasklets that begin from now on; 0 for the default; return the size before."),
    method_alone(c"get_stack_size", get_stack_size, c"get_stack_size()\n--\n\nBytes that are reserved for the C stack of the next tasklet."),
    method_alone(c"tasklet_stats", tasklet_stats, c"tasklet_stats()\n--\n\nFigures of this thread's tasklets, and of the process's stacks, as a dict of ints."),
    method_alone(c"leaked_tasklets", leaked_tasklets, c"leaked_tasklets()\n--\n\nThe functions of tasklets that could not be ended."),
    method_alone(c"kill_all", kill_all, c"kill_all()\n--\n\nEnd this thread's tasklets, oldest first; return how many would not."),
    method_alone(c"unblock_all", unblock_all, c"unblock_all()\n--\n\nLet all of this thread's tasklets that wait at channels go on; return how many did."),
    method_fast(c"pickle_flags", pickle_flags, c"pickle_flags(new_flags=-1, mask=-1, /)\n--\n\nRemember flags for pickling, which change nothing here; return those before."),
    method_of_one(c"set_timing", set_timing, c"set_timing(flag, /)\n--\n\nCount how long tasklets run, or not; return what was before."),
    method_of_one(c"expect_others", expect_others, c"expect_others(flag, /)\n--\n\nOne more native part (or one less) may make tasklets runnable: no deadlock is reported."),
];

const FLAGS: [&core::ffi::CStr; 5] =
    [c"timeout", c"threadblock", c"soft", c"ignore_nesting", c"totaltimeout"];

fn long(object: Raw, default: i64) -> Result<i64, Pending> {
    if object.is_null() {
        return Ok(default);
    }
    // SAFETY: an object.
    let value = unsafe { ffi::PyLong_AsLongLong(object) };
    if value == -1 && ops::is_raised() { Err(Pending::is_set()) } else { Ok(value) }
}

fn flag(argument: Argument<'_>, bit: i32) -> Result<i32, Pending> {
    Ok(if argument.truth(false)? { bit } else { 0 })
}

fn run(call: Call<'_>) -> Answer<'_> {
    let [timeout, block, soft, nesting, total] = call.bind("run", FLAGS, 0)?;
    let flags = flag(block, watchdog::THREADBLOCK)?
        | flag(soft, watchdog::SOFT)?
        | flag(nesting, watchdog::IGNORE_NESTING)?
        | flag(total, watchdog::TOTALTIMEOUT)?;
    answered(raw::run_watchdog(long(timeout.as_ptr(), 0)?, flags))
}

fn run_for(call: Call<'_>) -> Answer<'_> {
    let [seconds, block] = call.bind("run_for", [c"seconds", c"threadblock"], 1)?;
    let limit = seconds.timeout()?.map_or(Limit::None, Limit::Time);
    answered(watchdog::run(limit, flag(block, watchdog::THREADBLOCK)? | watchdog::SOFT))
}

fn run_n_tasklets(call: Call<'_>) -> Answer<'_> {
    let [most, block] = call.bind("run_n_tasklets", [c"count", c"threadblock"], 1)?;
    let most = long(most.as_ptr(), 0)?;
    if most < 0 {
        return raise(Kind::Value, "count must not be negative");
    }
    if most == 0 {
        return Ok(Object::none(call.py()));
    }
    let flags = flag(block, watchdog::THREADBLOCK)? | watchdog::SOFT;
    answered(watchdog::run(Limit::Switches(most), flags))
}

fn give_way<'py>(name: &str, remove: bool, call: Call<'py>) -> Answer<'py> {
    if call.is_empty() {
        return answered(yield_now(None, remove, call.extent())); // Nearly always.
    }
    let [value] = call.bind(name, [c"retval"], 0)?;
    let value = (!value.is_left_out()).then_some(value.as_ptr());
    answered(yield_now(value, remove, call.extent()))
}

fn schedule(call: Call<'_>) -> Answer<'_> {
    give_way("schedule", false, call)
}

fn schedule_remove(call: Call<'_>) -> Answer<'_> {
    give_way("schedule_remove", true, call)
}

unsafe extern "C" fn getcurrent(_: Raw, _: Raw) -> Raw {
    answer(raw::current())
}

unsafe extern "C" fn getmain(_: Raw, _: Raw) -> Raw {
    answer(Scheduler::here().map(|s| s.main.get().map_or_else(ops::new_none, Task::new_ref)))
}

unsafe extern "C" fn getruncount(_: Raw, _: Raw) -> Raw {
    answer(Scheduler::here().map(|s| ops::unsigned(s.runcount.get().into())))
}

unsafe extern "C" fn getcurrentid(_: Raw, _: Raw) -> Raw {
    ops::unsigned(raw::current_id())
}

unsafe extern "C" fn get_thread_info(_: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    let ident = match count {
        0 => Ok(None),
        // SAFETY: there is one at least.
        1 | 2 => thread_ident(unsafe { *args }),
        _ => raise(Kind::Type, "get_thread_info() takes at most 2 arguments"),
    };
    answer(ident.and_then(thread_info))
}

fn thread_info(ident: Option<u64>) -> Result<Raw, Pending> {
    let here = Scheduler::here()?;
    let (main, current, runs) = match ident.filter(|ident| *ident != here.ident.get()) {
        None => (here.main.get(), here.current.get(), here.runcount.get()),
        Some(ident) => match thread::all().into_iter().find(|other| other.ident.get() == ident) {
            Some(other) => (other.main.get(), other.current.get(), other.runcount.get()),
            None if thread::idents().contains(&ident) => (None, None, 0),
            None => return refuse("Thread id not found"),
        },
    };
    let shown = |task: Option<Task>| task.map_or(ops::none(), Task::raw);
    let runs = ops::check(ops::unsigned(runs.into()))?;
    let result = ops::tuple([shown(main), shown(current), runs]);
    ops::decref(runs);
    result
}

unsafe extern "C" fn getthreads(_: Raw, _: Raw) -> Raw {
    let py = ops::held();
    let idents = thread::idents();
    let list = Object::list(py, idents.into_iter().map(|ident| Object::integer(py, ident)));
    match list {
        Ok(list) => list.into_ptr(),
        Err(raised) => answer(refuse(&raised.0)),
    }
}

unsafe extern "C" fn switch_trap(_: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    let change = ops::argument(args, count, 0);
    answer(long(change, 0).and_then(|change| {
        let change = i32::try_from(change).unwrap_or(i32::MAX);
        Ok(ops::integer(raw::adjust_switch_trap(change)?.into()))
    }))
}

fn set_hook(key: Key, callable: Raw, name: &str) -> Result<Raw, Pending> {
    let callable = if callable == ops::none() { core::ptr::null_mut() } else { callable };
    if !callable.is_null() && !ops::is_callable(callable) {
        return raise(Kind::Type, &format!("{name} must be callable"));
    }
    kinds::ready()?;
    let before = hooks::set(key, callable);
    Ok(if before.is_null() { ops::new_none() } else { before })
}

fn hook(key: Key) -> Raw {
    let hook = hooks::get(key);
    if hook.is_null() { ops::new_none() } else { hook }
}

unsafe extern "C" fn set_channel_callback(_: Raw, callable: Raw) -> Raw {
    answer(set_hook(Key::ChannelCallback, callable, "channel callback"))
}

unsafe extern "C" fn get_channel_callback(_: Raw, _: Raw) -> Raw {
    hook(Key::ChannelCallback)
}

unsafe extern "C" fn set_schedule_callback(_: Raw, callable: Raw) -> Raw {
    answer(set_hook(Key::ScheduleCallback, callable, "schedule callback"))
}

unsafe extern "C" fn get_schedule_callback(_: Raw, _: Raw) -> Raw {
    hook(Key::ScheduleCallback)
}

unsafe extern "C" fn set_error_handler(_: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    let handler = if count > 0 { ops::argument(args, count, 0) } else { ops::none() };
    answer(set_hook(Key::ErrorHandler, handler, "error handler"))
}

unsafe extern "C" fn enable_softswitch(_: Raw, flag: Raw) -> Raw {
    answer(ops::is_true(flag).map(|_| ops::truth(false)))
}

unsafe extern "C" fn set_stack_size(_: Raw, size: Raw) -> Raw {
    answer(long(size, 0).and_then(|size| {
        let size = u64::try_from(size).unwrap_or(1);
        kinds::set_stack_size(size).map(ops::unsigned)
    }))
}

unsafe extern "C" fn get_stack_size(_: Raw, _: Raw) -> Raw {
    ops::unsigned(kinds::stack_size() as u64)
}

unsafe extern "C" fn tasklet_stats(_: Raw, _: Raw) -> Raw {
    let py = ops::held();
    let Ok(s) = Scheduler::here() else { return core::ptr::null_mut() };
    let all = thread::all();
    let total = |figure: fn(&Scheduler) -> u64| all.iter().map(figure).sum::<u64>();
    let figures = [
        ("switches", s.switches.get()),
        ("begun", s.made.get()),
        ("finished", s.finished.get()),
        ("alive", s.peers.borrow().len() as u64),
        ("total_switches", total(|s| s.switches.get())),
        ("total_begun", total(|s| s.made.get())),
        ("total_finished", total(|s| s.finished.get())),
        ("threads", all.len() as u64),
        ("stacks", stack::in_use()),
        ("leaked", thread::leaked().0),
        ("watchdog_switches", s.watch.made()),
    ];
    let dict = Object::dict(py, figures.map(|(name, figure)| (name, Object::integer(py, figure))));
    match dict {
        Ok(dict) => dict.into_ptr(),
        Err(raised) => answer(refuse(&raised.0)),
    }
}

unsafe extern "C" fn leaked_tasklets(_: Raw, _: Raw) -> Raw {
    let py = ops::held();
    let (_, names) = thread::leaked();
    match Object::list(py, names.iter().map(|name| Object::text(py, name))) {
        Ok(list) => list.into_ptr(),
        Err(raised) => answer(refuse(&raised.0)),
    }
}

unsafe extern "C" fn kill_all(_: Raw, _: Raw) -> Raw {
    answer(Scheduler::here().map(|s| ops::unsigned(thread::kill_all(s) as u64)))
}

unsafe extern "C" fn unblock_all(_: Raw, _: Raw) -> Raw {
    answer(Scheduler::here().map(|s| ops::unsigned(thread::unblock_all(s))))
}

unsafe extern "C" fn pickle_flags(_: Raw, args: *const Raw, count: ffi::Py_ssize_t) -> Raw {
    let part = |index| long(ops::argument(args, count, index), -1);
    let set = || {
        let (flags, mask) = (part(0)?, part(1)?);
        let s = Scheduler::here()?;
        if flags < -1 || flags != -1 && flags & mask > 31 {
            return raise(Kind::Value, "you must not set an undefined pickle-flag");
        }
        let before = i64::from(s.pickle_flags.get());
        if flags != -1 {
            let now = before & !mask | flags & mask;
            s.pickle_flags.set(u8::try_from(now).unwrap_or(0));
        }
        Ok(ops::integer(before))
    };
    answer(set())
}

unsafe extern "C" fn set_timing(_: Raw, flag: Raw) -> Raw {
    answer(ops::is_true(flag).map(|flag| ops::truth(set_timing_on(flag))))
}

unsafe extern "C" fn expect_others(_: Raw, flag: Raw) -> Raw {
    answer(ops::is_true(flag).map(|flag| {
        thread::expect_others(flag);
        ops::new_none()
    }))
}

/// For a time limit in nanoseconds, as C gives it.
pub(super) fn time_limit(nanoseconds: i64) -> Limit {
    match u64::try_from(nanoseconds) {
        Ok(0) | Err(_) => Limit::None,
        Ok(nanoseconds) => Limit::Time(Duration::from_nanos(nanoseconds)),
    }
}
