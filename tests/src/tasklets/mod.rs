//! Random programs of tasklets and channels: what they may say, and how the real ones are compared with
//! the reference model.
//!
//! A program is a script for main and for each of the other tasklets. A script is a list of steps; who runs
//! executes its next one. After each step that returns, what it gave and the whole state (run queue,
//! channels, who is alive) are noted. The notes of the real ones and of the model have to be the same.
#![forbid(unsafe_code)]

mod real;
mod reference;

use core::fmt;
use std::time::SystemTime;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How many channels a program has.
pub const CHANNELS: usize = 2;

/// One step. Numbers below 8 are tasklets (0 is main) or channels, others are values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `tasklet.bind(function)`.
    Bind(usize),
    /// `tasklet.setup()`.
    Setup(usize),
    /// `tasklet.insert()`.
    Insert(usize),
    /// `tasklet.remove()`.
    Remove(usize),
    /// `tasklet.run()`.
    Run(usize),
    /// `tasklet.switch()`.
    Switch(usize),
    /// `tasklet.kill(pending=…)`.
    Kill(usize, bool),
    /// `tasklet.throw(ValueError, number, pending=…)`.
    Throw(usize, i64, bool),
    /// `tasklet.block_trap = …`.
    BlockTrap(usize, bool),
    /// `tasklet.set_atomic(…)`.
    Atomic(usize, bool),
    /// `schedule()`, or with a value.
    Schedule(Option<i64>),
    /// `schedule_remove()`.
    ScheduleRemove,
    /// `stackless.run()`.
    RunAll,
    /// `switch_trap(…)`: -1 or 1.
    SwitchTrap(i64),
    /// `channel.send(number)`.
    Send(usize, i64),
    /// `channel.send_exception(ValueError, number)`.
    SendException(usize, i64),
    /// `channel.receive()`.
    Receive(usize),
    /// `next(channel)`.
    Next(usize),
    /// `channel.close()`.
    Close(usize),
    /// `channel.open()`.
    Open(usize),
    /// `channel.clear()`.
    Clear(usize),
    /// `channel.preference = …`.
    Preference(usize, i64),
    /// `channel.schedule_all = …`.
    ScheduleAll(usize, bool),
}

/// A program: what each tasklet does, main first, and who goes on with its script when an exception is
/// raised in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// A script for each tasklet.
    pub scripts: Vec<Vec<Step>>,
    /// Who catches exceptions.
    pub stubborn: Vec<bool>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, script) in self.scripts.iter().enumerate() {
            let name = if number == 0 { "main".to_owned() } else { format!("t{number}") };
            let kind = if self.stubborn[number] { " (catches)" } else { "" };
            write!(f, "\n  {name}{kind}:")?;
            for step in script {
                write!(f, " {step:?};")?;
            }
        }
        Ok(())
    }
}

/// What a step gave, or raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// `None`.
    Nothing,
    /// A number.
    Number(i64),
    /// A tasklet.
    Tasklet(usize),
    /// `True` or `False`.
    Flag(bool),
    /// The end of a loop.
    End,
    /// An exception, and what it says.
    Raised(Raised),
}

/// An exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raised {
    /// `TaskletExit`.
    Exit,
    /// `ValueError` of a program.
    Value(i64),
    /// What raddle refuses, by what it says.
    Refused(String),
}

/// What is noted after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who executed it.
    pub who: usize,
    /// Which one.
    pub step: Step,
    /// What it gave.
    pub given: Given,
    /// The run queue, from the current one.
    pub queue: Vec<usize>,
    /// The balance of each channel, and who waits there longest.
    pub channels: Vec<(i64, Option<usize>)>,
    /// Who is alive, who is blocked, and who is paused: a bit each.
    pub states: [u8; 3],
}

