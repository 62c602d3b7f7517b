//! What may live when a process ends: pools, threads that wait, streams of completions, floods of log
//! records.
#![forbid(unsafe_code)]

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::thread::JoinHandle;

use pyo3::Bound;
use pyo3::types::{PyAnyMethods as _, PyCFunction, PyDict, PyTuple};
use raddle::primitive::{AtomicBool, AtomicU64, Mutex, Ordering, lock};
use raddle::relay::completion::{Budget, Completions};
use raddle::relay::log::{self, Level, Target};
use raddle::relay::stopper::{PATIENCE, Stage, at_exit};
use raddle::{Closed, enter, release};

use crate::shutdown::{Situation, work};

/// All of them, by name.
pub const ALL: [(&str, Situation); 12] = [
    ("log_flood", LOG_FLOOD),
    ("log_flood_goes_on", LOG_FLOOD_GOES_ON),
    ("log_flood_at_exit", LOG_FLOOD_AT_EXIT),
    ("stream", STREAM),
    ("stream_in_a_daemon", STREAM_IN_A_DAEMON),
    ("pool", POOL),
    ("careless_pool", CARELESS_POOL),
    ("waiters", WAITERS),
    ("ring_waiters", RING_WAITERS),
    ("full_queue", FULL_QUEUE),
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
semaphore = raddle.Semaphore()
wait_everywhere(semaphore.get)
while semaphore.waits < 3:
    time.sleep(0)",
    begin: nothing,
    check: || (),
    status: 0,
};

/// The same for an item that nobody pushes, and for room that nobody makes.
const RING_WAITERS: Situation = Situation {
    code: "
empty, full = raddle.Ring(1), raddle.Ring(1)
full.push(0)
wait_everywhere(empty.pop)
wait_everywhere(lambda: full.push(1))
while empty.statistics()['pop_waits'] < 3 or full.statistics()['push_waits'] < 3:
    time.sleep(0)",
    begin: nothing,
    check: || (),
    status: 0,
};

/// Daemon threads alone, which nobody joins.
const DAEMON_WAITS: Situation = Situation {
    code: "
semaphore = raddle.Semaphore()
for _ in range(4):
    threading.Thread(target=until_stopped, args=(semaphore.get,), daemon=True).start()
while semaphore.waits < 4:
    time.sleep(0)",
    begin: nothing,
    check: || (),
    status: 0,
};

/// Python's main thread waits, as another one does, and Ctrl-C is pressed.
const MAIN_WAITS: Situation = Situation {
    code: "
import signal
# Whoever runs a script in the background has it ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
semaphore = raddle.Semaphore()
def interrupt():
    while semaphore.waits < 1:
        time.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    until_stopped(semaphore.get)
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

/// How many log records a flood has, and from how many threads.
const RECORDS: usize = 20_000;
const LOGGERS: usize = 4;

/// Logs a thread's share of the records.
fn flood(number: usize) {
    let target = Target::named("flood");
    for record in 0..RECORDS / LOGGERS {
        raddle::log!(target, Level::INFO, "flood {number} {record}");
    }
}

extern "C" fn begin_flood() {
    let start = |number| crate::spawn("logger", move || flood(number));
    lock(&WORKERS).extend((0..LOGGERS).map(start));
}

extern "C" fn flood_and_wait() {
    begin_flood();
    release(join_pool);
}

/// Where the records of this process go.
fn flood_file() -> PathBuf {
    std::env::temp_dir().join(format!("raddle-flood-{}", std::process::id()))
}

/// Each record has been written by Python's handler, told on stderr, or counted as dropped; those of a
/// thread in their order.
fn check_flood() -> log::Stats {
    join_pool();
    let text = std::fs::read_to_string(flood_file()).expect("Python has written a file");
    std::fs::remove_file(flood_file()).expect("the file is there");
    let mut last = [None; LOGGERS];
    let mut written = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("flood ")) {
        let numbers = line.split_once(' ').expect("two numbers");
        let number: usize = numbers.0.parse().expect("a thread");
        let record: usize = numbers.1.parse().expect("a record");
        assert!(last[number] < Some(record), "{line} is out of order or there twice");
        last[number] = Some(record);
        written += 1;
    }
    let stats = log::stats();
    assert_eq!(stats.handed, written, "{stats:?}");
    let dropped: u64 = stats.dropped.iter().sum();
    let all = written + stats.elsewhere + stats.lost + dropped;
    assert_eq!(usize::try_from(all), Ok(RECORDS), "{stats:?}");
    assert_eq!((stats.waiting, stats.errors), (0, 0), "{stats:?}");
    stats
}

const LOG_TO_FILE: &str = "
import logging, tempfile
path = os.path.join(tempfile.gettempdir(), f'raddle-flood-{os.getpid()}')
logging.basicConfig(filename=path, format='%(message)s', level=logging.INFO)
begin()";

/// Records, and the end at once: all are written but for those that found the ring full.
const LOG_FLOOD: Situation = Situation {
    code: LOG_TO_FILE,
    begin: flood_and_wait,
    check: || {
        let stats = check_flood();
        assert_eq!((stats.elsewhere, stats.lost), (0, 0), "{stats:?}");
    },
    status: 0,
};

