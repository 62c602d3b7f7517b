//! Operations from Rust: native threads finish what Python awaits. Each test is a process of its own.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use pyo3::Python;
use pyo3::types::{PyAnyMethods, PyDictMethods};
use raddle::relay::completion::{Budget, Completions, Operation};
use raddle::{Status, enter};
use raddle_tests::completions::{Counted, look, make, names, start, stop};
use raddle_tests::{in_child, spawn};

/// A loop that owns `queue`, and `outcome(future)`, which runs it until the future is done.
fn new_loop(py: Python<'_>, queue: &Completions) {
    names(py).set_item("queue", queue.object(py).unwrap()).unwrap();
    let code = c"
import asyncio
loop = asyncio.new_event_loop()
queue.attach(loop)
def outcome(future):
    async def main():
        return await asyncio.wait_for(future, 20)
    try:
        return loop.run_until_complete(main())
    except BaseException as error:
        return f'{type(error).__name__}: {error}'
";
    py.run(code, Some(&names(py)), None).unwrap();
}

fn operation(
    py: Python<'_>,
    queue: &Completions,
    cancel: impl FnOnce() + Send + 'static,
) -> Operation {
    let (operation, future) = queue.start(py, cancel).unwrap();
    names(py).set_item("future", future).unwrap();
    operation
}

#[test]
fn an_operation_is_awaited_by_python_and_finished_by_any_thread() {
    in_child("an_operation_is_awaited_by_python_and_finished_by_any_thread", || {
        type Finish = fn(&Operation) -> Result<(), raddle::Error>;
        let cases: [(Finish, &str); 9] = [
            (|it| it.finish(7_i64), "outcome(future) == 7"),
            (|it| it.finish("text".to_owned()), "outcome(future) == 'text'"),
            (|it| it.finish(vec![1.5, 2.5]), "outcome(future) == [1.5, 2.5]"),
            (|it| it.finish_none(), "outcome(future) is None"),
            (|it| it.finish_bytes(vec![1, 0]), "outcome(future) == b'\\1\\0'"),
            (|it| it.finish_with(|py| Some(make(py, "calls"))), "outcome(future) is calls"),
            (|it| it.finish_with(|_| panic!("made badly")), "'made badly' in outcome(future)"),
            (|it| it.fail(Status::Busy, "no"), "outcome(future) == 'RuntimeError: no'"),
            (
                |it| it.fail_with(|py| Some(make(py, "StopIteration()"))),
                "outcome(future).startswith(('TypeError: ', 'RuntimeError: '))",
            ),
        ];
        let runtime = start();
        let queue = Completions::new().unwrap();
        for (finish, expected) in cases {
            let thread = enter(|py| {
                if names(py).get_item("loop").unwrap().is_none() {
                    new_loop(py, &queue);
                }
                let it = operation(py, &queue, || panic!("nobody cancels"));
                let thread = spawn("finisher", move || {
                    finish(&it).unwrap();
                    let again = it.finish_none().map_err(|error| error.status());
                    assert_eq!(again, Err(Status::WrongOrder));
                });
                assert_eq!(make(py, expected).to_string(), "True", "{expected}");
                thread
            })
            .unwrap();
            thread.join().unwrap();
        }
        enter(|py| py.run(c"queue.close(); loop.close()", Some(&names(py)), None).unwrap())
            .unwrap();
        assert_eq!(look("reports"), "[]");
        stop(&runtime);
    });
}

#[test]
fn a_future_that_is_cancelled_tells_the_operation_once() {
    in_child("a_future_that_is_cancelled_tells_the_operation_once", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        let counted = Counted(Arc::default());
        let (drops, told) = (counted.0.clone(), Arc::new(AtomicU32::new(0)));
        let by = told.clone();
        enter(|py| {
            new_loop(py, &queue);
            let it = operation(py, &queue, move || {
                by.fetch_add(1, SeqCst);
                drop(counted);
            });
            assert!(!it.is_cancelled());
            make(py, "future.cancel(), future.cancel(), outcome(asyncio.sleep(0))");
            assert!(it.is_cancelled());
            assert_eq!(it.finish(1), Ok(()));
            // Dropped unfinished, but nobody waits: nothing happens either.
            let it = operation(py, &queue, || ());
            make(py, "future.cancel(), outcome(asyncio.sleep(0))");
            drop(it);
            // Forgotten by Python, finished all the same.
            let it = operation(py, &queue, || ());
            make(py, "globals().pop('future')");
            assert_eq!(it.finish(2), Ok(()));
            make(py, "outcome(asyncio.sleep(0)), queue.close(), loop.close()");
        })
        .unwrap();
        assert_eq!((told.load(SeqCst), drops.load(SeqCst)), (1, 1));
        assert_eq!(look("reports"), "[]");
        stop(&runtime);
    });
}

