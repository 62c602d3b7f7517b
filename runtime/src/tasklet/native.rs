//! The ends of a typed channel for threads that have no Python, and do not wait for it.
#![forbid(unsafe_code)]

use core::fmt;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::bell::{Bell, Letter};
use super::meeting::{Inner, Meeting};
use crate::gate::{self, control};
use crate::primitive::{Condvar, MutexGuard};
use crate::relay::{PushError, WaitError, live};

/// Sends to tasklets, from any thread, with Python or without. Clones are the same end.
///
/// While there is one, a tasklet that waits for a value is no deadlock.
///
/// # Examples
///
/// ```
/// # let runtime = raddle::Runtime::start(&raddle::Options::new())?;
/// use raddle::tasklet::{Channel, Fault};
///
/// let seen = raddle::enter(|py| {
///     let samples = Channel::<u64>::new(py)?;
///     let sender = samples.sender();
///     let sampler = std::thread::spawn(move || {
///         for sample in 0..3 {
///             sender.send(sample).unwrap(); // Waits for nobody, unless 1024 values are behind.
///         }
///     });
///     let seen = [samples.receive(py)?, samples.receive(py)?, samples.receive(py)?];
///     sampler.join().unwrap();
///     Ok::<_, Fault>(seen)
/// })??;
/// assert_eq!(seen, [0, 1, 2]);
/// # runtime.stop(None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sender<T: Send + 'static>(Arc<Meeting<T>>);

/// Receives from tasklets, and from other threads, on any thread. Clones are the same end.
///
/// While there is one, a tasklet that waits to send is no deadlock. It waits as threads do: on a thread
/// that runs tasklets, use the [`Channel`](super::Channel).
pub struct Receiver<T: Send + 'static>(Arc<Meeting<T>>);

/// Has the threads of waiting tasklets look at a channel.
fn tell<T: Send + 'static>(meeting: &Arc<Meeting<T>>, bells: Vec<Arc<Bell>>) {
    for bell in bells {
        let letter: Arc<dyn Letter> = Arc::clone(meeting) as Arc<dyn Letter>;
        bell.post(letter);
    }
}

/// An end was made.
fn join<T: Send + 'static>(meeting: &Arc<Meeting<T>>, count: impl FnOnce(&mut Inner<T>)) {
    let mut inner = meeting.inner();
    count(&mut inner);
    let _one_more = inner.look();
    let is_listed = core::mem::replace(&mut inner.is_listed, true);
    drop(inner);
    if !is_listed {
        live::add(meeting);
    }
}

/// An end has gone: whoever waits looks whether it waits for nobody now.
fn part<T: Send + 'static>(meeting: &Arc<Meeting<T>>, count: impl FnOnce(&mut Inner<T>)) {
    let mut inner = meeting.inner();
    count(&mut inner);
    let bells = if inner.look() { inner.bells() } else { Vec::new() };
    drop(inner);
    for bell in bells {
        bell.ring();
    }
}

/// Waits for a change, without Python.
fn wait<'a, T>(
    changed: &Condvar,
    inner: MutexGuard<'a, Inner<T>>,
    deadline: Option<Instant>,
) -> MutexGuard<'a, Inner<T>> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let left = left.unwrap_or(Duration::from_secs(3600));
    changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0
}

/// Runs `body` without Python.
fn released<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    if gate::is_held() { gate::release(body) } else { body() }
}

