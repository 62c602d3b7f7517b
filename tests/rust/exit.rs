//! The two phases of a thread's end, seen from outside: what runs before weave, and where it starts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::{
    cell::RefCell,
    ffi::c_void,
    sync::{
        Arc, Barrier,
        mpsc::{self, Sender},
    },
    thread::Builder,
};

use raddle::{Options, Runtime, gate, weave::at_thread_exit};
use raddle_tests::in_child;

/// Notes its end: a value with a destructor, as C++'s `thread_local` and Rust's have.
struct Bell(Sender<&'static str>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.send("thread_local").unwrap();
    }
}

thread_local! {
    static BELL: RefCell<Option<Bell>> = const { RefCell::new(None) };
}

#[test]
fn thread_local_destructors_run_before_weave() {
    let (sender, receiver) = mpsc::channel();
    Builder::new()
        .spawn(move || {
            let late = sender.clone();
            at_thread_exit(move || late.send("weave").unwrap()).unwrap();
            BELL.set(Some(Bell(sender)));
        })
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(receiver.iter().collect::<Vec<_>>(), ["thread_local", "weave"]);
}

#[test]
fn a_thread_local_destructor_may_register_too() {
    struct Registers(Sender<&'static str>);
    impl Drop for Registers {
        fn drop(&mut self) {
            let sender = self.0.clone();
            at_thread_exit(move || sender.send("registered in drop").unwrap()).unwrap();
        }
    }
    thread_local! {
        static REGISTERS: RefCell<Option<Registers>> = const { RefCell::new(None) };
    }
    let (sender, receiver) = mpsc::channel();
    Builder::new().spawn(move || REGISTERS.set(Some(Registers(sender)))).unwrap().join().unwrap();
    assert_eq!(receiver.iter().collect::<Vec<_>>(), ["registered in drop"]);
}

#[test]
fn key_number_0_is_a_key_like_any_other() {
    in_child("key_number_0_is_a_key_like_any_other", || {
        let next_key = || {
            let mut key = libc::pthread_key_t::MAX;
            // SAFETY: the key is this function's to write.
            assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, None) }, 0);
            key
        };
        let mut lowest = next_key();
        if lowest != 0 {
            // From 3.13 on libpython's allocator takes it when it is loaded, for the threads that
            // run Python. In this child nobody will.
            // SAFETY: taken, so valid; its owner finds it gone, and does not look.
            assert_eq!(unsafe { libc::pthread_key_delete(0) }, 0);
            lowest = next_key();
        }
        assert_eq!(lowest, 0, "key 0 is not to be had");
        // SAFETY: made above, and nobody uses it.
        assert_eq!(unsafe { libc::pthread_key_delete(lowest) }, 0);
        at_thread_exit(|| ()).unwrap();
        assert_ne!(next_key(), 0, "raddle did not take key 0");
        let (sender, receiver) = mpsc::channel();
        Builder::new()
            .spawn(move || at_thread_exit(move || sender.send(()).unwrap()).unwrap())
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(receiver.iter().count(), 1);
    });
}

#[test]
fn a_machine_without_a_key_left_says_so() {
    in_child("a_machine_without_a_key_left_says_so", || {
        let mut key = 0;
        let mut keys = Vec::new();
        // SAFETY: the key is this function's to write.
        while unsafe { libc::pthread_key_create(&raw mut key, None) } == 0 {
            keys.push(key);
        }
        let refused = at_thread_exit(|| unreachable!()).unwrap_err();
        assert_eq!(refused.status(), raddle::Status::NoMemory);
        assert!(refused.message().contains("pthread key"));
        // SAFETY: made above, and nobody uses it.
        assert_eq!(unsafe { libc::pthread_key_delete(keys[0]) }, 0);
        let (sender, receiver) = mpsc::channel();
        Builder::new()
            .spawn(move || at_thread_exit(move || sender.send(()).unwrap()).unwrap())
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(receiver.iter().count(), 1);
    });
}

#[test]
fn threads_that_race_for_the_key_all_get_it() {
    in_child("threads_that_race_for_the_key_all_get_it", || {
        const THREADS: usize = 32;
        let (sender, receiver) = mpsc::channel();
        let start = Arc::new(Barrier::new(THREADS));
        let threads = [(); THREADS].map(|()| {
            let (sender, start) = (sender.clone(), Arc::clone(&start));
            let body = move || {
                start.wait();
                at_thread_exit(move || sender.send(()).unwrap()).unwrap();
            };
            Builder::new().spawn(body).unwrap()
        });
        drop(sender);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(receiver.iter().count(), THREADS);
    });
}

#[test]
fn a_detached_thread_runs_its_duties() {
    let (sender, receiver) = mpsc::channel();
    let body = move || at_thread_exit(move || sender.send("gone").unwrap()).unwrap();
    drop(Builder::new().spawn(body).unwrap());
    assert_eq!(receiver.recv(), Ok("gone"));
}

/// A key whose destructor enters Python: what a `GPrivate` with a Python object in it does.
fn key_that_enters() -> libc::pthread_key_t {
    unsafe extern "C" fn enter(_value: *mut c_void) {
        raddle::enter(|_| ()).unwrap();
    }
    let mut key = 0;
    // SAFETY: the key is this function's to write, and `enter` takes any value.
    assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(enter)) }, 0);
    key
}

#[test]
fn a_thread_that_first_enters_at_its_very_end_leaves_nothing_behind() {
    in_child("a_thread_that_first_enters_at_its_very_end_leaves_nothing_behind", || {
        let runtime = Runtime::start(&Options::new()).unwrap();
        let key = key_that_enters();
        let before = gate::stats();
        let body = move || {
            // SAFETY: the key was made above; its destructor looks at no value.
            let status = unsafe { libc::pthread_setspecific(key, (&raw const key).cast()) };
            assert_eq!(status, 0);
        };
        for _ in 0..8 {
            Builder::new().spawn(body).unwrap().join().unwrap();
        }
        raddle::enter(|_| ()).unwrap();
        let after = gate::stats();
        assert_eq!(after.threads - before.threads, 9);
        assert_eq!(after.live_threads, before.live_threads + 1, "this thread alone is left");
        assert_eq!(after.reaped - before.reaped, 8);
        runtime.stop(None).unwrap();
    });
}
