//! A bounded queue of Rust values, for any number of producers and consumers, that can be stopped.
//!
//! The slots are crossbeam's `ArrayQueue`; everything that counts and waits is `flow`'s. A push or a
//! pop that need not wait makes no system call, unless somebody waits for it or polls.
//!
//! | call          | the ring is full or empty      | it is stopped                           |
//! |---------------|--------------------------------|-----------------------------------------|
//! | `try_push`    | gives the value back           | gives the value back                    |
//! | `push`        | waits                          | gives the value back, and wakes to do so|
//! | `push_within` | waits, then gives it back      | gives the value back, and wakes to do so|
//! | `try_pop`     | nothing                        | gives what is left, then says so        |
//! | `pop`, `iter` | waits                          | gives what is left, then says so        |
//! | `pop_within`  | waits, then nothing            | gives what is left, then says so        |

use core::fmt;
use core::hint::spin_loop;
use core::mem::ManuallyDrop;
use std::io;
use std::time::Duration;

use super::flow::Flow;
pub use super::flow::RingStats;
use super::wait::{Plain, Tag, Until, WaitError};
use crate::error::Error;
use crate::primitive::ArrayQueue;

/// A bounded queue between threads. Share it by reference or in an `Arc`; it needs no Python.
///
/// In the child of a fork it is stopped, and what is in it is leaked there: a push of another thread
/// may have been under way, which nobody will finish.
///
/// # Examples
///
/// ```
/// use raddle::relay::{Plain, Ring};
/// let ring = Ring::new(8)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         (0..100).for_each(|number| ring.push(number, Plain).expect("it is not stopped"));
///         ring.stop();
///     });
///     assert_eq!(ring.into_iter().sum::<i32>(), 4950);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Ring<T> {
    flow: Flow,
    slots: ManuallyDrop<ArrayQueue<T>>,
}

/// Why a push came to nothing, and the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PushError<T, I = core::convert::Infallible> {
    /// What was to be pushed.
    pub value: T,
    /// Why it was not.
    pub why: WaitError<I>,
}

impl<T, I: fmt::Debug> fmt::Debug for PushError<T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushError").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<T, I: fmt::Display> fmt::Display for PushError<T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            WaitError::TimedOut => f.write_str("the ring was full"),
            why => why.fmt(f),
        }
    }
}

impl<T, I: fmt::Debug + fmt::Display> core::error::Error for PushError<T, I> {}

impl<T> Ring<T> {
    /// A ring with room for so many, from 1 to 2^24, which is allocated at once.
    ///
    /// # Errors
    ///
    /// If the process may open no more descriptors, or `capacity` is out of range.
    pub fn new(capacity: u32) -> io::Result<Self> {
        let flow = Flow::new(capacity)?;
        let slots = ManuallyDrop::new(ArrayQueue::new(flow.capacity()));
        Ok(Self { flow, slots })
    }

    /// Adds a value if there is room. Never waits.
    ///
    /// # Errors
    ///
    /// The value, with [`WaitError::TimedOut`] if the ring is full and [`WaitError::Stopped`] if it
    /// is stopped.
    #[inline]
    pub fn try_push(&self, value: T) -> Result<(), PushError<T>> {
        match self.flow.try_push() {
            Ok(()) => {
                self.fill(value);
                Ok(())
            }
            Err(why) => Err(PushError { value, why }),
        }
    }

    /// Adds a value, waiting for room.
    ///
    /// # Errors
    ///
    /// The value, with [`WaitError::Stopped`], or [`WaitError::Interrupted`] as the tag says.
    #[inline]
    pub fn push<W: Tag>(&self, value: T, tag: W) -> Result<(), PushError<T, W::Interrupted>> {
        self.push_until(value, tag, Until::Ever)
    }

    /// [`push`](Self::push) that waits for so long at most, to the millisecond.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push), and with [`WaitError::TimedOut`].
    #[inline]
    pub fn push_within<W: Tag>(
        &self,
        value: T,
        tag: W,
        timeout: Duration,
    ) -> Result<(), PushError<T, W::Interrupted>> {
        self.push_until(value, tag, Until::In(timeout))
    }

    /// [`push`](Self::push) or [`push_within`](Self::push_within), as there is a timeout or none.
    ///
    /// # Errors
    ///
    /// As they.
    #[cfg(not(raddle_loom))]
    pub fn push_for<W: Tag>(
        &self,
        value: T,
        tag: W,
        timeout: Option<Duration>,
    ) -> Result<(), PushError<T, W::Interrupted>> {
        self.push_until(value, tag, Until::within(timeout))
    }

