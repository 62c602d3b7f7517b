//! The late phase: duties of a dying thread, in the order of registration, away from Python.
//!
//! The list lies in thread-local memory without a destructor, so it can be reached to the very end;
//! one pthread key, set on every thread that has duties, only says when. A duty may register more:
//! they start a new list, for which pthread comes back, `PTHREAD_DESTRUCTOR_ITERATIONS` times in
//! all (4 on Linux). What is registered after that is leaked.

use core::{cell::RefCell, ffi::c_void, mem::ManuallyDrop, ptr};
use std::{
    panic::{self, AssertUnwindSafe},
    sync::OnceLock,
};

use super::{Phase, early};

/// One thing to do when a thread ends.
pub(crate) enum Duty {
    /// `destructor(*variable)`; nothing if either is missing.
    Destructor { variable: *mut *mut c_void, destructor: Option<unsafe extern "C" fn(*mut c_void)> },
    /// `func(user_data)`.
    Call { func: unsafe extern "C" fn(*mut c_void), user_data: *mut c_void },
    /// A Rust closure.
    Closure(Box<dyn FnOnce()>),
    /// The early hooks, should they not have run by now.
    EarlyHooks,
}

thread_local! {
    static DUTIES: RefCell<ManuallyDrop<Vec<Duty>>> =
        const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// Appends `duty` to what this thread does when it ends.
///
/// Returns `false`, and drops `duty`, if the machine has no memory or no pthread key left.
pub(crate) fn at_late_exit(duty: Duty) -> bool {
    let room = DUTIES
        .with_borrow_mut(|duties| duties.try_reserve(1).is_ok() && (!duties.is_empty() || arm()));
    if room {
        DUTIES.with_borrow_mut(|duties| duties.push(duty));
    }
    room
}

/// Drops the duties of this thread that `unwanted` picks; says whether there were any.
pub(crate) fn drop_duties(mut unwanted: impl FnMut(&Duty) -> bool) -> bool {
    // They are dropped after the borrow ends: a closure's captures may call back in here.
    let dropped: Vec<Duty> =
        DUTIES.with_borrow_mut(|duties| duties.extract_if(.., |duty| unwanted(duty)).collect());
    !dropped.is_empty()
}

/// Asks pthread to call [`run`] when this thread ends.
fn arm() -> bool {
    static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
    // Key 0 is as good as any other: the absence of a key is `None`.
    let Some(key) = *KEY.get_or_init(make_key) else {
        return false;
    };
    // Any value but NULL; the duties are not behind it.
    let mark = ptr::from_ref(&KEY).cast::<c_void>();
    // SAFETY: the key was created and is never deleted.
    unsafe { libc::pthread_setspecific(key, mark) == 0 }
}

fn make_key() -> Option<libc::pthread_key_t> {
    stay_loaded();
    let mut key = 0;
    // SAFETY: `key` is ours to write, and `run` is what pthread expects of a destructor.
    let status = unsafe { libc::pthread_key_create(&raw mut key, Some(run)) };
    (status == 0).then_some(key)
}

/// Keeps the library that `run` lies in loaded: a thread may outlive the last `dlclose`.
fn stay_loaded() {
    let mut info = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    let address = run as unsafe extern "C" fn(*mut c_void) as *const c_void;
    // SAFETY: dladdr looks the address up and fills `info`.
    if unsafe { libc::dladdr(address, &raw mut info) } == 0 || info.dli_fname.is_null() {
        return; // Linked statically: there is nothing to unload.
    }
    let flags = libc::RTLD_NOLOAD | libc::RTLD_NODELETE | libc::RTLD_LAZY;
    // SAFETY: the name is the loader's own string, and NOLOAD runs no code of the library. The
    // handle is not closed, on purpose. In a program, which is never unloaded, this finds nothing.
    unsafe { libc::dlopen(info.dli_fname, flags) };
}

/// One round: pthread has unset the key, so what is registered from now on makes a new list.
unsafe extern "C" fn run(_mark: *mut c_void) {
    let duties = DUTIES.with_borrow_mut(|duties| core::mem::take(&mut **duties));
    for duty in duties {
        fulfil(duty);
    }
}

fn fulfil(duty: Duty) {
    match duty {
        Duty::Destructor { variable, destructor: Some(destructor) } if !variable.is_null() => {
            // SAFETY: whoever registered it promised that the variable can be read until now.
            let value = unsafe { variable.read() };
            // SAFETY: whoever registered it promised that the destructor takes the value, NULL too.
            unsafe { destructor(value) };
        }
        Duty::Destructor { .. } => {}
        // SAFETY: whoever registered it promised that this call is sound when the thread ends.
        Duty::Call { func, user_data } => unsafe { func(user_data) },
        Duty::Closure(closure) => {
            // The panic hook has reported it; the duties behind this one still run.
            drop(panic::catch_unwind(AssertUnwindSafe(closure)));
        }
        Duty::EarlyHooks => early::run(Phase::Late),
    }
}

#[cfg(test)] // Single-threaded facts; tests/rust/weave.rs has the threads.
mod tests {
    use super::*;

    #[test]
    fn dropping_duties_drops_the_picked_ones_only() {
        // On a test's own thread, whose remaining duty runs when the test has ended.
        assert!(at_late_exit(Duty::EarlyHooks));
        let mut value = ptr::null_mut();
        let variable = &raw mut value;
        assert!(at_late_exit(Duty::Destructor { variable, destructor: None }));
        let ours =
            |duty: &Duty| matches!(duty, Duty::Destructor { variable: it, .. } if *it == variable);
        assert!(drop_duties(ours));
        assert!(!drop_duties(ours));
        assert_eq!(DUTIES.with_borrow(|duties| duties.len()), 1);
    }
}
