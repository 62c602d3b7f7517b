//! A program run by real tasklets, through the Python face.
#![forbid(unsafe_code)]

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use pyo3::exceptions::{PyStopIteration, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyCFunction, PyDict, PyTuple};

use super::{CHANNELS, Given, Note, Program, Raised, Step, end_step};

/// What the functions of the tasklets share.
struct World {
    module: Py<PyModule>,
    exit: Py<PyAny>,
    functions: Vec<Py<PyAny>>,
    tasks: Vec<Py<PyAny>>,
    channels: Vec<Py<PyAny>>,
    program: Program,
    next: Vec<Cell<usize>>,
    notes: RefCell<Vec<Note>>,
}

std::thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// A function for a tasklet: it executes the script with a number.
fn function(py: Python<'_>, number: usize) -> PyResult<Py<PyAny>> {
    let body = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        let world = WORLD.with_borrow(Clone::clone).expect("a program runs");
        world.interpret(arguments.py(), number)
    };
    Ok(PyCFunction::new_closure(py, None, None, body)?.into_any().unbind())
}

/// The notes of a program.
///
/// # Panics
///
/// If this thread does not hold Python, or something fails that never should.
pub(super) fn run(program: &Program) -> Vec<Note> {
    Python::attach(|py| {
        let world = Rc::new(World::new(py, program).expect("there are tasklets"));
        WORLD.set(Some(Rc::clone(&world)));
        world.interpret(py, 0).expect("main catches everything");
        WORLD.set(None);
        world.notes.take()
    })
}

impl World {
    fn new(py: Python<'_>, program: &Program) -> PyResult<Self> {
        let module = py.import("raddle.stackless")?;
        let count = program.scripts.len();
        let functions =
            (0..count).map(|number| function(py, number)).collect::<PyResult<Vec<_>>>()?;
        let main = module.getattr("main")?;
        main.setattr("block_trap", false)?;
        main.call_method1("set_atomic", (false,))?;
        let make = |number: usize| -> PyResult<Py<PyAny>> {
            Ok(match number {
                0 => main.clone(),
                _ => module.getattr("tasklet")?.call1((&functions[number],))?,
            }
            .unbind())
        };
        let channel = |_| module.call_method0("channel").map(Bound::unbind);
        Ok(Self {
            exit: module.getattr("TaskletExit")?.unbind(),
            tasks: (0..count).map(make).collect::<PyResult<_>>()?,
            channels: (0..CHANNELS).map(channel).collect::<PyResult<_>>()?,
            functions,
            program: program.clone(),
            next: vec![Cell::new(0); count],
            notes: RefCell::default(),
            module: module.unbind(),
        })
    }

    fn interpret(&self, py: Python<'_>, me: usize) -> PyResult<()> {
        loop {
            let place = self.next[me].get();
            let script = self.program.scripts[me].get(place).copied();
            let end = || if me == 0 { self.end_step(py) } else { Ok(None) };
            let Some(step) = script.map_or_else(end, |step| Ok(Some(step)))? else { return Ok(()) };
            self.next[me].set(place + 1);
            let result = self.perform(py, step);
            let (given, error) = match result {
                Ok(value) => (self.given(&value)?, None),
                Err(error) if error.is_instance_of::<PyStopIteration>(py) => (Given::End, None),
                Err(error) => (Given::Raised(self.raised(py, &error)?), Some(error)),
            };
            let ends = matches!(given, Given::Raised(Raised::Exit | Raised::Value(_)));
            let note = self.note(py, me, step, given)?;
            self.notes.borrow_mut().push(note);
            if let Some(error) = error.filter(|_| ends && me != 0 && !self.program.stubborn[me]) {
                return Err(error);
            }
        }
    }

    fn end_step(&self, py: Python<'_>) -> PyResult<Option<Step>> {
        let trap: i64 = self.module.bind(py).call_method1("switch_trap", (0,))?.extract()?;
        Ok(end_step(trap, self.bits(py, "alive")?))
    }

