//! Memory for the nodes of lists, which one thread makes and another frees.
//!
//! An allocator is slow at just that: what a taker frees lies in its own cache or goes through locks of
//! the producer's arena. Here each thread keeps two magazines of spare blocks, and full ones change
//! hands through a few places that all share, whole: a swap takes one, so there is no ABA.
//!
//! ```text
//!   producer   current, previous  <--swap--  [ ][m][ ][m]  <--exchange--  current, previous   taker
//!                 |  none there                  places      |  all full                        |
//!                 v                                          v                                 frees
//!              allocator                                 allocator
//! ```

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr;
use std::alloc::{alloc, dealloc, handle_alloc_error};

use crate::primitive::{AtomicPtr, Ordering};

/// What a block has room for: a cache line, so that a node goes from one processor to another in one
/// piece. Larger things have their own memory.
const BLOCK: Layout = match Layout::from_size_align(64, 64) {
    Ok(layout) => layout,
    Err(_) => panic!("64 bytes, a cache line, are a block"),
};

/// How many blocks a magazine has, and how many of those threads leave to each other.
const MAGAZINE: u32 = 64;
const PLACES: usize = 128;

static FULL: [AtomicPtr<Spare>; PLACES] = [const { AtomicPtr::new(ptr::null_mut()) }; PLACES];

/// A block that nobody uses.
struct Spare {
    next: *mut Spare,
}

/// What a thread has.
struct Mine {
    current: Cell<*mut Spare>,
    count: Cell<u32>,
    /// Full, or null.
    previous: Cell<*mut Spare>,
}

impl Drop for Mine {
    fn drop(&mut self) {
        free_all(self.current.get());
        free_all(self.previous.get());
    }
}

thread_local! {
    static MINE: Mine = const {
        Mine {
            current: Cell::new(ptr::null_mut()),
            count: Cell::new(0),
            previous: Cell::new(ptr::null_mut()),
        }
    };
}

/// Whether a `T` has room in a block.
const fn fits<T>() -> bool {
    size_of::<T>() <= BLOCK.size() && align_of::<T>() <= BLOCK.align()
}

/// Moves `value` to memory of its own.
#[inline]
pub(crate) fn put<T>(value: T) -> *mut T {
    if !fits::<T>() {
        return Box::into_raw(Box::new(value));
    }
    // A thread whose thread-locals are gone asks the allocator.
    let block = MINE.try_with(Mine::take).unwrap_or(ptr::null_mut());
    let block = if block.is_null() { fresh() } else { block };
    let place = block.cast::<T>();
    // SAFETY: a block that nobody uses, with room for a `T`.
    unsafe { place.write(value) };
    place
}

/// Moves the value out, and takes its memory back.
///
/// # Safety
///
/// `place` came from [`put`], and nobody uses it any more.
#[inline]
pub(crate) unsafe fn take<T>(place: *mut T) -> T {
    if !fits::<T>() {
        // SAFETY: by the caller's promise, and so from Box::into_raw.
        return *unsafe { Box::from_raw(place) };
    }
    // SAFETY: by the caller's promise.
    let value = unsafe { place.read() };
    let block = place.cast::<Spare>();
    if MINE.try_with(|mine| mine.keep(block)).is_err() {
        // SAFETY: a block, which nobody uses.
        unsafe { dealloc(block.cast(), BLOCK) };
    }
    value
}

#[cold]
fn fresh() -> *mut Spare {
    // SAFETY: a layout of some bytes.
    let block = unsafe { alloc(BLOCK) };
    if block.is_null() {
        handle_alloc_error(BLOCK);
    }
    block.cast()
}

impl Mine {
    /// A block, or null where there is none to spare.
    #[inline]
    fn take(&self) -> *mut Spare {
        let mut block = self.current.get();
        if block.is_null() {
            block = self.reload();
            if block.is_null() {
                return block;
            }
        }
        // SAFETY: a spare block of this thread's.
        self.current.set(unsafe { (*block).next });
        self.count.set(self.count.get() - 1);
        block
    }

    /// The first block of another magazine.
    #[cold]
    fn reload(&self) -> *mut Spare {
        let mut full = self.previous.replace(ptr::null_mut());
        if full.is_null() {
            let found = FULL.iter().find_map(|place| {
                // Relaxed: a hint.
                if place.load(Ordering::Relaxed).is_null() {
                    return None;
                }
                // Acquire: pairs with the Release of whoever left it there.
                let full = place.swap(ptr::null_mut(), Ordering::Acquire);
                (!full.is_null()).then_some(full)
            });
            full = found.unwrap_or(ptr::null_mut());
        }
        if !full.is_null() {
            self.current.set(full);
            self.count.set(MAGAZINE);
        }
        full
    }

    /// Keeps a block that nobody uses any more.
    #[inline]
    fn keep(&self, block: *mut Spare) {
        if self.count.get() == MAGAZINE {
            self.unload();
        }
        // SAFETY: nobody else's, and of a block's size.
        unsafe { block.write(Spare { next: self.current.get() }) };
        self.current.set(block);
        self.count.set(self.count.get() + 1);
    }

    /// Makes room for another magazine.
    #[cold]
    fn unload(&self) {
        let full = self.previous.replace(self.current.replace(ptr::null_mut()));
        self.count.set(0);
        if full.is_null() {
            return;
        }
        let is_left = FULL.iter().any(|place| {
            // Release: publishes the chain to whoever swaps it out.
            place.load(Ordering::Relaxed).is_null()
                && place
                    .compare_exchange(ptr::null_mut(), full, Ordering::Release, Ordering::Relaxed)
                    .is_ok()
        });
        if !is_left {
            free_all(full);
        }
    }
}

/// Gives a chain of spare blocks back to the allocator.
fn free_all(mut block: *mut Spare) {
    while !block.is_null() {
        // SAFETY: a spare block, the caller's alone.
        let next = unsafe { (*block).next };
        // SAFETY: from `alloc`, with this layout.
        unsafe { dealloc(block.cast(), BLOCK) };
        block = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_however_many_change_hands() {
        for _ in 0..3 {
            let places: Vec<usize> = (0..u64::from(MAGAZINE) * 40)
                .map(|number| put([number; 7]).expose_provenance())
                .collect();
            let there = std::thread::Builder::new().spawn(move || {
                for (number, place) in (0_u64..).zip(places) {
                    // SAFETY: from `put`, once.
                    let value =
                        unsafe { take(ptr::with_exposed_provenance_mut::<[u64; 7]>(place)) };
                    assert_eq!(value, [number; 7]);
                }
            });
            there.expect("a thread can be started").join().expect("nothing is mixed up");
        }
    }

    #[test]
    fn what_is_large_has_memory_of_its_own() {
        let place = put([1_u8; 1000]);
        // SAFETY: from `put`, once.
        assert_eq!(unsafe { take(place) }, [1; 1000]);
    }
}
