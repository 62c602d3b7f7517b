//! Functions that run when a thread dies, after Python is done with it.
//!
//! The semantics are those of `ft_utils.weave`: what is registered belongs to the thread that
//! registered it, and runs in that order when the thread ends, over all variables together. Nothing
//! is merged, so what is registered twice runs twice. A variable is read when its destructor runs,
//! and a NULL in it is passed on like any other value. On the main thread nothing runs, unless it
//! ends by `pthread_exit`. A function that registers another from inside gets a further round,
//! 4 in all; what is registered after that is leaked.
//!
//! None of them may call into Python: the thread has no thread state any more, and a joiner may be
//! holding Python while it waits for this thread.

mod python;

use core::ffi::c_void;

use crate::{
    error::{Error, Status},
    exit::{self, Duty},
};

pub(crate) use python::METHODS;

/// A function that is called with the value of a variable when a thread dies.
#[doc(alias = "wvls_destructor_t")]
pub type Destructor = unsafe extern "C" fn(*mut c_void);

/// Calls `closure` once when this thread ends.
///
/// A panic in it is reported by the panic hook, and what was registered behind it still runs. When
/// the closure runs, `thread_local!` values with a destructor are gone.
///
/// # Errors
///
/// [`Status::NoMemory`], and `closure` is dropped, if the machine has no memory or no pthread key
/// left.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = std::sync::mpsc::channel();
/// let worker = std::thread::Builder::new().spawn(move || {
///     raddle::weave::at_thread_exit(move || sender.send("gone").unwrap()).unwrap();
/// });
/// worker.unwrap().join().unwrap();
/// assert_eq!(receiver.recv(), Ok("gone"));
/// ```
pub fn at_thread_exit(closure: impl FnOnce() + 'static) -> Result<(), Error> {
    register(Duty::Closure(Box::new(closure)))
}

/// Calls `func(user_data)` once when this thread ends.
///
/// # Safety
///
/// The call must be sound at the end of this thread, and must not unwind.
///
/// # Errors
///
/// [`Status::NoMemory`] if the machine has no memory or no pthread key left.
#[doc(alias = "raddle_at_thread_exit")]
pub unsafe fn call_at_thread_exit(
    func: unsafe extern "C" fn(*mut c_void),
    user_data: *mut c_void,
) -> Result<(), Error> {
    register(Duty::Call { func, user_data })
}

/// Calls `destructor(*variable)` once when this thread ends.
///
/// A NULL variable or a missing destructor is accepted, found by [`unregister_native_destructor`],
/// and skipped at the end.
///
/// # Safety
///
/// `variable` must be NULL or readable at the end of this thread, and calling `destructor` with what
/// it then holds must be sound and not unwind.
///
/// # Errors
///
/// [`Status::NoMemory`] if the machine has no memory or no pthread key left.
#[doc(alias = "_py_register_wvls_destructor")]
pub unsafe fn register_native_destructor(
    variable: *mut *mut c_void,
    destructor: Option<Destructor>,
) -> Result<(), Error> {
    register(Duty::Destructor { variable, destructor })
}

/// Takes back all that this thread registered for `variable`; says whether there was any.
///
/// From inside a destructor it finds nothing: what was to run in that round can no longer be taken
/// back.
#[doc(alias = "_py_unregister_wvls_destructor")]
#[must_use = "it says whether anything was registered"]
pub fn unregister_native_destructor(variable: *mut *mut c_void) -> bool {
    exit::drop_destructors(variable)
}

fn register(duty: Duty) -> Result<(), Error> {
    if exit::at_late_exit(duty) {
        return Ok(());
    }
    Err(Error::new(
        Status::NoMemory,
        "nothing can be registered for the end of this thread: no memory or no pthread key is left",
    ))
}
