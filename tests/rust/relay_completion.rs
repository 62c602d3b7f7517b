//! Completions from Rust: real threads post, this one drains. Each test is a process of its own.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use pyo3::Python;
use raddle::relay::completion::{Budget, Callable, Completions, DrainError, Drained};
use raddle::{Raised, Status, enter};
use raddle_tests::completions::{Counted, look, make, start, stop};
use raddle_tests::{in_child, spawn};

fn drain(queue: &Completions) -> Drained {
    enter(|py| queue.drain(py, Budget::ALL).unwrap()).unwrap()
}

fn is_readable(queue: &Completions) -> bool {
    look(&format!("__import__('select').select([{}], [], [], 0)[0] != []", queue.fd())) == "True"
}

#[test]
fn a_burst_is_run_in_order_after_one_wake_up() {
    in_child("a_burst_is_run_in_order_after_one_wake_up", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        assert!(!is_readable(&queue));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (producer, into) = (queue.clone(), seen.clone());
        spawn("producer", move || {
            for number in 0..10_000 {
                let into = into.clone();
                producer.post(move |_| into.lock().unwrap().push(number)).unwrap();
            }
        })
        .join()
        .unwrap();
        assert!(is_readable(&queue));
        assert_eq!(drain(&queue), Drained { ran: 10_000, left: false });
        assert!(!is_readable(&queue));
        assert!(seen.lock().unwrap().iter().copied().eq(0..10_000));
        let stats = queue.stats();
        assert_eq!((stats.ran, stats.wakeups, stats.drains, stats.largest), (10_000, 1, 1, 10_000));
        stop(&runtime);
    });
}

#[test]
fn nothing_is_lost_while_threads_post_and_one_drains() {
    in_child("nothing_is_lost_while_threads_post_and_one_drains", || {
        const EACH: u32 = 20_000;
        let runtime = start();
        let queue = Completions::new().unwrap();
        let last = Arc::new(Mutex::new([0_u32; 4]));
        let begin = Arc::new(Barrier::new(5));
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (queue, last, begin) = (queue.clone(), last.clone(), begin.clone());
                spawn("producer", move || {
                    begin.wait();
                    for number in 1..=EACH {
                        let last = last.clone();
                        let body = move |_: Python<'_>| {
                            let mut last = last.lock().unwrap();
                            // In order, and each once.
                            assert_eq!(last[thread] + 1, number);
                            last[thread] = number;
                        };
                        queue.post(body).unwrap();
                    }
                })
            })
            .collect();
        begin.wait();
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut budgets = 0;
        while *last.lock().unwrap() != [EACH; 4] {
            assert!(Instant::now() < deadline);
            let budget = Budget { count: 500, time: Duration::MAX };
            let drained = enter(|py| queue.drain(py, budget).unwrap()).unwrap();
            assert!(drained.ran <= 500);
            budgets += u32::from(drained.left);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drain(&queue);
        assert!(budgets > 0);
        let stats = queue.stats();
        assert_eq!((stats.ran, stats.raised), (u64::from(4 * EACH), 0));
        assert!(!is_readable(&queue));
        stop(&runtime);
    });
}

/// A value whose drop counts, and panics.
struct Bad(Arc<AtomicU32>);

impl Drop for Bad {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        panic!("dropped badly");
    }
}

#[test]
fn a_drop_that_panics_keeps_no_other_from_being_dropped() {
    in_child("a_drop_that_panics_keeps_no_other_from_being_dropped", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        let counted = Counted::default();
        for _ in 0..3 {
            let (bad, good) = (Bad(counted.0.clone()), counted.clone());
            queue.post(move |_| drop(bad)).unwrap();
            queue.post(move |_| drop(good)).unwrap();
        }
        enter(|py| {
            let once = Budget { count: 2, time: Duration::MAX };
            assert_eq!(queue.drain(py, once).unwrap(), Drained { ran: 2, left: true });
        })
        .unwrap();
        assert_eq!(counted.drops(), 2);
        queue.close();
        assert_eq!((counted.drops(), queue.stats().discarded), (6, 4));
        assert!(queue.is_closed());
        assert_eq!(look("reports"), "[('RuntimeError', 'a completion panicked: dropped badly')]");
        stop(&runtime);
    });
}