#[test]
fn an_operation_that_ends_otherwise_fails_its_future() {
    in_child("an_operation_that_ends_otherwise_fails_its_future", || {
        let runtime = start();
        enter(|py| {
            let queue = Completions::new().unwrap();
            let refused = queue.start(py, || ()).map(drop).unwrap_err();
            assert_eq!(refused.status(), Status::WrongOrder);
            new_loop(py, &queue);
            // The last handle is dropped, by a thread without Python.
            let it = operation(py, &queue, || ());
            let other = it.clone();
            drop(it);
            spawn("last", move || drop(other)).join().unwrap();
            let line = make(py, "outcome(future)").to_string();
            assert!(line.starts_with("Stopped: the operation ended without a result"), "{line}");
            // The queue is closed.
            let it = operation(py, &queue, || ());
            queue.close();
            let line = make(py, "outcome(future)").to_string();
            assert!(line.starts_with("Stopped: the queue of completions was closed"), "{line}");
            assert_eq!(it.finish(1).map_err(|error| error.status()), Err(Status::Stopped));
            make(py, "loop.close()");
        })
        .unwrap();
        assert_eq!(look("reports"), "[]");
        stop(&runtime);
    });
}

#[test]
fn a_queue_that_goes_with_a_result_in_it_fails_the_future() {
    in_child("a_queue_that_goes_with_a_result_in_it_fails_the_future", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        enter(|py| {
            new_loop(py, &queue);
            make(py, "queue.detach(), globals().pop('queue')");
        })
        .unwrap();
        let (operation, future) = enter(|py| {
            let asyncio = py.import("asyncio").unwrap();
            let running = asyncio.getattr("_set_running_loop").unwrap();
            running.call1((make(py, "loop"),)).unwrap();
            // On a running loop that the queue does not belong to.
            let (operation, future) = queue.start(py, || ()).unwrap();
            running.call1((py.None(),)).unwrap();
            (operation, raddle::Ref::new(future))
        })
        .unwrap();
        spawn("last", move || {
            operation.finish(1).unwrap();
            drop(operation);
            // The result goes with the queue, on a thread that does not hold Python.
            drop(queue);
        })
        .join()
        .unwrap();
        enter(|py| {
            names(py).set_item("future", future.bind(py)).unwrap();
            let line = make(py, "outcome(future)").to_string();
            assert!(line.starts_with("Stopped: the operation ended without a result"), "{line}");
            make(py, "loop.close()");
        })
        .unwrap();
        drop(future);
        assert_eq!(look("reports"), "[]");
        stop(&runtime);
    });
}

#[test]
fn what_another_than_the_loop_drains_reaches_the_loop() {
    in_child("what_another_than_the_loop_drains_reaches_the_loop", || {
        let runtime = start();
        let queue = Completions::new().unwrap();
        enter(|py| {
            new_loop(py, &queue);
            let it = operation(py, &queue, || ());
            it.finish(5).unwrap();
            // By hand, on a thread that is not the loop's.
            let by_hand = queue.clone();
            let thread = spawn("drains", move || {
                enter(|py| by_hand.drain(py, Budget::ALL).unwrap().ran).unwrap()
            });
            assert_eq!(raddle::release(|| thread.join().unwrap()), 1);
            assert_eq!(make(py, "outcome(future)").to_string(), "5");
            make(py, "queue.close(), loop.close()");
        })
        .unwrap();
        stop(&runtime);
    });
}
