//! A GMainContext as the owner of a queue of completions: a source on the queue's descriptor.
#![forbid(unsafe_code)]

use glib::{ControlFlow, IOCondition, MainContext, Priority, Source};
use raddle::primitive::{AtomicU64, Ordering};
use raddle::relay::completion::{Budget, Completions, DrainError};
use raddle::{Error, Raised, Status, gate};

use crate::callable::Visit;
use crate::{gsource, main_loop, wakeup};

/// Has `context` run what is posted to `queue`, in batches at `priority`, on whichever thread iterates it.
///
/// What is raised goes to `sys.unraisablehook`, and the others still run; but KeyboardInterrupt and
/// SystemExit end the innermost [`run`](crate::run) of the thread, if there is one, and what is left
/// waits for the next turn. The source goes when the queue is closed, or by [`detach_completions`].
///
/// # Errors
///
/// What [`raddle::enter`] says if the gate is closed; [`Status::WrongOrder`] if the queue has an owner,
/// [`Status::Stopped`] if it is closed.
pub fn attach_completions(
    context: &MainContext,
    priority: Priority,
    queue: &Completions,
) -> Result<(), Error> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    if let Some(closed) = gate::refusal() {
        return Err(closed.into());
    }
    // Relaxed: a number that is nobody else's.
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let owned = Owned { queue: queue.clone(), number };
    let ready = Box::new(move |_, _| owned.drain());
    let name = c"raddle-completions";
    let source = gsource::fd_source(queue.fd(), IOCondition::IN, priority, name, ready);
    let destroyed = source.clone();
    queue.give_to_source(number, move || Source::destroy(&destroyed))?;
    source.attach(Some(context));
    Ok(())
}

/// Takes `queue` from its context. What was posted stays in it.
///
/// # Errors
///
/// [`Status::WrongOrder`] if no context has it.
pub fn detach_completions(queue: &Completions) -> Result<(), Error> {
    if queue.take_from_source() {
        return Ok(());
    }
    Err(Error::new(Status::WrongOrder, "no main context has this queue of completions"))
}

/// A queue that a source owns.
struct Owned {
    queue: Completions,
    number: u64,
}

impl Owned {
    fn drain(&self) -> ControlFlow {
        // A gate that is closed leaves nothing to be run here; the end of Python closes the queue.
        let Ok(visit) = Visit::of_dispatch() else { return ControlFlow::Break };
        let drained = visit.run(|py| self.queue.drain(py, Budget::default()));
        if let Err(DrainError::Raised(raised)) = drained {
            tell(&visit, raised, &self.queue);
        }
        wakeup::note_call();
        drop(visit);
        if self.queue.is_closed() { ControlFlow::Break } else { ControlFlow::Continue }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.queue.source_has_gone(self.number);
    }
}

fn tell(visit: &Visit, raised: Raised, queue: &Completions) {
    let py = visit.py();
    match queue.object(py) {
        Ok(about) => main_loop::raise(raised, &about),
        Err(_ending) => main_loop::raise(raised, &py.None().into_bound(py)),
    }
}
