//! What the gate does on real threads, with a real Python that these tests share.
//!
//! Starting and stopping, forks and crashes need processes of their own: tests/rust.

use std::sync::{Once, mpsc};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3_ffi as ffi;

use super::*;
use crate::error::Status;
use crate::{Entry, Ref, cpython, enter, enter_fresh, release};

/// Starts Python once for all tests of this binary, on a thread that then is gone from it.
fn python() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: once, before any other use of Python in this process.
        unsafe { ffi::Py_InitializeEx(0) };
        // SAFETY: Python is held since the line above.
        let interpreter = unsafe { ffi::PyInterpreterState_Get() };
        // SAFETY: the interpreter lives as long as the process.
        unsafe { control::open(interpreter, control::Manner { timing: false, reap_here: false }) };
        // SAFETY: Python is held.
        unsafe { ffi::PyEval_SaveThread() };
    });
}

/// Runs `body` on a thread that Python did not make and that has entered once, and waits for the thread's end.
fn on_a_fresh_thread<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    python();
    // Its first entry made its state; the plain way is the later ones'.
    let body = || {
        enter_raw().unwrap();
        leave_raw().unwrap();
        body()
    };
    std::thread::scope(|scope| scope.spawn(body).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn eventually(mut what: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < deadline, "it did not come to that in 20 seconds");
        std::thread::yield_now();
    }
}

fn dict<'py>(py: Python<'py>, name: &str) -> Bound<'py, PyDict> {
    let main = py.import("__main__").unwrap().dict();
    if let Some(found) = main.get_item(name).unwrap() {
        return found.cast_into::<PyDict>().unwrap();
    }
    let fresh = PyDict::new(py);
    main.set_item(name, &fresh).unwrap();
    fresh.set_item("__builtins__", py.import("builtins").unwrap()).unwrap();
    fresh
}

#[test]
fn a_fresh_thread_enters_nests_and_leaves() {
    on_a_fresh_thread(|| {
        assert!(!is_held());
        let six = enter(|_| {
            assert!(is_held());
            let inner = enter(|py| py.eval(c"2 * 3", None, None).unwrap().extract::<u32>());
            assert!(is_held());
            inner
        });
        assert_eq!(six.unwrap().unwrap().unwrap(), 6);
        assert!(!is_held());
    });
}

#[test]
fn code_that_gave_python_up_by_itself_does_not_fool_a_nested_entry() {
    on_a_fresh_thread(|| {
        enter(|_| {
            // What PyGObject and ctypes do around a call: our counter does not see it.
            // SAFETY: held.
            let state = unsafe { ffi::PyEval_SaveThread() };
            assert!(!is_held());
            let seven = enter(|py| py.eval(c"7", None, None).unwrap().extract::<u32>().unwrap());
            assert_eq!(seven, Ok(7));
            assert!(!is_held());
            // SAFETY: given up above.
            unsafe { ffi::PyEval_RestoreThread(state) };
            assert!(is_held());
        })
        .unwrap();
    });
}

#[test]
fn release_lets_another_thread_in_at_any_depth() {
    on_a_fresh_thread(|| {
        enter(|_| {
            enter(|_| {
                release(|| {
                    assert!(!is_held());
                    release(|| assert!(!is_held()));
                    assert!(!is_held());
                    on_a_fresh_thread(|| enter(|_| ()).unwrap());
                    enter(|_| assert!(is_held())).unwrap();
                    assert!(!is_held());
                });
                assert!(is_held());
            })
        })
        .unwrap()
        .unwrap();
    });
}

#[test]
fn unblock_twice_and_block_twice_is_a_pair_of_pairs() {
    on_a_fresh_thread(|| {
        enter_raw().unwrap();
        unblock_raw().unwrap();
        unblock_raw().unwrap();
        assert!(!is_held());
        block_raw().unwrap();
        assert!(!is_held());
        block_raw().unwrap();
        assert!(is_held());
        leave_raw().unwrap();
    });
}

