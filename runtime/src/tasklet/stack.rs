//! Stacks for tasklets: reserved in slabs, guarded, kept for the next one.
//!
//! ```text
//!   one place in a slab, low addresses first
//!   +-------+--------------------------------- - - --+------+---------------------+
//!   | guard |        <- the C stack grows down       | Body | Python's data grows -> |
//!   +-------+--------------------------------- - - --+------+---------------------+
//!                                            |<- one page ->|
//! ```
//!
//! The C stack, the tasklet's record and the frames of its Python functions meet in one page, so that
//! a tasklet which waits in a shallow call keeps one or two pages. Memory is reserved, not taken:
//! pages come as they are touched. A guard costs no mapping where the kernel has MADV_GUARD_INSTALL
//! (6.13); elsewhere each is a mapping of its own, and the kernel's limit on those is a ceiling that
//! is refused with a reason instead of a crash later.

use core::ptr;

use crate::primitive::{AtomicU32, AtomicU64, Mutex, Ordering, lock};

const PAGE: usize = 4096;
const GUARD: usize = 4 * PAGE;
/// The first piece of Python's data stack, as large as CPython makes it.
const DATA: usize = 4 * PAGE;
/// Of the page in which all meet, what the C stack gets.
const C_PART: usize = 2048;
/// What the record gets.
pub(super) const BODY: usize = 576;
/// Places per slab, one bit each.
const MOST: usize = 64;
/// How much one slab reserves, unless one place is more.
const SLAB: usize = 64 << 20;
/// Free stacks whose pages are kept.
const WARM: usize = 64;
/// The least that a C stack may have: below this Python itself refuses to run.
pub(super) const LEAST: usize = 128 << 10;
/// The largest: more is a mistake.
pub(super) const LARGEST: usize = 1 << 30;

#[cfg(target_os = "linux")]
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// A stack that somebody has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    base: *mut u8,
    slab: *mut Slab,
}

#[derive(Debug)]
struct Slab {
    base: *mut u8,
    /// Size of a place.
    each: usize,
    count: usize,
    /// A bit for each place that is free and cold.
    free: u64,
}

// SAFETY: an address and figures, behind the pool's lock.
unsafe impl Send for Slab {}

#[derive(Debug)]
struct Pool {
    /// Places that were given back and still have their pages.
    warm: Vec<Place>,
    /// Slabs with free places, by size of place.
    partial: Vec<*mut Slab>,
    empty: usize,
    each: usize,
}

// SAFETY: pointers to slabs that the pool owns, behind its lock.
unsafe impl Send for Pool {}

static POOLS: Mutex<Vec<Pool>> = Mutex::new(Vec::new());
/// Places that have a guard which costs a mapping.
static MAPPED: AtomicU64 = AtomicU64::new(0);
static IN_USE: AtomicU64 = AtomicU64::new(0);
/// 0 not tried, 1 by madvise, 2 by mprotect.
static GUARDS: AtomicU32 = AtomicU32::new(0);

/// Why there is no stack.
#[derive(Clone, Debug)]
pub(super) struct NoStack(pub(super) String);

impl Place {
    /// Where the record is; the C stack ends below it.
    pub(super) fn body(self) -> *mut u8 {
        self.base.wrapping_add(self.each() - DATA + C_PART)
    }

    /// The C stack without its guard: where it begins, and its size.
    pub(super) fn calls(self) -> (*mut u8, usize) {
        (self.base.wrapping_add(GUARD), self.each() - DATA + C_PART - GUARD)
    }

    /// Python's data: where it begins, and its size.
    pub(super) fn data(self) -> (*mut u8, usize) {
        (self.body().wrapping_add(BODY), DATA - C_PART - BODY)
    }

    fn each(self) -> usize {
        // SAFETY: the slab lives as long as one of its places is in use.
        unsafe { (*self.slab).each }
    }
}

/// How many stacks are in use.
pub(super) fn in_use() -> u64 {
    IN_USE.load(Ordering::Relaxed)
}

/// A stack for C calls of about `size` bytes.
pub(super) fn take(size: usize) -> Result<Place, NoStack> {
    let each = (size.clamp(LEAST, LARGEST) + GUARD + DATA).next_multiple_of(PAGE);
    let mut pools = lock(&POOLS);
    let pool = match pools.iter().position(|pool| pool.each == each) {
        Some(index) => &mut pools[index],
        None => {
            pools.push(Pool { warm: Vec::new(), partial: Vec::new(), empty: 0, each });
            let last = pools.len() - 1;
            &mut pools[last]
        }
    };
    let place = pool.take()?;
    IN_USE.fetch_add(1, Ordering::Relaxed); // A figure.
    Ok(place)
}

/// Gives a stack back. Nobody runs on it.
pub(super) fn give_back(place: Place) {
    IN_USE.fetch_sub(1, Ordering::Relaxed); // A figure.
    let each = place.each();
    let mut pools = lock(&POOLS);
    if let Some(pool) = pools.iter_mut().find(|pool| pool.each == each) {
        pool.give_back(place);
    }
}

impl Pool {
    fn take(&mut self) -> Result<Place, NoStack> {
        if let Some(place) = self.warm.pop() {
            return Ok(place);
        }
        let slab = match self.partial.last() {
            Some(slab) => *slab,
            None => {
                let slab = Box::into_raw(Box::new(Slab::reserve(self.each)?));
                self.partial.push(slab);
                self.empty += 1;
                slab
            }
        };
        // SAFETY: owned by this pool, whose lock is held.
        let record = unsafe { &mut *slab };
        let index = record.free.trailing_zeros() as usize;
        let base = record.base.wrapping_add(index * record.each);
        if record.is_empty() {
            self.empty -= 1;
        }
        record.free &= record.free - 1;
        if record.free == 0 {
            self.partial.pop();
        }
        Ok(Place { base, slab })
    }

