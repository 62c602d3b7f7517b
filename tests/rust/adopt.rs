//! Adopting a Python that the host started itself, and noticing its end. Each test is a process of
//! its own.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use pyo3::Python;
use raddle::{Closed, Options, Runtime, Status, enter, gate};
use raddle_tests::python::run;
use raddle_tests::{Child, in_child, spawn};

/// Starts Python as a host does that knows nothing of raddle. This thread holds it afterwards.
fn start_by_hand() -> Python<'static> {
    // SAFETY: Python is not running.
    unsafe { pyo3::ffi::Py_InitializeEx(0) };
    // SAFETY: a start leaves its thread attached.
    unsafe { Python::assume_attached() }
}

/// Ends it. This thread holds it.
fn end_by_hand() -> i32 {
    // SAFETY: attached, on the thread that started it.
    unsafe { pyo3::ffi::Py_FinalizeEx() }
}

/// Gives Python up, runs `body` and takes it back, by CPython's own functions.
fn given_up<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: attached, in every caller.
    let state = unsafe { pyo3::ffi::PyEval_SaveThread() };
    let result = body();
    // SAFETY: given up above.
    unsafe { pyo3::ffi::PyEval_RestoreThread(state) };
    result
}

#[test]
fn there_must_be_a_python_to_adopt() {
    in_child("there_must_be_a_python_to_adopt", || {
        assert_eq!(Runtime::adopt().unwrap_err().status(), Status::NotStarted);
    });
}

#[test]
fn an_adopted_python_is_entered_from_any_thread() {
    in_child("an_adopted_python_is_entered_from_any_thread", || {
        start_by_hand();
        let error = Runtime::start(&Options::new()).unwrap_err();
        assert_eq!(error.status(), Status::AlreadyStarted);
        assert!(error.message().contains("adopt"), "{error}");
        let runtime = Runtime::adopt().unwrap();
        assert_eq!(Runtime::adopt().unwrap(), runtime);
        assert_eq!(run("r = 1 + 1"), "2");
        let elsewhere = given_up(|| spawn("native", || run("import raddle; r = 3")).join());
        assert_eq!(elsewhere.unwrap(), "3");
        let not_held = given_up(|| Runtime::adopt().unwrap_err().status());
        assert_eq!(not_held, Status::WrongThread);
        assert_eq!(end_by_hand(), 0);
    });
}

#[test]
fn the_end_by_the_owner_is_noticed() {
    in_child("the_end_by_the_owner_is_noticed", || {
        for generation in 1..=5 {
            start_by_hand();
            let runtime = Runtime::adopt().unwrap();
            assert_eq!(runtime.generation(), generation);
            let worker = given_up(|| spawn("native", || enter(|_| ())).join().unwrap());
            assert_eq!(worker, Ok(()));
            assert_eq!(end_by_hand(), 0);
            assert!(!runtime.is_open());
            assert_eq!(enter(|_| ()), Err(Closed::Stopped));
            assert_eq!(spawn("late", || enter(|_| ())).join().unwrap(), Err(Closed::Stopped));
            runtime.stop(None).unwrap();
        }
        let runtime = Runtime::start(&Options::new()).unwrap();
        assert_eq!(runtime.generation(), 6);
        runtime.stop(None).unwrap();
    });
}

#[test]
fn the_owner_waits_for_those_inside() {
    in_child("the_owner_waits_for_those_inside", || {
        start_by_hand();
        Runtime::adopt().unwrap();
        let (inside, is_inside) = mpsc::channel();
        let worker = spawn("insider", move || {
            enter(|_| {
                inside.send(()).unwrap();
                // Until the gate closes, which is what the owner's end does first.
                let deadline = Instant::now() + Duration::from_secs(20);
                raddle::release(|| {
                    while spawn("probe", || enter(|_| ())).join().unwrap().is_ok() {
                        assert!(Instant::now() < deadline, "the gate stayed open");
                    }
                });
                run("r = 5")
            })
        });
        given_up(|| is_inside.recv().unwrap());
        assert_eq!(end_by_hand(), 0);
        assert_eq!(worker.join().unwrap().unwrap(), "5");
    });
}

