//! Targets: one for each logger that native code names, with the level below which it is silent.
//!
//! A target lives as long as the process. Asking it is one relaxed load; the worker, which has
//! Python anyway, keeps the number up to date.

use core::{fmt, ptr};

use super::level::Level;
use crate::primitive::{AtomicI32, AtomicPtr, Ordering};

/// A logger, as native code sees it. C reads its first field.
#[repr(C)]
pub struct Target {
    threshold: AtomicI32,
    name: Box<str>,
    next: *const Target,
}

// SAFETY: `next` is written before a target is published and never again.
unsafe impl Sync for Target {}
// SAFETY: as above.
unsafe impl Send for Target {}

/// A record of any level is let in, and the worker asks its logger.
pub(super) const ASK: i32 = i32::MIN;

const LISTS: usize = 256;
static TARGETS: [AtomicPtr<Target>; LISTS] = [const { AtomicPtr::new(ptr::null_mut()) }; LISTS];

impl Target {
    /// The target of this name: that of Python's logger, "" for the root. Any thread; allocates when
    /// a name is new, and never frees: names are for places in a program, not for data.
    #[must_use]
    pub fn named(name: &str) -> &'static Self {
        let list = list(name);
        find(list, name).unwrap_or_else(|| add(list, name))
    }

    /// The target of a Rust module: "a::b" is the logger "a.b".
    #[must_use]
    pub fn of_module(path: &str) -> &'static Self {
        if path.contains("::") { Self::named(&path.replace("::", ".")) } else { Self::named(path) }
    }

    /// The logger's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a record of this level is wanted: what the logger's `isEnabledFor` says, as of the
    /// last change that raddle has seen. Yes, as long as nobody has asked Python.
    #[inline]
    #[must_use]
    pub fn is_enabled(&self, level: Level) -> bool {
        level.0 >= self.threshold()
    }

    #[inline]
    pub(super) fn threshold(&self) -> i32 {
        // Relaxed: a number that stands for itself.
        self.threshold.load(Ordering::Relaxed)
    }

    /// Says whether that was a change.
    pub(super) fn set_threshold(&self, threshold: i32) -> bool {
        self.threshold.swap(threshold, Ordering::Relaxed) != threshold
    }
}

/// Every target there is.
pub(super) fn all() -> impl Iterator<Item = &'static Target> {
    TARGETS.iter().flat_map(targets)
}

fn list(name: &str) -> &'static AtomicPtr<Target> {
    // FNV-1a (Fowler, Noll and Vo): names are short.
    let mix = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    &TARGETS[name.bytes().fold(0x811c_9dc5, mix) as usize % LISTS]
}

fn targets(list: &AtomicPtr<Target>) -> impl Iterator<Item = &'static Target> + use<> {
    // Acquire: pairs with the Release that publishes a target in `add`.
    let mut next: *const Target = list.load(Ordering::Acquire);
    core::iter::from_fn(move || {
        // SAFETY: targets are published whole and never freed.
        let target = unsafe { next.as_ref() }?;
        next = target.next;
        Some(target)
    })
}

fn find(list: &AtomicPtr<Target>, name: &str) -> Option<&'static Target> {
    targets(list).find(|target| *target.name == *name)
}

#[cold]
fn add(list: &AtomicPtr<Target>, name: &str) -> &'static Target {
    let made = Target { threshold: AtomicI32::new(ASK), name: name.into(), next: ptr::null() };
    let made = Box::into_raw(Box::new(made));
    let mut first = list.load(Ordering::Acquire);
    loop {
        // SAFETY: nobody else sees it before the exchange below succeeds.
        unsafe { (*made).next = first };
        match list.compare_exchange(first, made, Ordering::Release, Ordering::Acquire) {
            // SAFETY: leaked just now, and only shared from here on.
            Ok(_) => return unsafe { &*made },
            Err(now) => first = now,
        }
        if let Some(theirs) = find(list, name) {
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(made) });
            return theirs;
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threshold = self.threshold();
        f.debug_struct("Target").field("name", &self.name).field("threshold", &threshold).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_target() {
        let threads: Vec<_> = std::thread::scope(|scope| {
            let find = |_| scope.spawn(|| ptr::from_ref(Target::named("target.test")).addr());
            let threads: Vec<_> = (0..4).map(find).collect();
            threads.into_iter().map(|thread| thread.join().expect("ends well")).collect()
        });
        let target = Target::of_module("target::test");
        assert!(threads.iter().all(|address| *address == ptr::from_ref(target).addr()));
        assert_eq!(target.name(), "target.test");
        assert_eq!(all().filter(|other| other.name() == "target.test").count(), 1);
    }

    #[test]
    fn a_level_is_compared_with_the_threshold() {
        let target = Target::named("target.levels");
        assert!(target.is_enabled(Level(i32::MIN)));
        assert!(target.set_threshold(30));
        assert!(!target.set_threshold(30));
        assert!(!target.is_enabled(Level(29)));
        assert!(target.is_enabled(Level::WARNING));
    }
}