/// The end in the middle of a flood.
const LOG_FLOOD_GOES_ON: Situation = Situation {
    code: LOG_TO_FILE,
    begin: begin_flood,
    check: || assert_eq!(check_flood().looped, 0),
    status: 0,
};

/// The first records come when the log was found to need no stop: a worker starts that Python is closed to.
const LOG_FLOOD_AT_EXIT: Situation = Situation {
    code: "
import atexit, logging, tempfile
from raddle._boot import stop_earlier
path = os.path.join(tempfile.gettempdir(), f'raddle-flood-{os.getpid()}')
logging.basicConfig(filename=path, format='%(message)s', level=logging.INFO)
atexit.register(begin)
# The stoppers run before what was registered up to now, the closing of the gate after it.
stop_earlier()",
    begin: flood_and_wait,
    check: || assert_eq!(check_flood().looped, 0),
    status: 0,
};

/// What posts to a queue, and what became of it.
static QUEUE: Mutex<Option<Completions>> = Mutex::new(None);
static POSTED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// What a completion owns.
struct Owned;

impl Drop for Owned {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Posts one; false when the queue is closed.
fn post() -> bool {
    let Some(queue) = lock(&QUEUE).clone() else { return false };
    POSTED.fetch_add(1, Ordering::Relaxed);
    let owned = Owned;
    let body = move |py: pyo3::Python<'_>| {
        let _owned = &owned;
        // Some work of Python's, so that the end finds it at work.
        assert!(py.eval(c"sum(range(20))", None, None).is_ok());
        DONE.fetch_add(1, Ordering::Relaxed);
    };
    queue.post(body).is_ok()
}

/// Makes a queue, tells Python how to drain it, and starts who posts to it.
extern "C" fn begin_stream() {
    let queue = Completions::bounded(NonZeroU32::MIN.saturating_add(499)).expect("a descriptor");
    *lock(&QUEUE) = Some(queue.clone());
    enter(|py| {
        let builtins = py.import("builtins").expect("a module");
        builtins.setattr("stream_fd", queue.fd()).expect("an attribute");
        let drain = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            drop(queue.drain(arguments.py(), Budget::default()));
        };
        let drain = PyCFunction::new_closure(py, None, None, drain).expect("a function");
        builtins.setattr("stream_drain", drain).expect("an attribute");
        let done =
            |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| DONE.load(Ordering::Relaxed);
        let done = PyCFunction::new_closure(py, None, None, done).expect("a function");
        builtins.setattr("stream_done", done).expect("an attribute");
    })
    .expect("Python runs");
    lock(&WORKERS).extend(work(4, post));
}

/// Each one that was posted has run, was discarded by the end, or was refused; and is gone, once.
fn check_stream() {
    join_pool();
    let queue = lock(&QUEUE).take().expect("it was made");
    let stats = queue.stats();
    let posted = POSTED.load(Ordering::Relaxed);
    assert_eq!(stats.ran + stats.discarded + stats.refused, posted, "{stats:?}");
    assert_eq!((DROPPED.load(Ordering::Relaxed), stats.raised), (posted, 0), "{stats:?}");
    assert!(queue.is_closed());
}

/// How many native threads wait for a place.
const BLOCKED: u64 = 3;

/// Fills a queue that nobody drains, and waits until all who post to it wait.
extern "C" fn begin_full_queue() {
    let queue = Completions::bounded(NonZeroU32::MIN).expect("two descriptors");
    *lock(&QUEUE) = Some(queue.clone());
    assert!(post());
    let workers = usize::try_from(BLOCKED).expect("a few");
    lock(&WORKERS).extend(work(workers, post));
    release(|| {
        while queue.stats().waits < BLOCKED {
            std::thread::yield_now();
        }
    });
}

/// Native threads and Python's that wait for a place in queues which nobody drains.
const FULL_QUEUE: Situation = Situation {
    code: "
begin()
full = raddle.Completions(1)
full.post(print)
wait_everywhere(lambda: full.post(print))
while full.statistics()['waits'] < 3:
    time.sleep(0)",
    begin: begin_full_queue,
    check: || {
        check_stream();
        // The one that filled it never ran, and each thread was refused once.
        assert_eq!(
            (DONE.load(Ordering::Relaxed), POSTED.load(Ordering::Relaxed)),
            (0, 1 + BLOCKED)
        );
    },
    status: 0,
};

/// A loop that has ended, and native threads that still post to its queue.
const STREAM: Situation = Situation {
    code: "
import asyncio
begin()
async def main():
    asyncio.get_running_loop().add_reader(stream_fd, stream_drain)
    while stream_done() < 1000:
        await asyncio.sleep(0)
asyncio.run(main())",
    begin: begin_stream,
    check: check_stream,
    status: 0,
};

/// The same with a loop that still runs, in a thread that nobody joins.
const STREAM_IN_A_DAEMON: Situation = Situation {
    code: "
import asyncio
begin()
async def main():
    asyncio.get_running_loop().add_reader(stream_fd, stream_drain)
    await asyncio.sleep(600)
threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
while stream_done() < 1000:
    time.sleep(0)",
    begin: begin_stream,
    check: check_stream,
    status: 0,
};
