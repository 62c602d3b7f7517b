//! What may live when a process ends: pools, and threads that wait.
#![forbid(unsafe_code)]

use std::thread::JoinHandle;

use pyo3::types::PyAnyMethods as _;
use raddle::primitive::{AtomicBool, AtomicU64, Mutex, Ordering, lock};
use raddle::relay::stopper::{PATIENCE, Stage, at_exit};
use raddle::{Closed, enter, release};

use crate::shutdown::{Situation, work};

/// All of them, by name.
pub const ALL: [(&str, Situation); 5] = [
    ("pool", POOL),
    ("careless_pool", CARELESS_POOL),
    ("waiters", WAITERS),
    ("main_waits", MAIN_WAITS),
    ("daemon_waits", DAEMON_WAITS),
];

static WORKERS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());
static STOP: AtomicBool = AtomicBool::new(false);
static DONE: AtomicU64 = AtomicU64::new(0);

/// One piece of work of a pool; false when there is nobody to work for any more.
fn one() -> bool {
    // Relaxed, here and below: figures and a flag, which order nothing.
    if STOP.load(Ordering::Relaxed) {
        return false;
    }
    let result =
        enter(|py| py.eval(c"sum(range(100))", None, None).map(|sum| sum.extract::<u64>()));
    match result {
        Ok(sum) => assert!(matches!(sum, Ok(Ok(4950)))),
        Err(Closed::Stopping | Closed::Stopped) => return false,
        Err(other) => panic!("{other}"),
    }
    DONE.fetch_add(1, Ordering::Relaxed);
    true
}

/// Starts workers, and waits until they have done something.
fn start_pool() {
    lock(&WORKERS).extend(work(4, one));
    release(|| {
        while DONE.load(Ordering::Relaxed) < 20 {
            std::thread::yield_now();
        }
    });
}

fn join_pool() {
    for worker in lock(&WORKERS).drain(..) {
        worker.join().expect("no worker panics");
    }
}

extern "C" fn begin_pool() {
    at_exit(Stage::Pools, "workers", PATIENCE, || {
        STOP.store(true, Ordering::Relaxed);
        join_pool();
    })
    .expect("Python runs")
    .keep();
    start_pool();
}

/// A pool of native threads that call Python, and that is stopped by an exit stopper.
const POOL: Situation = Situation {
    code: "begin()",
    begin: begin_pool,
    check: || assert!(lock(&WORKERS).is_empty(), "the stopper has run"),
    status: 0,
};

/// A pool that nobody stops: its threads are refused, one by one.
const CARELESS_POOL: Situation = Situation {
    code: "
begin()
if sys.argv == ['-c']:
    sys.exit(3)",
    begin: begin_careless_pool,
    check: join_pool,
    status: 3,
};

extern "C" fn begin_careless_pool() {
    start_pool();
}

extern "C" fn nothing() {}

/// Threads of Python's, an executor's among them, that wait for a semaphore that nobody puts into.
const WAITERS: Situation = Situation {
    code: "
import concurrent.futures, time
semaphore = raddle.Semaphore()
def wait():
    try:
        semaphore.get()
    except raddle.Stopped:
        return
    raise AssertionError('there is no token')
threading.Thread(target=wait).start()
threading.Thread(target=wait, daemon=True).start()
concurrent.futures.ThreadPoolExecutor().submit(wait)
while semaphore.waits < 3:
    time.sleep(0)",
    begin: nothing,
    check: || (),
    status: 0,
};

/// Daemon threads alone, which nobody joins.
const DAEMON_WAITS: Situation = Situation {
    code: "
import time
semaphore = raddle.Semaphore()
def wait():
    try:
        semaphore.get()
    except raddle.Stopped:
        pass
for _ in range(4):
    threading.Thread(target=wait, daemon=True).start()
while semaphore.waits < 4:
    time.sleep(0)",
    begin: nothing,
    check: || (),
    status: 0,
};

/// Python's main thread waits, as another one does, and Ctrl-C is pressed.
const MAIN_WAITS: Situation = Situation {
    code: "
import os, signal, time
semaphore = raddle.Semaphore()
def interrupt():
    while semaphore.waits < 1:
        time.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    try:
        semaphore.get()
    except raddle.Stopped:
        pass
threading.Thread(target=interrupt).start()
try:
    semaphore.get()
except KeyboardInterrupt:
    pass
else:
    raise AssertionError('there is no token')",
    begin: nothing,
    check: || (),
    status: 0,
};