    fn give_back(&mut self, place: Place) {
        if self.warm.len() < WARM {
            self.warm.push(place);
            return;
        }
        let length = self.each - GUARD;
        // SAFETY: the place's own pages, whose content nobody wants any more.
        unsafe {
            libc::madvise(place.base.wrapping_add(GUARD).cast(), length, libc::MADV_DONTNEED)
        };
        // SAFETY: owned by this pool, whose lock is held.
        let slab = unsafe { &mut *place.slab };
        let index = (place.base.addr() - slab.base.addr()) / slab.each;
        if slab.free == 0 {
            self.partial.push(place.slab);
        }
        slab.free |= 1 << index;
        if !slab.is_empty() {
            return;
        }
        self.empty += 1;
        if self.empty > 2 {
            self.empty -= 1;
            self.partial.retain(|other| *other != place.slab);
            // SAFETY: from Box::into_raw in `take`, and no place of it is in use.
            drop(unsafe { Box::from_raw(place.slab) });
        }
    }
}

impl Slab {
    fn reserve(each: usize) -> Result<Self, NoStack> {
        let count = (SLAB / each).clamp(1, MOST);
        let length = each * count;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a mapping wherever the kernel likes.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, access, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            let why = std::io::Error::last_os_error();
            return Err(NoStack(format!("no memory for {count} stacks of {each} bytes: {why}")));
        }
        // A huge page for what is one page in two would undo the layout. Old kernels do not mind.
        // SAFETY: advice about the mapping made above.
        unsafe { libc::madvise(base, length, libc::MADV_NOHUGEPAGE) };
        let slab = Self { base: base.cast(), each, count, free: u64::MAX >> (MOST - count) };
        for index in 0..count {
            guard(slab.base.wrapping_add(index * each))?;
        }
        Ok(slab)
    }

    const fn is_empty(&self) -> bool {
        self.free.count_ones() as usize == self.count
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        if GUARDS.load(Ordering::Relaxed) == 2 {
            MAPPED.fetch_sub(self.count as u64, Ordering::Relaxed);
        }
        // SAFETY: mapped by `reserve`, and nobody has a place of it.
        unsafe { libc::munmap(self.base.cast(), self.each * self.count) };
    }
}

/// Makes the lowest pages of a place trap.
fn guard(base: *mut u8) -> Result<(), NoStack> {
    // Relaxed, here and below: threads that try at the same time find the same.
    #[cfg(target_os = "linux")]
    if GUARDS.load(Ordering::Relaxed) != 2 {
        // SAFETY: pages of a mapping of ours that nobody uses yet.
        if unsafe { libc::madvise(base.cast(), GUARD, MADV_GUARD_INSTALL) } == 0 {
            GUARDS.store(1, Ordering::Relaxed);
            return Ok(());
        }
    }
    GUARDS.store(2, Ordering::Relaxed);
    let (made, most) = (MAPPED.fetch_add(1, Ordering::Relaxed) + 1, ceiling());
    if made > most {
        return Err(NoStack(format!(
            "{most} tasklets are as many as this kernel allows, since each guard page is a mapping: \
             raise vm.max_map_count, or use Linux 6.13 or newer"
        )));
    }
    // SAFETY: pages of a mapping of ours that nobody uses yet.
    if unsafe { libc::mprotect(base.cast(), GUARD, libc::PROT_NONE) } != 0 {
        let why = std::io::Error::last_os_error();
        return Err(NoStack(format!("a stack cannot be guarded: {why}")));
    }
    Ok(())
}

/// How many guards of the kind that costs mappings there may be: each makes two of one, and the rest of
/// the process needs some.
fn ceiling() -> u64 {
    static KNOWN: AtomicU64 = AtomicU64::new(0);
    let known = KNOWN.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    let most = text.trim().parse::<u64>().unwrap_or(65530);
    let found = (most.saturating_sub(4096) / 2).max(1024);
    KNOWN.store(found, Ordering::Relaxed);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_room_for_what_it_is_said_to_hold() {
        let place = take(256 << 10).expect("there is memory");
        let (calls, size) = place.calls();
        assert!(size >= 256 << 10);
        assert_eq!(calls.wrapping_add(size), place.body());
        assert_eq!(place.body().addr() % 16, 0);
        let (data, length) = place.data();
        for byte in [calls, place.body(), data, data.wrapping_add(length - 1)] {
            // SAFETY: within the place.
            unsafe { byte.write(1) };
        }
        give_back(place);
    }

    #[test]
    fn a_stack_that_was_given_back_is_taken_again() {
        let first = take(320 << 10).expect("there is memory");
        give_back(first);
        let second = take(320 << 10).expect("there is memory");
        assert_eq!(first.body(), second.body());
        give_back(second);
    }

    #[test]
    fn many_places_do_not_overlap_and_go_back() {
        let mut places: Vec<Place> =
            (0..500).map(|_| take(192 << 10).expect("there is memory")).collect();
        places.sort_by_key(|place| place.body());
        let apart = places
            .windows(2)
            .all(|two| two[1].body().addr() - two[0].body().addr() >= (192 << 10) + GUARD + DATA);
        assert!(apart);
        places.into_iter().for_each(give_back);
    }
}
