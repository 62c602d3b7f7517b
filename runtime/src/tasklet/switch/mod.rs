//! The stack switch: from the stack that runs to another one, and back later.
//!
//! ```text
//!   A's stack                                    B's stack
//!   ---------                                    ---------
//!   switch(&A.sp, B.sp)
//!     push what a callee has to keep
//!     A.sp <- stack pointer
//!     stack pointer <- B.sp  - - - - - - - - ->  pop what B pushed when it switched away
//!                                                return into B
//!                                                ...
//!                                                switch(&B.sp, A.sp)
//!     pop   <- - - - - - - - - - - - - - - - - -   push, B.sp <- stack pointer
//!   return into A
//! ```
//!
//! It is symmetric, since tasklets are: whoever is next is switched to, with no hub in between. Signal
//! masks, the rounding mode of the processor and thread-local variables (`errno` among them) belong
//! to the thread and do not travel.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as arch;
#[cfg(target_arch = "x86_64")]
use x86_64 as arch;

pub(super) use arch::{prepare, refused, switch};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "tasklets switch stacks on x86-64 and aarch64; add runtime/src/tasklet/switch/ARCH.rs"
);

/// What a fresh stack begins with. It must not return.
pub(super) type Entry = unsafe extern "C" fn(*mut u8) -> !;

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use core::ptr;

    use super::*;

    struct Pair {
        ours: Cell<*mut u8>,
        theirs: Cell<*mut u8>,
        turns: Cell<u32>,
    }

    unsafe extern "C" fn entry(pair: *mut u8) -> ! {
        let pair: *const Pair = ptr::with_exposed_provenance(pair.addr());
        // SAFETY: the test lends it until it is done with this stack.
        let pair = unsafe { &*pair };
        loop {
            pair.turns.set(pair.turns.get() + 1);
            // SAFETY: the test's stack pointer, saved when it switched here.
            unsafe { switch(pair.theirs.as_ptr(), pair.ours.get()) };
        }
    }

    #[test]
    fn two_stacks_take_turns() {
        let mut memory = vec![0_u128; 4096];
        let top = memory.as_mut_ptr_range().end.cast::<u8>();
        let nowhere = || Cell::new(ptr::null_mut());
        let pair = Pair { ours: nowhere(), theirs: nowhere(), turns: Cell::new(0) };
        let lent = ptr::without_provenance_mut((&raw const pair).expose_provenance());
        // SAFETY: memory of ours, large enough for what the entry does.
        pair.theirs.set(unsafe { prepare(top, entry, lent) });
        for turn in 1..5 {
            // SAFETY: a stack that was prepared, or that has switched back.
            unsafe { switch(pair.ours.as_ptr(), pair.theirs.get()) };
            assert_eq!(pair.turns.get(), turn);
        }
        drop(memory);
    }
}
