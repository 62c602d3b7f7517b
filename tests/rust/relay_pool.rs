//! A pool of rayon's that computes for asyncio. docs/relay.md shows what is between the marks.
#![forbid(unsafe_code)]

use pyo3::types::{PyAnyMethods as _, PyCFunction, PyDict, PyTuple};
use pyo3::{Bound, PyResult, exceptions::PyRuntimeError};
use raddle::{Options, enter};
use raddle_tests::in_child;
use raddle_tests::python::{run, start as start_python};

// docs/relay.md: from here
use std::sync::mpsc;

use pyo3::{PyAny, Python};
use raddle::relay::completion::Completions;
use raddle::relay::stopper::{PATIENCE, Stage, at_exit};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool that is ended before Python is: what it has begun is finished first.
fn make_pool(threads: usize) -> Result<std::sync::Weak<ThreadPool>, Box<dyn std::error::Error>> {
    let (gone, all_gone) = mpsc::channel();
    let builder = ThreadPoolBuilder::new().num_threads(threads);
    let pool = builder.exit_handler(move |_| gone.send(()).unwrap_or(())).build()?;
    let pool = std::sync::Arc::new(pool);
    let weak = std::sync::Arc::downgrade(&pool);
    at_exit(Stage::Pools, "rayon", PATIENCE, move || {
        drop(pool);
        all_gone.iter().take(threads).for_each(drop);
    })?
    .keep();
    Ok(weak)
}

/// Starts a computation, and gives Python a future for its result.
fn square_sum<'py>(
    py: Python<'py>,
    queue: &Completions,
    pool: &ThreadPool,
    numbers: u64,
) -> Result<Bound<'py, PyAny>, raddle::Error> {
    let (operation, future) = queue.start(py, || ())?;
    pool.spawn(move || {
        let sum: u64 = (0..numbers).into_par_iter().map(|number| number * number).sum();
        // From this thread, which does not wait for Python. An error says that nobody awaits it now.
        drop(operation.finish(sum));
    });
    Ok(future)
}
// docs/relay.md: to here

/// Makes the pool and a queue known to Python: `pool_queue`, and `square_sum(numbers)`.
fn offer(threads: usize) {
    let pool = make_pool(threads).expect("a pool");
    let queue = Completions::new().expect("a queue");
    enter(|py| -> PyResult<()> {
        let builtins = py.import("builtins")?;
        let raise = |error: raddle::Error| PyRuntimeError::new_err(error.to_string());
        builtins.setattr("pool_queue", queue.object(py).map_err(raise)?)?;
        let function = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            let numbers = arguments.get_item(0)?.extract()?;
            let pool =
                pool.upgrade().ok_or_else(|| PyRuntimeError::new_err("the pool has ended"))?;
            let future = square_sum(arguments.py(), &queue, &pool, numbers);
            future.map(Bound::unbind).map_err(raise)
        };
        builtins.setattr("square_sum", PyCFunction::new_closure(py, None, None, function)?)
    })
    .expect("the gate is open")
    .expect("nothing raises");
}

#[test]
fn rayon_finishes_futures_of_asyncio() {
    in_child("rayon_finishes_futures_of_asyncio", || {
        let runtime = start_python(&Options::new());
        offer(2);
        let sums = run("
import asyncio
async def main():
    pool_queue.attach()
    return await asyncio.gather(*(square_sum(numbers) for numbers in range(200)))
r = asyncio.run(main())");
        let expected: Vec<u64> =
            (0..200_u64).map(|n| (0..n).map(|number| number * number).sum()).collect();
        assert_eq!(sums, format!("{expected:?}"));
        runtime.stop(None).expect("the runtime stops");
    });
}

#[test]
fn rayon_s_pool_is_ended_before_python_with_work_under_way() {
    in_child("rayon_s_pool_is_ended_before_python_with_work_under_way", || {
        let runtime = start_python(&Options::new());
        offer(2);
        run("
import asyncio
async def main():
    pool_queue.attach()
    for _ in range(50):
        square_sum(100_000)
asyncio.run(main())");
        runtime.stop(None).expect("the runtime stops");
    });
}
