//! What Python sees of the receiver: a queue, three functions, and heaps as dicts.
#![forbid(unsafe_code)]

use std::sync::Arc;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyTuple};
use raddle::Ref;
use raddle::primitive::Ordering;
use raddle::relay::completion::Completions;

use crate::counts::{Counts, Fate};
use crate::heap::Heap;
use crate::options::Options;
use crate::receiver::Receiver;
use spead::Item;

const PROGRAM: &str = include_str!("../table.py");

/// Loads `table.py` and has it prepare itself, before the first packet comes.
pub fn load(py: Python<'_>, options: &Options) -> PyResult<Ref> {
    let source = std::ffi::CString::new(PROGRAM)?;
    let table = PyModule::from_code(py, &source, c"table.py", c"table")?;
    table.getattr("prepare")?.call1((options.plain, options.verbose))?;
    Ok(Ref::new(table.into_any()))
}

/// Runs `table.py` on this thread until the stream has ended; says whether that was by Ctrl-C.
pub fn run(
    py: Python<'_>,
    table: &Ref,
    receiver: &Arc<Receiver>,
    options: &Options,
) -> PyResult<bool> {
    let completions =
        Completions::new().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let native = native(py, receiver, &completions)?;
    let asked = PyDict::new(py);
    asked.set_item("ahead", options.ahead)?;
    asked.set_item("slow", options.slow)?;
    asked.set_item("seconds", options.seconds)?;
    let result = table.bind(py).getattr("main")?.call1((native, asked));
    completions.close();
    result?.extract()
}

fn raise(error: raddle::Error) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// The functions, as attributes of a module.
fn native<'py>(
    py: Python<'py>,
    receiver: &Arc<Receiver>,
    completions: &Completions,
) -> PyResult<Bound<'py, PyModule>> {
    let module = PyModule::new(py, "native")?;
    module.setattr("completions", completions.object(py).map_err(raise)?)?;

    let (theirs, queue) = (Arc::clone(receiver), completions.clone());
    let ask = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        let (operation, future) = queue.start(arguments.py(), || ()).map_err(raise)?;
        let counts = Arc::clone(theirs.counts());
        let give = move |heap: Option<Heap>| {
            let delivery = Delivery { counts, heap };
            // On an assembler's thread. Nobody awaits it any more: the delivery is dropped, and counts.
            drop(operation.finish_with(move |py| delivery.make(py)));
        };
        if theirs.ask(Box::new(give)) {
            return Ok(future.unbind());
        }
        Err(PyRuntimeError::new_err("too many heaps are asked for at a time"))
    };
    module.setattr("ask", PyCFunction::new_closure(py, Some(c"ask"), None, ask)?)?;

    let theirs = Arc::clone(receiver);
    let stop = move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| theirs.stop();
    module.setattr("stop", PyCFunction::new_closure(py, Some(c"stop"), None, stop)?)?;

    let counts = Arc::clone(receiver.counts());
    let all = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        let figures = PyDict::new(arguments.py());
        counts.all().try_for_each(|(name, count)| figures.set_item(name, count))?;
        Ok::<_, PyErr>(figures.unbind())
    };
    module.setattr("counts", PyCFunction::new_closure(py, Some(c"counts"), None, all)?)?;
    Ok(module)
}

/// A heap on its way to Python: counted when it arrives, or when it is clear that it will not.
struct Delivery {
    counts: Arc<Counts>,
    heap: Option<Heap>,
}

impl Delivery {
    /// Makes what the future gives, on the loop's thread.
    fn make(mut self, py: Python<'_>) -> Option<Bound<'_, PyAny>> {
        let Some(heap) = &self.heap else { return Some(py.None().into_bound(py)) };
        let dict = to_dict(py, heap).map_err(|error| error.restore(py)).ok()?;
        if let Some(heap) = self.heap.take() {
            self.counts.add(Fate::Delivered, heap.packets);
            // Relaxed: a figure.
            self.counts.heaps.fetch_add(1, Ordering::Relaxed);
        }
        Some(dict.into_any())
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(heap) = self.heap.take() {
            self.counts.add(Fate::Undelivered, heap.packets);
        }
    }
}

/// A heap as Python gets it: its items by number, and what it says of their names and types.
fn to_dict<'py>(py: Python<'py>, heap: &Heap) -> PyResult<Bound<'py, PyDict>> {
    let items = PyDict::new(py);
    for item in heap.items() {
        match item {
            Item::Number(id, number) => items.set_item(id, number)?,
            Item::Bytes(id, range) => items.set_item(id, PyBytes::new(py, &heap.data[range]))?,
        }
    }
    let described = PyDict::new(py);
    for descriptor in heap.descriptors() {
        described.set_item(descriptor.id, (descriptor.name, descriptor.dtype))?;
    }
    let dict = PyDict::new(py);
    dict.set_item("heap", heap.id)?;
    dict.set_item("items", items)?;
    dict.set_item("described", described)?;
    Ok(dict)
}
