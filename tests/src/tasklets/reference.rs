//! The reference model: what Stackless 3.8 documents of tasklets and channels, on one thread, as plain data.
//!
//! Nothing switches here. A tasklet is how far it is in its script, and a step that suspends it is
//! remembered until it goes on.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use super::{CHANNELS, Given, Note, Program, Raised, Step, end_step};

/// What a tasklet goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Nothing,
    Number(i64),
    Tasklet(usize),
    Bomb(Raised),
}

#[derive(Clone, Debug)]
struct Task {
    /// It has a function that is not set up.
    bound: bool,
    /// It can run.
    alive: bool,
    begun: bool,
    /// Waits at a channel: which, and whether to send.
    blocked: Option<(usize, bool)>,
    value: Value,
    block_trap: bool,
    atomic: bool,
    /// The next step of its script.
    next: usize,
    /// The step that suspended it.
    suspended: Option<Step>,
}

#[derive(Clone, Debug)]
struct Channel {
    /// Who waits, longest first: all to send, or all to receive.
    waiting: VecDeque<usize>,
    closing: bool,
    preference: i64,
    schedule_all: bool,
}

#[derive(Clone, Debug)]
struct World {
    tasks: Vec<Task>,
    channels: Vec<Channel>,
    /// The run queue: the current one is first.
    queue: VecDeque<usize>,
    watchdogs: Vec<usize>,
    switch_trap: i64,
}

/// What became of a step.
enum Done {
    /// It returned.
    Gave(Given),
    /// Whoever is the current one now goes on.
    Switched,
}

use Done::{Gave, Switched};

fn refused(line: &str) -> Raised {
    Raised::Refused(line.to_owned())
}

const DEADLOCK: &str = "Deadlock: the last runnable tasklet cannot be blocked.";

/// The notes of a program.
pub(super) fn run(program: &Program) -> Vec<Note> {
    let task = |number| Task {
        bound: number > 0,
        alive: number == 0,
        begun: number == 0,
        blocked: None,
        value: Value::Nothing,
        block_trap: false,
        atomic: false,
        next: 0,
        suspended: None,
    };
    let channel =
        Channel { waiting: VecDeque::new(), closing: false, preference: -1, schedule_all: false };
    let mut world = World {
        tasks: (0..program.scripts.len()).map(task).collect(),
        channels: vec![channel; CHANNELS],
        queue: VecDeque::from([0]),
        watchdogs: Vec::new(),
        switch_trap: 0,
    };
    let mut notes = Vec::new();
    loop {
        let me = world.current();
        let mut noted = None;
        if !world.tasks[me].begun {
            world.tasks[me].begun = true;
            if let Value::Bomb(raised) = world.claim(me) {
                world.end(me, Some(raised));
                continue;
            }
        } else if let Some(step) = world.tasks[me].suspended.take() {
            noted = Some((step, world.go_on(me, step)));
        }
        let place = world.tasks[me].next;
        if noted.is_none() {
            let mut step = program.scripts[me].get(place).copied();
            if step.is_none() && me == 0 {
                step = end_step(world.switch_trap, world.bits(&|task| world.tasks[task].alive));
                if step.is_none() {
                    return notes;
                }
            }
            let Some(step) = step else {
                world.end(me, None);
                continue;
            };
            world.tasks[me].next += 1;
            let before = world.clone();
            match world.execute(me, step) {
                Ok(Gave(given)) => noted = Some((step, given)),
                Ok(Switched) => {
                    world.tasks[me].suspended = Some(step);
                    continue;
                }
                Err(raised) => {
                    // A refusal changes nothing.
                    world = before;
                    noted = Some((step, Given::Raised(raised)));
                }
            }
        }
        let Some((step, given)) = noted else { continue };
        notes.push(world.note(me, step, given.clone()));
        if let Given::Raised(raised @ (Raised::Exit | Raised::Value(_))) = given
            && !program.stubborn[me]
            && me != 0
        {
            world.end(me, Some(raised));
        }
    }
}

