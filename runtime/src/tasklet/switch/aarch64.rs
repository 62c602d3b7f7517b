//! The stack switch on aarch64, AAPCS64.
//!
//! A suspended stack, from its saved stack pointer upwards:
//!
//! ```text
//!   sp -> x19 x20  x21 x22  x23 x24  x25 x26  x27 x28  x29 x30  d8 d9  d10 d11  d12 d13  d14 d15
//!
//!   fresh:  x19 = argument, x20 = entry, x29 = 0, x30 = `begin`
//! ```

use core::arch::naked_asm;

use super::Entry;

/// Suspends the stack that runs, puts its pointer into `*from`, and goes on with the one that `to`
/// was saved for.
///
/// # Safety
///
/// `to` comes from [`prepare`], or was saved by a switch and has not been switched to since. All
/// that the two stacks share is ready for the change.
#[unsafe(naked)]
pub(in crate::tasklet) unsafe extern "C" fn switch(from: *mut *mut u8, to: *mut u8) {
    naked_asm!(
        ".cfi_startproc",
        "sub sp, sp, #160",
        ".cfi_adjust_cfa_offset 160",
        "stp x19, x20, [sp, #0]",
        "stp x21, x22, [sp, #16]",
        "stp x23, x24, [sp, #32]",
        "stp x25, x26, [sp, #48]",
        "stp x27, x28, [sp, #64]",
        "stp x29, x30, [sp, #80]",
        ".cfi_rel_offset x29, 80",
        ".cfi_rel_offset x30, 88",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mov x9, sp",
        "str x9, [x0]",
        // From here on the same offsets lead into the other stack.
        "mov sp, x1",
        "ldp x19, x20, [sp, #0]",
        "ldp x21, x22, [sp, #16]",
        "ldp x23, x24, [sp, #32]",
        "ldp x25, x26, [sp, #48]",
        "ldp x27, x28, [sp, #64]",
        "ldp x29, x30, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "add sp, sp, #160",
        ".cfi_adjust_cfa_offset -160",
        ".cfi_restore x29",
        ".cfi_restore x30",
        // Not `br`: the processor foresees returns by the calls that it saw (see x86_64.rs).
        "ret",
        ".cfi_endproc",
    )
}

/// The outermost frame of a stack: calls the entry. An unwinder that comes here has arrived.
#[unsafe(naked)]
unsafe extern "C" fn begin() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined x30",
        "mov x0, x19",
        "blr x20",
        "brk #1",
        ".cfi_endproc",
    )
}

/// Makes a stack that ends at `top` (a multiple of 16) call `entry(argument)` when it is switched to
/// for the first time. Returns what to switch to.
///
/// # Safety
///
/// The memory below `top` is the stack's own.
pub(in crate::tasklet) unsafe fn prepare(top: *mut u8, entry: Entry, argument: *mut u8) -> *mut u8 {
    let begin: unsafe extern "C" fn() -> ! = begin;
    let mut words = [0_usize; 20];
    words[0] = argument.addr();
    words[1] = entry as usize;
    words[11] = begin as usize;
    let end: *mut usize = core::ptr::with_exposed_provenance_mut(top.expose_provenance());
    let start = end.wrapping_sub(words.len());
    for (index, word) in words.into_iter().enumerate() {
        let place = start.wrapping_add(index);
        // SAFETY: below `top`, and aligned as it is.
        unsafe { place.write(word) };
    }
    start.cast()
}

/// Why stacks cannot be switched on this thread; `None` if they can.
pub(in crate::tasklet) const fn refused() -> Option<&'static str> {
    None
}
