//! The late phase: duties of a dying thread, in the order of registration, away from Python.
//!
//! The list lies in thread-local memory without a destructor, so it can be reached to the very end;
//! one pthread key, set on every thread that has duties, only says when. A duty may register more:
//! they start a new list, for which pthread comes back, `PTHREAD_DESTRUCTOR_ITERATIONS` times in
//! all (4 on Linux). What is registered after that is leaked.

use core::{
    cell::RefCell,
    ffi::c_void,
    mem::{self, ManuallyDrop},
    ptr,
};
use std::panic::{self, AssertUnwindSafe};

use super::{Phase, early, roll};
use crate::primitive::{AtomicU64, Ordering};

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
    // Nobody waits for the net: it costs a thread that has no other duty no place on the roll.
    let listed = matches!(duty, Duty::EarlyHooks) || roll::enlist();
    let room = listed
        && DUTIES.with_borrow_mut(|duties| {
            duties.try_reserve(1).is_ok() && (!duties.is_empty() || arm())
        });
    if room {
        DUTIES.with_borrow_mut(|duties| duties.push(duty));
    }
    room
}

/// Drops the destructors that this thread has for `variable`; says whether there were any.
pub(crate) fn drop_destructors(variable: *mut *mut c_void) -> bool {
    DUTIES.with_borrow_mut(|duties| {
        let before = duties.len();
        duties.retain(|duty| match duty {
            Duty::Destructor { variable: it, .. } => *it != variable,
            _ => true,
        });
        duties.len() < before
    })
}

/// Asks pthread to call [`run`] when this thread ends.
fn arm() -> bool {
    let Some(key) = key() else {
        return false;
    };
    // Any value but NULL; the duties are not behind it.
    let mark = ptr::from_ref(&KEY).cast::<c_void>();
    // SAFETY: the key was created and is never deleted.
    unsafe { libc::pthread_setspecific(key, mark) == 0 }
}

/// One more than the key, for key 0 is as good as any other; 0 while there is none.
static KEY: AtomicU64 = AtomicU64::new(0);

/// The process's one key, made by whoever needs it first. Without a lock, which a child of `fork`
/// could find taken for ever.
fn key() -> Option<libc::pthread_key_t> {
    // Relaxed: a key is a number, and says all there is to say.
    if let Some(key) = KEY.load(Ordering::Relaxed).checked_sub(1) {
        return key.try_into().ok();
    }
    stay_loaded();
    let mut made: libc::pthread_key_t = 0;
    // SAFETY: `made` is ours to write, and `run` is what pthread expects of a destructor.
    if unsafe { libc::pthread_key_create(&raw mut made, Some(run)) } != 0 {
        return None;
    }
    let mark = u64::from(made) + 1;
    match KEY.compare_exchange(0, mark, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Some(made),
        Err(first) => {
            // SAFETY: the key was made above, and nobody else has seen it.
            unsafe { libc::pthread_key_delete(made) };
            (first - 1).try_into().ok()
        }
    }
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
    let duties = DUTIES.with_borrow_mut(|duties| mem::take(&mut **duties));
    for duty in duties {
        fulfil(duty);
    }
    if DUTIES.with_borrow(|duties| duties.is_empty()) {
        roll::strike_off();
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
    fn dropping_the_destructors_of_a_variable_leaves_the_rest() {
        // On a test's own thread, whose remaining duties run when the test has ended.
        let [mut one, mut other] = [ptr::null_mut(); 2];
        let [one, other] = [&raw mut one, &raw mut other];
        for variable in [one, ptr::null_mut(), one] {
            assert!(at_late_exit(Duty::Destructor { variable, destructor: None }));
        }
        assert!(at_late_exit(Duty::Closure(Box::new(|| ()))));
        assert!(!drop_destructors(other));
        assert!(drop_destructors(one));
        assert!(!drop_destructors(one));
        assert_eq!(DUTIES.with_borrow(|duties| duties.len()), 2);
    }
}