impl World {
    fn current(&self) -> usize {
        self.queue[0]
    }

    fn is_queued(&self, task: usize) -> bool {
        self.queue.contains(&task)
    }

    fn claim(&mut self, task: usize) -> Value {
        core::mem::replace(&mut self.tasks[task].value, Value::Nothing)
    }

    /// Makes a tasklet of the run queue the current one.
    fn rotate_to(&mut self, task: usize) {
        while self.queue[0] != task {
            self.queue.rotate_left(1);
        }
    }

    /// Takes a tasklet out of its channel.
    fn take_out(&mut self, task: usize) {
        if let Some((channel, _)) = self.tasks[task].blocked.take() {
            self.channels[channel].waiting.retain(|waiting| *waiting != task);
        }
    }

    /// Makes a tasklet runnable, at the end of the queue, wherever it is.
    fn make_runnable(&mut self, task: usize) {
        self.take_out(task);
        if !self.is_queued(task) {
            self.queue.push_back(task);
        }
    }

    /// Lets a tasklet run instead of `me`, which is where it wants to wait.
    fn switch(&mut self, me: usize, next: usize) -> Result<Done, Raised> {
        if self.switch_trap != 0 && me != next {
            return Err(refused("switch_trap"));
        }
        self.make_runnable(next);
        self.rotate_to(next);
        Ok(Switched)
    }

    /// Lets whoever is first in the queue run, or whoever watches, or nobody.
    fn switch_to_any(&mut self, me: usize) -> Result<Done, Raised> {
        if let Some(next) = self.queue.front().copied() {
            return self.switch(me, next);
        }
        let watchdog = self.watchdogs.last().copied().unwrap_or(0);
        if self.tasks[watchdog].blocked.is_none() {
            if let Value::Bomb(raised) = self.tasks[me].value.clone() {
                self.tasks[watchdog].value = Value::Bomb(raised);
            }
            return self.switch(me, watchdog);
        }
        self.tasks[me].value = Value::Bomb(refused(DEADLOCK));
        self.switch(me, me)
    }

    /// The current tasklet has ended.
    fn end(&mut self, me: usize, raised: Option<Raised>) {
        let mut raised = raised.filter(|raised| *raised != Raised::Exit);
        self.queue.pop_front();
        let task = &mut self.tasks[me];
        (task.alive, task.begun, task.bound) = (false, false, false);
        (task.value, task.suspended) = (Value::Nothing, None);
        let watchdog = self.watchdogs.last().copied().unwrap_or(0);
        if self.queue.is_empty() && raised.is_none() {
            raised = self.tasks[watchdog].blocked.map(|(_, sends)| {
                refused(if sends {
                    "the main tasklet is sending without a receiver available."
                } else {
                    "the main tasklet is receiving without a sender available."
                })
            });
        }
        let next = match raised {
            Some(raised) => {
                self.tasks[watchdog].value = Value::Bomb(raised);
                watchdog
            }
            None => self.queue.front().copied().unwrap_or(watchdog),
        };
        self.make_runnable(next);
        self.rotate_to(next);
    }

    /// Raises something in a tasklet.
    fn throw(
        &mut self,
        me: usize,
        task: usize,
        raised: Raised,
        later: bool,
    ) -> Result<Done, Raised> {
        if me == task {
            return Ok(Gave(Given::Raised(raised)));
        }
        if !self.tasks[task].alive {
            return if raised == Raised::Exit {
                Ok(Gave(Given::Nothing))
            } else {
                Err(refused("You cannot throw to a dead tasklet"))
            };
        }
        self.tasks[task].value = Value::Bomb(raised);
        if later {
            self.make_runnable(task);
            return Ok(Gave(Given::Nothing));
        }
        self.switch(me, task)
    }

    /// What `insert` refuses.
    fn may_insert(&self, task: usize) -> Result<(), Raised> {
        if self.tasks[task].blocked.is_some() {
            return Err(refused("You cannot run a blocked tasklet"));
        }
        if !self.is_queued(task) && !self.tasks[task].alive {
            return Err(refused("You cannot run an unbound(dead) tasklet"));
        }
        Ok(())
    }