#[test]
fn whoever_overstays_the_owners_patience_is_refused_and_not_hung() {
    in_child("whoever_overstays_the_owners_patience_is_refused_and_not_hung", || {
        start_by_hand();
        let runtime = Runtime::adopt().unwrap();
        let (inside, is_inside) = mpsc::channel();
        let (gone, is_gone) = mpsc::channel::<()>();
        let worker = spawn("overstayer", move || {
            gate::enter_raw().unwrap();
            gate::unblock_raw().unwrap();
            inside.send(()).unwrap();
            // Longer than the owner waits: until its Python is gone.
            is_gone.recv().unwrap();
            assert!(enter(|_| ()).is_err());
            assert_eq!(gate::block_raw().unwrap_err().status(), Status::Closed);
        });
        given_up(|| is_inside.recv().unwrap());
        assert_eq!(end_by_hand(), 0);
        assert!(!runtime.is_open());
        gone.send(()).unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn a_stop_only_leaves_an_adopted_python() {
    in_child("a_stop_only_leaves_an_adopted_python", || {
        let py = start_by_hand();
        let runtime = Runtime::adopt().unwrap();
        runtime.stop(None).unwrap();
        assert_eq!(enter(|_| ()), Err(Closed::Stopped));
        py.run(c"assert 1 + 1 == 2", None, None).unwrap();
        let again = Runtime::adopt().unwrap();
        assert_ne!(again, runtime);
        assert_eq!(run("r = 1 + 1"), "2");
        assert_eq!(end_by_hand(), 0);
        assert_eq!(enter(|_| ()), Err(Closed::Stopped));
    });
}

#[test]
fn a_host_that_ends_what_raddle_started_is_noticed() {
    in_child("a_host_that_ends_what_raddle_started_is_noticed", || {
        let runtime = Runtime::start(&Options::new()).unwrap();
        // SAFETY: Python runs, and this is its main thread.
        unsafe { pyo3::ffi::PyGILState_Ensure() };
        assert_eq!(end_by_hand(), 0);
        assert_eq!(enter(|_| ()), Err(Closed::Stopped));
        runtime.stop(None).unwrap();
        Runtime::start(&Options::new()).unwrap().stop(None).unwrap();
    });
}

#[test]
fn another_copy_of_raddle_is_refused_by_name() {
    in_child("another_copy_of_raddle_is_refused_by_name", || {
        static KEY: &std::ffi::CStr = c"raddle-9.9/4.2";
        #[repr(transparent)]
        struct Record(*const std::ffi::c_char);
        // SAFETY: points to a constant.
        unsafe impl Sync for Record {}
        static RECORD: Record = Record(KEY.as_ptr());

        let py = start_by_hand();
        let api = (&raw const RECORD).cast_mut().cast();
        // SAFETY: a pointer and a name that live for ever.
        let capsule = unsafe { pyo3::ffi::PyCapsule_New(api, c"raddle._C_API".as_ptr(), None) };
        // SAFETY: made a line ago, and given to nobody.
        let capsule = unsafe { pyo3::Bound::from_owned_ptr(py, capsule) };
        let names = pyo3::types::PyDict::new(py);
        pyo3::types::PyDictMethods::set_item(&names, "capsule", capsule).unwrap();
        let fake = c"import sys, types
sys.modules['_raddle'] = types.SimpleNamespace(_C_API=capsule)";
        py.run(fake, Some(&names), None).unwrap();
        let error = Runtime::adopt().unwrap_err();
        assert_eq!(error.status(), Status::AlreadyStarted);
        assert!(error.message().contains("raddle-9.9/4.2"), "{error}");
        drop(names);
        assert_eq!(end_by_hand(), 0);
    });
}

#[test]
fn a_finalize_inside_an_entry_does_not_wait_for_itself() {
    let child = Child::new("a_finalize_inside_an_entry_does_not_wait_for_itself");
    let seen = child.timeout(Duration::from_secs(9)).run(|| {
        start_by_hand();
        Runtime::adopt().unwrap();
        // SAFETY: attached by the start.
        unsafe { pyo3::ffi::PyEval_SaveThread() };
        // Never left: there is nothing to leave afterwards.
        let _entry = std::mem::ManuallyDrop::new(raddle::Entry::new().unwrap());
        assert_eq!(end_by_hand(), 0);
        assert_eq!(spawn("late", || enter(|_| ())).join().unwrap(), Err(Closed::Stopped));
    });
    seen.inspect(raddle_tests::child::Seen::assert_success);
}