/// What main does after its script: it ends whoever is alive, given a bit each.
fn end_step(switch_trap: i64, alive: u8) -> Option<Step> {
    if switch_trap != 0 {
        return Some(Step::SwitchTrap(-switch_trap));
    }
    (1..8).find(|task| alive >> task & 1 != 0).map(|first| Step::Kill(first, false))
}

fn step(tasklets: usize) -> impl Strategy<Value = Step> {
    let (task, other) = (move || 0..tasklets, move || 1..tasklets);
    let channel = || 0..CHANNELS;
    let flag = any::<bool>;
    let number = || 8_i64..100;
    prop_oneof![
        1 => other().prop_map(Step::Bind),
        6 => other().prop_map(Step::Setup),
        2 => task().prop_map(Step::Insert),
        2 => task().prop_map(Step::Remove),
        3 => task().prop_map(Step::Run),
        3 => task().prop_map(Step::Switch),
        2 => (task(), flag()).prop_map(|(task, later)| Step::Kill(task, later)),
        2 => (task(), number(), flag()).prop_map(|(task, value, later)| Step::Throw(task, value, later)),
        1 => (task(), flag()).prop_map(|(task, flag)| Step::BlockTrap(task, flag)),
        1 => (task(), flag()).prop_map(|(task, flag)| Step::Atomic(task, flag)),
        5 => proptest::option::of(number()).prop_map(Step::Schedule),
        1 => Just(Step::ScheduleRemove),
        3 => Just(Step::RunAll),
        1 => prop_oneof![Just(1), Just(-1)].prop_map(Step::SwitchTrap),
        6 => (channel(), number()).prop_map(|(channel, value)| Step::Send(channel, value)),
        2 => (channel(), number()).prop_map(|(channel, value)| Step::SendException(channel, value)),
        6 => channel().prop_map(Step::Receive),
        1 => channel().prop_map(Step::Next),
        1 => channel().prop_map(Step::Close),
        2 => channel().prop_map(Step::Open),
        1 => channel().prop_map(Step::Clear),
        2 => (channel(), -1_i64..=1).prop_map(|(channel, value)| Step::Preference(channel, value)),
        1 => (channel(), flag()).prop_map(|(channel, flag)| Step::ScheduleAll(channel, flag)),
    ]
}

/// Programs of two to six tasklets.
pub fn programs() -> impl Strategy<Value = Program> {
    (2_usize..=6).prop_flat_map(|tasklets| {
        let scripts = vec(vec(step(tasklets), 0..16), tasklets);
        let stubborn = vec(any::<bool>(), tasklets);
        (scripts, stubborn).prop_map(|(scripts, stubborn)| Program { scripts, stubborn })
    })
}

/// Runs random programs until so many steps have been executed; how many there were.
///
/// # Panics
///
/// With the shortest program that was found for which the real ones and the model differ.
#[must_use]
pub fn compare(steps: usize) -> usize {
    let executed = core::cell::Cell::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut seed = since.as_nanos();
    while executed.get() < steps {
        // A runner is for so many cases and no more. The cheap generator: in a debug build the other one
        // takes longer than the programs.
        let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
        let random = TestRng::from_seed(RngAlgorithm::XorShift, &seed.to_ne_bytes());
        let mut runner = TestRunner::new_with_rng(config, random);
        seed += 1;
        let result = runner.run(&programs(), |program| {
            let (seen, wanted) = (real::run(&program), reference::run(&program));
            executed.set(executed.get() + wanted.len());
            let differs = seen.iter().zip(&wanted).position(|(seen, wanted)| seen != wanted);
            if let Some(place) = differs.or((seen.len() != wanted.len()).then_some(seen.len().min(wanted.len()))) {
                let before = &wanted[place.saturating_sub(3)..place];
                let (seen, wanted) = (seen.get(place), wanted.get(place));
                return Err(TestCaseError::fail(format!(
                    "note {place} differs\n  before: {before:?}\n  real:   {seen:?}\n  model:  {wanted:?}"
                )));
            }
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    }
    executed.get()
}
