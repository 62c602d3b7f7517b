//! The poll function: it gives Python up while the loop sleeps, whoever holds it and however deep.
//!
//! A `GPollFunc` has no user data, so what one needs to know is *which function* it is: there is
//! one for each pair of a function to chain and a [`Hold`], made from one generic body. What a
//! context was attached with is therefore read from the context itself: nothing is kept here about
//! contexts, and none can leak, be confused with a later one at the same address, or outlive us.
//!
//! | Python is held when poll is called | `Hold::Callback`         | `Hold::Turn`                           |
//! |------------------------------------|--------------------------|----------------------------------------|
//! | no                                 | poll                     | poll                                   |
//! | yes, something is ready            | give up, poll, take back | poll, no change; after 5 ms: as left   |
//! | yes, poll would sleep              | give up, poll, take back | give up, poll, take back               |
//!
//! Whether it is held is asked of CPython each time (`raddle::gate::is_held`): PyGObject gives
//! Python up around its own loops, and no counter of ours sees that. What was given up lies in the
//! thread's own record until it is taken back, so nested loops nest. Giving up and taking back are
//! the gate's, with its admission: a stop waits for a thread that sleeps here, and a thread for
//! which nobody waited takes nothing back from a Python that is gone.

use core::ffi::{c_int, c_uint};
use core::{cell::Cell, ptr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use glib::{MainContext, ffi, translate::ToGlibPtr};
use raddle::gate;
use raddle::primitive::{Mutex, lock};
use raddle::{Error, Status};

use crate::wakeup;

/// A poll function, as `g_main_context_set_poll_func` takes it.
pub type PollFunc = unsafe extern "C" fn(*mut ffi::GPollFD, c_uint, c_int) -> c_int;

/// Where a main loop holds Python.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// Each callback enters Python and leaves it.
    #[default]
    Callback,
    /// A loop that is run with Python held holds it from wake-up to poll, and gives it up only when
    /// poll would sleep or Python was held for 5 ms. Cheaper when Python is contended;
    /// deadlocks a host whose callbacks wait for a thread that needs Python.
    Turn,
}

/// For how long a turn may keep Python although somebody may be waiting: Python's own default for
/// how long a thread runs before it lets another one in.
const FAIR: Duration = Duration::from_millis(5);

/// How many different functions can be chained in one process, GLib's own among them.
const CHAINS: usize = 8;

/// The chained functions, claimed in order and never given back.
static CHAINED: [OnceLock<PollFunc>; CHAINS] = [const { OnceLock::new() }; CHAINS];

/// Ours: that at `2 * chain + hold` chains `CHAINED[chain]`. A static, so that each has one address.
static POLLS: [PollFunc; 2 * CHAINS] = [
    poll::<0>, poll::<1>, poll::<2>, poll::<3>, poll::<4>, poll::<5>, poll::<6>, poll::<7>,
    poll::<8>, poll::<9>, poll::<10>, poll::<11>, poll::<12>, poll::<13>, poll::<14>, poll::<15>,
];

thread_local! {
    /// When this thread last took Python back in a poll function.
    static TAKEN: Cell<Option<Instant>> = const { Cell::new(None) };
}

unsafe extern "C" fn poll<const PLACE: usize>(
    fds: *mut ffi::GPollFD,
    count: c_uint,
    timeout: c_int,
) -> c_int {
    // Only `place_for` hands this function out, after it has filled the cell.
    let chained = CHAINED[PLACE / 2].get().copied().unwrap_or(ffi::g_poll);
    // SAFETY: GLib's arguments, passed on to what GLib would have called.
    let wait = |timeout| unsafe { chained(fds, count, timeout) };
    let ready =
        if gate::is_held() { poll_held(hold_of(PLACE), timeout, &wait) } else { wait(timeout) };
    if ready < 0 && errno() == libc::EINTR {
        wakeup::note_interruption();
    }
    ready
}

/// A poll by a thread that holds Python.
fn poll_held(hold: Hold, timeout: c_int, wait: &dyn Fn(c_int) -> c_int) -> c_int {
    if hold == Hold::Turn && TAKEN.get().is_some_and(|taken| taken.elapsed() < FAIR) {
        let ready = wait(0);
        if ready != 0 || timeout == 0 {
            return ready;
        }
    }
    if gate::unblock_raw().is_err() {
        // Held without raddle ever having started: not ours to give up.
        return wait(timeout);
    }
    let ready = wait(timeout);
    let error = errno();
    // It is refused if Python ended meanwhile, which it does not do while this thread is inside;
    // else there is nothing to take back, and the loop goes on without.
    drop(gate::block_raw());
    TAKEN.set(Some(Instant::now()));
    set_errno(error);
    ready
}