#[test]
fn what_fails_drops_nobody_else() {
    in_child("what_fails_drops_nobody_else", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        let (append, fail) =
            enter(|py| (Callable::new(make(py, "calls.append")), Callable::new(make(py, "fail"))))
                .unwrap();
        queue.post_call(&append, |py| Some(make(py, "7"))).unwrap();
        queue.post_call(&fail, |py| Some(make(py, "ValueError('one')"))).unwrap();
        queue.post(|_| panic!("two")).unwrap();
        queue.post(|py| pyo3::exceptions::PyKeyError::new_err("three").restore(py)).unwrap();
        queue
            .post_call(&append, |py| {
                pyo3::exceptions::PyOSError::new_err("four").restore(py);
                None
            })
            .unwrap();
        queue.post_call(&append, |py| Some(make(py, "(8,)"))).unwrap();
        assert_eq!(drain(&queue).ran, 6);
        assert_eq!(look("calls"), "[7, 8]");
        assert_eq!(
            look("reports"),
            "[('ValueError', 'one'), ('RuntimeError', 'a completion panicked: two'), \
             ('KeyError', \"'three'\"), ('OSError', 'four')]"
        );
        assert_eq!(queue.stats().raised, 4);
        stop(&runtime);
    });
}

#[test]
fn what_asks_for_an_end_leaves_the_drain_and_the_rest_in_the_queue() {
    in_child("what_asks_for_an_end_leaves_the_drain_and_the_rest_in_the_queue", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        let fail = enter(|py| Callable::new(make(py, "fail"))).unwrap();
        let ran = Arc::new(AtomicU32::new(0));
        let count = || {
            let ran = ran.clone();
            move |_: Python<'_>| {
                ran.fetch_add(1, SeqCst);
            }
        };
        queue.post(count()).unwrap();
        queue.post_call(&fail, |py| Some(make(py, "KeyboardInterrupt()"))).unwrap();
        queue.post(count()).unwrap();
        queue.post_call(&fail, |py| Some(make(py, "SystemExit(3)"))).unwrap();
        queue.post(count()).unwrap();
        let mut lines = Vec::new();
        while let Err(error) = enter(|py| queue.drain(py, Budget::ALL)).unwrap() {
            match error {
                DrainError::Raised(raised) => {
                    lines.push((raised.line().to_owned(), ran.load(SeqCst)));
                }
                other => panic!("{other}"),
            }
            assert!(is_readable(&queue), "somebody has to come back");
        }
        assert_eq!(lines, [("KeyboardInterrupt".to_owned(), 1), ("SystemExit: 3".to_owned(), 2)]);
        assert_eq!((ran.load(SeqCst), look("reports")), (3, "[]".to_owned()));
        stop(&runtime);
    });
}

#[test]
fn what_is_posted_while_draining_runs_after_what_was_there() {
    in_child("what_is_posted_while_draining_runs_after_what_was_there", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        for first in [1, 2] {
            let (again, seen) = (queue.clone(), seen.clone());
            queue
                .post(move |_| {
                    seen.lock().unwrap().push(first);
                    let inner = seen.clone();
                    again.post(move |_| inner.lock().unwrap().push(first * 10)).unwrap();
                })
                .unwrap();
        }
        assert_eq!(drain(&queue), Drained { ran: 4, left: false });
        assert_eq!(*seen.lock().unwrap(), [1, 2, 10, 20]);
        assert_eq!(queue.stats().wakeups, 1);
        stop(&runtime);
    });
}

#[test]
fn a_drain_inside_a_drain_goes_on_with_what_comes_next() {
    in_child("a_drain_inside_a_drain_goes_on_with_what_comes_next", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = |number: u32| {
            let seen = seen.clone();
            move |_: Python<'_>| seen.lock().unwrap().push(number)
        };
        let (inner, after) = (queue.clone(), note(2));
        queue
            .post(move |py| {
                assert_eq!(inner.drain(py, Budget::ALL).unwrap().ran, 1);
                after(py);
            })
            .unwrap();
        queue.post(note(1)).unwrap();
        assert_eq!(drain(&queue).ran, 1);
        assert_eq!(*seen.lock().unwrap(), [1, 2]);
        // Another thread is told, and loses nothing.
        let (inside, out) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (at, until) = (inside.clone(), out.clone());
        queue
            .post(move |_| {
                at.wait();
                raddle::release(|| until.wait());
            })
            .unwrap();
        let other = queue.clone();
        let thread = spawn("other", move || {
            inside.wait();
            let refused = enter(|py| other.drain(py, Budget::ALL)).unwrap();
            out.wait();
            matches!(refused, Err(DrainError::Elsewhere))
        });
        assert_eq!(drain(&queue).ran, 1);
        assert!(thread.join().unwrap());
        stop(&runtime);
    });
}