#[test]
fn pairs_closed_in_the_wrong_order_are_refused_and_change_nothing() {
    on_a_fresh_thread(|| {
        let wrong = |result: Result<(), crate::Error>| {
            assert_eq!(result.unwrap_err().status(), Status::WrongOrder);
        };
        wrong(leave_raw());
        wrong(block_raw());
        enter_raw().unwrap();
        wrong(block_raw());
        wrong(trim());
        unblock_raw().unwrap();
        wrong(leave_raw());
        enter_raw().unwrap();
        wrong(block_raw());
        leave_raw().unwrap();
        block_raw().unwrap();
        // SAFETY: held.
        let state = unsafe { ffi::PyEval_SaveThread() };
        wrong(leave_raw());
        // SAFETY: given up above.
        unsafe { ffi::PyEval_RestoreThread(state) };
        leave_raw().unwrap();
        assert!(!is_held());
    });
}

#[test]
fn pygtk_pairs_work_in_both_orders() {
    on_a_fresh_thread(|| {
        pygtk_block().unwrap();
        assert!(is_held());
        pygtk_unblock().unwrap(); // round the main loop
        assert!(!is_held());
        pygtk_block().unwrap(); // a callback in it
        assert!(is_held());
        pygtk_unblock().unwrap();
        assert!(!is_held());
        enter_raw().unwrap();
        pygtk_unblock().unwrap();
        assert!(!is_held());
        pygtk_block().unwrap();
        assert!(is_held());
        leave_raw().unwrap();
        assert!(!is_held());
    });
}

#[test]
fn the_guard_panics_when_pairs_are_crossed() {
    on_a_fresh_thread(|| {
        let entry = Entry::new().unwrap();
        unblock_raw().unwrap();
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(entry)));
        let text = panic.unwrap_err().downcast::<String>().unwrap();
        assert!(text.contains("wrong order"), "{text}");
        block_raw().unwrap();
        leave_raw().unwrap();
    });
}

#[test]
fn thread_local_data_survives_between_entries() {
    on_a_fresh_thread(|| {
        enter(|py| {
            let names = dict(py, "survives");
            py.run(c"import threading\nlocal = threading.local()\nlocal.x = 5", Some(&names), None)
                .unwrap();
        })
        .unwrap();
        let x = enter(|py| {
            py.eval(c"local.x", Some(&dict(py, "survives")), None).unwrap().extract::<u32>()
        });
        assert_eq!(x.unwrap().unwrap(), 5);
    });
}

#[test]
fn pygilstate_inside_and_between_entries_finds_our_state() {
    on_a_fresh_thread(|| {
        enter_raw().unwrap();
        let ours = cpython::current();
        // SAFETY: Python is started.
        let token = unsafe { ffi::PyGILState_Ensure() };
        assert_eq!(cpython::current(), ours);
        // SAFETY: the token is of the Ensure above.
        unsafe { ffi::PyGILState_Release(token) };
        leave_raw().unwrap();
        // SAFETY: Python is started.
        let token = unsafe { ffi::PyGILState_Ensure() };
        assert_eq!(cpython::current(), ours);
        enter_raw().unwrap();
        leave_raw().unwrap();
        // SAFETY: the token is of the Ensure above.
        unsafe { ffi::PyGILState_Release(token) };
        enter_raw().unwrap();
        assert_eq!(cpython::current(), ours);
        leave_raw().unwrap();
    });
}

#[test]
fn a_foreign_state_is_used_and_never_kept() {
    python();
    let body = || {
        // SAFETY: Python is started.
        let token = unsafe { ffi::PyGILState_Ensure() };
        let foreign = cpython::current();
        enter_raw().unwrap();
        assert_eq!(cpython::current(), foreign);
        leave_raw().unwrap();
        // SAFETY: held.
        let saved = unsafe { ffi::PyEval_SaveThread() };
        enter_raw().unwrap();
        assert_eq!(cpython::current(), foreign);
        leave_raw().unwrap();
        // SAFETY: given up above.
        unsafe { ffi::PyEval_RestoreThread(saved) };
        // SAFETY: the token is of the Ensure above; deletes the foreign state.
        unsafe { ffi::PyGILState_Release(token) };
        assert!(cpython::gilstate().is_null());
        enter_raw().unwrap();
        assert_eq!(cpython::current(), cpython::gilstate());
        leave_raw().unwrap();
        assert!(!cpython::gilstate().is_null());
    };
    std::thread::scope(|scope| scope.spawn(body).join()).unwrap();
}