    fn meet(&mut self, me: usize, channel: usize, sends: bool) -> Result<Done, Raised> {
        let target = self.channels[channel].waiting.front().copied();
        let target = target.filter(|task| self.tasks[*task].blocked != Some((channel, sends)));
        let Some(target) = target else {
            if self.tasks[me].block_trap {
                return Err(refused("this tasklet does not like to be blocked."));
            }
            if self.channels[channel].closing {
                return Err(refused("Send/receive operation on a closed channel"));
            }
            self.queue.pop_front();
            self.channels[channel].waiting.push_back(me);
            self.tasks[me].blocked = Some((channel, sends));
            return self.switch_to_any(me);
        };
        self.take_out(target);
        let (mine, theirs) = (self.claim(me), self.claim(target));
        (self.tasks[me].value, self.tasks[target].value) = (theirs, mine);
        let Channel { preference, schedule_all, .. } = self.channels[channel];
        if schedule_all {
            self.queue.push_back(target);
            let next = self.queue[1];
            self.switch(me, next)
        } else if preference == if sends { -1 } else { 1 } {
            self.queue.insert(1, target);
            self.switch(me, target)
        } else {
            self.queue.push_back(target);
            self.switch(me, me)
        }
    }

    fn execute(&mut self, me: usize, step: Step) -> Result<Done, Raised> {
        match step {
            Step::Bind(task) => {
                if task == me {
                    return Err(refused("can't (re)bind the current tasklet"));
                }
                if self.is_queued(task) || self.tasks[task].blocked.is_some() {
                    return Err(refused("tasklet is scheduled"));
                }
                if self.tasks[task].begun {
                    return Err(refused("tasklet has C state on its stack"));
                }
                (self.tasks[task].bound, self.tasks[task].alive) = (true, false);
                Ok(Gave(Given::Tasklet(task)))
            }
            Step::Setup(task) => {
                if self.tasks[task].alive {
                    return Err(refused("tasklet is alive"));
                }
                if !self.tasks[task].bound {
                    return Err(refused("the tasklet was not bound to a function"));
                }
                (self.tasks[task].bound, self.tasks[task].alive) = (false, true);
                self.queue.push_back(task);
                Ok(Gave(Given::Tasklet(task)))
            }
            Step::Insert(task) => {
                self.may_insert(task)?;
                self.make_runnable(task);
                Ok(Gave(Given::Tasklet(task)))
            }
            Step::Remove(task) => {
                if self.tasks[task].blocked.is_some() {
                    return Err(refused("You cannot remove a blocked tasklet."));
                }
                if task == me {
                    return Err(refused("The current tasklet cannot be removed."));
                }
                self.queue.retain(|queued| *queued != task);
                Ok(Gave(Given::Tasklet(task)))
            }
            Step::Run(task) => {
                self.may_insert(task)?;
                self.switch(me, task)
            }
            Step::Switch(task) => {
                self.may_insert(task)?;
                self.make_runnable(task);
                if task != me {
                    self.queue.pop_front();
                }
                self.switch(me, task)
            }
            Step::Kill(task, later) => self.throw(me, task, Raised::Exit, later),
            Step::Throw(task, number, later) => self.throw(me, task, Raised::Value(number), later),
            Step::BlockTrap(task, trap) => {
                self.tasks[task].block_trap = trap;
                Ok(Gave(Given::Nothing))
            }
            Step::Atomic(task, flag) => {
                let before = core::mem::replace(&mut self.tasks[task].atomic, flag);
                Ok(Gave(Given::Flag(before)))
            }
            Step::Schedule(value) => {
                self.tasks[me].value = value.map_or(Value::Tasklet(me), Value::Number);
                let next = self.queue[1 % self.queue.len()];
                self.switch(me, next)
            }
            Step::ScheduleRemove => {
                self.tasks[me].value = Value::Tasklet(me);
                self.queue.pop_front();
                self.switch_to_any(me)
            }
            Step::RunAll => {
                if self.switch_trap != 0 && self.queue.len() > 1 {
                    return Err(refused("switch_trap"));
                }
                self.watchdogs.push(me);
                self.queue.pop_front();
                self.switch_to_any(me)
            }
            Step::SwitchTrap(change) => {
                let before = self.switch_trap;
                self.switch_trap += change;
                Ok(Gave(Given::Number(before)))
            }
            Step::Send(channel, number) => {
                self.tasks[me].value = Value::Number(number);
                self.meet(me, channel, true)
            }
            Step::SendException(channel, number) => {
                self.tasks[me].value = Value::Bomb(Raised::Value(number));
                self.meet(me, channel, true)
            }
            Step::Receive(channel) => {
                self.tasks[me].value = Value::Nothing;
                self.meet(me, channel, false)
            }
            Step::Next(channel) => {
                let waits_to_send =
                    |task: &usize| matches!(self.tasks[*task].blocked, Some((_, true)));
                let any_sends = self.channels[channel].waiting.front().is_some_and(waits_to_send);
                if self.channels[channel].closing && !any_sends {
                    return Ok(Gave(Given::End));
                }
                self.tasks[me].value = Value::Nothing;
                self.meet(me, channel, false)
            }
            Step::Close(channel) | Step::Open(channel) => {
                self.channels[channel].closing = matches!(step, Step::Close(_));
                Ok(Gave(Given::Nothing))
            }
            Step::Clear(channel) => {
                for task in self.channels[channel].waiting.clone() {
                    self.tasks[task].value = Value::Nothing;
                    self.make_runnable(task);
                }
                Ok(Gave(Given::Nothing))
            }
            Step::Preference(channel, preference) => {
                self.channels[channel].preference = preference;
                Ok(Gave(Given::Nothing))
            }
            Step::ScheduleAll(channel, flag) => {
                self.channels[channel].schedule_all = flag;
                Ok(Gave(Given::Nothing))
            }
        }
    }

