//! The first and the last thing that happens on a tasklet's stack.

use core::cell::Cell;
use core::ptr;

use super::ops::{self, Raw, refuse};
use super::scheduler::Scheduler;
use super::state::{Body, Task};
use super::tools::{self, Marks};
use super::{
    bomb, channel, count, hooks, kinds, lines, schedule, stack, switch, thread, trace, watchdog,
};
use crate::cpython::tasklet::{self as fields, Running};
use crate::gate;
use crate::object::{Kind, Pending};

/// Gives a bound tasklet its stack.
#[inline]
pub(super) fn begin(s: Scheduler, task: Task) -> Result<(), Pending> {
    if task.arguments.get().is_null() {
        return refuse("You cannot run an unbound(dead) tasklet");
    }
    let place = match stack::take(kinds::stack_size()) {
        Ok(place) => place,
        Err(stack::NoStack(line)) => return ops::raise(Kind::Memory, &line),
    };
    let at: *mut Body = ptr::with_exposed_provenance_mut(place.body().expose_provenance());
    let state = s.state.get();
    let body = Body {
        running: Running::empty(),
        stack: gate::stack::Stack::of_tasklet(state, task.raw().addr()),
        pointer: Cell::new(ptr::null_mut()),
        extent: Cell::new(ptr::null()),
        forks: Cell::new(thread::forks()),
        marks: Marks::none(),
        serial: s.made.get() + 1,
        place: Some(place),
    };
    // SAFETY: room for a record, aligned (both are tested), and nobody else's.
    unsafe { at.write(body) };
    // SAFETY: written above.
    let body = unsafe { &*at };
    // SAFETY: the thread's state, attached; memory of the place that nobody uses.
    unsafe { body.running.start(state, place.data(), place.calls()) };
    body.running.set_context(task.context.replace(ptr::null_mut()));
    // SAFETY: the C stack ends where the record begins, which is a multiple of 16.
    let pointer = unsafe { switch::prepare(at.cast(), run, at.cast()) };
    body.pointer.set(pointer);
    task.body.set(at);
    if tools::is_watched() {
        tools::begins(body);
    }
    s.made.set(body.serial);
    s.peers.borrow_mut().insert(body.serial, task);
    if !task.trace.get().is_null() || !task.profile.get().is_null() {
        trace::begin(s, task)?;
    }
    Ok(())
}

/// Frees the stack of a tasklet that ended; nobody runs on it.
#[inline]
pub(super) fn free(body: *const Body) {
    // SAFETY: written by `begin`, and its tasklet has let go of it.
    let body = unsafe { &*body };
    if tools::is_watched() {
        tools::is_gone(body);
    }
    if let Some(place) = body.place {
        stack::give_back(place);
    }
}

/// What a fresh stack does: calls the function, and gives its thread on.
unsafe extern "C" fn run(body: *mut u8) -> ! {
    let body: *const Body = ptr::with_exposed_provenance(body.expose_provenance());
    if tools::is_watched() {
        // SAFETY: the record of this stack.
        tools::arrives(unsafe { &*body });
    }
    let Some(s) = Scheduler::try_here() else { unreachable!("its thread has a scheduler") };
    let Some(task) = s.current.get() else { unreachable!("who runs is the current one") };
    let given = task.claim();
    schedule::let_go(s);
    let given = bomb::explode(given);
    let result = if given.is_null() {
        given // It is ended before it began.
    } else {
        ops::decref(given);
        count::follow(s);
        ops::answer(call(task))
    };
    end(task, body, result)
}

/// Calls the tasklet's function. All that is referred to for it is the tasklet's own, where the collector
/// sees it; so keywords are not left to CPython, which would copy the arguments to where it does not.
fn call(task: Task) -> Result<Raw, Pending> {
    let (function, arguments) = (task.function.get(), task.arguments.get());
    if task.keywords.get().is_null() {
        return ops::call(function, arguments, ptr::null_mut());
    }
    let (names, all) = ops::flatten(arguments, task.keywords.get())?;
    ops::xdecref(task.arguments.replace(all));
    ops::xdecref(task.keywords.replace(names));
    ops::call_flat(function, all, names)
}