#[test]
fn a_python_thread_that_calls_out_may_enter() {
    on_a_fresh_thread(|| {
        extern "C" fn callback() {
            enter(|py| {
                let names = dict(py, "calls_out");
                py.run(c"seen.append(threading.current_thread().name)", Some(&names), None)
                    .unwrap();
            })
            .unwrap();
        }
        let address = callback as *const () as usize;
        enter(|py| {
            let names = dict(py, "calls_out");
            names.set_item("address", address).unwrap();
            py.run(
                c"
import ctypes, threading
seen = []
releasing = ctypes.CFUNCTYPE(None)(address)
holding = ctypes.PYFUNCTYPE(None)(address)
def work():
    releasing(); holding(); releasing()
thread = threading.Thread(target=work, name='made by Python')
thread.start(); thread.join()
assert seen == ['made by Python'] * 3, seen
",
                Some(&names),
                None,
            )
            .unwrap();
        })
        .unwrap();
    });
}

#[test]
fn a_dead_threads_locals_are_finalized_by_the_next_entry() {
    python();
    enter(|py| {
        py.run(
            c"
import threading
local = threading.local()
gone = []
class Value:
    def __del__(self): gone.append(threading.get_ident())
",
            Some(&dict(py, "reaped")),
            None,
        )
        .unwrap();
    })
    .unwrap();
    for _ in 0..40 {
        on_a_fresh_thread(|| {
            enter(|py| py.run(c"local.x = Value()", Some(&dict(py, "reaped")), None).unwrap())
                .unwrap();
        });
    }
    let count = || {
        enter(|py| {
            let gone = py.eval(c"len(gone)", Some(&dict(py, "reaped")), None).unwrap();
            gone.extract::<usize>().unwrap()
        })
        .unwrap()
    };
    eventually(|| count() == 40);
    // The one who reaped still has its own place in PyGILState.
    on_a_fresh_thread(|| {
        enter(|py| py.run(c"local.x = Value()", Some(&dict(py, "reaped")), None).unwrap()).unwrap();
    });
    on_a_fresh_thread(|| {
        enter_raw().unwrap();
        let ours = cpython::current();
        leave_raw().unwrap();
        // SAFETY: Python is started.
        let token = unsafe { ffi::PyGILState_Ensure() };
        assert_eq!(cpython::current(), ours);
        // SAFETY: the token is of the Ensure above.
        unsafe { ffi::PyGILState_Release(token) };
    });
    eventually(|| count() == 41);
}

#[test]
fn a_dying_thread_does_not_wait_for_the_one_that_joins_it() {
    python();
    enter(|_| {
        let (sender, receiver) = mpsc::channel();
        let thread = release(move || {
            let thread = std::thread::Builder::new()
                .spawn(move || {
                    enter(|_| ()).unwrap();
                    sender.send(()).unwrap();
                })
                .unwrap();
            receiver.recv().unwrap();
            thread
        });
        // Python is held here, and the join waits for the thread's destructors.
        thread.join().unwrap();
    })
    .unwrap();
}

#[test]
fn trim_gives_the_state_back_and_the_next_entry_makes_another() {
    on_a_fresh_thread(|| {
        let set = c"import threading\nlocal = threading.local()\nlocal.x = 5";
        enter(|py| py.run(set, Some(&dict(py, "trim")), None).unwrap()).unwrap();
        trim().unwrap();
        assert!(cpython::gilstate().is_null());
        let there = enter(|py| {
            py.eval(c"hasattr(local, 'x')", Some(&dict(py, "trim")), None)
                .unwrap()
                .extract::<bool>()
        });
        assert!(!there.unwrap().unwrap());
    });
}

#[test]
fn a_pending_exception_goes_to_the_unraisable_hook() {
    on_a_fresh_thread(|| {
        enter(|py| {
            py.run(
                c"
import sys
seen = []
former, sys.unraisablehook = sys.unraisablehook, lambda u: seen.append((u.exc_type, u.object))
",
                Some(&dict(py, "pending")),
                None,
            )
            .unwrap();
        })
        .unwrap();
        enter_raw().unwrap();
        // SAFETY: a class of Python's own, alive as long as Python is.
        let class = unsafe { ffi::PyExc_ValueError };
        // SAFETY: held, and the class is alive.
        unsafe { ffi::PyErr_SetString(class, c"left behind".as_ptr()) };
        leave_raw().unwrap();
        enter(|py| {
            py.run(
                c"
sys.unraisablehook = former
assert seen == [(ValueError, 'an entry that left it set')], seen
",
                Some(&dict(py, "pending")),
                None,
            )
            .unwrap();
        })
        .unwrap();
    });
}

