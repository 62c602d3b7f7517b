//! Who runs a queue's completions: an asyncio loop that watches its descriptor, a main loop of the
//! host's, or whoever calls `drain`.
#![forbid(unsafe_code)]

use core::fmt;

use pyo3::Python;
use pyo3_ffi::PyObject;

use super::python::{self, Distant};
use super::queue::{Completions, Why};
use crate::error::{Error, Status};
use crate::gate::Raised;
use crate::object::{Kind, Object, Pending};
use crate::primitive::lock;

/// Has a source let go of a queue.
type LetGo = Box<dyn FnOnce() + Send>;

/// Who owns a queue. In a forked child nobody does.
#[derive(Default)]
pub(super) enum Owner {
    /// Whoever drains it by hand.
    #[default]
    Nobody,
    /// A source on a main loop, and how it is told to let go.
    Source(u64, LetGo),
    /// An asyncio loop.
    Loop(Distant),
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Source(..) => "Source",
            Self::Loop(_) => "Loop",
        })
    }
}

const TAKEN: &str = "somebody runs this queue of completions already: detach it there first";

impl Completions {
    /// Makes a source on a main loop the owner, other than asyncio's: one that polls [`fd`](Self::fd), and
    /// [drains](Self::drain) when that is readable. `source` is its own number, and `let_go` destroys it:
    /// called when the queue is closed or [taken from it](Self::take_from_source), on any thread.
    ///
    /// # Errors
    ///
    /// [`Status::WrongOrder`] if the queue has an owner, [`Status::Stopped`] if it is closed.
    pub fn give_to_source(
        &self,
        source: u64,
        let_go: impl FnOnce() + Send + 'static,
    ) -> Result<(), Error> {
        let mut owner = lock(&self.0.state().owner);
        // Asked under the lock: whoever closes it looks for the owner afterwards.
        if self.is_closed() {
            return Err(Why::Closed.into());
        }
        if !matches!(*owner, Owner::Nobody) {
            return Err(Error::new(Status::WrongOrder, TAKEN));
        }
        *owner = Owner::Source(source, Box::new(let_go));
        Ok(())
    }

    /// Has the source that owns the queue let go of it. Whether one did.
    pub fn take_from_source(&self) -> bool {
        let mut owner = lock(&self.0.state().owner);
        if !matches!(*owner, Owner::Source(..)) {
            return false;
        }
        let was = core::mem::take(&mut *owner);
        drop(owner);
        if let Owner::Source(_, let_go) = was {
            let_go();
        }
        true
    }

    /// The source of number `source` is no more.
    pub fn source_has_gone(&self, source: u64) {
        let mut owner = lock(&self.0.state().owner);
        let is_it = matches!(*owner, Owner::Source(number, _) if number == source);
        let was = if is_it { core::mem::take(&mut *owner) } else { Owner::Nobody };
        drop(owner);
        drop(was);
    }

    /// Has `asyncio` watch the descriptor, and call `callback(asyncio)` when it is readable.
    pub(super) fn attach_loop(
        &self,
        py: Python<'_>,
        asyncio: &Object<'_>,
        callback: &Object<'_>,
    ) -> Result<(), Pending> {
        if self.is_closed() {
            return Err(python::raise(py, Why::Closed));
        }
        self.forget_dead_loop(py)?;
        let state = self.0.state();
        let distant = Distant::new(py, asyncio)?;
        let mut owner = lock(&state.owner);
        if !matches!(*owner, Owner::Nobody) {
            drop(owner);
            return Err(Pending::new(py, Kind::Runtime, TAKEN));
        }
        *owner = Owner::Loop(distant);
        drop(owner);
        let added = self.fd_object(py).and_then(|fd| {
            let arguments = [fd.as_ptr(), callback.as_ptr(), asyncio.as_ptr()];
            python::call_method(py, asyncio.as_ptr(), c"add_reader", &arguments)
        });
        if added.is_err() {
            let owner = core::mem::take(&mut *lock(&state.owner));
            drop(owner);
        }
        added.map(drop)
    }

    /// A loop that is closed, or gone, owns nothing.
    fn forget_dead_loop(&self, py: Python<'_>) -> Result<(), Pending> {
        let found = match &*lock(&self.0.state().owner) {
            Owner::Loop(distant) => distant.clone(),
            _ => return Ok(()),
        };
        if let Some(asyncio) = found.get(py)
            && !python::asks(py, asyncio.as_ptr(), c"is_closed")?
        {
            return Ok(());
        }
        let mut owner = lock(&self.0.state().owner);
        let is_it = matches!(&*owner, Owner::Loop(distant) if distant.is(&found));
        let was = if is_it { core::mem::take(&mut *owner) } else { Owner::Nobody };
        drop(owner);
        drop(was);
        Ok(())
    }

    /// Has the asyncio loop that owns the queue watch it no more. Whether one did.
    pub(super) fn detach_loop(&self, py: Python<'_>) -> Result<bool, Pending> {
        let state = self.0.state();
        let mut owner = lock(&state.owner);
        if !matches!(*owner, Owner::Loop(_)) {
            return Ok(false);
        }
        let was = core::mem::take(&mut *owner);
        drop(owner);
        let Owner::Loop(asyncio) = was else { return Ok(false) };
        let Some(asyncio) = asyncio.get(py) else { return Ok(true) };
        let asyncio = asyncio.as_ptr();
        if python::asks(py, asyncio, c"is_closed")? {
            return Ok(true); // It has let go of all its descriptors.
        }
        let fd = self.fd_object(py)?;
        if runs_elsewhere(py, asyncio)? {
            let remove = python::attribute(py, asyncio, c"remove_reader")?;
            let arguments = [remove.as_ptr(), fd.as_ptr()];
            python::call_method(py, asyncio, c"call_soon_threadsafe", &arguments)?;
        } else {
            python::call_method(py, asyncio, c"remove_reader", &[fd.as_ptr()])?;
        }
        Ok(true)
    }

    /// The loop that owns the queue, if one does.
    pub(super) fn asyncio<'py>(&self, py: Python<'py>) -> Option<Object<'py>> {
        let owner = lock(&self.0.state().owner);
        let Owner::Loop(distant) = &*owner else { return None };
        let distant = distant.clone();
        drop(owner);
        distant.get(py)
    }

    fn fd_object<'py>(&self, py: Python<'py>) -> Result<Object<'py>, Pending> {
        python::integer(py, self.fd().into())
    }
}

/// Whether the loop runs, on another thread than this one.
fn runs_elsewhere(py: Python<'_>, asyncio: *mut PyObject) -> Result<bool, Pending> {
    if !python::asks(py, asyncio, c"is_running")? {
        return Ok(false);
    }
    match python::running_loop(py) {
        Ok(here) => Ok(here.as_ptr() != asyncio),
        Err(pending) => {
            // No loop runs on this thread.
            let _told = (pending, Raised::take(py));
            Ok(true)
        }
    }
}