    #[inline]
    fn push_until<W: Tag>(
        &self,
        value: T,
        tag: W,
        until: Until,
    ) -> Result<(), PushError<T, W::Interrupted>> {
        match self.flow.push(tag, until) {
            Ok(()) => {
                self.fill(value);
                Ok(())
            }
            Err(why) => Err(PushError { value, why }),
        }
    }

    /// Puts a value into the place that this thread has taken.
    #[inline]
    fn fill(&self, mut value: T) {
        // There is room: places are given back only when their slots are empty.
        while let Err(back) = self.slots.push(value) {
            value = back;
            spin_loop();
        }
        self.flow.pushed();
    }

    /// Takes the oldest value out if there is one. Never waits.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`] if the ring is empty, [`WaitError::Stopped`] if it will stay so.
    #[inline]
    pub fn try_pop(&self) -> Result<T, WaitError> {
        self.flow.try_pop()?;
        Ok(self.empty())
    }

    /// Takes the oldest value out, waiting for one.
    ///
    /// # Errors
    ///
    /// [`WaitError::Stopped`] if it is stopped and nothing is left, [`WaitError::Interrupted`] as the
    /// tag says; no value is lost by that.
    #[inline]
    pub fn pop<W: Tag>(&self, tag: W) -> Result<T, WaitError<W::Interrupted>> {
        self.flow.pop(tag, Until::Ever)?;
        Ok(self.empty())
    }

    /// [`pop`](Self::pop) that waits for so long at most, to the millisecond.
    ///
    /// # Errors
    ///
    /// As [`pop`](Self::pop), and [`WaitError::TimedOut`].
    #[inline]
    pub fn pop_within<W: Tag>(
        &self,
        tag: W,
        timeout: Duration,
    ) -> Result<T, WaitError<W::Interrupted>> {
        self.flow.pop(tag, Until::In(timeout))?;
        Ok(self.empty())
    }

    /// [`pop`](Self::pop) or [`pop_within`](Self::pop_within), as there is a timeout or none.
    ///
    /// # Errors
    ///
    /// As they.
    #[cfg(not(raddle_loom))]
    pub fn pop_for<W: Tag>(
        &self,
        tag: W,
        timeout: Option<Duration>,
    ) -> Result<T, WaitError<W::Interrupted>> {
        self.flow.pop(tag, Until::within(timeout))?;
        Ok(self.empty())
    }

    /// Takes out the value that this thread has counted for itself.
    #[inline]
    fn empty(&self) -> T {
        let value = loop {
            // There is one: values are counted only when they are in their slots.
            if let Some(value) = self.slots.pop() {
                break value;
            }
            spin_loop();
        };
        self.flow.popped();
        value
    }

    /// The values, one after the other, waiting for each, until the ring is stopped and empty.
    pub fn iter<W: Tag>(&self, tag: W) -> Iter<'_, T, W> {
        Iter { ring: self, tag }
    }

    /// Refuses pushes from now on, and wakes everybody who waits. What is inside may still be popped.
    pub fn stop(&self) {
        self.flow.stop();
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.flow.is_stopped()
    }

    /// Counts one who will push.
    pub fn add_producer(&self) {
        self.flow.add_producer();
    }

    /// Counts one off who pushes no more. The last one to go stops the ring; says whether it did.
    ///
    /// # Errors
    ///
    /// [`Status::WrongOrder`](crate::Status::WrongOrder) if there is none.
    pub fn remove_producer(&self) -> Result<bool, Error> {
        self.flow.remove_producer()
    }

    /// How many have been added and not removed.
    #[must_use]
    pub fn producers(&self) -> u64 {
        self.flow.producers()
    }

    /// How many values are inside. May be out of date at once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flow.len()
    }

    /// Whether nothing is inside. May be out of date at once.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.flow.capacity()
    }

    /// What went through it.
    #[must_use]
    pub fn stats(&self) -> RingStats {
        self.flow.stats()
    }

    /// A descriptor that is readable while there may be a value, or none any more: to be polled, not
    /// read. Whoever polls it calls [`try_pop`](Self::try_pop), which makes it unreadable when it
    /// finds nothing.
    #[cfg(not(raddle_loom))]
    #[must_use]
    pub fn fd(&self) -> std::os::fd::RawFd {
        self.flow.fd()
    }

    /// The same for those who push: readable while there may be room, or the ring is stopped.
    #[cfg(not(raddle_loom))]
    #[must_use]
    pub fn room_fd(&self) -> std::os::fd::RawFd {
        self.flow.room_fd()
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        if self.flow.is_ours() {
            // SAFETY: dropped here only, and nobody sees the ring again.
            unsafe { ManuallyDrop::drop(&mut self.slots) };
        }
    }
}

