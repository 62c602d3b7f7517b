//! The stack switch on x86-64, System V.
//!
//! A suspended stack, from its saved stack pointer upwards:
//!
//! ```text
//!   sp -> r15  r14  r13  r12  rbx  rbp  return address  ...
//!
//!   fresh:  r12 = entry, rbx = argument, rbp = 0, return address = `begin`
//! ```
//!
//! It ends by `ret`, though the call was on the other stack. The processor predicts returns from the calls
//! that it saw: two tasklets that switch in the same place came by the same calls, so this return and
//! all after it are foreseen. A jump would leave one call too many on its list, and every return after it
//! would be taken for the one before: that was half of what a switch cost.

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
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbp, 0",
        "push rbx",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbx, 0",
        "push r12",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r12, 0",
        "push r13",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r13, 0",
        "push r14",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r14, 0",
        "push r15",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r15, 0",
        "mov [rdi], rsp",
        // From here on the same offsets lead into the other stack.
        "mov rsp, rsi",
        "pop r15",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r15",
        "pop r14",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r14",
        "pop r13",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r13",
        "pop r12",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r12",
        "pop rbx",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore rbx",
        "pop rbp",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore rbp",
        "ret",
        ".cfi_endproc",
    )
}

/// The outermost frame of a stack: calls the entry. An unwinder that comes here has arrived.
#[unsafe(naked)]
unsafe extern "C" fn begin() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "mov rdi, rbx",
        "call r12",
        "ud2",
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
    // The call in `begin` wants a stack pointer that is a multiple of 16, as it is at `top`.
    let words = [0, 0, 0, entry as usize, argument.addr(), 0, begin as usize];
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
pub(in crate::tasklet) fn refused() -> Option<&'static str> {
    let shadow: u64;
    // SAFETY: reads the pointer of the shadow stack, and does nothing where there is none.
    unsafe {
        core::arch::asm!("xor {0:e}, {0:e}", "rdsspq {0}", out(reg) shadow, options(nomem, nostack));
    }
    (shadow != 0).then_some(
        "tasklets cannot switch stacks under a hardware shadow stack: start the process without \
         (GLIBC_TUNABLES=glibc.cpu.x86_shstk=off)",
    )
}