#[test]
fn a_budget_of_time_leaves_the_rest() {
    in_child("a_budget_of_time_leaves_the_rest", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        for _ in 0..40 {
            queue
                .post(|_| {
                    let until = Instant::now() + Duration::from_millis(1);
                    while Instant::now() < until {
                        std::hint::spin_loop();
                    }
                })
                .unwrap();
        }
        let budget = Budget { count: u32::MAX, time: Duration::from_millis(2) };
        let drained = enter(|py| queue.drain(py, budget).unwrap()).unwrap();
        assert!(drained.left && (1..=16).contains(&drained.ran), "{drained:?}");
        assert!(is_readable(&queue));
        assert_eq!(drain(&queue).ran + drained.ran, 40);
        stop(&runtime);
    });
}

#[test]
fn a_bounded_queue_refuses_gives_back_and_waits() {
    in_child("a_bounded_queue_refuses_gives_back_and_waits", || {
        let runtime = start();
        let queue = Completions::bounded(NonZeroU32::new(2).unwrap()).unwrap();
        let ran = Arc::new(AtomicU32::new(0));
        let count = || {
            let ran = ran.clone();
            move |_: Python<'_>| {
                ran.fetch_add(1, SeqCst);
            }
        };
        queue.try_post(count()).unwrap();
        queue.try_post(count()).unwrap();
        let refused = queue.try_post(count()).unwrap_err();
        assert_eq!(refused.error.status(), Status::TimedOut);
        // What came back is whole.
        enter(refused.value).unwrap();
        assert_eq!(ran.load(SeqCst), 1);
        let begun = Instant::now();
        let late = queue.post_within(Duration::from_millis(20), count()).unwrap_err();
        assert_eq!(late.error.status(), Status::TimedOut);
        assert!(begun.elapsed() >= Duration::from_millis(20));
        // One that waits, with Python held: it gives Python up, so that this thread can drain.
        let (waiting, waits) = (queue.clone(), count());
        let thread = spawn("waiter", move || enter(|_| waiting.post(waits).unwrap()).unwrap());
        while queue.stats().waits < 2 {
            std::thread::yield_now();
        }
        assert_eq!(
            drain(&queue).ran + {
                thread.join().unwrap();
                drain(&queue).ran
            },
            3
        );
        assert_eq!(ran.load(SeqCst), 4);
        // Whoever drains would wait for itself.
        let inner = queue.clone();
        queue
            .post(move |_| {
                inner.post(|_| ()).unwrap();
                inner.post(|_| ()).unwrap();
                let refused = inner.post(|_| ()).unwrap_err();
                assert_eq!(refused.error.status(), Status::WrongOrder);
            })
            .unwrap();
        drain(&queue);
        assert_eq!(look("reports"), "[]");
        stop(&runtime);
    });
}

#[test]
fn a_closed_queue_drops_what_is_left_once_and_gives_back_what_comes() {
    in_child("a_closed_queue_drops_what_is_left_once_and_gives_back_what_comes", || {
        let runtime = start();
        let queue = Completions::bounded(NonZeroU32::new(3).unwrap()).unwrap();
        let counted = Counted(Arc::default());
        let drops = counted.0.clone();
        for _ in 0..3 {
            let counted = counted.clone();
            queue.post(move |_| drop(counted)).unwrap();
        }
        let waiting = queue.clone();
        let thread = spawn("waiter", move || waiting.post(|_| ()).unwrap_err().error.status());
        while queue.stats().waits == 0 {
            std::thread::yield_now();
        }
        queue.close();
        assert_eq!(thread.join().unwrap(), Status::Stopped);
        assert_eq!((drops.load(SeqCst), queue.stats().discarded), (3, 3));
        assert!(queue.is_closed());
        let refused = queue.post(move |_| drop(counted)).unwrap_err();
        assert_eq!((refused.error.status(), drops.load(SeqCst)), (Status::Stopped, 3));
        drop(refused);
        assert_eq!(drops.load(SeqCst), 4);
        assert_eq!(drain(&queue), Drained::default());
        assert!(!is_readable(&queue));
        queue.close();
        stop(&runtime);
    });
}

