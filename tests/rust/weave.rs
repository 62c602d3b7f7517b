//! `raddle::weave`: what runs at a thread's end, in which order, how often. No Python is needed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::{
    ffi::c_void,
    panic,
    ptr::{self, NonNull},
    sync::mpsc::{self, Receiver, Sender},
    thread::{Builder, JoinHandle},
};

use raddle::{
    primitive::{AtomicU64, Mutex, Ordering, lock},
    weave::{at_thread_exit, register_native_destructor, unregister_native_destructor},
};

/// A native variable: one pointer, at an address that stays.
#[derive(Clone, Copy)]
struct Variable(NonNull<*mut c_void>);

// SAFETY: each test keeps its threads from touching a variable at the same time.
unsafe impl Send for Variable {}

impl Variable {
    /// Leaked, as a static would be: a thread may read it at its very end.
    fn new(value: usize) -> Self {
        Self(NonNull::from(Box::leak(Box::new(ptr::without_provenance_mut(value)))))
    }

    fn set(self, value: usize) {
        // SAFETY: leaked, and nobody else touches it now.
        unsafe { self.0.write(ptr::without_provenance_mut(value)) };
    }

    fn on_exit(self, destructor: raddle::weave::Destructor) {
        // SAFETY: the variable is leaked, and the destructors here take any value.
        unsafe { register_native_destructor(self.0.as_ptr(), Some(destructor)) }.unwrap();
    }

    fn take_back(self) -> bool {
        unregister_native_destructor(self.0.as_ptr())
    }
}

/// The destructors' calls, of all tests in this program: each test has values of its own.
static CALLS: Mutex<Vec<(char, usize)>> = Mutex::new(Vec::new());

unsafe extern "C" fn first(value: *mut c_void) {
    lock(&CALLS).push(('1', value.addr()));
}

unsafe extern "C" fn second(value: *mut c_void) {
    lock(&CALLS).push(('2', value.addr()));
}

fn calls_with(values: &[usize]) -> Vec<(char, usize)> {
    lock(&CALLS).iter().copied().filter(|(_, value)| values.contains(value)).collect()
}

fn start(body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().spawn(body).unwrap()
}

/// Runs `body` on a thread and waits until the thread is gone.
fn on_thread(body: impl FnOnce() + Send + 'static) {
    start(body).join().unwrap();
}

fn noting<T: Send + 'static>() -> (Sender<T>, Receiver<T>) {
    mpsc::channel()
}

#[test]
fn closures_and_destructors_run_in_the_order_of_registration() {
    let (sender, receiver) = noting();
    on_thread(move || {
        let [one, other] = [101, 102].map(Variable::new);
        let note = move |what| {
            let sender = sender.clone();
            move || sender.send((what, calls_with(&[101, 102]).len())).unwrap()
        };
        at_thread_exit(note("start")).unwrap();
        one.on_exit(first);
        other.on_exit(first);
        at_thread_exit(note("middle")).unwrap();
        one.on_exit(second);
        at_thread_exit(note("end")).unwrap();
    });
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [("start", 0), ("middle", 2), ("end", 3)]);
    assert_eq!(calls_with(&[101, 102]), [('1', 101), ('1', 102), ('2', 101)]);
}

#[test]
fn what_is_registered_twice_runs_twice() {
    on_thread(|| {
        let variable = Variable::new(201);
        for _ in 0..3 {
            variable.on_exit(first);
        }
    });
    assert_eq!(calls_with(&[201]), [('1', 201); 3]);
}

#[test]
fn the_value_is_read_at_the_end_of_the_thread() {
    on_thread(|| {
        let variable = Variable::new(301);
        variable.on_exit(first);
        variable.set(302);
    });
    assert_eq!(calls_with(&[301, 302]), [('1', 302)]);
}

#[test]
fn null_values_are_passed_on() {
    static NULLS: AtomicU64 = AtomicU64::new(0);
    unsafe extern "C" fn count(value: *mut c_void) {
        NULLS.fetch_add(u64::from(value.is_null()), Ordering::Relaxed);
    }
    on_thread(|| Variable::new(0).on_exit(count));
    assert_eq!(NULLS.load(Ordering::Relaxed), 1);
}

#[test]
fn a_null_variable_or_destructor_is_found_and_skipped() {
    on_thread(|| {
        let variable = Variable::new(401);
        // SAFETY: NULL is allowed.
        unsafe { register_native_destructor(ptr::null_mut(), Some(first)) }.unwrap();
        // SAFETY: a missing destructor is allowed.
        unsafe { register_native_destructor(variable.0.as_ptr(), None) }.unwrap();
        assert!(variable.take_back());
        assert!(unregister_native_destructor(ptr::null_mut()));
        assert!(!unregister_native_destructor(ptr::null_mut()));
        // SAFETY: as above.
        unsafe { register_native_destructor(ptr::null_mut(), Some(first)) }.unwrap();
        // SAFETY: as above.
        unsafe { register_native_destructor(variable.0.as_ptr(), None) }.unwrap();
        Variable::new(402).on_exit(first);
    });
    assert_eq!(calls_with(&[401, 402]), [('1', 402)]);
}

#[test]
fn taking_back_removes_all_of_a_variable_and_nothing_else() {
    on_thread(|| {
        let [one, other] = [501, 502].map(Variable::new);
        for variable in [one, other, one, other, one] {
            variable.on_exit(first);
        }
        assert!(one.take_back());
        assert!(!one.take_back());
    });
    assert_eq!(calls_with(&[501, 502]), [('1', 502); 2]);
}

