//! What the relay's semaphore and ring cost between native threads, without any Python, beside the
//! system's own and the standard library's.
//!
//! Prints one JSON line per figure, like the benches in C (tests/bench/bench.h): rounds of ours, of
//! the peer and of the floor take turns, and the median is printed.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::cell::UnsafeCell;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use raddle::relay::{Plain, Ring, Semaphore};

const ROUNDS: usize = 31;
const HAND_OVERS: u32 = 2_000;
const ITEMS: u32 = 100_000;
/// As many values fit into a bounded ring: what a receiver of packets would take.
const CAPACITY: u32 = 256;

/// What one of `count` turns costs, in nanoseconds, if two threads do them side by side.
fn two_threads(count: u32, here: impl FnOnce(), there: impl FnOnce() + Send) -> f64 {
    let ready = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            ready.wait();
            there();
        });
        ready.wait();
        let begun = Instant::now();
        here();
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(count)
    })
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// A contestant: what it is, and a round of it.
type Contestant<'a> = (&'a str, fn() -> f64);

fn measure(name: &str, ours: fn() -> f64, peer: Contestant<'_>, floor: Contestant<'_>) {
    let mut samples = [const { Vec::new() }; 3];
    for round in 0..=ROUNDS {
        for (run, samples) in [ours, peer.1, floor.1].into_iter().zip(&mut samples) {
            let cost = run();
            if round > 0 {
                samples.push(cost);
            }
        }
    }
    let [ours, theirs, least] = samples.map(median);
    let ((peer, _), (floor, _)) = (peer, floor);
    println!(
        "{{\"bench\":\"{name}\",\"ours_ns\":{ours:.2},\"peer\":\"{peer}\",\"peer_ns\":{theirs:.2},\
         \"floor\":\"{floor}\",\"floor_ns\":{least:.2}}}"
    );
}

/// Hand-overs there and back between two threads, each waiting for the other.
fn ping_pong<S: Send + Sync>(make: impl Fn() -> S, give: fn(&S), take: fn(&S)) -> f64 {
    let (ping, pong) = (make(), make());
    let half = HAND_OVERS / 2;
    two_threads(
        HAND_OVERS,
        || (0..half).for_each(|_| (give(&ping), take(&pong)).1),
        || (0..half).for_each(|_| (take(&ping), give(&pong)).1),
    )
}

/// POSIX's semaphore: a count and a futex, which cannot be polled or stopped.
struct Posix(UnsafeCell<libc::sem_t>);

// SAFETY: made for being used by many threads.
unsafe impl Sync for Posix {}
// SAFETY: moved before its first use only.
unsafe impl Send for Posix {}

impl Posix {
    fn new() -> Arc<Self> {
        // SAFETY: plain memory, which is filled in below.
        let place = Arc::new(Self(UnsafeCell::new(unsafe { std::mem::zeroed() })));
        // SAFETY: memory for one, which stays where it is.
        assert_eq!(unsafe { libc::sem_init(place.0.get(), 0, 0) }, 0);
        place
    }

    fn give(&self) {
        // SAFETY: initialized.
        assert_eq!(unsafe { libc::sem_post(self.0.get()) }, 0);
    }

    fn take(&self) {
        // SAFETY: initialized.
        while unsafe { libc::sem_wait(self.0.get()) } != 0 {}
    }
}

impl Drop for Posix {
    fn drop(&mut self) {
        // SAFETY: initialized, and nobody waits: this was the last who knew it.
        unsafe { libc::sem_destroy(self.0.get()) };
    }
}

/// The kernel's counter behind a descriptor: one system call to give and one to take.
struct Eventfd(libc::c_int);

impl Eventfd {
    fn new() -> Self {
        // SAFETY: makes a descriptor, or fails.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_SEMAPHORE) };
        assert!(fd >= 0, "the machine has a descriptor left");
        Self(fd)
    }

    fn give(&self) {
        // SAFETY: a descriptor of ours.
        assert_eq!(unsafe { libc::eventfd_write(self.0, 1) }, 0);
    }

    fn take(&self) {
        let mut count = 0;
        // SAFETY: a descriptor of ours, and a number to fill in.
        while unsafe { libc::eventfd_read(self.0, &raw mut count) } != 0 {}
    }
}

