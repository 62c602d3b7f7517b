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

    /// Runs `body` with a stack on which `entry` waits to be switched to.
    fn with_another(entry: Entry, body: impl FnOnce(&Pair)) {
        let mut memory = vec![0_u128; 4096];
        let top = memory.as_mut_ptr_range().end.cast::<u8>();
        let nowhere = || Cell::new(ptr::null_mut());
        let pair = Pair { ours: nowhere(), theirs: nowhere(), turns: Cell::new(0) };
        let lent = ptr::without_provenance_mut((&raw const pair).expose_provenance());
        // SAFETY: memory of ours, large enough for what the entry does.
        pair.theirs.set(unsafe { prepare(top, entry, lent) });
        body(&pair);
        drop(memory);
    }

    fn take_turn(pair: &Pair) {
        // SAFETY: a stack that was prepared, or that has switched back.
        unsafe { switch(pair.ours.as_ptr(), pair.theirs.get()) };
    }

    #[test]
    fn two_stacks_take_turns() {
        with_another(entry, |pair| {
            for turn in 1..5 {
                take_turn(pair);
                assert_eq!(pair.turns.get(), turn);
            }
        });
    }

    /// Changes all registers that it can between two turns.
    unsafe extern "C" fn busy(pair: *mut u8) -> ! {
        let pair: *const Pair = ptr::with_exposed_provenance(pair.addr());
        // SAFETY: as in `entry`.
        let pair = unsafe { &*pair };
        let mut numbers = [1_u64; 24];
        let mut floats = [1.5_f64; 24];
        loop {
            for at in 1..24 {
                numbers[at] = core::hint::black_box(numbers[at - 1]).wrapping_mul(3);
                floats[at] = core::hint::black_box(floats[at - 1]) * 0.5;
            }
            pair.turns.set(core::hint::black_box(pair.turns.get() + 1));
            // SAFETY: as in `entry`.
            unsafe { switch(pair.theirs.as_ptr(), pair.ours.get()) };
        }
    }

    #[test]
    fn what_a_callee_keeps_is_kept() {
        with_another(busy, |pair| {
            let (mut a, mut b, mut c, mut d) = (1_u64, 2_u64, 3_u64, 4_u64);
            let (mut e, mut f, mut g, mut h) = (1.0_f64, 2.0_f64, 4.0_f64, 8.0_f64);
            for turn in 0..100 {
                take_turn(pair);
                (a, b, c, d) = (a + 1, b + a, c ^ turn, d + 2);
                (e, f, g, h) = (e + 1.0, f + e, g + 0.5, h - 1.0);
            }
            let sum = (1..=100).sum::<u64>();
            let xor = (0..100).fold(3, |value, turn| value ^ turn);
            assert_eq!((a, b, c, d), (101, 2 + sum, xor, 204));
            let same = (e, f, g, h) == (101.0, 5052.0, 54.0, -92.0);
            assert!(same, "{e} {f} {g} {h}");
        });
    }
}