#[test]
fn an_inner_entry_does_not_see_the_exception_of_the_code_it_interrupts() {
    on_a_fresh_thread(|| {
        enter_raw().unwrap();
        // SAFETY: a class of Python's own, alive as long as Python is.
        let class = unsafe { ffi::PyExc_KeyError };
        // SAFETY: held, and the class is alive.
        unsafe { ffi::PyErr_SetString(class, c"mine".as_ptr()) };
        unblock_raw().unwrap();
        enter(|py| {
            assert!(PyErr::take(py).is_none());
            py.run(c"pass", None, None).unwrap();
        })
        .unwrap();
        block_raw().unwrap();
        // SAFETY: held.
        assert!(!unsafe { ffi::PyErr_Occurred() }.is_null());
        // SAFETY: held.
        unsafe { ffi::PyErr_Clear() };
        leave_raw().unwrap();
    });
}

#[test]
fn a_fresh_entry_keeps_its_context_variables_to_itself() {
    on_a_fresh_thread(|| {
        let seen = |entered: Result<bool, crate::Closed>| entered.unwrap();
        let set = c"
import contextvars, decimal
v = globals().setdefault('v', contextvars.ContextVar('v', default=0))
before = v.get(), decimal.getcontext().prec
v.set(1); decimal.getcontext().prec = 5
";
        let run = |py: Python<'_>| {
            py.run(set, Some(&dict(py, "fresh")), None).unwrap();
            let clean = py.eval(c"before == (0, 28)", Some(&dict(py, "fresh")), None);
            clean.unwrap().extract::<bool>().unwrap()
        };
        assert!(seen(enter_fresh(run)));
        assert!(seen(enter_fresh(|py| enter_fresh(run).unwrap() && run(py))));
        assert!(seen(enter(run)));
        assert!(!seen(enter(run)), "a plain entry shares the thread's context");
        assert!(seen(enter_fresh(run)));
    });
}

#[test]
fn a_reference_may_be_dropped_without_python() {
    on_a_fresh_thread(|| {
        let reference = enter(|py| {
            py.run(
                c"
gone = []
class Value:
    def __del__(self): gone.append(1)
",
                Some(&dict(py, "dropped")),
                None,
            )
            .unwrap();
            Ref::new(py.eval(c"Value()", Some(&dict(py, "dropped")), None).unwrap())
        })
        .unwrap();
        let second = enter(|py| reference.clone_ref(py)).unwrap();
        std::thread::scope(|scope| drop(scope.spawn(move || drop(reference))));
        drop(second);
        eventually(|| {
            enter(|py| {
                let gone = py.eval(c"len(gone)", Some(&dict(py, "dropped")), None).unwrap();
                gone.extract::<usize>().unwrap()
            })
            .unwrap()
                == 1
        });
    });
}

#[test]
fn what_is_lent_stays_with_who_has_bound_it_and_nobody_else_gets_it() {
    on_a_fresh_thread(|| {
        let count = || {
            enter(|py| {
                let count = py.eval(c"len(alive)", Some(&dict(py, "lent")), None).unwrap();
                count.extract::<usize>().unwrap()
            })
            .unwrap()
        };
        let lend = || {
            enter(|py| {
                let code = c"
import weakref
class Value: pass
alive = globals().get('alive', weakref.WeakSet())
";
                py.run(code, Some(&dict(py, "lent")), None).unwrap();
                let code = c"(lambda value: alive.add(value) or value)(Value())";
                Lent::new(Ref::new(py.eval(code, Some(&dict(py, "lent")), None).unwrap()))
            })
            .unwrap()
        };
        let lent = lend();
        enter(|py| {
            let bound = lent.try_bind(py).unwrap();
            std::thread::scope(|scope| scope.spawn(|| assert!(lent.revoke())).join().unwrap());
            assert!(lent.is_revoked() && lent.try_bind(py).is_none() && !lent.revoke());
            assert!(bound.getattr("__class__").is_ok());
        })
        .unwrap();
        eventually(|| count() == 0);
        // Revoked by some while others bind it.
        let many: Vec<Lent> = (0..200).map(|_| lend()).collect();
        assert_eq!(count(), 200);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for lent in &many {
                        let bound = enter(|py| lent.try_bind(py).map(|bound| bound.repr().is_ok()));
                        assert_ne!(bound.unwrap(), Some(false));
                    }
                });
            }
            scope.spawn(|| many.iter().for_each(|lent| assert!(lent.revoke())));
        });
        eventually(|| count() == 0);
        drop(lend());
        eventually(|| count() == 0);
    });
}

