//! Channels of a type: tasklets meet on them as on Stackless's, and threads without Python have ends of
//! their own.
#![forbid(unsafe_code)]

use core::fmt;
use std::sync::Arc;

use pyo3::Python;

use super::fault::Fault;
use super::meeting::Meeting;
use super::native::{Receiver, Sender};
use super::parcel;
use super::raw::{self, ChannelQuestion};

/// How many values threads may leave on a channel without waiting, if its capacity is not larger.
pub const BACKLOG: usize = 1024;

/// Who goes on when two tasklets of one thread have met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Preference {
    /// The one who receives.
    #[default]
    Receiver,
    /// The one who came.
    Neither,
    /// The one who sends.
    Sender,
}

/// What was sent, or not, by a tasklet that goes on with a [`Fault`].
pub struct SendError<T> {
    /// Why.
    pub why: Fault,
    /// The value, unless somebody has it.
    pub value: Option<T>,
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.why, f)
    }
}

impl<T> core::error::Error for SendError<T> {}

impl<T> From<SendError<T>> for Fault {
    fn from(error: SendError<T>) -> Self {
        error.why
    }
}

/// A channel for values of one type: a tasklet that sends waits for one that receives, and the other way
/// round. Clones are the same channel.
///
/// Those who wait are served in the order in which they came. Threads without Python use its [`Sender`] and
/// its [`Receiver`]. For objects that Python tasklets send and receive too, use a channel of Python's, by
/// its methods.
///
/// # Examples
///
/// ```
/// # let runtime = raddle::Runtime::start(&raddle::Options::new())?;
/// use raddle::tasklet::{self, Channel, JoinError};
///
/// let sum = raddle::enter(|py| {
///     let numbers = Channel::<u32>::new(py)?;
///     let receiving = numbers.clone();
///     let sum = tasklet::spawn(py, move |py| {
///         receiving.iter(py).take(4).sum::<Result<u32, _>>()
///     })?;
///     for number in 1..=4 {
///         numbers.send(py, number).map_err(tasklet::Fault::from)?;
///     }
///     sum.join(py)
/// })??;
/// assert_eq!(sum?, 10);
/// # runtime.stop(None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Channel<T>(Arc<Meeting<T>>);

impl<T: Send + 'static> Channel<T> {
    /// A channel without a buffer: who sends waits.
    ///
    /// # Errors
    ///
    /// If tasklets cannot be used here: in a subinterpreter, or while Python ends.
    pub fn new(py: Python<'_>) -> Result<Self, Fault> {
        Self::buffered(py, 0)
    }

    /// A channel on which tasklets may leave so many values without waiting.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn buffered(py: Python<'_>, capacity: usize) -> Result<Self, Fault> {
        Meeting::new(py, parcel::anywhere, capacity).map(Self)
    }

    /// An end for a thread without Python. Any thread.
    #[must_use]
    pub fn sender(&self) -> Sender<T> {
        Sender::new(Arc::clone(&self.0))
    }

    /// An end for a thread without Python. Any thread.
    #[must_use]
    pub fn receiver(&self) -> Receiver<T> {
        Receiver::new(Arc::clone(&self.0))
    }
}

impl<T: 'static> Channel<T> {
    /// [`new`](Self::new), for values that stay on this thread.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn new_local(py: Python<'_>) -> Result<Self, Fault> {
        Self::buffered_local(py, 0)
    }

    /// [`buffered`](Self::buffered), for values that stay on this thread.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn buffered_local(py: Python<'_>, capacity: usize) -> Result<Self, Fault> {
        Meeting::new(py, parcel::here, capacity).map(Self)
    }

    /// Sends, waiting for one who receives.
    ///
    /// # Errors
    ///
    /// A [`Fault`], with the value unless it is somebody's already:
    /// [`Closed`](Fault::Closed), [`WouldDeadlock`](Fault::WouldDeadlock), [`Trapped`](Fault::Trapped),
    /// [`Killed`](Fault::Killed), [`LetGo`](Fault::LetGo) or what was raised in this tasklet.
    pub fn send(&self, py: Python<'_>, value: T) -> Result<(), SendError<T>> {
        self.0.send(py, value).map_err(|(why, value)| SendError { why, value })
    }

    /// Receives, waiting for one who sends. What threads have sent comes first.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn receive(&self, py: Python<'_>) -> Result<T, Fault> {
        self.0.receive(py)
    }

    /// Receives, if nobody has to be waited for.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive), since the one who sends may go on first.
    pub fn try_receive(&self, py: Python<'_>) -> Result<Option<T>, Fault> {
        if self.0.has_value(py) { self.0.receive(py).map(Some) } else { Ok(None) }
    }

    /// The values that come, until the channel is closed and empty. Another fault is the last item.
    pub fn iter<'a>(
        &'a self,
        py: Python<'a>,
    ) -> impl Iterator<Item = Result<T, Fault>> + use<'a, T> {
        let mut ended = false;
        core::iter::from_fn(move || {
            if ended {
                return None;
            }
            let item = self.0.receive(py);
            ended = item.is_err();
            if matches!(item, Err(Fault::Closed)) { None } else { Some(item) }
        })
    }

    /// Lets nobody wait any more. Who waits already stays, and is served by whoever comes; nobody else is
    /// told, so close a channel before its last value, or [`clear`](Self::clear) it afterwards.
    pub fn close(&self, py: Python<'_>) {
        self.0.set_closed(py, true);
    }

    /// Undoes [`close`](Self::close).
    pub fn open(&self, py: Python<'_>) {
        self.0.set_closed(py, false);
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.inner().closed
    }

    /// How many values could be received without waiting; negative: how many tasklets wait for one.
    #[must_use]
    pub fn balance(&self, py: Python<'_>) -> isize {
        self.0.balance(py)
    }

    /// Sets who goes on when two have met.
    pub fn set_preference(&self, py: Python<'_>, preference: Preference) {
        let preference = match preference {
            Preference::Receiver => -1,
            Preference::Neither => 0,
            Preference::Sender => 1,
        };
        if let Ok(object) = self.0.object(py) {
            // It is a channel: nothing can fail; so below.
            let _set = raw::set_preference(object.as_ptr(), preference);
        }
    }

    /// Who goes on when two have met.
    #[must_use]
    pub fn preference(&self, py: Python<'_>) -> Preference {
        match self.ask(py, ChannelQuestion::Preference) {
            Some(0) => Preference::Neither,
            Some(1) => Preference::Sender,
            _ => Preference::Receiver,
        }
    }

    /// Sets whether the one who comes to a meeting lets all others run first.
    pub fn set_schedule_all(&self, py: Python<'_>, flag: bool) {
        if let Ok(object) = self.0.object(py) {
            let _set = raw::set_schedule_all(object.as_ptr(), flag);
        }
    }

    /// Lets tasklets that wait go on ([`Fault::LetGo`] for those who receive), and drops what threads sent.
    pub fn clear(&self, py: Python<'_>) {
        self.0.clear(py);
    }

    fn ask(&self, py: Python<'_>, question: ChannelQuestion) -> Option<i32> {
        let object = self.0.object(py).ok()?;
        raw::ask_channel(object.as_ptr(), question).ok()
    }
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