#[test]
fn a_registration_belongs_to_the_thread_that_made_it() {
    let shared = Variable::new(601);
    let (go_on, wait) = noting::<()>();
    let (registered, ready) = noting();
    let owner = start(move || {
        shared.on_exit(first);
        registered.send(()).unwrap();
        wait.recv().unwrap();
    });
    ready.recv().unwrap();
    on_thread(move || assert!(!shared.take_back()));
    on_thread(|| ());
    assert_eq!(calls_with(&[601]), []);
    go_on.send(()).unwrap();
    owner.join().unwrap();
    assert_eq!(calls_with(&[601]), [('1', 601)]);
}

#[test]
fn ten_threads_with_one_variable_run_its_destructor_ten_times() {
    let shared = Variable::new(701);
    let threads = [(); 10].map(|()| start(move || shared.on_exit(second)));
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(calls_with(&[701]), [('2', 701); 10]);
}

#[test]
fn nothing_can_be_taken_back_from_inside() {
    let (sender, receiver) = noting();
    on_thread(move || {
        let variable = Variable::new(801);
        at_thread_exit(move || sender.send(variable.take_back()).unwrap()).unwrap();
        variable.on_exit(first);
    });
    assert_eq!(receiver.recv(), Ok(false));
    assert_eq!(calls_with(&[801]), [('1', 801)]);
}

#[test]
fn registering_from_inside_gives_as_many_rounds_as_pthread_has() {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    fn again() {
        ROUNDS.fetch_add(1, Ordering::Relaxed);
        at_thread_exit(again).unwrap();
    }
    on_thread(|| at_thread_exit(again).unwrap());
    // SAFETY: sysconf only looks a number up.
    let rounds = unsafe { libc::sysconf(libc::_SC_THREAD_DESTRUCTOR_ITERATIONS) };
    assert_eq!(Ok(ROUNDS.load(Ordering::Relaxed)), u64::try_from(rounds));
}

#[test]
fn what_is_registered_from_inside_runs_after_the_rest() {
    let (sender, receiver) = noting();
    on_thread(move || {
        let later = sender.clone();
        let inner = move || later.send("inner").unwrap();
        at_thread_exit(move || at_thread_exit(inner).unwrap()).unwrap();
        at_thread_exit(move || sender.send("outer").unwrap()).unwrap();
    });
    assert_eq!(receiver.iter().collect::<Vec<_>>(), ["outer", "inner"]);
}

#[test]
fn a_panic_is_reported_and_ends_nothing() {
    let (reports, reported) = noting();
    let before = panic::take_hook();
    let reports = Mutex::new(reports);
    panic::set_hook(Box::new(move |info| {
        match info.payload().downcast_ref::<&str>() {
            // Only this test's panic is expected: no other thread's test says this.
            Some(&"on purpose") => lock(&reports).send("on purpose").unwrap(),
            _ => before(info),
        }
    }));
    on_thread(|| {
        at_thread_exit(|| panic!("on purpose")).unwrap();
        Variable::new(901).on_exit(first);
    });
    assert_eq!(reported.try_recv(), Ok("on purpose"));
    assert_eq!(calls_with(&[901]), [('1', 901)]);
}

#[test]
fn a_closure_is_dropped_once_it_has_run() {
    struct Noted(Sender<&'static str>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.send("dropped").unwrap();
        }
    }
    let (sender, receiver) = noting();
    on_thread(move || {
        let noted = Noted(sender);
        at_thread_exit(move || noted.0.send("ran").unwrap()).unwrap();
    });
    assert_eq!(receiver.iter().collect::<Vec<_>>(), ["ran", "dropped"]);
}

#[test]
fn a_thread_made_by_pthread_runs_its_closures() {
    extern "C" fn body(sender: *mut c_void) -> *mut c_void {
        // SAFETY: the test passes a boxed sender and gives it up.
        let sender = unsafe { Box::from_raw(sender.cast::<Sender<u32>>()) };
        let other = sender.clone();
        at_thread_exit(move || other.send(1).unwrap()).unwrap();
        at_thread_exit(move || sender.send(2).unwrap()).unwrap();
        ptr::null_mut()
    }
    let (sender, receiver) = noting::<u32>();
    let mut thread = 0;
    let sender = Box::into_raw(Box::new(sender)).cast();
    // SAFETY: `body` takes the boxed sender it is given.
    let status = unsafe { libc::pthread_create(&raw mut thread, ptr::null(), body, sender) };
    assert_eq!(status, 0);
    // SAFETY: created above and joined here only.
    assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_thousand_threads_run_everything_once() {
    let (sender, receiver) = noting();
    for batch in 0..10 {
        let threads: Vec<_> = (0..100)
            .map(|number| {
                let sender = sender.clone();
                start(move || {
                    for part in 0..5 {
                        let sender = sender.clone();
                        let note = move || sender.send((batch * 100 + number, part)).unwrap();
                        at_thread_exit(note).unwrap();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
    drop(sender);
    let mut seen = vec![0; 1000];
    for (thread, part) in receiver {
        // In order within a thread, and none twice.
        assert_eq!(seen[thread], part);
        seen[thread] += 1;
    }
    assert!(seen.iter().all(|&parts| parts == 5));
}