    /// A tasklet goes on after a step that suspended it: what that gave.
    fn go_on(&mut self, me: usize, step: Step) -> Given {
        if step == Step::RunAll && self.watchdogs.contains(&me) {
            while let Some(inner) = self.watchdogs.pop() {
                if !self.is_queued(inner) && self.tasks[inner].blocked.is_none() {
                    self.queue.push_back(inner);
                }
                if inner == me {
                    break;
                }
            }
        }
        match self.claim(me) {
            Value::Bomb(raised) => Given::Raised(raised),
            _ if step == Step::RunAll => Given::Nothing,
            Value::Nothing => Given::Nothing,
            Value::Number(number) => Given::Number(number),
            Value::Tasklet(task) => Given::Tasklet(task),
        }
    }

    fn bits(&self, is: &dyn Fn(usize) -> bool) -> u8 {
        (0..self.tasks.len()).fold(0, |bits, task| bits | u8::from(is(task)) << task)
    }

    fn note(&self, who: usize, step: Step, given: Given) -> Note {
        let channel = |channel: &Channel| {
            let first = channel.waiting.front().copied();
            let sends =
                first.is_some_and(|task| matches!(self.tasks[task].blocked, Some((_, true))));
            let count = i64::try_from(channel.waiting.len()).unwrap_or(0);
            (if sends { count } else { -count }, first)
        };
        Note {
            who,
            step,
            given,
            queue: self.queue.iter().copied().collect(),
            channels: self.channels.iter().map(channel).collect(),
            states: [
                self.bits(&|task| self.tasks[task].alive),
                self.bits(&|task| self.tasks[task].blocked.is_some()),
                self.bits(&|task| {
                    let Task { alive, blocked, .. } = &self.tasks[task];
                    *alive && blocked.is_none() && !self.is_queued(task)
                }),
            ],
        }
    }
}