impl<T: Send + 'static> Sender<T> {
    pub(super) fn new(meeting: Arc<Meeting<T>>) -> Self {
        join(&meeting, |inner| inner.senders += 1);
        Self(meeting)
    }

    /// Sends. Never waits.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](WaitError::TimedOut) if there is no room, [`Stopped`](WaitError::Stopped) if the
    /// channel is closed or Python ends; with the value.
    pub fn try_send(&self, value: T) -> Result<(), PushError<T>> {
        let inner = self.0.inner();
        let why = if self.0.is_over(&inner) {
            WaitError::Stopped
        } else if inner.queue.len() >= self.0.bound() {
            WaitError::TimedOut
        } else {
            self.put(inner, value);
            return Ok(());
        };
        drop(inner);
        refused(why, value)
    }

    /// Sends. Waits for room, without Python.
    ///
    /// # Errors
    ///
    /// [`Stopped`](WaitError::Stopped), with the value.
    pub fn send(&self, value: T) -> Result<(), PushError<T>> {
        self.send_until(value, None)
    }

    /// Sends. Waits for room, without Python, at most `timeout` long.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn send_within(&self, value: T, timeout: Duration) -> Result<(), PushError<T>> {
        self.send_until(value, control::deadline(Some(timeout)))
    }

    fn send_until(&self, value: T, deadline: Option<Instant>) -> Result<(), PushError<T>> {
        match self.try_send(value) {
            Err(PushError { why: WaitError::TimedOut, value }) => {
                released(|| self.wait_and_send(value, deadline))
            }
            done => done,
        }
    }

    fn wait_and_send(&self, value: T, deadline: Option<Instant>) -> Result<(), PushError<T>> {
        let mut inner = self.0.inner();
        let why = loop {
            if self.0.is_over(&inner) {
                break WaitError::Stopped;
            }
            if inner.queue.len() < self.0.bound() {
                self.put(inner, value);
                return Ok(());
            }
            if control::is_past(deadline) {
                break WaitError::TimedOut;
            }
            inner = wait(&self.0.room, inner, deadline);
        };
        drop(inner);
        refused(why, value)
    }

    fn put(&self, mut inner: MutexGuard<'_, Inner<T>>, value: T) {
        inner.queue.push_back(value);
        let bells = if inner.is_missed() { inner.bells() } else { Vec::new() };
        drop(inner);
        self.0.filled.notify_one();
        tell(&self.0, bells);
    }

    /// Whether a tasklet waits for a value.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.0.inner().is_awaited()
    }

    /// Whether the channel is closed, or Python has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_over(&self.0.inner())
    }
}

fn refused<T>(why: WaitError, value: T) -> Result<(), PushError<T>> {
    Err(PushError { why, value })
}

impl<T: Send + 'static> Receiver<T> {
    pub(super) fn new(meeting: Arc<Meeting<T>>) -> Self {
        join(&meeting, |inner| inner.receivers += 1);
        Self(meeting)
    }

    /// Receives what threads have sent, or tasklets have left. Never waits, so a tasklet that waits to
    /// send is only asked: what it sends comes to the next call.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](WaitError::TimedOut) if there is nothing, [`Stopped`](WaitError::Stopped) if there is
    /// nothing and the channel is closed or Python ends.
    pub fn try_receive(&self) -> Result<T, WaitError> {
        self.receive_until(control::deadline(Some(Duration::ZERO)))
    }

    /// Receives. Waits without Python.
    ///
    /// # Errors
    ///
    /// [`Stopped`](WaitError::Stopped) if there is nothing left and the channel is closed or Python ends.
    pub fn receive(&self) -> Result<T, WaitError> {
        released(|| self.receive_until(None))
    }

    /// Receives. Waits without Python, at most `timeout` long.
    ///
    /// # Errors
    ///
    /// As [`try_receive`](Self::try_receive).
    pub fn receive_within(&self, timeout: Duration) -> Result<T, WaitError> {
        let deadline = control::deadline(Some(timeout));
        released(|| self.receive_until(deadline))
    }

    fn receive_until(&self, deadline: Option<Instant>) -> Result<T, WaitError> {
        let mut inner = self.0.inner();
        inner.wanted += 1;
        let mut asked = false;
        let result = loop {
            if let Some(value) = inner.queue.pop_front() {
                break Ok(value);
            }
            if self.0.has_ended(&inner) || inner.closed && inner.sending == 0 {
                break Err(WaitError::Stopped);
            }
            if inner.sending > 0 && !asked {
                // The threads of those who wait hand over what they send.
                asked = true;
                let bells = inner.bells();
                drop(inner);
                tell(&self.0, bells);
                inner = self.0.inner();
                continue;
            }
            if control::is_past(deadline) {
                break Err(WaitError::TimedOut);
            }
            inner = wait(&self.0.filled, inner, deadline);
        };
        inner.wanted -= 1;
        // Those who wait for room, or for what a thread wanted that has gone.
        let is_missed = result.is_ok() && inner.sending > 0 || inner.is_missed();
        let bells = if is_missed { inner.bells() } else { Vec::new() };
        drop(inner);
        self.0.room.notify_one();
        tell(&self.0, bells);
        result
    }

    /// Whether the channel is closed, or Python has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_over(&self.0.inner())
    }
}

impl<T: Send + 'static> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Drop for Sender<T> {
    fn drop(&mut self) {
        part(&self.0, |inner| inner.senders -= 1);
    }
}

impl<T: Send + 'static> Drop for Receiver<T> {
    fn drop(&mut self) {
        part(&self.0, |inner| inner.receivers -= 1);
    }
}

impl<T: Send + 'static> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Send + 'static> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