impl<T> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("length", &self.len())
            .field("capacity", &self.capacity())
            .field("is_stopped", &self.is_stopped())
            .finish_non_exhaustive()
    }
}

/// The values of a ring. See [`Ring::iter`].
#[derive(Debug)]
pub struct Iter<'a, T, W> {
    ring: &'a Ring<T>,
    tag: W,
}

impl<T, W: Tag> Iterator for Iter<'_, T, W> {
    type Item = Result<T, W::Interrupted>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.ring.pop(self.tag) {
            Ok(value) => Some(Ok(value)),
            Err(WaitError::Interrupted(interrupted)) => Some(Err(interrupted)),
            Err(WaitError::Stopped | WaitError::TimedOut) => None,
        }
    }
}

/// The values of a ring for a thread that does not hold Python. See [`Ring::iter`].
#[derive(Debug)]
pub struct PlainIter<'a, T>(Iter<'a, T, Plain>);

impl<T> Iterator for PlainIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next().map(|Ok(value)| value)
    }
}

impl<'a, T> IntoIterator for &'a Ring<T> {
    type Item = T;
    type IntoIter = PlainIter<'a, T>;

    fn into_iter(self) -> PlainIter<'a, T> {
        PlainIter(self.iter(Plain))
    }
}

#[cfg(all(test, not(raddle_loom)))] // Single-threaded facts; tests/loom/ring.rs has the interleavings.
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::error::Status;

    #[test]
    fn what_went_in_first_comes_out_first() {
        let ring = Ring::new(3).unwrap();
        (0..3).for_each(|number| ring.try_push(number).unwrap());
        let full = ring.try_push(3);
        assert_eq!(full, Err(PushError { value: 3, why: WaitError::TimedOut }));
        assert_eq!((ring.len(), ring.pop(Plain), ring.len()), (3, Ok(0), 2));
        ring.push(3, Plain).unwrap();
        ring.stop();
        assert_eq!(ring.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(ring.try_pop(), Err(WaitError::Stopped));
    }

    #[test]
    fn a_stopped_ring_gives_a_push_back_though_there_is_room() {
        let ring = Ring::new(2).unwrap();
        ring.try_push(1).unwrap();
        ring.stop();
        assert_eq!(ring.push(2, Plain), Err(PushError { value: 2, why: WaitError::Stopped }));
        let late = ring.push_within(3, Plain, Duration::from_secs(3600));
        assert_eq!(late, Err(PushError { value: 3, why: WaitError::Stopped }));
        assert_eq!((ring.try_pop(), ring.try_pop()), (Ok(1), Err(WaitError::Stopped)));
    }

    #[test]
    fn the_last_producer_to_go_stops_it() {
        let ring = Ring::<()>::new(1).unwrap();
        let none = ring.remove_producer().map_err(|error| error.status());
        assert_eq!((none, ring.is_stopped()), (Err(Status::WrongOrder), false));
        ring.add_producer();
        ring.add_producer();
        assert_eq!((ring.remove_producer(), ring.is_stopped()), (Ok(false), false));
        assert_eq!((ring.remove_producer(), ring.is_stopped()), (Ok(true), true));
        assert_eq!(ring.producers(), 0);
    }

    #[test]
    fn what_is_left_is_dropped_with_the_ring() {
        let value = Rc::new(());
        let ring = Ring::new(4).unwrap();
        (0..3).for_each(|_| ring.try_push(Rc::clone(&value)).unwrap());
        drop(ring.try_pop());
        assert_eq!(Rc::strong_count(&value), 3);
        drop(ring);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn its_figures_add_up() {
        let ring = Ring::new(2).unwrap();
        assert!(Ring::<()>::new(0).is_err());
        ring.try_push('a').unwrap();
        ring.try_push('b').unwrap();
        assert!(ring.push_within('c', Plain, Duration::ZERO).is_err());
        ring.try_pop().unwrap();
        let stats = ring.stats();
        let expected = RingStats {
            length: 1,
            capacity: 2,
            max_length: 2,
            pushes: 2,
            pops: 1,
            push_waits: 1,
            pop_waits: 0,
        };
        assert_eq!(stats, expected);
    }
}