    fn perform<'py>(&self, py: Python<'py>, step: Step) -> PyResult<Bound<'py, PyAny>> {
        let module = self.module.bind(py);
        let task = |number: usize| self.tasks[number].bind(py);
        let channel = |number: usize| self.channels[number].bind(py);
        let set = |object: &Bound<'py, PyAny>, name: &str, value: Bound<'py, PyAny>| {
            object.setattr(name, value).map(|()| py.None().into_bound(py))
        };
        let flag = |flag: bool| PyBool::new(py, flag).to_owned().into_any();
        let error = py.get_type::<PyValueError>();
        match step {
            Step::Bind(number) => task(number).call_method1("bind", (&self.functions[number],)),
            Step::Setup(number) => task(number).call_method0("setup"),
            Step::Insert(number) => task(number).call_method0("insert"),
            Step::Remove(number) => task(number).call_method0("remove"),
            Step::Run(number) => task(number).call_method0("run"),
            Step::Switch(number) => task(number).call_method0("switch"),
            Step::Kill(number, later) => task(number).call_method1("kill", (later,)),
            Step::Throw(number, value, later) => {
                task(number).call_method1("throw", (error, value, py.None(), later))
            }
            Step::BlockTrap(number, trap) => set(task(number), "block_trap", flag(trap)),
            Step::Atomic(number, atomic) => task(number).call_method1("set_atomic", (atomic,)),
            Step::Schedule(None) => module.call_method0("schedule"),
            Step::Schedule(Some(value)) => module.call_method1("schedule", (value,)),
            Step::ScheduleRemove => module.call_method0("schedule_remove"),
            Step::RunAll => module.call_method0("run"),
            Step::SwitchTrap(change) => module.call_method1("switch_trap", (change,)),
            Step::Send(number, value) => channel(number).call_method1("send", (value,)),
            Step::SendException(number, value) => {
                channel(number).call_method1("send_exception", (error, value))
            }
            Step::Receive(number) => channel(number).call_method0("receive"),
            Step::Next(number) => channel(number).call_method0("__next__"),
            Step::Close(number) => channel(number).call_method0("close"),
            Step::Open(number) => channel(number).call_method0("open"),
            Step::Clear(number) => channel(number).call_method0("clear"),
            Step::Preference(number, value) => {
                set(channel(number), "preference", value.into_pyobject(py)?.into_any())
            }
            Step::ScheduleAll(number, all) => set(channel(number), "schedule_all", flag(all)),
        }
    }

    /// Which tasklet an object is.
    fn number(&self, object: &Bound<'_, PyAny>) -> Option<usize> {
        self.tasks.iter().position(|task| task.bind(object.py()).is(object))
    }

    fn given(&self, value: &Bound<'_, PyAny>) -> PyResult<Given> {
        Ok(if value.is_none() {
            Given::Nothing
        } else if let Some(number) = self.number(value) {
            Given::Tasklet(number)
        } else if let Ok(flag) = value.cast::<PyBool>() {
            Given::Flag(flag.is_true())
        } else {
            Given::Number(value.extract()?)
        })
    }

    fn raised(&self, py: Python<'_>, error: &PyErr) -> PyResult<Raised> {
        let value = error.value(py);
        if value.is_instance(self.exit.bind(py))? {
            return Ok(Raised::Exit);
        }
        let first = value.getattr("args")?.get_item(0)?;
        Ok(match first.extract() {
            Ok(number) => Raised::Value(number),
            Err(_) => Raised::Refused(first.extract()?),
        })
    }

    fn bits(&self, py: Python<'_>, name: &str) -> PyResult<u8> {
        let mut bits = 0;
        for (number, task) in self.tasks.iter().enumerate() {
            bits |= u8::from(task.bind(py).getattr(name)?.is_truthy()?) << number;
        }
        Ok(bits)
    }

    fn note(&self, py: Python<'_>, who: usize, step: Step, given: Given) -> PyResult<Note> {
        let current = self.module.bind(py).call_method0("getcurrent")?;
        let mut queue = Vec::new();
        let mut task = current.clone();
        loop {
            queue.push(self.number(&task).expect("a tasklet of the program"));
            task = task.getattr("next")?;
            if task.is(&current) || queue.len() > self.tasks.len() {
                break;
            }
        }
        let mut channels = Vec::new();
        for channel in &self.channels {
            let channel = channel.bind(py);
            let first = self.number(&channel.getattr("queue")?);
            channels.push((channel.getattr("balance")?.extract()?, first));
        }
        let states = [self.bits(py, "alive")?, self.bits(py, "blocked")?, self.bits(py, "paused")?];
        Ok(Note { who, step, given, queue, channels, states })
    }
}