/// `result`: what the function returned, owned; null if it raised.
fn end(task: Task, body: *const Body, result: Raw) -> ! {
    // Looked up again: the thread state may have got another one meanwhile.
    let Some(s) = task.home.get() else { unreachable!("who runs has a thread") };
    let mut result = if result.is_null() { raised(s) } else { result };
    task.give(ops::incref(result));
    s.remove_current(); // Its reference is ours now.
    s.finished.set(s.finished.get() + 1);
    // SAFETY: the thread's state; the function has returned.
    unsafe { fields::end_of_tasklet(s.state.get()) };
    thread::open_mail(s);
    let mut next = s.turn();
    while next.is_none() {
        let Some(wakeup) = s.watchdog() else { unreachable!("a thread has a main tasklet") };
        // Those who wait for a time or a descriptor go on, if somebody waits for them in turn.
        let waits = wakeup.is_blocked() || watchdog::may_block(s);
        let ends = s.waits.may_end() || wakeup.is_blocked() && thread::is_awaited();
        if waits && ends && !bomb::is(result) {
            if thread::wait(s).is_err() {
                // A signal's handler has raised: whoever watches hears of it.
                ops::decref(result);
                result = bomb::of_raised();
                task.give(ops::incref(result));
            }
            next = s.turn();
            continue;
        }
        if wakeup.is_blocked() && !bomb::is(result) {
            let waits_to_receive = wakeup.blocked.get() < 0;
            let line = if waits_to_receive { lines::RECEIVING } else { lines::SENDING };
            ops::decref(result);
            result = bomb::surely(bomb::of_text(line));
            task.give(ops::incref(result));
        }
        next = Some(within_dispatch(s, wakeup));
    }
    if bomb::is(result) {
        // Whoever watches is told; and the tasklet must not keep what its frames refer to.
        ops::decref(task.claim());
        let watchdog = s.watchdog();
        next = watchdog.map(|watchdog| within_dispatch(s, watchdog));
        if let Some(next) = next {
            next.give(ops::incref(result));
        }
    }
    ops::decref(result);
    s.forget_peer(task);
    task.unbind();
    task.body.set(ptr::null());
    // SAFETY: the record of this stack, which is freed once another one runs.
    let record = unsafe { &*body };
    thread::unpark(record);
    let value = task.claim();
    schedule::leave(s, value);
    schedule::leave(s, task.raw());
    let Some(next) = next else { unreachable!("a thread has a main tasklet") };
    schedule::end(s, task, body, next)
}

/// Whoever is inside the newest dispatch of a loop, if `wanted` is inside an older one: that one must
/// not go on before.
fn within_dispatch(s: Scheduler, wanted: Task) -> Task {
    let crosses = |task: Task| task.body().is_some_and(|body| gate::stack::crosses(&body.stack));
    if !gate::stack::is_crossed() || !crosses(wanted) {
        return wanted;
    }
    let innermost = gate::stack::innermost();
    let peers = s.peers.borrow();
    let found = peers
        .values()
        .copied()
        .chain(s.main.get())
        .find(|task| task.body().is_some_and(|body| body.stack.id() == innermost));
    found.unwrap_or(wanted)
}

/// What becomes of the exception that ended a tasklet: `None` if it is dealt with, or a bomb. Owned.
#[cold]
fn raised(s: Scheduler) -> Raw {
    let exit = kinds::tasklet_exit();
    if ops::raised_is(exit) || !thread::is_main_thread(s) && ops::raised_is(kinds::system_exit()) {
        ops::forget_raised();
        return ops::new_none();
    }
    if hooks::handle_error() {
        return ops::new_none();
    }
    bomb::of_raised()
}

/// No stack could be made for whom the run queue says: it is ended with the exception that is set, and
/// the watchdog told. Returns the watchdog.
#[cold]
pub(super) fn cannot_begin(s: Scheduler, task: Task) -> Task {
    let told = bomb::of_raised();
    s.remove(task);
    task.unbind();
    task.decref();
    let Some(watchdog) = s.watchdog() else { unreachable!("a thread has a main tasklet") };
    watchdog.give(told);
    if watchdog.is_blocked() {
        channel::take_out(watchdog);
        s.insert(watchdog);
    } else if !watchdog.is_queued() {
        watchdog.incref();
        s.insert(watchdog);
    }
    watchdog
}