#[test]
fn a_handle_gives_its_object_only_where_python_is_held() {
    on_a_fresh_thread(|| {
        // SAFETY: None is alive as long as Python is.
        let handle = Handle::new(unsafe { ffi::Py_None() });
        assert_eq!(handle.get().unwrap_err().status(), Status::WrongOrder);
        assert!(enter(|_| handle.get().is_ok()).unwrap());
    });
}

#[test]
fn an_entry_in_a_late_destructor_is_for_that_destructor_alone() {
    // A pthread key of ours, made after Python's own: its destructor runs when Rust's are done.
    use core::ffi::c_void;
    use core::sync::atomic::{AtomicI32, Ordering};
    static RESULT: AtomicI32 = AtomicI32::new(0);
    extern "C" fn late(_: *mut c_void) {
        let good = crate::exit::early_passed()
            && enter(|py| {
                let nested = enter(|py| py.eval(c"20", None, None).unwrap().extract::<i32>());
                let value = py.eval(c"22", None, None).unwrap().extract::<i32>().unwrap();
                value + nested.unwrap().unwrap()
            }) == Ok(42);
        RESULT.fetch_add(if good { 42 } else { 1 }, Ordering::SeqCst);
    }
    python();
    let mut key = 0;
    // SAFETY: the key is written before the function returns.
    assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(late)) }, 0);
    let before = stats().live_threads;
    for entered in [false, true] {
        let body = || {
            if entered {
                enter(|_| ()).unwrap();
            } else {
                crate::exit::at_early_exit(|_| ());
            }
            // SAFETY: the key was made above.
            unsafe { libc::pthread_setspecific(key, core::ptr::dangling()) };
        };
        std::thread::scope(|scope| scope.spawn(body).join()).unwrap();
    }
    assert_eq!(RESULT.load(Ordering::SeqCst), 84);
    eventually(|| stats().live_threads <= before + 8);
    enter(|py| py.run(c"import faulthandler, tempfile\nwith tempfile.TemporaryFile() as f: faulthandler.dump_traceback(f)", None, None).unwrap()).unwrap();
}

#[test]
fn a_lock_and_python_may_be_taken_in_both_orders() {
    python();
    let total = crate::Lock::new(0);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let total = &total;
            scope.spawn(move || {
                for _ in 0..200 {
                    if number % 2 == 0 {
                        enter(|_| *total.lock().unwrap() += 1).unwrap();
                    } else {
                        let mut value = total.lock().unwrap();
                        enter(|_| *value += 1).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(*total.lock().unwrap(), 1600);
}

#[test]
fn figures_add_up() {
    on_a_fresh_thread(|| {
        let before = stats();
        enter(|_| enter(|_| ()).unwrap()).unwrap();
        let after = stats();
        assert!(after.entries > before.entries);
        assert!(after.nested > before.nested);
        assert!(after.threads > 0);
        assert_eq!(after.waits, before.waits, "nobody asked for timing");
    });
}

#[test]
fn threads_storm_through_the_gate() {
    python();
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                for round in 0..300 {
                    enter(|py| {
                        py.eval(c"sum(range(10))", None, None).unwrap();
                        if round % 3 == 0 {
                            release(|| enter(|_| ()).unwrap());
                        }
                        if round % 50 == number {
                            let object = Ref::new(py.eval(c"object()", None, None).unwrap());
                            std::thread::scope(|inner| {
                                inner.spawn(move || drop(object));
                            });
                        }
                    })
                    .unwrap();
                }
            });
        }
    });
}