impl Drop for Eventfd {
    fn drop(&mut self) {
        // SAFETY: a descriptor of ours, used no more.
        unsafe { libc::close(self.0) };
    }
}

fn semaphore() {
    measure(
        "relay.semaphore_native",
        || {
            ping_pong(
                || Semaphore::new(0).expect("the machine has a descriptor left"),
                |semaphore| semaphore.put(1).expect("it is not full"),
                |semaphore| semaphore.get(Plain).expect("it is not stopped"),
            )
        },
        ("eventfd alone", || ping_pong(Eventfd::new, Eventfd::give, Eventfd::take)),
        ("sem_t, which cannot be polled or stopped", || {
            ping_pong(Posix::new, |posix| posix.give(), |posix| posix.take())
        }),
    );
}

/// A token put and taken on one thread: nobody ever waits.
fn tokens_alone<S>(made: &S, give: fn(&S), take: fn(&S)) -> f64 {
    let begun = Instant::now();
    (0..ITEMS).for_each(|_| (give(made), take(made)).1);
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(ITEMS)
}

fn semaphore_alone() {
    measure(
        "relay.semaphore_uncontended",
        || {
            tokens_alone(
                &Semaphore::new(0).expect("the machine has a descriptor left"),
                |semaphore| semaphore.put(1).expect("it is not full"),
                |semaphore| semaphore.get(Plain).expect("it is not stopped"),
            )
        },
        ("eventfd alone", || tokens_alone(&Eventfd::new(), Eventfd::give, Eventfd::take)),
        ("sem_t, which cannot be polled or stopped", || {
            tokens_alone(&Posix::new(), |posix| posix.give(), |posix| posix.take())
        }),
    );
}

fn through_ours() -> f64 {
    let ring = Ring::new(CAPACITY).expect("the machine has descriptors left");
    two_threads(
        ITEMS,
        || (0..ITEMS).for_each(|_| _ = ring.pop(Plain).expect("it is not stopped")),
        || (0..ITEMS).for_each(|item| ring.push(item, Plain).expect("it is not stopped")),
    )
}

fn through_a_channel() -> f64 {
    let (sender, receiver) = mpsc::sync_channel(CAPACITY as usize);
    two_threads(
        ITEMS,
        || (0..ITEMS).for_each(|_| _ = receiver.recv().expect("the sender is there")),
        move || (0..ITEMS).for_each(|item| sender.send(item).expect("the receiver is there")),
    )
}

/// A push and a pop on one thread: nobody ever waits, and no descriptor is touched.
fn alone() -> f64 {
    let ring = Ring::new(CAPACITY).expect("the machine has descriptors left");
    let begun = Instant::now();
    for item in 0..ITEMS {
        ring.push(item, Plain).expect("it is not stopped");
        ring.pop(Plain).expect("it is not stopped");
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(ITEMS)
}

/// A queue under a lock, on one thread: what many write by hand, without waiting, a bound or an end.
fn locked_alone() -> f64 {
    let queue = raddle::primitive::Mutex::new(std::collections::VecDeque::new());
    let begun = Instant::now();
    for item in 0..ITEMS {
        raddle::primitive::lock(&queue).push_back(item);
        raddle::primitive::lock(&queue).pop_front().expect("it was put in");
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(ITEMS)
}

/// The same channel on one thread: nobody ever waits.
fn nobody_waits() -> f64 {
    let (sender, receiver) = mpsc::sync_channel(CAPACITY as usize);
    let begun = Instant::now();
    for item in 0..ITEMS {
        sender.send(item).expect("the receiver is there");
        receiver.recv().expect("the sender is there");
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(ITEMS)
}

fn main() {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    if "relay.semaphore_native".starts_with(&filter) {
        semaphore();
    }
    if "relay.semaphore_uncontended".starts_with(&filter) {
        semaphore_alone();
    }
    if "relay.ring_native".starts_with(&filter) {
        measure(
            "relay.ring_native",
            through_ours,
            ("std::sync::mpsc::sync_channel, which cannot be polled", through_a_channel),
            ("sync_channel on one thread", nobody_waits),
        );
    }
    if "relay.ring_uncontended".starts_with(&filter) {
        measure(
            "relay.ring_uncontended",
            alone,
            ("std::sync::mpsc::sync_channel on one thread", nobody_waits),
            ("a VecDeque under a lock", locked_alone),
        );
    }
}