/// Puts raddle's poll function on `context`, or changes how it holds Python.
///
/// `chain` names the function in place if that is neither `g_poll` nor raddle's; it is called to
/// do the polling. At most seven different ones can be chained in one process.
///
/// # Errors
///
/// [`Status::NotStarted`] or [`Status::Closed`] if no runtime is open; [`Status::WrongOrder`] if
/// another function is in place than the one named; [`Status::NoMemory`] for an eighth chained one.
pub fn attach(context: &MainContext, hold: Hold, chain: Option<PollFunc>) -> Result<(), Error> {
    if let Some(closed) = gate::refusal() {
        return Err(closed.into());
    }
    let _alone = lock(&ATTACHING);
    let current = current(context);
    let beneath = match place_of(current) {
        Some(place) => CHAINED[place / 2].get().copied().unwrap_or_else(glibs_own),
        None => current,
    };
    let known = is_glibs_own(beneath);
    match chain {
        Some(chain) if !(same(chain, beneath) || known && is_glibs_own(chain)) => {
            return Err(Error::new(
                Status::WrongOrder,
                "the poll function to chain is not the one in place: ask g_main_context_get_poll_func",
            ));
        }
        None if !known && place_of(current).is_none() => {
            return Err(Error::new(
                Status::WrongOrder,
                "this context has a poll function of somebody else's: pass it as the one to chain",
            ));
        }
        _ => {}
    }
    let Some(place) = place_for(if known { glibs_own() } else { beneath }, hold) else {
        return Err(Error::new(
            Status::NoMemory,
            "seven poll functions are chained in this process already: there is no place for more",
        ));
    };
    put(context, POLLS[place]);
    Ok(())
}

/// Puts the chained poll function back on `context`.
///
/// # Errors
///
/// [`Status::WrongOrder`] if raddle's poll function is not in place: never attached, or replaced by
/// somebody since, who may be chaining it.
pub fn detach(context: &MainContext) -> Result<(), Error> {
    let _alone = lock(&ATTACHING);
    let Some(place) = place_of(current(context)) else {
        return Err(Error::new(
            Status::WrongOrder,
            "raddle's poll function is not in place on this context: nothing was changed",
        ));
    };
    put(context, CHAINED[place / 2].get().copied().unwrap_or_else(glibs_own));
    Ok(())
}

/// How `context` was attached, if raddle's poll function is in place.
pub(crate) fn hold_on(context: &MainContext) -> Option<Hold> {
    place_of(current(context)).map(hold_of)
}

/// Makes reading and setting a context's function one step among ourselves.
static ATTACHING: Mutex<()> = Mutex::new(());

fn hold_of(place: usize) -> Hold {
    if place.is_multiple_of(2) { Hold::Callback } else { Hold::Turn }
}

fn place_for(chain: PollFunc, hold: Hold) -> Option<usize> {
    let claim = |cell: &OnceLock<PollFunc>| same(*cell.get_or_init(|| chain), chain);
    let index = CHAINED.iter().position(claim)?;
    Some(2 * index + usize::from(hold == Hold::Turn))
}

fn place_of(function: PollFunc) -> Option<usize> {
    POLLS.iter().position(|&ours| same(ours, function))
}

fn same(one: PollFunc, other: PollFunc) -> bool {
    ptr::fn_addr_eq(one, other)
}

/// `g_poll` at the address by which GLib knows it: a program that is not position independent may
/// see it at another.
fn glibs_own() -> PollFunc {
    static OWN: OnceLock<PollFunc> = OnceLock::new();
    *OWN.get_or_init(|| current(&MainContext::new()))
}

fn is_glibs_own(function: PollFunc) -> bool {
    same(function, glibs_own()) || same(function, ffi::g_poll)
}

fn current(context: &MainContext) -> PollFunc {
    // SAFETY: a context that is alive; the call locks it.
    let function = unsafe { ffi::g_main_context_get_poll_func(context.to_glib_none().0) };
    function.unwrap_or(ffi::g_poll)
}

fn put(context: &MainContext, function: PollFunc) {
    // SAFETY: a context that is alive, and a function that is never unloaded: one of ours, or the
    // one that was there before.
    unsafe { ffi::g_main_context_set_poll_func(context.to_glib_none().0, Some(function)) };
    // A loop that sleeps in the former function comes out and sleeps in this one.
    context.wakeup();
}

fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn set_errno(error: c_int) {
    #[cfg(target_os = "linux")]
    // SAFETY: the address of this thread's errno.
    let place = unsafe { libc::__errno_location() };
    #[cfg(not(target_os = "linux"))]
    // SAFETY: the address of this thread's errno.
    let place = unsafe { libc::__error() };
    // SAFETY: this thread's, and an integer.
    unsafe { place.write(error) };
}