#[test]
fn a_queue_closed_by_what_it_runs_runs_no_more() {
    in_child("a_queue_closed_by_what_it_runs_runs_no_more", || {
        let runtime = start();
        for elsewhere in [false, true] {
            let queue = Completions::new().unwrap();
            let counted = Counted(Arc::default());
            let drops = counted.0.clone();
            let closing = queue.clone();
            queue
                .post(move |_| {
                    if elsewhere {
                        spawn("closer", move || closing.close()).join().unwrap();
                    } else {
                        closing.close();
                    }
                })
                .unwrap();
            for _ in 0..2 {
                let counted = counted.clone();
                queue.post(move |_| panic!("{:?}", counted.0)).unwrap();
            }
            assert_eq!(drain(&queue).ran, 1);
            assert_eq!((drops.load(SeqCst), queue.stats().discarded), (2, 2));
        }
        assert_eq!(look("reports"), "[]");
        stop(&runtime);
    });
}

#[test]
fn a_queue_that_nobody_holds_any_more_drops_what_is_in_it() {
    in_child("a_queue_that_nobody_holds_any_more_drops_what_is_in_it", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        let counted = Counted(Arc::default());
        let drops = counted.0.clone();
        let append = enter(|py| Callable::new(make(py, "calls.append"))).unwrap();
        queue.post_call(&append, |_| None).unwrap();
        queue.post(move |_| drop(counted)).unwrap();
        drop(append);
        spawn("last", move || drop(queue)).join().unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        stop(&runtime);
    });
}

#[test]
fn posting_needs_no_python_and_waits_for_no_start() {
    in_child("posting_needs_no_python_and_waits_for_no_start", || {
        let queue = Completions::new().unwrap();
        let ran = Arc::new(AtomicU32::new(0));
        let before = ran.clone();
        queue
            .post(move |_| {
                before.fetch_add(1, SeqCst);
            })
            .unwrap();
        let runtime = start();
        assert_eq!((drain(&queue).ran, ran.load(SeqCst)), (1, 1));
        // Held by another thread, which waits for us: posting does not.
        let posted = Arc::new(Barrier::new(2));
        let (inside, wait) = (Arc::new(Barrier::new(2)), posted.clone());
        let at = inside.clone();
        let holder = spawn("holder", move || {
            enter(|_| {
                at.wait();
                wait.wait();
            })
            .unwrap();
        });
        inside.wait();
        queue.post(|_| ()).unwrap();
        posted.wait();
        holder.join().unwrap();
        stop(&runtime);
    });
}

#[test]
fn the_end_of_python_closes_every_queue() {
    in_child("the_end_of_python_closes_every_queue", || {
        let runtime = start();
        let queue = Completions::bounded(NonZeroU32::MIN).unwrap();
        let counted = Counted(Arc::default());
        let drops = counted.0.clone();
        let append = enter(|py| Callable::new(make(py, "calls.append"))).unwrap();
        queue
            .post_call(&append, move |_| {
                drop(counted);
                None
            })
            .unwrap();
        // Waits for a place, inside Python, and would never get it.
        let waiting = queue.clone();
        let thread = spawn("waiter", move || {
            enter(|_| waiting.post(|_| ()).unwrap_err().error.status()).unwrap()
        });
        while queue.stats().waits == 0 {
            std::thread::yield_now();
        }
        stop(&runtime);
        assert_eq!(thread.join().unwrap(), Status::Stopped);
        assert_eq!((drops.load(SeqCst), queue.is_closed()), (1, true));
        assert_eq!(queue.post(|_| ()).unwrap_err().error.status(), Status::Stopped);
        // The next Python has queues of its own.
        let runtime = start();
        let queue = Completions::new().unwrap();
        queue.post(|_| ()).unwrap();
        assert_eq!(drain(&queue).ran, 1);
        stop(&runtime);
        drop(append);
    });
}

#[test]
fn what_was_set_before_a_drain_is_set_after_it() {
    in_child("what_was_set_before_a_drain_is_set_after_it", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        let fail = enter(|py| Callable::new(make(py, "fail"))).unwrap();
        queue.post_call(&fail, |py| Some(make(py, "ValueError('inner')"))).unwrap();
        enter(|py| {
            pyo3::exceptions::PyKeyError::new_err("outer").restore(py);
            queue.drain(py, Budget::ALL).unwrap();
            assert_eq!(Raised::take(py).unwrap().line(), "KeyError: 'outer'");
        })
        .unwrap();
        assert_eq!(look("reports"), "[('ValueError', 'inner')]");
        drop(fail);
        stop(&runtime);
    });
}
